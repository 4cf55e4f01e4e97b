"""The tables that run specs and training specs share: candidates, and what reads them; ``[data]`` is beside."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ragsignal.config.messages import RawTable, did_you_mean

Target = Literal["movement", "open_to_open", "relative"]
RetrieverName = Literal[
    "finseer", "state", "recent", "regimes", "recall", "embedding", "shape", "dtw", "random", "none"
]
_OF_DAYS: tuple[RetrieverName, ...] = ("finseer", "state", "recent", "regimes", "random", "none")
_OF_SEQUENCES: tuple[RetrieverName, ...] = ("finseer", "recall", "embedding", "shape", "dtw", "random", "none")
_MOST_SEQUENCES = 100  # a prompt holds no more
A_PART = "a part"
"""Validation context of a table whose other keys stand elsewhere: each key is checked, and not how they fit."""
TemplateName = Literal["compact", "percent", "finseer-json", "wide", "wide-both"]
RANKED: tuple[TemplateName, ...] = ("wide", "wide-both")
"""Templates that write ranks among the stocks of the day."""
LETTERED: tuple[TemplateName, ...] = ("compact", *RANKED)
"""Templates that write quantile letters."""
Walked = Literal["stockllm", "stockllm-days", "finseer-text", "finseer-numeric", "recall", "finseer-days", "classifier"]
StateName = Literal[
    "trend_5",
    "trend_20",
    "trend_60",
    "volatility_20",
    "volatility_60",
    "dispersion_5",
    "dispersion_20",
    "dispersion_60",
]
"""Numbers of the market's state, see :data:`ragsignal.data.STATE_FORMULAS`."""
WALK = "walk:"
"""Begins a reference to what ``[walk_forward]`` trains: another artifact at every step."""


def _whole(value: object) -> object:
    if type(value) is not int:  # a Literal takes true for 1, and 5.0 for 5
        raise ValueError("a whole number was expected")
    return value


def horizon_field() -> Any:
    """A key ``horizon`` that is written only where it is not 1: older specs, records and keys stay as they are."""
    return Field(default=1, exclude_if=lambda bars: bars == 1)


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("holds a name twice")
    return names


def matching(pattern: str, expected: str) -> AfterValidator:
    """Check text against a pattern, and say in words what was expected."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{text!r}: {expected}")
        return text

    return AfterValidator(check)


Name = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,149}",
        "it names a folder or a file: letters, digits, '.', '_' and '-', of which the first is a letter or a digit, "
        "150 at most",
    ),
]
ClassName = Annotated[str, matching(r"[\w.]+:\w+", "module:Class was expected, such as ragsignal.strategies:LongFlat")]


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
Horizon = Annotated[Literal[1, 5, 10, 20], BeforeValidator(_whole)]
"""Bars that a label looks ahead."""
AtLeastOne = Annotated[int, Field(ge=1)]
LONGEST_WINDOW = 504
"""The longest window of a formula, in bars: two years of days."""
WindowBars = Annotated[int, Field(ge=1, le=LONGEST_WINDOW)]
FilePath = Annotated[Path, Field(strict=False)]
ReaderRef = Annotated[str, _may_walk("stockllm")]
EncoderRef = Annotated[str, _may_walk("finseer-text", "finseer-numeric", "recall")]
ClassifierRef = Annotated[str, _may_walk("classifier")]
ArtifactRef = Annotated[str, _may_walk()]


class Table(BaseModel):
    """Base of every table of a spec: immutable, no unknown keys, no silent conversion, no infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


class KeptAlpha(Table):
    """A formula over the bars of all stocks, kept by a search or written by hand.

    ``known_through`` is the last day whose prices had a part in its being chosen (of a formula of the literature, the
    last day of its authors' sample): what uses it is in sample until then. ``digest``, where a search wrote it, tells
    whether the formula is still the one that was tested.
    """

    name: Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]*", "letters, digits, '.', '_' and '-' were expected")]
    formula: str
    known_through: Day
    digest: str | None = Field(default=None, exclude=True)


