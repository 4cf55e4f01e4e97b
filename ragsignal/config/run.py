"""A run spec: what is run and compared, on which bars, at which costs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from ragsignal.config.messages import RawTable, did_you_mean
from ragsignal.config.methods import MethodsSpec
from ragsignal.config.news import NewsSpec
from ragsignal.config.prices import DataSpec
from ragsignal.config.tables import (
    A_PART,
    WALK,
    ClassifierRef,
    CorpusSpec,
    Count,
    Day,
    ExternalSpec,
    Horizon,
    LLMSpec,
    Name,
    RetrievalSpec,
    StateName,
    StrategySpec,
    Table,
    Target,
    horizon_field,
)
from ragsignal.config.variant import SignalName, Variant
from ragsignal.config.walk_forward import WalkForwardSpec
from ragsignal.errors import ConfigError

Measure = Literal[
    "acc",
    "acc_ranked",
    "mcc",
    "auc",
    "brier",
    "log_loss",
    "ece",
    "auc_day",
    "ic",
    "ic_o2o",
    "ic_residual",
    "spread_bp",
]
T = TypeVar("T", bound=Table)


class CostSpec(Table):
    """The broker. Costs are in basis points per side and on by default."""

    cash: float = Field(default=100_000.0, gt=0)
    commission_bps: float = Field(default=5.0, ge=0)
    slippage_bps: float = Field(default=5.0, ge=0)
    execution: Literal["next_open", "same_close"] = "next_open"


class VariantSpec(Table):
    """One column of the comparison: what differs from the tables above.

    ``retrieval``, ``llm`` and ``external`` stay the few keys that a variant changes; :class:`RunSpec` lays them over
    its own tables.
    ``classifier`` is the artifact that ``signal = "classifier"`` reads. Without ``signal`` a language model reads if
    the spec has a table ``llm`` anywhere, which costs hours where it reads text; else the hits vote, in minutes.
    """

    name: Name
    signal: SignalName = "vote"
    classifier: ClassifierRef = "shipped:classifier"
    retrieval: RawTable = Field(default={})
    llm: RawTable = Field(default={})
    external: RawTable = Field(default={}, exclude_if=lambda it: not it)
    strategy: StrategySpec | None = None

    # Checked here and not on the merged table: so a mistake keeps its place in the spec.
    @field_validator("retrieval", "llm", "external")
    @classmethod
    def _check_overlay(cls, changes: RawTable, info: ValidationInfo) -> RawTable:
        OVERLAID[str(info.field_name)].model_validate(changes, context=A_PART)
        return changes


OVERLAID: dict[str, type[Table]] = {"retrieval": RetrievalSpec, "llm": LLMSpec, "external": ExternalSpec}


class EvaluationSpec(Table):
    """How ``ragsignal evaluate`` scores signals as forecasts: one query a symbol on every ``every``-th day.

    ``target`` and ``horizon`` (in bars) say what is forecast.

    The record holds figures on all days and on those without a freeze; ``mode`` says which come first: with ``paper``
    those that drop freeze days by their outcome, as the paper does (nobody can do that at trade time).
    ``train_start`` .. ``train_end`` (by default all days before ``data.start``, less ``embargo`` bars) is what the free
    baselines are fitted on; ``train_end`` is the last day on which a label may become known. ``perturbed`` queries
    measure how much an LLM's answer moves when nothing that matters does (0: none); on ``faithfulness`` queries
    explanations are tested against the reader (0: none). ``reference`` maps a name to the published figures that stand
    beside ours.
    """

    target: Target = "movement"
    horizon: Horizon = horizon_field()
    every: int = Field(default=1, ge=1)
    mode: Literal["honest", "paper"] = "honest"
    train_start: Day | None = None
    train_end: Day | None = None
    embargo: int = Field(default=5, ge=1)
    perturbed: int = Field(default=200, ge=0)
    faithfulness: int = Field(default=0, ge=0, exclude_if=lambda it: it == 0)
    reference: dict[str, dict[Measure, float]] = Field(default={})

    @model_validator(mode="after")
    def _check(self) -> EvaluationSpec:
        if self.train_start and self.train_end and self.train_start >= self.train_end:
            raise ValueError(f"train_start {self.train_start} must lie before train_end {self.train_end}")
        return self


class ProbeSpec(Table):
    """How ``ragsignal probe`` reads frozen encoders: fitted on ``windows`` queries of the training days at most.

    The training days are those of ``[evaluation]``. ``k`` neighbours answer a kNN probe. The market's state is the
    number ``state``, cut into ``buckets`` of equal mass on training days.
    """

    windows: int = Field(default=10_000, ge=100)
    k: int = Field(default=50, ge=1, le=1000)
    state: StateName = "volatility_20"
    buckets: int = Field(default=3, ge=2, le=10)
    seed: Count = 0


class RunSpec(Table):
    """A whole experiment. Read one with :func:`load_spec`."""

    name: Name
    description: str = ""
    data: DataSpec
    corpus: CorpusSpec = CorpusSpec()
    retrieval: RetrievalSpec = RetrievalSpec()
    llm: LLMSpec = LLMSpec()
    external: ExternalSpec = Field(default=ExternalSpec(), exclude_if=lambda it: it == ExternalSpec())
    strategy: StrategySpec
    costs: CostSpec = CostSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    probe: ProbeSpec = Field(default=ProbeSpec(), exclude_if=lambda it: it == ProbeSpec())
    allow_in_sample: bool = False
    variant: tuple[VariantSpec, ...] = Field(min_length=1, strict=False)
    benchmark: str
    # left out where there is none: specs and records from before it stay as they are, bit for bit
    walk_forward: WalkForwardSpec | None = Field(default=None, exclude_if=lambda it: it is None)
    news: NewsSpec | None = Field(default=None, exclude_if=lambda it: it is None)
    methods: MethodsSpec | None = Field(default=None, exclude_if=lambda it: it is None)

    @model_validator(mode="before")
    @classmethod
    def _say_signals(cls, raw: Any) -> Any:
        """Let a language model read where a variant says no signal, if the spec has a table ``llm`` anywhere."""
        variants = raw.get("variant") if isinstance(raw, dict) else None
        if not isinstance(variants, list | tuple):
            return raw
        reads = any(isinstance(table, dict) and table.get("llm") for table in (raw, *variants))
        default = {"signal": "llm"} if reads else {}
        return raw | {"variant": [default | it if isinstance(it, dict) else it for it in variants]}

    @model_validator(mode="after")
    def _check(self) -> RunSpec:
        names = [variant.name for variant in self.variant]
        if len(set(names)) != len(names):
            raise ValueError(f"two variants share a name: {names}")
        if self.benchmark not in names:
            raise ValueError(f"benchmark {self.benchmark!r} is not one of the variants: {names}")
        if self.data.universe is not None:
            self.data.universe.check_before(self.data.start, "data.start")
        if self.news is not None:
            self.news.check_close(self.data)
        if self.methods is not None:
            self.methods.check_run(self.data.start, self.llm, self.variants)
        self._check_recall()
        for raw, variant in zip(self.variant, self.variants, strict=True):
            self._check_encoder(raw, variant)
            self._check_decisions(raw, variant)
            variant.llm.check_headlines(self.news is not None, f"variant {variant.name!r}: ")
            if variant.embeds_text and (variant.retrieval.encoder or "").startswith(WALK):
                raise ValueError(
                    f'variant {variant.name!r}: {variant.retrieval.encoder} is read by retriever = "finseer"'
                )
            if variant.retrained and self.walk_forward is None:
                raise ValueError(
                    f"variant {variant.name!r} reads walk:{variant.retrained[0]}, which is trained step by step: "
                    'add a table [walk_forward] with train = "MY.train.toml"'
                )
        return self

    def _check_encoder(self, raw: VariantSpec, variant: Variant) -> None:
        """Refuse an encoder that nobody reads, as no retriever was named: the default compares shapes."""
        retrieval = variant.retrieval
        named = "retriever" in raw.retrieval or "retriever" in self.retrieval.model_fields_set
        if variant.has_retriever and retrieval.encoder and not named and retrieval.candidates == "sequences":
            raise ValueError(
                f"variant {variant.name!r}: retrieval.encoder = {retrieval.encoder!r} is read by retriever = "
                f'"finseer" or "embedding"; write one of the two: by default it is {retrieval.retriever!r}'
            )

    def _check_recall(self) -> None:
        """Refuse keys of a recall where no variant names one: beside one they may stand for all variants."""
        if any(variant.retrieval.retriever == "recall" for variant in self.variants):
            return
        for variant in self.variants:
            if variant.retrieval.of_recall:
                raise ValueError(
                    f"variant {variant.name!r}: retrieval.{variant.retrieval.of_recall[0]} is read by retriever = "
                    '"recall" alone, which no variant names; write it, or delete the key; in a sweep name the variants '
                    "that are recalls: --variant NAME"
                )

    def _check_decisions(self, raw: VariantSpec, variant: Variant) -> None:
        """Refuse decisions without a file, and a file that nobody reads."""
        if variant.is_external and variant.external.path is None:
            raise ValueError(
                f"variant {variant.name!r} reads decisions, but names no file: write external = "
                '{ path = "decisions.csv" }; what stands in it: docs/external.md'
            )
        if "path" in raw.external and not variant.is_external:
            raise ValueError(
                f"variant {variant.name!r} names a file of decisions, which signal = {variant.signal!r} does not read; "
                'write signal = "external"'
            )

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """Every variant with the whole of each table that it is made of, in the spec's order."""
        return tuple(self._resolved(raw) for raw in self.variant)

    def _resolved(self, raw: VariantSpec) -> Variant:
        return Variant(
            name=raw.name,
            signal=raw.signal,
            retrieval=_overlay(self.retrieval, raw.retrieval, f"variant {raw.name!r}, retrieval"),
            llm=_overlay(self.llm, raw.llm, f"variant {raw.name!r}, llm"),
            strategy=raw.strategy or self.strategy,
            classifier=raw.classifier,
            own_strategy=raw.strategy is not None,
            external=_overlay(self.external, raw.external, f"variant {raw.name!r}, external"),
        )

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> RunSpec:
        """A copy whose variants are resolved anew: they follow from tables that ``update`` may change."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("variants", None)
        return copied

    def rivals_of(self, variant: Variant) -> dict[Literal["none", "random"], list[str]]:
        """Names of the variants that show what ``variant``'s retriever is worth: the same reader without, or by chance.

        Without hits the same reader has no adapter that reads them. Random candidates are a rival only where they are
        as many and from the same pool: else their number is compared too. A variant that retrieves nothing, or at
        random, has no rivals.
        """
        if not variant.reads_corpus or variant.draws_at_random:
            return {}
        rivals: dict[Literal["none", "random"], list[str]] = {}
        for other in self.variants:
            if (other.signal, other.trunk) != (variant.signal, variant.trunk):
                continue
            if not other.reads_corpus:
                rivals.setdefault("none", []).append(other.name)
            elif other.draws_at_random and (other.llm, other.retrieval.pool) == (variant.llm, variant.retrieval.pool):
                rivals.setdefault("random", []).append(other.name)
        return rivals

    def votes_like(self, variant: Variant) -> list[str]:
        """Names of the votes on the same hits as ``variant``'s: what its language model has to beat."""
        if not (variant.is_llm and variant.reads_corpus) or variant.draws_at_random:
            return []
        return [other.name for other in self.variants if other.is_vote and other.retrieval == variant.retrieval]

    def find_variant(self, name: str | None) -> Variant:
        """The variant called ``name``; without a name, the first that has a signal.

        Raises
        ------
        ConfigError
            If there is none.
        """
        for variant in self.variants:
            if variant.name == name or (name is None and variant.has_signal):
                return variant
        known = [variant.name for variant in self.variants]
        if name is None:
            raise ConfigError(f"spec {self.name!r}: no variant has a signal; its variants are {known}")
        raise ConfigError(f"spec {self.name!r}: no variant {name!r}.{did_you_mean(name, known)} It has {known}")


def _overlay(base: T, changes: RawTable, where: str) -> T:
    try:
        return type(base).model_validate(base.model_dump() | changes)
    except ValidationError as error:  # each key is sound by itself: they do not fit those of the run
        mistakes = "; ".join(mistake["msg"].removeprefix("Value error, ") for mistake in error.errors())
        raise ValueError(f"{where}: {mistakes}") from None
