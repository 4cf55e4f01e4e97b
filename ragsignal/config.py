"""A TOML spec, typed and checked before anything is computed.

Every table forbids unknown keys and answers a typo with the nearest known one. Relative paths in a spec are
relative to the spec's own folder. ``${NAME}`` in ``data.path`` and ``llm.adapter`` is read from the environment.

Two kinds of spec share their tables: :class:`RunSpec` (what is run and compared) and :class:`TrainSpec` (what is
trained on which days). An artifact that training wrote is named ``shipped:NAME`` or by its folder.
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

Source = Literal["sample", "classic", "folder", "table", "yfinance", "planted", "noise"]
Target = Literal["movement", "open_to_open", "relative"]
RetrieverName = Literal["finseer", "embedding", "shape", "dtw", "random", "none"]
TemplateName = Literal["compact", "percent", "finseer-json", "wide", "wide-both"]
SignalName = Literal["llm", "vote", "classifier", "none"]
Walked = Literal["stockllm", "finseer-text", "finseer-numeric", "classifier"]
Measure = Literal["acc", "acc_ranked", "mcc", "auc", "brier", "log_loss", "ece", "rank_correlation", "spread_bp"]
WALK = "walk:"
"""Begins a reference to what ``[walk_forward]`` trains: another artifact at every step."""
T = TypeVar("T", bound="Table")


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("holds a name twice")
    return names


def _walked(ref: str | None) -> tuple[Walked, ...]:
    """The kind that a reference has trained step by step, if it does."""
    return tuple(kind for kind in get_args(Walked) if ref == WALK + kind)


def _may_walk(*kinds: Walked) -> AfterValidator:
    """Check a reference that may be a ``walk:KIND``."""
    known = [WALK + kind for kind in kinds]

    def check(ref: str) -> str:
        if ref.startswith(WALK) and ref not in known:
            raise ValueError(f"{ref!r} cannot be read here.{did_you_mean(ref, known)}")
        return ref

    return AfterValidator(check)


# TOML has arrays and strings where these types are meant, and a record has its dates as text.
Names = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_distinct)]
Day = Annotated[date, Field(strict=False)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
FilePath = Annotated[Path, Field(strict=False)]
ReaderRef = Annotated[str, _may_walk("stockllm")]
EncoderRef = Annotated[str, _may_walk("finseer-text", "finseer-numeric")]
ClassifierRef = Annotated[str, _may_walk("classifier")]


class Table(BaseModel):
    """Base of every table of a spec: immutable, no unknown keys, no silent conversion, no infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


class DataSpec(Table):
    """Prices, and the window that is traded.

    ``planted`` and ``noise`` are made-up markets with a known answer, drawn from ``seed``: in the first analogues pay,
    by ``strength`` (see :func:`ragsignal.data.synthetic.planted_market`).

    ``start`` and ``end`` (inclusive) bound the backtest; history before ``start`` only feeds the corpus.
    """

    source: Source
    path: FilePath | None = None
    symbols: Names = Field(min_length=1)
    start: Day
    end: Day
    seed: int = 0
    strength: float = Field(default=0.5, ge=0.0, lt=1.0)

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
    """How hits are found. ``embargo`` is in bars; ``seed`` belongs to ``random``.

    ``encoder`` belongs to ``embedding`` (weights: ``embedded:NAME``, a folder, a Hub id) and to ``finseer`` (an
    artifact); None takes :attr:`encoder_ref`'s default. ``storage`` and ``index`` belong to retrievers with vectors:
    ``float16`` halves their memory, and ``segmented`` searches approximately, past ten million candidates.
    """

    retriever: RetrieverName = "embedding"
    k: int = Field(default=5, ge=1, le=100)
    exclude_own_symbol: bool = False
    embargo: int = Field(default=0, ge=0)
    seed: int = 0
    encoder: EncoderRef | None = None
    revision: str | None = None
    storage: Literal["float32", "float16"] = "float32"
    index: Literal["exact", "segmented"] = "exact"

    @property
    def pool(self) -> tuple[int, int, bool]:
        """How many candidates, and out of which: what must be equal where retrievers are compared."""
        return self.k, self.embargo, self.exclude_own_symbol

    @property
    def encoder_ref(self) -> str:
        """``encoder``, or what stands for it: the embedded MiniLM, or the shipped FinSeer."""
        default = "shipped:finseer-text" if self.retriever == "finseer" else "embedded:all-MiniLM-L6-v2"
        return self.encoder or default