class CorpusSpec(Table):
    """Which historical sequences can be retrieved.

    ``symbols`` empty means those of ``data``; ``indicators`` empty means all 34; ``stride`` is in bars, and so is
    ``horizon``, how far the labels of candidates and of training look ahead;
    ``bins_through`` refits the quantile letters on this spec's own prices up to that date (None: the shipped
    edges, fitted on AAPL, GOOG, IBM and MSFT through 2009-12-31, prices that are no longer bundled).
    ``alphas`` are formulas: in a file of the spec the path of theirs, ``"my.alphas.toml"``.
    """

    symbols: Names = ()
    indicators: Names = ()
    lookback: int = Field(default=5, ge=2, le=60)
    stride: int = Field(default=1, ge=1)
    start: Day | None = None
    end: Day | None = None
    target: Target = "movement"
    horizon: Horizon = horizon_field()
    bins_through: Day | None = None
    alphas: tuple[KeptAlpha, ...] = Field(default=(), strict=False, exclude_if=lambda it: not it)

    @property
    def reads_alphas(self) -> bool:
        """Whether formulas are among the sequences: all of them, unless ``indicators`` names others."""
        return bool(self.alphas) and (not self.indicators or any(it.startswith("alpha.") for it in self.indicators))

    @field_validator("alphas")
    @classmethod
    def _named_once(cls, alphas: tuple[KeptAlpha, ...]) -> tuple[KeptAlpha, ...]:
        names = [alpha.name for alpha in alphas]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two formulas are called {twice[0]}; give each a name of its own")
        return alphas


