"""Figures of forecasts, each a function of sums over days: ``pooled(daily(sample).sum(axis=0))``.

Sums are all that a bootstrap of days needs: with weights (repetitions, n_days), all repetitions are
``pooled(weights @ daily(sample))``. A forecast that says the same of everything is no special case: AUC 0.5, MCC 0,
rank correlation 0, spread 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from ragsignal.evaluation.days import medians, places, rank_correlations
from ragsignal.statistics import block_length, bounds, equal_mass_bins, log_losses
from ragsignal.types import BoolArray, FloatArray, IntArray

AUC_BINS = 512
"""Scores are put into that many bins of equal mass; a pair within one counts half. Exact for fewer distinct scores,
else off by less than 1e-3 of the pairs' own edge."""

ECE_BINS = 10
LEAST_SYMBOLS = 5
"""A day with fewer symbols ranks nothing."""

DECILES_FROM = 50
"""Symbols a day from which the spread takes tenths; fifths below."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Forecasts and what came, one entry a query.

    Parameters
    ----------
    day : (n,) int64
        Number of the query's day, 0 to ``n_days - 1``; days may be empty.
    n_days : int
    outcome : (n,) float64
        Forward return, a fraction; above 0 is a rise.
    probability : (n,) float64
        P(rise).
    score : (n,) float64
        What ranks the queries: greater is likelier to rise. Any unit.
    rise : (n,) float64
        Predicted direction: 1 rise, 0 fall, 0.5 neither (counts half for each side).
    """

    day: IntArray
    n_days: int
    outcome: FloatArray
    probability: FloatArray
    score: FloatArray
    rise: FloatArray

    def __len__(self) -> int:
        return len(self.day)

    @property
    def rose(self) -> FloatArray:
        """1.0 where the outcome is above 0, else 0.0."""
        return (self.outcome > 0).astype(np.float64)

    def where(self, mask: BoolArray) -> Sample:
        """Only the queries of ``mask`` (n,)."""
        arrays = {it.name: getattr(self, it.name)[mask] for it in fields(self) if it.name != "n_days"}
        return Sample(n_days=self.n_days, **arrays)


def direction_of(probability: FloatArray) -> FloatArray:
    """1 above 0.5, 0 below, 0.5 at it."""
    return 0.5 * (1.0 + np.sign(probability - 0.5))


