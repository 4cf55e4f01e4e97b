"""The address of what one training run leaves behind: a digest of all that it learns from and how.

Two specs that train the same share it; a changed price, setting or base is another one. What decides nothing is left
out: names, folders, what a run is reported to, and the step that will use it. What a kind is made from (StockLLM, then
its feedback, then FinSeer; boosting, then StockLLM on ranks) is in its address by its own; and so is, of a warm step,
the address of the step before, which holds that of the one before it, back to the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ragsignal.config import TrainSpec, Walked
from ragsignal.types import Recipe
from ragsignal.utils import json_digest

FORMAT = 1
"""Raised when the same training spec and prices would give other weights."""

TrainedKind = Literal[
    "stockllm", "stockllm-days", "feedback", "finseer-text", "finseer-numeric", "recall", "finseer-days", "classifier"
]
"""What a training command writes: an artifact, or the teacher scores of FinSeer."""

_ORDER: tuple[TrainedKind, ...] = ("classifier", "stockllm", "feedback", "finseer-text", "finseer-numeric", "recall")
# of [llm]: the base is known by its digest, and FinSeer reads the rest through its feedback alone
_OF_LLM: dict[TrainedKind, set[str]] = {
    "stockllm": {"template", "mask", "dtype", "device", "batch_size", "headlines"},
    "feedback": {"dtype", "device", "batch_size"},
    "classifier": {"template", "mask", "device"},
}
_NOT_DECIDING = {"report_to", "base", "revision"}


def _made_from(spec: TrainSpec, kind: TrainedKind) -> TrainedKind | None:
    if kind == "stockllm":
        return "classifier" if spec.stockllm.reader == "ranks" else None
    if kind.startswith("finseer") and spec.finseer.loss == "supcon":
        return None  # it asks no teacher
    made_from: dict[TrainedKind, TrainedKind] = {
        "feedback": "stockllm",
        "finseer-text": "feedback",
        "finseer-numeric": "feedback",
        "recall": "feedback",
    }
    return made_from.get(kind)


def _settings_of(spec: TrainSpec, kind: TrainedKind) -> str:
    """Name of the table that says how ``kind`` is trained."""
    if kind == "stockllm":
        return "ranks" if spec.stockllm.reader == "ranks" else "stockllm"
    if kind == "classifier":
        return "boosting" if spec.classifier.kind == "boosting" else "classifier"
    return kind.partition("-")[0]


def training_order(spec: TrainSpec, kinds: tuple[Walked, ...]) -> tuple[TrainedKind, ...]:
    """Return ``kinds`` and what ``spec`` makes them from, in the order of training."""
    wanted: set[TrainedKind] = set()
    for kind in kinds:
        source: TrainedKind | None = kind
        while source is not None:
            wanted.add(source)
            source = _made_from(spec, source)
    return tuple(kind for kind in _ORDER if kind in wanted)


def base_of(spec: TrainSpec, kind: TrainedKind) -> tuple[str, str | None, str | None] | None:
    """Reference, revision and expected SHA-256 of the weights that a kind begins from; None where it has none."""
    if kind == "stockllm" and spec.stockllm.reader == "text":
        return spec.llm.model, spec.llm.revision, spec.llm.sha256
    if kind == "finseer-text":
        return spec.finseer.base, spec.finseer.revision, None
    if kind == "classifier" and spec.classifier.kind == "bert":
        return spec.classifier.base, spec.classifier.revision, None
    return None


def address(
    spec: TrainSpec,
    kind: TrainedKind,
    prices: str,
    base: Callable[[TrainedKind], str | None],
    after: Recipe | None = None,
) -> str:
    """SHA-256 of everything that decides a training run.

    Parameters
    ----------
    spec : TrainSpec
        Of one step.
    kind : str
    prices : str
        Fingerprint of all prices, and of the news where some are read, through ``spec.data.end``.
    base : callable
        Gives the digest of the weights that a kind begins from; None where it begins from nothing.
    after : dict, optional
        Of a warm step: the address of StockLLM of the step before, and how training goes on from there.
    """
    plain = spec.model_dump(mode="json")
    source, table = _made_from(spec, kind), _settings_of(spec, kind)
    settings = getattr(spec, table).model_dump(mode="json")  # not out of `plain`: a table may be left out there
    reads_llm = table not in ("ranks", "boosting")
    decides = {
        "walk-forward": FORMAT,
        "kind": kind,
        "prices": prices,
        "symbols": sorted(spec.data.symbols),
        "days": [plain["data"]["start"], plain["data"]["end"]],
        "split": plain["split"],
        "corpus": plain["corpus"],
        "llm": {key: it for key, it in plain["llm"].items() if reads_llm and key in _OF_LLM.get(kind, ())},
        "settings": {key: value for key, value in settings.items() if key not in _NOT_DECIDING},
        "base": base(kind),
        "made from": address(spec, source, prices, base, after) if source else None,
    }
    if after is not None and kind == "stockllm":
        decides["after"] = after
    return json_digest(decides)