class LLMSpec(Table):
    """Which causal LM reads the prompt, and how.

    ``model`` is ``embedded:NAME``, a folder, or a Hub id (then ``revision`` is required, a full commit hash);
    ``batch_size = "auto"`` is 32 on a CPU, and what memory holds on a GPU;
    ``adapter`` an artifact of ``ragsignal train stockllm`` (``shipped:NAME`` or a folder), or a folder written by peft.
    """

    model: str = "embedded:SmolLM2-135M-Instruct"
    revision: str | None = None
    adapter: ReaderRef | None = None
    sha256: str | None = None
    template: TemplateName = "compact"
    mask: bool = True
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    device: Literal["cpu", "cuda"] = "cpu"
    batch_size: AtLeastOne | Literal["auto"] = 32


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
    ``classifier`` is the artifact that ``signal = "classifier"`` reads.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    signal: SignalName = "llm"
    classifier: ClassifierRef = "shipped:classifier"
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


class EvaluationSpec(Table):
    """How ``ragsignal evaluate`` scores signals as forecasts: one query a symbol on every ``every``-th day.

    The record holds figures on all days and on those without a freeze; ``mode`` says which come first: with ``paper``
    those that drop freeze days by their outcome, as the paper does (nobody can do that at trade time).
    ``train_start`` .. ``train_end`` (by default all days before ``data.start``, less ``embargo`` bars) is what the free
    baselines are fitted on; ``train_end`` is the last day on which a label may become known. ``perturbed`` queries
    measure how much an LLM's answer moves when nothing that matters does (0: none). ``reference`` maps a name to the
    published figures that stand beside ours.
    """

    target: Target = "movement"
    every: int = Field(default=1, ge=1)
    mode: Literal["honest", "paper"] = "honest"
    train_start: Day | None = None
    train_end: Day | None = None
    embargo: int = Field(default=5, ge=1)
    perturbed: int = Field(default=200, ge=0)
    reference: dict[str, dict[Measure, float]] = {}

    @model_validator(mode="after")
    def _check(self) -> EvaluationSpec:
        if self.train_start and self.train_end and self.train_start >= self.train_end:
            raise ValueError(f"train_start {self.train_start} must lie before train_end {self.train_end}")
        return self


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
    evaluation: EvaluationSpec = EvaluationSpec()
    allow_in_sample: bool = False
    variant: tuple[VariantSpec, ...] = Field(min_length=1, strict=False)
    benchmark: str
    # left out where there is none: specs and records from before it stay as they are, bit for bit
    walk_forward: WalkForwardSpec | None = Field(default=None, exclude_if=lambda it: it is None)

    @model_validator(mode="after")
    def _check(self) -> RunSpec:
        names = [variant.name for variant in self.variant]
        if len(set(names)) != len(names):
            raise ValueError(f"two variants share a name: {names}")
        if self.benchmark not in names:
            raise ValueError(f"benchmark {self.benchmark!r} is not one of the variants: {names}")
        for variant in self.variant:
            if self.walked(variant) and self.walk_forward is None:
                raise ValueError(
                    f"variant {variant.name!r} reads walk:{self.walked(variant)[0]}, which is trained step by step: "
                    'add a table [walk_forward] with train = "MY.train.toml"'
                )
        return self

    def walked(self, variant: VariantSpec) -> tuple[Walked, ...]:
        """What in ``variant`` is trained anew at every step: the kinds behind its ``walk:KIND`` references.

        Raises
        ------
        ValueError
            If FinSeer is named for a retriever that does not read it.
        """
        if variant.signal == "none":
            return ()
        if variant.signal == "classifier":
            return _walked(variant.classifier)
        retrieval = self.retrieval_of(variant)
        reader = _walked(self.llm_of(variant).adapter) if variant.signal == "llm" else ()
        encoder = _walked(retrieval.encoder)
        if encoder and retrieval.retriever == "embedding":
            raise ValueError(f'variant {variant.name!r}: {retrieval.encoder} is read by retriever = "finseer"')
        return reader + (encoder if retrieval.retriever == "finseer" else ())

    def retrieval_of(self, variant: VariantSpec) -> RetrievalSpec:
        """``[retrieval]`` with the variant's own keys on top."""
        return _overlay(self.retrieval, variant.retrieval)

    def llm_of(self, variant: VariantSpec) -> LLMSpec:
        """``[llm]`` with the variant's own keys on top."""
        return _overlay(self.llm, variant.llm)

    def strategy_of(self, variant: VariantSpec) -> StrategySpec:
        """The variant's strategy, or the run's."""
        return variant.strategy or self.strategy

    def rivals_of(self, variant: VariantSpec) -> dict[Literal["none", "random"], list[str]]:
        """Names of the variants that show what ``variant``'s retriever is worth: the same reader without, or by chance.

        Random candidates are a rival only where they are as many and from the same pool: else their number is compared
        too. A rival itself has none, nor has what retrieves nothing.
        """
        mine = self.retrieval_of(variant)
        found: dict[Literal["none", "random"], list[str]] = {}
        if variant.signal in ("classifier", "none") or mine.retriever in ("none", "random"):
            return found
        for it in self.variant:
            if it.signal != variant.signal or self.llm_of(it) != self.llm_of(variant):
                continue
            theirs = self.retrieval_of(it)
            if theirs.retriever == "none":
                found.setdefault("none", []).append(it.name)
            elif theirs.retriever == "random" and theirs.pool == mine.pool:
                found.setdefault("random", []).append(it.name)
        return found

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


