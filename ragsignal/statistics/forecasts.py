"""Forecasts against forecasts, on the same signals: who was right more often, and whose probabilities were better.

Signals of one day share that day's move: all intervals and tests here draw or count days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.statistics.account import spoken_and_known
from ragsignal.statistics.intervals import Interval, block_length, bounds, day_weights, mean_interval, ratio_interval
from ragsignal.types import BoolArray, FloatArray, IntArray

CERTAIN = 1e-6
"""Probabilities are held that far from 0 and 1 in the log-loss: one certain error is not infinite."""

_LEAST_RANKED = 10  # signals of a day: the ranks of fewer say little


def hit_rate_difference(left: pd.DataFrame, right: pd.DataFrame, seed: int = 0) -> Interval | None:
    """Hit rate of ``left`` minus that of ``right`` on the signals that both gave, clustered by day.

    Parameters
    ----------
    left, right : DataFrame
        Columns ``date``, ``symbol``, ``value``, ``target``.

    Returns
    -------
    Interval or None
        None where they share no signal.
    """
    both = _paired(left, right)
    left_right, right_right = _right(both)
    return _per_signal(both["date"], left_right.astype(np.float64) - right_right, seed)


def hit_rate_mcnemar(left: pd.DataFrame, right: pd.DataFrame) -> McNemar | None:
    """:func:`mcnemar` by day, of the signals that :func:`hit_rate_difference` counts; None where there is none."""
    both = _paired(left, right)
    if not len(both):
        return None
    return mcnemar(*_right(both), both["date"].to_numpy())


def log_loss_difference(left: pd.DataFrame, right: pd.DataFrame, seed: int = 0) -> Interval | None:
    """Log-loss of ``left`` minus that of ``right`` on the signals that both gave: below 0 where ``left`` is better.

    A proper score: unlike a hit rate it rewards whoever says how sure they are, and says it rightly (Good 1952,
    Rational Decisions, JRSS B 14). In nats a signal, clustered by day.

    Parameters
    ----------
    left, right : DataFrame
        Columns ``date``, ``symbol``, ``value``, ``probability`` of a rise, ``target``.

    Returns
    -------
    Interval or None
        None where they share no signal.
    """
    both = _paired(left, right)
    ours, theirs, target = _columns(both, "probability", "probability_right", "target")
    return _per_signal(both["date"], log_losses(ours, target > 0.0) - log_losses(theirs, target > 0.0), seed)


def ic_difference(left: pd.DataFrame, rights: Sequence[pd.DataFrame], seed: int = 0) -> Interval | None:
    """Mean over days of ``left``'s rank correlation with what came, minus that of ``rights``, the mean of them.

    How well the stocks of a day are ranked, whatever the market did: of signals that say which stock beats the others.

    Parameters
    ----------
    left : DataFrame
        Columns ``date``, ``symbol``, ``value``, ``target``.
    rights : sequence of DataFrame
        The same of each rival; days on which fewer than ten signals are shared are left out.

    Returns
    -------
    Interval or None
        None where no day is left.
    """
    gaps = pd.concat([_ic_gaps(_paired(left, right)) for right in rights], axis=1).mean(axis=1).dropna()
    return mean_interval(gaps.to_numpy(dtype=np.float64), seed) if len(gaps) else None


def _ic_gaps(both: pd.DataFrame) -> pd.Series:
    """By date the rank correlation of ``value`` with ``target``, less that of ``value_right``."""
    both = both[both.groupby("date")["target"].transform("size") >= _LEAST_RANKED]
    ranks = both.groupby("date")[["value", "value_right", "target"]].rank()
    centred = ranks - ranks.groupby(both["date"]).transform("mean")
    squares = (centred**2).groupby(both["date"]).sum()

    def ic(name: str) -> pd.Series:
        products = (centred[name] * centred["target"]).groupby(both["date"]).sum()
        return products / np.sqrt(squares[name] * squares["target"])

    return ic("value") - ic("value_right")


def log_losses(probability: FloatArray, rose: BoolArray) -> FloatArray:
    """Loss (n,) of each forecast in nats: minus the logarithm of what was said of the side that came."""
    held = np.clip(probability, CERTAIN, 1.0 - CERTAIN)
    return -np.log(np.where(rose, held, 1.0 - held))


def _paired(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Rows that both sides spoke on and that can be judged; the right's columns end in ``_right``."""
    both = left.merge(right, on=["date", "symbol"], suffixes=("", "_right"))
    ours, theirs, target = _columns(both, "value", "value_right", "target")
    return both[spoken_and_known(ours, target) & spoken_and_known(theirs, target)]


def _right(both: pd.DataFrame) -> tuple[BoolArray, BoolArray]:
    """Whether the left and whether the right said the side that came, (n,) each."""
    ours, theirs, target = (np.sign(column) for column in _columns(both, "value", "value_right", "target"))
    return ours == target, theirs == target


def _columns(both: pd.DataFrame, *names: str) -> list[FloatArray]:
    return [both[name].to_numpy(dtype=np.float64) for name in names]


