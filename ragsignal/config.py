"""A TOML spec, typed and checked before anything is computed.

Every table forbids unknown keys and answers a typo with the nearest known one. Relative paths in a spec are
relative to the spec's own folder. ``${NAME}`` in ``data.path`` and ``llm.adapter`` is read from the environment.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ragsignal.errors import ConfigError

Source = Literal["sample", "folder", "table", "yfinance", "planted", "noise"]
Target = Literal["movement", "open_to_open", "relative"]
RetrieverName = Literal["embedding", "shape", "dtw", "random", "none"]
TemplateName = Literal["compact", "percent", "finseer-json"]
SignalName = Literal["llm", "vote", "none"]
T = TypeVar("T", bound="Table")


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("holds a name twice")
    return names


# TOML has arrays and strings where these types are meant, and a record has its dates as text.
Names = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_distinct)]
Day = Annotated[date, Field(strict=False)]
FilePath = Annotated[Path, Field(strict=False)]


class Table(BaseModel):
    """Base of every table of a spec: immutable, no unknown keys, no silent conversion, no infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


class DataSpec(Table):
    """Prices, and the window that is traded.

    ``planted`` and ``noise`` are made-up markets with a known answer, drawn from ``seed``: in the first analogues pay.

    ``start`` and ``end`` (inclusive) bound the backtest; history before ``start`` only feeds the corpus.
    """

    source: Source
    path: FilePath | None = None
    symbols: Names = Field(min_length=1)
    start: Day
    end: Day
    seed: int = 0

    @model_validator(mode="after")
    def _check(self) -> DataSpec:
        if self.start >= self.end:
            raise ValueError(f"start {self.start} must lie before end {self.end}")
        if self.source in ("folder", "table") and self.path is None:
            raise ValueError(f'source = "{self.source}" needs a path')
        return self


class CorpusSpec(Table):
    """Which historical sequences can be retrieved.

    ``symbols`` empty means those of ``data``; ``indicators`` empty means all 34; ``stride`` is in bars;
    ``bins_through`` refits the quantile letters on this spec's own prices up to that date (None: the shipped
    edges, fitted on the bundled sample through 2009-12-31).
    """

    symbols: Names = ()
    indicators: Names = ()
    lookback: int = Field(default=5, ge=2, le=60)
    stride: int = Field(default=1, ge=1)
    start: Day | None = None
    end: Day | None = None
    target: Target = "movement"
    bins_through: Day | None = None


class RetrievalSpec(Table):
    """How hits are found. ``embargo`` is in bars; ``seed`` belongs to ``random``; ``encoder`` to ``embedding``."""

    retriever: RetrieverName = "embedding"
    k: int = Field(default=5, ge=1, le=100)
    exclude_own_symbol: bool = False
    embargo: int = Field(default=0, ge=0)
    seed: int = 0
    encoder: str = "embedded:all-MiniLM-L6-v2"
    revision: str | None = None


class LLMSpec(Table):
    """Which causal LM reads the prompt, and how.

    ``model`` is ``embedded:NAME``, a folder, or a Hub id (then ``revision`` is required, a full commit hash).
    """

    model: str = "embedded:SmolLM2-135M-Instruct"
    revision: str | None = None
    adapter: FilePath | None = None
    sha256: str | None = None
    template: TemplateName = "compact"
    mask: bool = True
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    device: Literal["cpu", "cuda"] = "cpu"
    batch_size: int = Field(default=32, ge=1)


class StrategySpec(Table):
    """A Backtrader strategy by dotted name, ``module:Class``, and its params."""

    name: str = Field(alias="class", pattern=r"^[\w.]+:\w+$")
    params: dict[str, Any] = {}


class CostSpec(Table):
    """The broker. Costs are in basis points per side and on by default."""

    cash: float = Field(default=100_000.0, gt=0)
    commission_bps: float = Field(default=5.0, ge=0)
    slippage_bps: float = Field(default=5.0, ge=0)
    execution: Literal["next_open", "same_close"] = "next_open"


