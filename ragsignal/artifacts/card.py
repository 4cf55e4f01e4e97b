"""The card of an artifact: what it is, what it was trained on and through which day, and what it holds.

For programs it is ``card.json``; for people :func:`describe` writes the same as ``README.md``.
Reading, writing and verifying the folder around it is :mod:`ragsignal.artifacts.artifact`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,  # pydantic reads typing's own from Python 3.12 on
)

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator, with_config
from typing_extensions import TypedDict

from ragsignal.utils import canonical_json

Kind = Literal["stockllm", "stockllm-days", "finseer-text", "finseer-numeric", "recall", "finseer-days", "classifier"]

FORMAT = 1
"""Of the folder; raised when an older reader would misread the folder."""

CARD = "card.json"
README = "README.md"
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _unchanged_by_json(values: object) -> object:
    try:
        same = json.loads(canonical_json(values)) == values  # raises ValueError on NaN
    except TypeError as error:
        raise ValueError(str(error)) from None
    if not same:
        raise ValueError(
            "a tuple, a date or a key that is no text: JSON gives back another value; write lists and text"
        )
    return values


Json = Annotated[dict[str, Any], AfterValidator(_unchanged_by_json)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Span(BaseModel):
    """Days of the first and the last query (their ``as_of``, both inclusive), and how many queries there were."""

    model_config = _STRICT

    first: date
    last: date
    queries: int = Field(ge=1)


@with_config(_STRICT)
class Base(TypedDict):
    """The weights that training began from; ``revision`` only for a Hub id."""

    ref: str
    revision: str | None
    sha256: Digest


@with_config(_STRICT)
class DataSource(TypedDict):
    """The prices that were learned from; ``fingerprint`` is the digest of :class:`ragsignal.data.prices.Prices`.

    ``dropped_bars``: how many bars were left out, by symbol and rule; only where there were some. ``bar_days``: days
    between two bars; only where they are not daily.
    """

    source: str
    symbols: list[str]
    fingerprint: str
    dropped_bars: NotRequired[dict[str, dict[str, int]]]
    bar_days: NotRequired[float]


@with_config(_STRICT)
class Calibration(TypedDict):
    """P(rise) = sigmoid(slope * log-odds + intercept)."""

    method: str
    slope: float
    intercept: float


class Card(BaseModel):
    """What an artifact is, what it was trained on, and what it holds. Equal to itself after a trip through JSON.

    Parameters
    ----------
    template : dict
        Recipe of the text, or of the numbers, that the model reads.
    trained_through : date
        The last day on which any label that was used became known; out of sample begins after it.
    protocol : {"time", "paper"}
        ``paper`` had the same days in training and in validation, and therefore leaks.
    metrics : dict
        As training reported them; tables in tables are fine.
    files : dict of str to str
        SHA-256 of every file but card.json and README.md; filled in by :func:`save_artifact`.
    """

    model_config = _STRICT

    format: Literal[1] = 1
    kind: Kind
    name: str
    base: Base | None
    template: Json
    target: str
    recipe: Json
    train: Span
    valid: Span | None
    trained_through: date
    protocol: Literal["time", "paper"]
    data: DataSource
    seed: int
    versions: dict[str, str]
    command: str
    metrics: Json
    calibration: Calibration | None = None
    files: dict[str, Digest] = {}

    @property
    def reads_ranks(self) -> bool:
        """Whether the model reads rank letters, and so depends on every stock of the day."""
        return "reader" in self.template

    @property
    def warning(self) -> str | None:
        """Say that the model knew less on validation than who knows the share of rises alone; None of a better one."""
        loss, base = (self.metrics.get(name) for name in ("log_loss", "log_loss_of_base_rate"))
        if not isinstance(loss, float) or not isinstance(base, float) or loss < base:
            return None
        return (
            f"{self.name} is no better than its base rate: on its validation days its log-loss is {loss:.5f}, and "
            f"{base:.5f} of who always says the share of rises (lower is better)."
        )

    @model_validator(mode="after")
    def _check(self) -> Card:
        for name, span in (("train", self.train), ("valid", self.valid)):
            if span is not None and span.first > span.last:
                raise ValueError(f"{name}.first {span.first} lies after {name}.last {span.last}")
        if self.trained_through < self.train.last:
            raise ValueError(f"trained_through {self.trained_through} lies before the last query {self.train.last}")
        return self


_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_LIBRARY = {
    "stockllm": "peft",
    "stockllm on ranks": "transformers",
    "stockllm-days": "peft",
    "finseer-text": "sentence-transformers",
    "recall": "transformers",
}
_USE: dict[str, str] = {
    "stockllm": '[llm]\nadapter = "FOLDER"',
    "stockllm on ranks": '[corpus]\ntarget = "relative"\n\n[llm]\nmodel = "FOLDER"',
    "finseer-text": '[retrieval]\nretriever = "finseer"\nencoder = "FOLDER"',
    "finseer-numeric": '[retrieval]\nretriever = "finseer"\nencoder = "FOLDER"',
    "recall": '[retrieval]\nretriever = "recall"\nencoder = "FOLDER"',
    "finseer-days": '[retrieval]\ncandidates = "days"\nretriever = "finseer"\nencoder = "FOLDER"\nk = 400',
    "stockllm-days": '[retrieval]\ncandidates = "days"\nretriever = "finseer"\n\n[llm]\nadapter = "FOLDER"',
    "classifier": '[[variant]]\nname = "classifier"\nsignal = "classifier"\nclassifier = "FOLDER"',
}


def describe(card: Card) -> str:
    """The card for people, as README.md with the front matter that the Hugging Face Hub reads."""
    parts = [_front_matter(card), f"# {card.name}: {card.kind}", _what_it_is(card), "## Use", _usage(card)]
    parts += ["## Days", _table(("", "first query", "last query", "queries"), _spans(card)), _limits(card)]
    if card.metrics:
        parts += ["## Metrics", _table(("measure", "value"), _flat(card.metrics))]
    parts += [
        "## How it was made",
        f"```\n{card.command}\n```",
        _table(("package", "version"), [*card.versions.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(card: Card) -> str:
    lines = ["---"]
    if _used_as(card) in _LIBRARY:
        lines.append(f"library_name: {_LIBRARY[_used_as(card)]}")
    # The Hub takes only its own ids here; an embedded base or a folder is named in the text.
    if card.base is not None and _HUB_ID.fullmatch(card.base["ref"]):
        lines.append(f"base_model: {json.dumps(card.base['ref'])}")
    lines += ["tags:", "- ragsignal", f"- {card.kind}", "- finance", "---"]
    return "\n".join(lines)


def _used_as(card: Card) -> str:
    """The kind; but StockLLM on ranks is a model of its own, and no adapter."""
    return "stockllm on ranks" if card.kind == "stockllm" and card.reads_ranks else card.kind


def _what_it_is(card: Card) -> str:
    prices = f"{len(card.data['symbols'])} symbols of `{card.data['source']}`"
    about = f"Trained by ragsignal on the target `{card.target}`, {prices}"
    if card.base is None:
        return f"{about}, from scratch."
    return f"{about}, from the base `{card.base['ref']}` (SHA-256 `{card.base['sha256']}`)."


def _usage(card: Card) -> str:
    advice = f"Name this folder in a spec; every file is checked against `{CARD}` when it is loaded:"
    return f"{advice}\n\n```toml\n{_USE[_used_as(card)]}\n```"


def _spans(card: Card) -> list[tuple[str, str]]:
    spans = [("training", card.train), ("validation", card.valid)]
    return [(name, f"{it.first} | {it.last} | {it.queries:,}") for name, it in spans if it is not None]


def _limits(card: Card) -> str:
    day = card.trained_through
    lines = [f"Trained through **{day}**: out of sample only after it. A backtest that starts on or before it refuses."]
    if card.protocol == "paper":
        lines.append(
            "**protocol = paper leaks**: same dates in train and test, as in arXiv 2502.05878, and what the market "
            "did on a day tells much of what each stock did. No figure below is evidence of skill."
        )
    if card.warning is not None:
        lines.append(f"**{card.warning}**")
    if card.valid is not None:
        lines.append(
            "Validation days may have chosen the checkpoint and the calibration: their figures are not a test."
        )
    return "\n\n".join(lines)


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((prefix + key, f"{value:.4g}" if isinstance(value, float) else json.dumps(value)))
    return rows


def _table(head: tuple[str, ...], rows: list[tuple[str, str]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)