class SplitSpec(Table):
    """Which days, and which symbols, may be learned from; the days of ``data`` up to ``data.end`` are all there is.

    ``time``: training queries end ``embargo`` bars before ``valid_from``, validation queries end with the data.
    ``paper``: symbols are split, days are not, as in arXiv 2502.05878: it leaks, and whatever it yields says so.
    """

    protocol: Literal["time", "paper"] = "time"
    valid_from: Day
    embargo: int = Field(default=5, ge=1)
    train_symbols: Names = ()
    valid_symbols: Names = ()


class StockLLMTraining(Table):
    """LoRA (or another peft method) on a causal LM; every prompt has a number of candidates drawn from ``k``.

    ``modules`` are the linear layers that are adapted, by name (empty: all of them), in the upper ``upper`` share of
    the blocks: below the lowest adapted block no gradient is computed, which is most of the cost. A killed run goes on
    from its last checkpoint, but with ``adalora``, whose ranks peft cannot take up again: it begins anew.
    """

    method: Literal["lora", "adalora", "prefix"] = "lora"
    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    modules: Names = ()
    upper: float = Field(default=1.0, gt=0, le=1)
    virtual_tokens: int = Field(default=16, ge=1)
    examples: int = Field(default=8000, ge=1)
    valid_examples: int = Field(default=1000, ge=2)
    k: tuple[Count, ...] = Field(default=(0, 1, 3, 5, 10), min_length=1, strict=False)
    candidates: tuple[Literal["random", "shape"], ...] = Field(default=("random", "shape"), min_length=1, strict=False)
    freeze: Literal["keep", "drop"] = "keep"
    epochs: float = Field(default=1.0, gt=0)
    learning_rate: float = Field(default=2e-4, gt=0)
    batch_size: int = Field(default=32, ge=1)
    accumulate: int = Field(default=1, ge=1)
    eval_steps: int = Field(default=50, ge=1)
    patience: int = Field(default=3, ge=1)
    full_vocabulary: float = Field(default=0.0, ge=0)
    calibration: Literal["platt", "temperature", "none"] = "platt"
    report_to: Names = ()
    seed: int = 0

    @model_validator(mode="after")
    def _check(self) -> StockLLMTraining:
        if self.upper < 1 and not self.modules:
            raise ValueError("upper < 1 needs modules: the names of the layers to adapt, such as q_proj")
        return self


class FeedbackTraining(Table):
    """Teacher scores of ``queries`` training queries, drawn in blocks of about ``block`` that are near in time.

    A block shares one pool of ``candidates``, all visible as of its earliest query: half drawn at random, half the
    nearest by shape to its queries. Only so can a candidate's effect on every query alike be told from what it does to
    one. At least 4 queries a block: 5 queries then make blocks of 3 and 2, and never one of 1, which has no mean to
    subtract.
    """

    queries: int = Field(default=480, ge=2)
    candidates: int = Field(default=32, ge=4)
    block: int = Field(default=16, ge=4)
    seed: int = 0


