"""What is said of one signal, as frozen records: all of it follows from bars up to the signal's day.

P stands for P(rise), or for P(beats the day's median) of signals whose target is relative. An *effect* is P as it is
less P without something: above 0 where that something speaks for a rise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from ragsignal.utils import Record, plain

DECIMALS = 6
"""Of a record's numbers: a model read in other batches differs from the ninth on."""

Reads = Literal[
    "ranks", "ranks and days", "ranks and sequences", "window", "window and sequences", "votes of sequences"
]
"""What a reader's answer rests on."""


@dataclass(frozen=True)
class Factor:
    """One factor of the query.

    Parameters
    ----------
    name : str
        One of :data:`ragsignal.data.RANK_FACTORS`; of readers of windows ``return_1`` (the day's), ``return_2``, ...
    words : str
        What people call it.
    formula : str
    letter : str
        ``A`` (lowest sixteenth) to ``P`` (highest), ``-`` unknown: among the stocks of the day, or of a window's return
        among the returns that the spec's letters were fitted on.
    place : str
        The same in words: ``14th of 16``.
    value : float or None
        In the unit of its formula, as far as it is at hand.
    without : float or None
        P without it; None of an unknown letter, and where a reader reads no factors.
    effect : float or None
    """

    name: str
    words: str
    formula: str
    letter: str
    place: str
    value: float | None
    without: float | None
    effect: float | None


@dataclass(frozen=True)
class Group:
    """Factors that are taken away at once; ``effect`` is P less ``without``, ``turns`` whether the side is another."""

    name: str
    factors: tuple[str, ...]
    without: float
    effect: float
    turns: bool


@dataclass(frozen=True)
class Overlay:
    """A hit's numbers over the query's, one pair a label.

    Parameters
    ----------
    labels : tuple of str
        Days before the window's last one (``-4`` to ``0``), or the variables of a market's state.
    query, hit : tuple of float
        In the unit of the reader: returns or other scale-free values of a window; values of a state.
    query_shape, hit_shape : tuple of float
        Both on one scale: the values behind the windows (closes, or what the sequence is of) less their mean over their
        own standard deviation, 0 where they are flat; states less the mean of the days that could be retrieved over the
        standard deviation of these.
    """

    labels: tuple[str, ...]
    query: tuple[float, ...]
    hit: tuple[float, ...]
    query_shape: tuple[float, ...]
    hit_shape: tuple[float, ...]


@dataclass(frozen=True)
class HitEvidence:
    """A retrieved sequence, or a retrieved day.

    Parameters
    ----------
    rank : int
        From 0, best first; days that are unlike the query's come last.
    id : str
    symbol, sequence : str
        Of a day both are ``market``.
    first, last : date
        Of the window; of a day twice the day.
    known_on : date
        The day at whose close its outcome was known.
    score : float
        The retriever's similarity; of an unlike day its similarity less 1.
    unlike : bool
        Whether it is a day that was retrieved as unlike, and is read with a minus sign.
    outcome : float or None
        Forward return of a sequence, a fraction. Of a day None: there ``adds`` says what it paid a stock like this one.
    movement : str or None
        ``rise``, ``freeze`` or ``fall``.
    weight : float or None
        By what it is multiplied in the answer: the share of a vote (0 of one that froze), or of a day the factor of its
        payoffs when they are pooled. None where a language model reads it as words.
    adds : float or None
        Of a day: this stock's factors times what they paid on it, times ``weight``, in expected rank from -1 to 1.
    overlay : Overlay
    without : float or None
        P without it; None where it was not left out (more than :data:`~ragsignal.explanation.hits.MOST` in all).
    effect : float or None
    """

    rank: int
    id: str
    symbol: str
    sequence: str
    first: date
    last: date
    known_on: date
    score: float
    unlike: bool
    outcome: float | None
    movement: str | None
    weight: float | None
    adds: float | None
    overlay: Overlay
    without: float | None
    effect: float | None


@dataclass(frozen=True)
class Change:
    """A factor that stands elsewhere; ``steps`` are letters, above 0 towards P."""

    factor: str
    words: str
    before: str
    after: str
    steps: int
    text: str