@dataclass(frozen=True, slots=True)
class MetricEstimate:
    """A figure with its 95 % interval; NaN where the figure does not exist, infinite where too few days speak."""

    value: float
    low: float
    high: float

    @property
    def distinguishable(self) -> bool:
        """Whether zero lies outside the interval; for a difference."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True)
class Metric:
    """A figure as sums over days.

    ``daily`` gives (n_days, m) sums of a sample, ``pooled`` the figure of (..., m) sums, NaN where it does not exist.
    ``null`` is its value without skill (None: it has no such value), ``sign`` is 1 where more is better, else -1;
    ``lowest`` and ``highest`` bound it. ``weights`` are those of :func:`ragsignal.statistics.day_weights`.
    """

    daily: Callable[[Sample], FloatArray]
    pooled: Callable[[FloatArray], FloatArray]
    sign: int = 1
    null: float | None = None
    lowest: float = -np.inf
    highest: float = np.inf

    def value(self, sample: Sample) -> float:
        """Return the figure of a sample."""
        return float(self.pooled(self.daily(sample).sum(axis=0)))

    def estimate(self, sample: Sample, weights: FloatArray) -> MetricEstimate:
        """Return the figure of a sample with its interval."""
        daily = self.daily(sample)
        value = float(self.pooled(daily.sum(axis=0)))
        unbounded = interval(value, self.pooled(weights @ daily), *days_and_block(daily, weights))
        if not np.isfinite(unbounded.low):
            return unbounded
        return MetricEstimate(value, max(unbounded.low, self.lowest), min(unbounded.high, self.highest))

    def difference(self, left: Sample, rights: list[Sample], weights: FloatArray) -> MetricEstimate:
        """Return the figure of ``left`` less the mean figure of ``rights``, on the same queries and resampled days."""
        ours = self.daily(left)
        theirs = [self.daily(right) for right in rights]
        value = self._less(ours.sum(axis=0), [daily.sum(axis=0) for daily in theirs])
        draws = self._less(weights @ ours, [weights @ daily for daily in theirs])
        return interval(float(value), draws, *days_and_block(ours, weights))

    def _less(self, ours: FloatArray, theirs: list[FloatArray]) -> FloatArray:
        return np.asarray(self.pooled(ours) - np.mean([self.pooled(sums) for sums in theirs], axis=0))


def interval(value: float, draws: FloatArray, n_days: int, block: int) -> MetricEstimate:
    """Put an interval around ``value``; parameters as for :func:`ragsignal.statistics.bounds`."""
    low, high = bounds(value, draws, n_days, block)
    return MetricEstimate(float("nan") if np.isnan(low) else value, low, high)


def days_and_block(daily: FloatArray, weights: FloatArray) -> tuple[int, int]:
    """Count the days that a figure rests on (not each day ranks five symbols), and the days in a block."""
    return int(daily.any(axis=1).sum()), block_length(weights.shape[1])


def _by_day(sample: Sample, *columns: FloatArray) -> FloatArray:
    """Sums (n_days, len(columns)) of columns of n entries; the number of entries comes last."""
    sums = [np.bincount(sample.day, weights=it, minlength=sample.n_days) for it in columns]
    return np.column_stack([*sums, np.bincount(sample.day, minlength=sample.n_days)])


def _divide(above: FloatArray, below: FloatArray) -> FloatArray:
    return np.asarray(np.divide(above, below, out=np.full(np.shape(below), np.nan), where=np.asarray(below) > 0))


def _mean(sums: FloatArray) -> FloatArray:
    """First column over the last."""
    return _divide(sums[..., 0], sums[..., -1])


def _right(sample: Sample) -> FloatArray:
    return _by_day(sample, sample.rise * sample.rose + (1.0 - sample.rise) * (1.0 - sample.rose))


def _right_ranked(sample: Sample) -> FloatArray:
    above = 0.5 * (1.0 + np.sign(sample.score - medians(sample.score, sample.day)))
    return _by_day(sample, above * sample.rose + (1.0 - above) * (1.0 - sample.rose))


def _confusion(sample: Sample) -> FloatArray:
    said, rose = sample.rise, sample.rose
    return _by_day(sample, said * rose, (1 - said) * (1 - rose), said * (1 - rose), (1 - said) * rose)


def _mcc(sums: FloatArray) -> FloatArray:
    """Matthews (1975), doi 10.1016/0005-2795(75)90109-9; 0 where a row or a column of the table is empty."""
    tp, tn, fp, fn = np.moveaxis(sums[..., :4], -1, 0)
    scale = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.asarray(np.divide(tp * tn - fp * fn, scale, out=np.zeros(np.shape(scale)), where=scale > 0))


def _squares(sample: Sample) -> FloatArray:
    return _by_day(sample, (sample.probability - sample.rose) ** 2)


def _surprise(sample: Sample) -> FloatArray:
    return _by_day(sample, log_losses(sample.probability, sample.outcome > 0))


def _histogram(sample: Sample, bins: IntArray, n_bins: int, weights: FloatArray) -> FloatArray:
    cells = np.bincount(sample.day * n_bins + bins, weights=weights, minlength=sample.n_days * n_bins)
    return cells.astype(np.float64).reshape(sample.n_days, n_bins)


def _score_histograms(sample: Sample) -> FloatArray:
    bins = equal_mass_bins(sample.score, AUC_BINS)
    n_bins = int(bins.max(initial=0)) + 1
    return np.hstack([_histogram(sample, bins, n_bins, it) for it in (sample.rose, 1.0 - sample.rose)])


def _auc(sums: FloatArray) -> FloatArray:
    """Share of (rise, fall) pairs in which the rise has the greater score; pairs of all days, equal scores half."""
    risen, fallen = np.split(sums, 2, axis=-1)
    below = np.cumsum(fallen, axis=-1) - 0.5 * fallen
    return _divide((risen * below).sum(axis=-1), risen.sum(axis=-1) * fallen.sum(axis=-1))


def _gaps(sample: Sample) -> FloatArray:
    bins = equal_mass_bins(sample.probability, ECE_BINS)
    gaps = _histogram(sample, bins, ECE_BINS, sample.probability - sample.rose)
    return np.column_stack([gaps, np.bincount(sample.day, minlength=sample.n_days)])


def _ece(sums: FloatArray) -> FloatArray:
    """Expected calibration error: mean absolute gap of mean P(rise) and share of rises over the bins, by their size."""
    return _divide(np.abs(sums[..., :-1]).sum(axis=-1), sums[..., -1])


def _ranking_days(sample: Sample) -> BoolArray:
    return np.asarray(np.bincount(sample.day, minlength=sample.n_days) >= LEAST_SYMBOLS)


def _correlations(sample: Sample) -> FloatArray:
    ranking = _ranking_days(sample)
    daily = rank_correlations(sample.score, sample.outcome, sample.day, sample.n_days)
    return np.column_stack([np.where(ranking, daily, 0.0), ranking])


def _spreads(sample: Sample) -> FloatArray:
    """Mean outcome of the day's top tenth less that of its bottom tenth, in basis points."""
    ranking = _ranking_days(sample)
    stands = places(sample.score, sample.day)
    size = np.maximum(1.0, np.floor(stands.count / np.where(stands.count < DECILES_FROM, 5, 10)))
    position = (stands.share_of_highest(size) - stands.share_of_lowest(size)) / size
    earned = 1e4 * np.bincount(sample.day, weights=position * sample.outcome, minlength=sample.n_days)
    return np.column_stack([np.where(ranking, earned, 0.0), ranking])


METRICS: dict[str, Metric] = {
    "acc": Metric(_right, _mean, null=0.5, lowest=0.0, highest=1.0),
    "acc_ranked": Metric(_right_ranked, _mean, null=0.5, lowest=0.0, highest=1.0),
    "mcc": Metric(_confusion, _mcc, null=0.0, lowest=-1.0, highest=1.0),
    "auc": Metric(_score_histograms, _auc, null=0.5, lowest=0.0, highest=1.0),
    "brier": Metric(_squares, _mean, sign=-1, lowest=0.0, highest=1.0),
    "log_loss": Metric(_surprise, _mean, sign=-1, lowest=0.0),
    "ece": Metric(_gaps, _ece, sign=-1, lowest=0.0, highest=1.0),
    "rank_correlation": Metric(_correlations, _mean, null=0.0, lowest=-1.0, highest=1.0),
    "spread_bp": Metric(_spreads, _mean, null=0.0),
}
"""``acc_ranked`` takes a score above the day's median for a rise (half at it): for outcomes relative to the day.
``rank_correlation`` and ``spread_bp`` are means over days with at least five symbols; the spread is before costs."""