def _per_signal(dates: pd.Series, gains: FloatArray, seed: int) -> Interval | None:
    if not len(gains):
        return None
    daily = pd.DataFrame({"gain": gains, "n": 1.0}).groupby(dates.to_numpy()).sum()
    return ratio_interval(daily["gain"].to_numpy(), daily["n"].to_numpy(), seed)


@dataclass(frozen=True, slots=True)
class McNemar:
    """Test of "both are right equally often", from the signals on which only one of them was right."""

    only_left: int
    only_right: int
    statistic: float
    p: float


def mcnemar(left_right: BoolArray, right_right: BoolArray, day: NDArray[Any] | None = None) -> McNemar:
    """McNemar's test of two forecasters on the same signals.

    Parameters
    ----------
    left_right, right_right : (n,) bool
        Whether each was right.
    day : (n,) of any kind, optional
        The day of each signal. With it days are the units, since signals of one day share its move; without it each
        signal counts as independent, which understates p for signals of several symbols.

    Returns
    -------
    McNemar
        ``statistic`` is chi-square with one degree of freedom; ``p`` is exact (binomial) without days. 0.0 and 1.0
        where they never disagree; NaN where there is one day only, which is one observation.

    References
    ----------
    McNemar (1947), Psychometrika 12. Clustered: Obuchowski (1998), On the comparison of correlated proportions for
    clustered data, Statistics in Medicine 17, in the form of Yang, Sun and Hardin (2010), Biometrical Journal 52: under
    the hypothesis her variance of the difference is ``K / (K - 1)`` times the sum over the K days of (only left - only
    right) squared.
    """
    only_left, only_right = left_right & ~right_right, right_right & ~left_right
    counts = int(only_left.sum()), int(only_right.sum())
    if not sum(counts):
        return McNemar(*counts, 0.0, 1.0)
    gain = only_left.astype(np.float64) - only_right
    return McNemar(*counts, *(_exact(*counts) if day is None else _by_day(gain, day)))


def _exact(only_left: int, only_right: int) -> tuple[float, float]:
    from scipy.special import bdtr

    disagreed = only_left + only_right
    p = min(1.0, 2.0 * float(bdtr(min(only_left, only_right), disagreed, 0.5)))
    return (only_left - only_right) ** 2 / disagreed, p


def _by_day(gain: FloatArray, day: NDArray[Any]) -> tuple[float, float]:
    from scipy.special import chdtrc

    _, number = np.unique(day, return_inverse=True)
    daily = np.bincount(number.ravel(), weights=gain)
    squares = float(np.sum(daily**2))
    if squares == 0.0:  # on every day both sides were right equally often
        return 0.0, 1.0
    if len(daily) < 2:
        return float("nan"), float("nan")
    statistic = float(daily.sum() ** 2 / squares * (len(daily) - 1) / len(daily))
    return statistic, float(chdtrc(1.0, statistic))


def equal_mass_bins(values: FloatArray, n_bins: int) -> IntArray:
    """Bin (n,) of each value, from 0, at most ``n_bins``; equal values share one, few distinct values have one each."""
    distinct, number = np.unique(values, return_inverse=True)
    if len(distinct) <= n_bins:
        return np.asarray(number.ravel(), dtype=np.int64)
    edges = np.unique(np.quantile(values, np.arange(1, n_bins) / n_bins))
    return np.searchsorted(edges, values, side="right").astype(np.int64)


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts that said about the same: how many, what they said on average, and how often a rise was seen."""

    n: int
    said: float
    seen: float
    low: float
    high: float


def reliability(
    probability: FloatArray, rose: BoolArray, day: NDArray[Any], n_bins: int = 10, seed: int = 0
) -> tuple[Bin, ...]:
    """Reliability diagram: what was said of a rise, and what was seen, in bins of equal mass.

    Parameters
    ----------
    probability : (n,) float64
        P(rise).
    rose : (n,) bool
    day : (n,) of any kind that sorts
        The day of each forecast: the intervals of ``seen`` resample days.

    Returns
    -------
    tuple of Bin
        From the lowest probability to the highest. A bin that fewer than 100 days fill has the interval [0, 1].

    References
    ----------
    Bröcker and Smith (2007), Increasing the reliability of reliability diagrams, Weather and Forecasting 22.
    """
    if not len(probability):
        return ()
    bins = equal_mass_bins(probability, n_bins)
    days, number = np.unique(day, return_inverse=True)
    weights, block = day_weights(len(days), seed), block_length(len(days))
    diagram = []
    for number_of_bin in np.unique(bins):
        inside = bins == number_of_bin
        rises = np.bincount(number[inside & rose], minlength=len(days)).astype(np.float64)
        counts = np.bincount(number[inside], minlength=len(days)).astype(np.float64)
        seen = float(rose[inside].mean())
        low, high = _share_bounds(seen, rises, counts, weights, block)
        diagram.append(Bin(int(inside.sum()), float(probability[inside].mean()), seen, low, high))
    return tuple(diagram)


def _share_bounds(
    seen: float, rises: FloatArray, counts: FloatArray, weights: FloatArray, block: int
) -> tuple[float, float]:
    drawn = weights @ counts
    draws = np.divide(weights @ rises, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)
    low, high = bounds(seen, draws, int(np.count_nonzero(counts)), block)
    return max(low, 0.0), min(high, 1.0)
