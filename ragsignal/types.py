"""The words of the flow, as frozen records without I/O.

    prices -> Query -> Retriever -> Hit(Candidate) -> Prompter -> Prompt -> Scorer -> Signal

Small windows are tuples, not arrays, so that records compare, hash and print.
Dates are calendar days: a daily bar dated ``d`` is known at the close of ``d``. Bars of a few hours are dated by the
moment of their end, a ``datetime``, at which they are known (:mod:`ragsignal.utils.clock`).
"""

from __future__ import annotations

import enum
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Quoted: this module is imported by programs that need no array, and numpy takes a tenth of a second.
FloatArray: TypeAlias = "NDArray[np.float64]"
IntArray: TypeAlias = "NDArray[np.int64]"
BoolArray: TypeAlias = "NDArray[np.bool_]"

Recipe = dict[str, Any]
"""JSON-able description of everything that decides a result besides the query."""


class Movement(enum.IntEnum):
    """Direction of a forward return; rise > +0.55 %, fall < -0.5 %, else freeze (arXiv 2502.05878, App. C)."""

    FALL = -1
    FREEZE = 0
    RISE = 1

    @property
    def word(self) -> str:
        """The word a prompt uses."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, eq=False)
class FeedBars:
    """All that a feed has shown up to a day: for readers that need more of the past than a window of closes.

    Parameters
    ----------
    dates : sequence of date
        Oldest first; only the first ``count`` may be read, as the others, where there are any, lie in the future.
    columns : tuple of five sequences of float
        ``open``, ``high``, ``low``, ``close``, ``volume``, as long as ``dates``.
    count : int
    """

    dates: Sequence[date]
    columns: tuple[Sequence[float], ...]
    count: int


@dataclass(frozen=True, slots=True)
class Query:
    """What is known about one symbol at the close of ``as_of``, and nothing later.

    Parameters
    ----------
    symbol : str
    dates : tuple of date, length ``lookback + 1``
        Bars of the window, oldest first; the first one only serves to form the first return.
    closes : tuple of float, length ``lookback + 1``
        Adjusted closes on ``dates``.
    bars : FeedBars, optional
        The feed's whole past, where it is at hand. Two queries of one window are equal whatever else is known.
    """

    symbol: str
    dates: tuple[date, ...]
    closes: tuple[float, ...]
    bars: FeedBars | None = field(default=None, compare=False, repr=False)

    @property
    def as_of(self) -> date:
        """The last bar this query may know, inclusive."""
        return self.dates[-1]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A historical sequence: one indicator over the lookback, and what came after it.

    Parameters
    ----------
    id : str
        ``symbol/sequence/last date``; the same whatever else is in the corpus.
    dates : tuple of date, length ``lookback``
    values : tuple of float, length ``lookback``
        The indicator as computed, in its own unit.
    scaled : tuple of float, length ``lookback``
        The same without a price level: returns, ratios to the close, or the bounded value itself.
    movement : Movement
    outcome : float
        Forward return after the window, a fraction.
    available_at : date
        The day at whose close ``outcome`` was known.
    """

    id: str
    symbol: str
    sequence: str
    dates: tuple[date, ...]
    values: tuple[float, ...]
    scaled: tuple[float, ...]
    movement: Movement
    outcome: float
    available_at: date