class RetrievalSpec(Table):
    """How hits are found. ``embargo`` is in bars; ``seed`` belongs to ``random``.

    ``candidates`` are ``sequences`` (a stock's last bars) or ``days`` (the state of the whole market, and what each
    factor paid after it; for readers of rank letters and for votes). Of days, ``state`` finds those nearest by the
    z-scored Euclidean metric, ``recent`` the last ones; ``opposite`` more, the most unlike, are read with a minus
    sign; ``max_age`` (in bars) forgets older ones. ``regimes`` takes the days of the months, a fifth of all, whose
    macro variables were nearest, and of the fifth that were most unlike, whatever ``k`` and ``opposite``: ``macro`` is
    a CSV file of them, each value known ``macro_lag`` days after its date. ``own_days`` leaves out the days that the
    artifact brings; but for ``finseer`` none is needed then, as states are standardised by those of before
    ``data.start``.

    ``encoder`` belongs to ``embedding`` (weights: ``embedded:NAME``, a folder, a Hub id), to ``finseer`` and to all
    retrievers of days (an artifact); None takes :attr:`encoder_ref`'s default. ``storage`` and ``index`` belong to
    retrievers with vectors: ``float16`` halves their memory, and ``segmented`` searches approximately, past ten million
    candidates.

    Of ``recall`` a language model names ``titles`` (the market's state and an indicator), and ``beam`` prefixes of
    windows for each; ``title_weight`` is the title's share of a score: at 1 no prefix is named, at 0 no title. Its
    ``encoder`` is an artifact of ``ragsignal train recall``.
    """

    candidates: Literal["sequences", "days"] = Field(default="sequences", exclude_if=lambda it: it == "sequences")
    retriever: RetrieverName = "shape"
    k: int = Field(default=5, ge=1, le=2000)
    opposite: int = Field(default=0, ge=0, le=2000, exclude_if=lambda it: it == 0)
    max_age: AtLeastOne | None = Field(default=None, exclude_if=lambda it: it is None)
    own_days: bool = Field(default=False, exclude_if=lambda it: not it)
    macro: FilePath | None = Field(default=None, exclude_if=lambda it: it is None)
    macro_lag: int = Field(default=30, ge=0, exclude_if=lambda it: it == 30)
    exclude_own_symbol: bool = False
    embargo: int = Field(default=0, ge=0)
    seed: int = 0
    encoder: EncoderRef | None = None
    revision: str | None = None
    storage: Literal["float32", "float16"] = "float32"
    index: Literal["exact", "segmented"] = "exact"
    titles: int = Field(default=2, ge=1, exclude_if=lambda it: it == 2)
    beam: int = Field(default=10, ge=1, le=1000, exclude_if=lambda it: it == 10)
    title_weight: float = Field(default=0.9, ge=0, le=1, exclude_if=lambda it: it == 0.9)

    @property
    def finds_days(self) -> bool:
        """Whether days are retrieved, and not sequences of stocks."""
        return self.candidates == "days" and self.retriever != "none"

    @property
    def needs_finseer(self) -> bool:
        """Whether a trained artifact takes part: its metric, or of days what it began as, and the days it brings."""
        if self.candidates == "sequences":
            return self.retriever in ("finseer", "recall")
        return self.finds_days and (self.retriever == "finseer" or not self.own_days or self.encoder is not None)

    @property
    def pool(self) -> tuple[Any, ...]:
        """How many candidates, and out of which: what must be equal where retrievers are compared."""
        if not self.finds_days:
            return self.k, self.embargo, self.exclude_own_symbol, self.candidates
        brought = None if self.own_days else self.encoder_ref
        count = ("fifths",) if self.retriever == "regimes" else (self.k, self.opposite)
        return *count, self.max_age, self.embargo, self.candidates, brought

    @property
    def of_recall(self) -> list[str]:
        """Names of the keys that only ``recall`` reads, and that are not as by default."""
        fields = type(self).model_fields
        return [name for name in ("titles", "beam", "title_weight") if getattr(self, name) != fields[name].default]

    @property
    def encoder_ref(self) -> str:
        """``encoder``, or what stands for it: the embedded MiniLM, or a shipped FinSeer."""
        if self.candidates == "days":
            return self.encoder or "shipped:finseer"
        default = "shipped:finseer-text" if self.retriever == "finseer" else "embedded:all-MiniLM-L6-v2"
        return self.encoder or default

    def _check_recall(self) -> None:
        """Refuse a recall without its model, and a model that is trained step by step for another retriever."""
        if self.retriever == "finseer" and self.encoder == f"{WALK}recall":
            raise ValueError(f'encoder = "{WALK}recall" is read by retriever = "recall"; write it')
        if self.retriever != "recall":
            return
        if self.encoder is None:
            raise ValueError(
                'retriever = "recall" needs encoder = "FOLDER", an artifact of `ragsignal train recall SPEC`: none is '
                "shipped"
            )
        if self.encoder.startswith(WALK) and self.encoder != f"{WALK}recall":
            raise ValueError(f'{self.encoder} is read by retriever = "finseer"; write encoder = "{WALK}recall"')

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> RetrievalSpec:
        if info.context == A_PART:
            return self
        known = _OF_DAYS if self.candidates == "days" else _OF_SEQUENCES
        if self.retriever not in known:
            raise ValueError(
                f"retriever {self.retriever!r} does not find {self.candidates}; take one of {', '.join(known)}, or "
                f'candidates = "{"sequences" if self.candidates == "days" else "days"}"'
            )
        if self.candidates == "sequences":
            self._check_recall()
            if self.k > _MOST_SEQUENCES:
                raise ValueError(f"k = {self.k}: of sequences at most {_MOST_SEQUENCES} can be read")
            of_days = [name for name in ("opposite", "max_age", "own_days", "macro") if getattr(self, name)]
            if of_days:
                raise ValueError(f'{", ".join(of_days)} belong to candidates = "days"')
        elif self.exclude_own_symbol:
            raise ValueError('exclude_own_symbol belongs to candidates = "sequences": a day is of no symbol')
        elif self.retriever == "regimes" and self.macro is None:
            raise ValueError(
                'retriever = "regimes" needs macro = "FILE.csv": a column of dates (2004-01-31), then one column of '
                "numbers a variable, with its name on top; each value counts as known macro_lag days after its date"
            )
        return self