class VariantSpec(Table):
    """One column of the comparison: what differs from the tables above.

    ``retrieval`` and ``llm`` stay the few keys that a variant changes; :class:`RunSpec` lays them over its own tables.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    signal: SignalName = "llm"
    retrieval: dict[str, Any] = {}
    llm: dict[str, Any] = {}
    strategy: StrategySpec | None = None

    # Checked here and not on the merged table: so a mistake keeps its place in the spec.
    @field_validator("retrieval", "llm")
    @classmethod
    def _check_overlay(cls, changes: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        _OVERLAID[str(info.field_name)].model_validate(changes)
        return changes


_OVERLAID: dict[str, type[Table]] = {"retrieval": RetrievalSpec, "llm": LLMSpec}


class RunSpec(Table):
    """A whole experiment. Read one with :func:`load_spec`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    data: DataSpec
    corpus: CorpusSpec = CorpusSpec()
    retrieval: RetrievalSpec = RetrievalSpec()
    llm: LLMSpec = LLMSpec()
    strategy: StrategySpec
    costs: CostSpec = CostSpec()
    variant: tuple[VariantSpec, ...] = Field(min_length=1, strict=False)
    benchmark: str

    @model_validator(mode="after")
    def _check(self) -> RunSpec:
        names = [variant.name for variant in self.variant]
        if len(set(names)) != len(names):
            raise ValueError(f"two variants share a name: {names}")
        if self.benchmark not in names:
            raise ValueError(f"benchmark {self.benchmark!r} is not one of the variants: {names}")
        return self

    def retrieval_of(self, variant: VariantSpec) -> RetrievalSpec:
        """``[retrieval]`` with the variant's own keys on top."""
        return _overlay(self.retrieval, variant.retrieval)

    def llm_of(self, variant: VariantSpec) -> LLMSpec:
        """``[llm]`` with the variant's own keys on top."""
        return _overlay(self.llm, variant.llm)

    def strategy_of(self, variant: VariantSpec) -> StrategySpec:
        """The variant's strategy, or the run's."""
        return variant.strategy or self.strategy

    def find_variant(self, name: str | None) -> VariantSpec:
        """The variant called ``name``; without a name, the first that has a signal.

        Raises
        ------
        ConfigError
            If there is none.
        """
        for variant in self.variant:
            if variant.name == name or (name is None and variant.signal != "none"):
                return variant
        known = [variant.name for variant in self.variant]
        if name is None:
            raise ConfigError(f"spec {self.name!r}: no variant has a signal; its variants are {known}")
        raise ConfigError(f"spec {self.name!r}: no variant {name!r}.{did_you_mean(name, known)} It has {known}")


def load_spec(path: str | Path) -> RunSpec:
    """Read and check a spec.

    Raises
    ------
    ConfigError
        With every mistake found, each with its place and, for a typo, the nearest known key.
    """
    path = Path(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no spec at {path}: a spec is a TOML file such as backtests/sample.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from None
    _resolve_paths(raw, path.resolve().parent)
    try:
        return RunSpec.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(_explain(path, raw, error)) from None


def _resolve_paths(raw: dict[str, Any], base: Path) -> None:
    """Expand ``${NAME}`` and anchor relative paths at the spec's folder, in place."""
    for owner in (raw, *_tables(raw.get("variant"))):
        for table, key in (("data", "path"), ("llm", "adapter"), ("llm", "model"), ("retrieval", "encoder")):
            text = owner[table].get(key) if isinstance(owner.get(table), dict) else None
            # a model or an encoder may also be embedded:NAME or a Hub id, which look like relative paths
            if isinstance(text, str) and (
                key in ("path", "adapter") or text.startswith((".", "~")) or (base / text).is_dir()
            ):
                owner[table][key] = str(base / os.path.expanduser(_expand(text, f"{table}.{key}")))


def _tables(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _expand(text: str, place: str) -> str:
    def lookup(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ConfigError(f"{place} uses ${{{match[1]}}}, which is not set; type: export {match[1]}=/your/folder")
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", lookup, text)


def _overlay(base: T, changes: dict[str, Any]) -> T:
    return type(base).model_validate(base.model_dump() | changes)


def _explain(path: Path, raw: dict[str, Any], error: ValidationError) -> str:
    lines = [f"{path}: {error.error_count()} mistake(s)"]
    for item in error.errors():
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown key." + did_you_mean(str(item["loc"][-1]), _known_keys(item["loc"]))
        elif item["type"] == "missing":
            message = "missing, and it has no default"
        elif item["type"] == "tuple_type":
            message = "one value, where a list was expected: [[variant]] for tables, [...] for values"
        lines.append(f"  {_place(item['loc'], raw)}: {message}")
    return "\n".join(lines)


def _place(loc: tuple[int | str, ...], raw: dict[str, Any]) -> str:
    """Where a mistake stands, dotted; a variant goes by its name, or by its number from 1 where it has none."""
    parts = [str(part) for part in loc]
    if loc[0:1] == ("variant",) and len(loc) > 1:
        number = int(loc[1])
        variant = raw["variant"][number]
        parts[1] = str(variant.get("name", number + 1)) if isinstance(variant, dict) else str(number + 1)
    return ".".join(parts) or "spec"


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    """Keys of the table in which the unknown key ``loc[-1]`` stands."""
    model: type[BaseModel] = RunSpec
    for part in loc[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            choices = [annotation, *get_args(annotation), _OVERLAID.get(part)]
            model = next((c for c in choices if isinstance(c, type) and issubclass(c, BaseModel)), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def did_you_mean(word: str, known: list[str]) -> str:
    """A sentence with the nearest known word, or with all of them; begins with a space."""
    near = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."