@dataclass(frozen=True, slots=True)
class MarketDay:
    """A historical day of a universe: the state that its market was in, and what each factor paid after it.

    Parameters
    ----------
    day : date
    state : tuple of float, length 8
        At the close of ``day``, in the order and the units of :data:`ragsignal.data.STATE_FORMULAS`.
    payoffs : tuple of float, length 41
        What a unit of each factor's rank paid, in ranks of the return, the other factors held still: slopes of the
        day's cross-sectional regression, in the order of :data:`ragsignal.data.RANK_FACTORS`.
    stocks : int
        Stocks that the slopes were fitted on.
    available_at : date
        The day at whose close all the returns were known.
    """

    day: date
    state: tuple[float, ...]
    payoffs: tuple[float, ...]
    stocks: int
    available_at: date

    @property
    def id(self) -> str:
        """``market/day``."""
        return f"market/{self.day}"


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved candidate; ``score`` is the retriever's similarity (greater is closer), ``rank`` starts at 0.

    Days that were retrieved because they are unlike the query's have scores below 0, and are read with a minus sign.
    """

    candidate: Candidate | MarketDay
    score: float
    rank: int

    @property
    def sequence(self) -> Candidate:
        """The candidate as a sequence of a stock; raises ``TypeError`` if a day was retrieved."""
        if isinstance(self.candidate, MarketDay):
            raise TypeError(f"{self.candidate.id} is a day, and this reader reads sequences of stocks")
        return self.candidate


class DatedHits(Sequence[Hit]):
    """Days that many signals share, as hits; their records are made when they are looked at.

    Equal to a tuple of the same hits.
    """

    @property
    @abstractmethod
    def days(self) -> tuple[MarketDay, ...]:
        """The days, best first."""

    @property
    @abstractmethod
    def scores(self) -> FloatArray:
        """Their scores, (k,)."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """The same for the same hits, and for no others."""

    @property
    @abstractmethod
    def known_through(self) -> date | None:
        """The day on which the last of them was known; None for no hits."""

    @cached_property
    def hits(self) -> tuple[Hit, ...]:
        """As records."""
        pairs = zip(self.days, self.scores.tolist(), strict=True)
        return tuple(Hit(day, score, rank) for rank, (day, score) in enumerate(pairs))

    @overload
    def __getitem__(self, at: int) -> Hit: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Hit]: ...
    def __getitem__(self, at: int | slice) -> Hit | Sequence[Hit]:
        return self.hits[at]

    def __len__(self) -> int:
        return len(self.scores)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DatedHits):
            return self.digest == other.digest
        return isinstance(other, Sequence) and self.hits == tuple(other)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> Any:
        return tuple, (self.hits,)  # a table of days does not travel to another process


def known_through(hits: Sequence[Hit]) -> date | None:
    """The day on which the last of ``hits`` was known; None for no hits."""
    if isinstance(hits, DatedHits):
        return hits.known_through
    return max((hit.candidate.available_at for hit in hits), default=None)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A query with its hits, and the text a language model reads (empty for rule scorers).

    ``abstained`` is the reason why there is nothing to read, or None.
    """

    query: Query
    hits: Sequence[Hit]
    text: str = ""
    system: str = ""
    abstained: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer says of one prompt.

    ``seconds`` is the prompt's share of its batch; ``reused`` tells that the same text had been read before; ``rank``
    is the place among the stocks of the day, in [-1, 1], of scorers that see them (0.0 from all others).
    """

    probability: float
    tokens: int = 0
    seconds: float = 0.0
    reused: bool = False
    rank: float = 0.0


@dataclass(frozen=True, slots=True)
class Signal:
    """The answer for one query.

    Parameters
    ----------
    value : float
        P(rise) - P(fall), in [-1, 1]; exactly 0.0 when abstained. Of decisions from outside their score,
        weight or action.
    probability : float
        P(rise) in [0, 1]; 0.5 when abstained.
    abstained : str or None
        The reason for having no view, or None.
    rank : float
        Place of the signal among those of the universe's stocks on the day, from -1.0 (lowest) to 1.0 (highest);
        exactly 0.0 when abstained, and from readers that see one stock alone.
    hits : sequence of Hit
        Best first; compares equal to a tuple of the same hits.
    key : str
        Address in the store: digest of the recipe, of the corpus as of that day, and of the query.
    """

    symbol: str
    as_of: date
    value: float
    probability: float
    abstained: str | None
    hits: Sequence[Hit]
    key: str
    tokens: int = 0
    seconds: float = 0.0
    rank: float = 0.0