class FinseerTraining(Table):
    """Distillation of teacher scores into an encoder.

    Both temperatures belong to the softmax over a query's candidates: ``teacher_temperature`` in log-odds, about the
    spread of the scores; ``temperature`` in cosine similarity. ``mix`` is the share of KL in ``loss = "mix"``. The last
    ``valid_share`` of the blocks of queries is held out. ``base`` .. ``batch_size`` are the text encoder's (LoRA over a
    sentence-transformers model), ``dim`` .. ``numeric_batch_size`` the numeric one's, which begins from nothing and
    therefore needs more passes.
    """

    loss: Literal["kl", "infonce", "mix"] = "kl"
    mix: float = Field(default=0.5, ge=0, le=1)
    teacher_temperature: float = Field(default=0.1, gt=0)
    temperature: float = Field(default=0.05, gt=0)
    negatives: int = Field(default=15, ge=2)
    valid_share: float = Field(default=0.2, gt=0, lt=1)
    base: str = "embedded:all-MiniLM-L6-v2"
    revision: str | None = None
    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    epochs: float = Field(default=2.0, gt=0)
    learning_rate: float = Field(default=2e-4, gt=0)
    batch_size: int = Field(default=8, ge=1)
    dim: int = Field(default=64, ge=8)
    hidden: int = Field(default=128, ge=8)
    numeric_epochs: int = Field(default=30, ge=1)
    numeric_learning_rate: float = Field(default=1e-3, gt=0)
    numeric_batch_size: int = Field(default=32, ge=1)
    save_steps: int = Field(default=20, ge=1)
    seed: int = 0


class ClassifierTraining(Table):
    """The baseline without retrieval: a BERT-style encoder with LoRA and a head, on the query's serialised line.

    ``logistic`` is a regression on the query's log returns instead; of the rest it reads only ``examples``,
    ``valid_examples`` and ``seed``. ``patience`` counts evaluations, one every ``eval_steps`` steps, that bring no
    lower log-loss on validation queries.
    """

    kind: Literal["bert", "logistic"] = "bert"
    base: str = "embedded:all-MiniLM-L6-v2"
    revision: str | None = None
    rank: int = Field(default=16, ge=1)
    examples: int = Field(default=8000, ge=2)
    valid_examples: int = Field(default=2000, ge=2)
    epochs: float = Field(default=2.0, gt=0)
    learning_rate: float = Field(default=2e-4, gt=0)
    batch_size: int = Field(default=32, ge=1)
    eval_steps: int = Field(default=50, ge=1)
    patience: int = Field(default=3, ge=1)
    seed: int = 0