class LLMSpec(Table):
    """Which causal LM reads the prompt, and how.

    ``model`` is ``shipped:stockllm`` or another artifact that reads rank letters and needs no base (the other keys but
    ``device`` and ``threads`` then say nothing); or of a text model ``embedded:NAME``, a folder, or a Hub id (then
    ``revision`` is required, a full commit hash);
    ``dtype = "float32"`` gives the same signals on every processor, to 1e-5; ``threads`` at most compute, by default
    as many as there are free cores, and change no signal;
    ``batch_size = "auto"`` is 32 on a CPU, and what memory holds on a GPU;
    ``adapter`` an artifact of ``ragsignal train stockllm`` (``shipped:NAME`` or a folder), or a folder written by peft;
    of a model that reads rank letters, what reads retrieved days beside them (``shipped:stockllm-days``, or an
    artifact of ``ragsignal train days``);
    ``headlines`` of the news of a bar at most that a prompt quotes, of the query's and of each hit's last bar.
    """

    model: ReaderRef = "embedded:SmolLM2-135M-Instruct"
    revision: str | None = None
    adapter: ReaderRef | None = None
    sha256: str | None = None
    template: TemplateName = "compact"
    mask: bool = True
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    device: Literal["cpu", "cuda"] = "cpu"
    batch_size: AtLeastOne | Literal["auto"] = 32
    threads: AtLeastOne | None = Field(default=None, exclude_if=lambda it: it is None)
    headlines: int = Field(default=0, ge=0, le=20, exclude_if=lambda it: it == 0)

    def check_headlines(self, has_news: bool, where: str = "") -> None:
        """Raise ``ValueError``, which begins with ``where``, if headlines are quoted of news that nobody reads."""
        if self.headlines and not has_news:
            raise ValueError(
                f"{where}llm.headlines = {self.headlines} quotes headlines, and the spec reads no news; write a table "
                '[news] with path = "news.csv", or delete the key'
            )

    @property
    def is_artifact(self) -> bool:
        """Whether the model is an artifact of its own, which reads rank letters, and not a base that reads text."""
        return self.model.startswith(("shipped:", WALK)) or (Path(self.model) / "card.json").is_file()

    @property
    def reads_letters(self) -> bool:
        """Whether the template writes quantile letters."""
        return self.template in LETTERED and not self.is_artifact

    @property
    def reads_ranks(self) -> bool:
        """Whether the template writes ranks among the stocks of the day."""
        return self.template in RANKED and not self.is_artifact


class ExternalSpec(Table):
    """Decisions that were made elsewhere: a CSV file or a Parquet table, see :mod:`ragsignal.data.decisions`.

    ``valid_bars`` is for how many bars of its symbol a decision stays in force, its own one included, unless a newer
    one takes its place. ``hold`` says what the action of that name means: ``keep`` repeats the symbol's decision before
    it, ``neutral`` is a view of neither side.
    """

    path: FilePath | None = None
    valid_bars: AtLeastOne = 1
    hold: Literal["keep", "neutral"] = "keep"


class StrategySpec(Table):
    """A Backtrader strategy by dotted name, ``module:Class``, and its params.

    The module is looked up in ``folder`` first (of a spec that is read from a file, by default the file's own), then in
    the current folder. A record does not hold it: a strategy is known by its code, and not by where it lies.
    """

    name: ClassName = Field(alias="class")
    params: RawTable = Field(default={})
    folder: FilePath | None = Field(default=None, exclude=True)

    def __eq__(self, other: object) -> bool:
        # a spec is equal to what its record says
        return isinstance(other, StrategySpec) and (self.name, self.params) == (other.name, other.params)