@dataclass(frozen=True)
class Opposite:
    """The nearest case in which the signal would take the other side.

    Parameters
    ----------
    changes : tuple of Change
        Empty where there is none within ``most`` changes, or there is no side to turn.
    steps : int
        Letters in all.
    probability : float or None
        What the reader itself says of the changed case.
    rank : float or None
        Its place among the day's stocks, from -1 to 1, of readers that rank.
    fewest : bool
        Whether fewer factors are known not to do: all changes of a single factor were tried, so of one or two changes.
    most : int
        Factors that were changed at most.
    words : str
    """

    changes: tuple[Change, ...]
    steps: int
    probability: float | None
    rank: float | None
    fewest: bool
    most: int
    words: str


@dataclass(frozen=True)
class Neighbours:
    """What came of earlier signals of the same variant, those with the nearest P whose outcome was known on the day.

    Parameters
    ----------
    signals, days : int
        How many, on how many days.
    true : int
        Those whose side came.
    share, low, high : float or None
        ``true`` over ``signals`` with a 95 % interval (Wilson's, signals of a day counting as what they are worth).
    nearest, farthest : float or None
        Distance in P of the first and of the last of them.
    first, last : date or None
    earlier : int
        Signals that they were chosen from.
    unstored : int
        Earlier ones that were left out since they are not in the store, and cost a language model to make.
    words : str
    """

    signals: int
    days: int
    true: int
    share: float | None
    low: float | None
    high: float | None
    nearest: float | None
    farthest: float | None
    first: date | None
    last: date | None
    earlier: int
    unstored: int
    words: str


@dataclass(frozen=True)
class Robustness:
    """P under changes that should not matter much.

    Parameters
    ----------
    change : str
        What was changed, in words.
    draws : int
    mean, deviation, low, high : float
        Of P; ``low`` and ``high`` hold nine draws in ten.
    turned : float
        Share of the draws in which the side was another.
    """

    change: str
    draws: int
    mean: float
    deviation: float
    low: float
    high: float
    turned: float


@dataclass(frozen=True)
class Explanation:
    """One signal explained; of an abstention the reason, and no figures.

    Parameters
    ----------
    variant, symbol : str
    as_of : date
        The day at whose close all of it was known.
    key : str
        The signal's address in the store.
    meaning : str
        What P is the probability of.
    reads : str or None
        What the reader's answer rests on: see :data:`Reads`; None of an abstention.
    abstained : str or None
        Why there is no view. Then what follows is empty or None.
    probability, value : float or None
        P, and 2 P - 1.
    rank : float or None
        Place among the day's stocks, -1 to 1, of readers that rank.
    side : {"rise", "fall", "neither"} or None
        ``rise`` where P is above one half.
    stocks : int or None
        Stocks that were ranked on the day, of readers that rank.
    factors : tuple of Factor
        Empty where a reader reads none.
    groups : tuple of Group
    hits : tuple of HitEvidence
        Those that are shown: all of them, or the nearest and the most unlike.
    hits_read : int
        How many the reader read.
    opposite : Opposite or None
    neighbours : Neighbours or None
    robustness : Robustness or None
    method : tuple of str
        Sentences: how the figures were made, and what they do not say.
    """

    variant: str
    symbol: str
    as_of: date
    key: str
    meaning: str
    reads: Reads | None
    abstained: str | None
    probability: float | None = None
    value: float | None = None
    rank: float | None = None
    side: str | None = None
    stocks: int | None = None
    factors: tuple[Factor, ...] = ()
    groups: tuple[Group, ...] = ()
    hits: tuple[HitEvidence, ...] = ()
    hits_read: int = 0
    opposite: Opposite | None = None
    neighbours: Neighbours | None = None
    robustness: Robustness | None = None
    method: tuple[str, ...] = ()

    def to_record(self) -> Record:
        """The whole as JSON-able data, by the names of the fields: numbers to six decimals, days as ``2013-06-12``."""
        record: Record = _shortened(plain(self))
        return record

    @property
    def strongest(self) -> tuple[Factor, ...]:
        """The factors by the size of their effect, largest first; those without one are left out."""
        measured = [factor for factor in self.factors if factor.effect is not None]
        return tuple(sorted(measured, key=lambda factor: -abs(factor.effect or 0.0)))


def _shortened(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0  # no -0.0
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    return [_shortened(item) for item in value] if isinstance(value, list) else value


def side_of(probability: float) -> str:
    """``rise`` above one half, ``fall`` below, ``neither`` at it."""
    return "rise" if probability > 0.5 else "fall" if probability < 0.5 else "neither"