class TrainSpec(Table):
    """What ``ragsignal train`` learns from and how. Read one with :func:`load_train_spec`.

    ``out`` receives one folder an artifact: ``stockllm``, ``feedback``, ``finseer-text``, ``finseer-numeric``,
    ``classifier``.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    out: FilePath
    data: DataSpec
    split: SplitSpec
    corpus: CorpusSpec = CorpusSpec()
    llm: LLMSpec = LLMSpec()
    stockllm: StockLLMTraining = StockLLMTraining()
    feedback: FeedbackTraining = FeedbackTraining()
    finseer: FinseerTraining = FinseerTraining()
    classifier: ClassifierTraining = ClassifierTraining()

    @model_validator(mode="after")
    def _check(self) -> TrainSpec:
        if not self.data.start < self.split.valid_from < self.data.end:
            raise ValueError(
                f"split.valid_from {self.split.valid_from} must lie between data.start {self.data.start} "
                f"and data.end {self.data.end}"
            )
        if self.llm.adapter is not None:
            raise ValueError("llm.adapter belongs to a run: training begins from the base model; delete it")
        return self


class WalkForwardSpec(Table):
    """Retraining on the way: the window is cut into steps, and each is scored by models that were trained before it.

    ``train`` is written as the path of a training spec, which is read with the run's; of it ``data.start``,
    ``data.end`` and ``split.valid_from`` are set anew at every step, the rest holds for all. ``every`` is the length
    of a step: a calendar period, or a number of bars. A training window ends ``embargo`` bars before its step, labels
    included, and its last ``valid`` bars validate. ``expanding``: it begins at the training spec's ``data.start``;
    ``sliding``: it is ``years`` or ``bars`` long. Artifacts lie in ``artifacts``, by default the training spec's
    ``out``.
    """

    train: TrainSpec
    every: Literal["year", "quarter", "month"] | AtLeastOne = "year"
    window: Literal["expanding", "sliding"] = "expanding"
    years: AtLeastOne | None = None
    bars: AtLeastOne | None = None
    valid: int = Field(default=250, ge=2)
    embargo: AtLeastOne = 5
    artifacts: FilePath | None = None

    @model_validator(mode="after")
    def _check(self) -> WalkForwardSpec:
        lengths = [name for name in ("years", "bars") if getattr(self, name) is not None]
        if self.window == "sliding" and len(lengths) != 1:
            raise ValueError('window = "sliding" needs its length: years or bars, one of the two')
        if self.window == "expanding" and lengths:
            raise ValueError(f'{lengths[0]} belongs to window = "sliding"; an expanding one begins at train.data.start')
        if self.train.split.protocol == "paper":
            raise ValueError('train.split.protocol = "paper" trains on the days it validates on; write "time"')
        return self


RunSpec.model_rebuild()  # its table [walk_forward] holds a training spec, which is defined after it


def load_train_spec(path: str | Path) -> TrainSpec:
    """Read and check a training spec.

    Raises
    ------
    ConfigError
        With every mistake found, each with its place and, for a typo, the nearest known key.
    """
    return _load(path, TrainSpec)


def load_spec(path: str | Path) -> RunSpec:
    """Read and check a spec.

    Raises
    ------
    ConfigError
        With every mistake found, each with its place and, for a typo, the nearest known key.
    """
    spec = _load(path, RunSpec)
    if spec.walk_forward is not None and not any(spec.walked(variant) for variant in spec.variant):
        # not a rule of RunSpec: a sweep leaves variants out
        raise ConfigError(
            f"{path}: no variant reads what [walk_forward] trains; name it, such as classifier = "
            '"walk:classifier", llm.adapter = "walk:stockllm" or retrieval.encoder = "walk:finseer-numeric", '
            "or delete the table"
        )
    return spec


def _load(path: str | Path, kind: type[T]) -> T:
    path = Path(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no spec at {path}: a spec is a TOML file such as backtests/sample.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from None
    _resolve_paths(raw, path.resolve().parent)
    _read_training(raw)
    return checked(raw, kind, path)


def checked(raw: dict[str, Any], kind: type[T], where: str | Path) -> T:
    """``raw`` as a spec.

    Parameters
    ----------
    raw : dict
        A spec as TOML holds it.
    kind : type
    where : str or Path
        Where ``raw`` was read, for the error.

    Raises
    ------
    ConfigError
        With every mistake found, each with its place and, for a typo, the nearest known key.
    """
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(_explain(where, raw, error, kind)) from None


def _read_training(raw: dict[str, Any]) -> None:
    """Put the training spec in the place of its path: a run is known by what it says, and not by where it lies."""
    table = raw.get("walk_forward")
    if not isinstance(table, dict) or "train" not in table:
        return
    if not isinstance(table["train"], str):
        raise ConfigError('walk_forward.train: the path of a training spec was expected, such as "my.train.toml"')
    table["train"] = load_train_spec(table["train"])


def _resolve_paths(raw: dict[str, Any], base: Path) -> None:
    """Expand ``${NAME}`` and anchor relative paths at the spec's folder, in place."""
    for owner in (raw, *_tables(raw.get("variant"))):
        tables = {name: value for name, value in owner.items() if isinstance(value, dict)}
        for name, key in _PATHS:
            table = tables.get(name, {}) if name else owner
            text = table.get(key)
            if isinstance(text, str) and _is_path(text, key, base):
                table[key] = str(base / os.path.expanduser(_expand(text, f"{name}.{key}".lstrip("."))))


_PATHS = (
    ("", "out"),
    ("", "classifier"),  # of a variant
    ("data", "path"),
    ("llm", "adapter"),
    ("llm", "model"),
    ("retrieval", "encoder"),
    ("classifier", "base"),
    ("finseer", "base"),
    ("walk_forward", "train"),
    ("walk_forward", "artifacts"),
)


def _is_path(text: str, key: str, base: Path) -> bool:
    """A model or an encoder may also be ``embedded:NAME``, ``shipped:NAME``, ``walk:KIND`` or a Hub id."""
    if text.startswith(("embedded:", "shipped:", WALK)):
        return False
    return (
        key in ("path", "adapter", "out", "train", "artifacts")
        or text.startswith((".", "~", "$"))
        or (base / text).is_dir()
    )


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


def _explain(where: str | Path, raw: dict[str, Any], error: ValidationError, kind: type[Table]) -> str:
    lines = [f"{where}: {error.error_count()} mistake(s)"]
    for item in error.errors():
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown key." + did_you_mean(str(item["loc"][-1]), _known_keys(item["loc"], kind))
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


def _known_keys(loc: tuple[int | str, ...], kind: type[Table]) -> list[str]:
    """Keys of the table in which the unknown key ``loc[-1]`` stands."""
    model: type[BaseModel] = kind
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
