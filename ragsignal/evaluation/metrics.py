"""Figures of forecasts, each a function of sums over days: ``pooled(daily(sample).sum(axis=0))``.

Sums are all that a bootstrap of days needs: with weights (repetitions, n_days), all repetitions are
``pooled(weights @ daily(sample))``. A forecast that says the same of everything is no special case: AUC 0.5, MCC 0,
rank correlation 0, spread 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.evaluation.days import correlations, medians, places, rank_correlations, residuals
from ragsignal.statistics import (
    Interval,
    block_length,
    bounds,
    day_weights,
    equal_mass_bins,
    interval_of_draws,
    log_losses,
)
from ragsignal.types import BoolArray, FloatArray, IntArray

AUC_BINS = 512
"""Scores are put into that many bins of equal mass; a pair within one counts half. Exact for fewer distinct scores,
else off by less than 1e-3 of the pairs' own edge."""

ECE_BINS = 10
LEAST_RESIDUAL = 10
"""Symbols that a residual IC needs: twice the weights of its regression."""

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
    close_outcome, open_outcome : (n,) float64
        Forward returns close to close and open to open, whatever ``outcome`` is; NaN where not known.
    styles : (n, m) float64
        Ranks of the day in what a residual IC is free of, mean 0.
    least : int
        Entries that a day must have to be ranked.
    """

    day: IntArray
    n_days: int
    outcome: FloatArray
    probability: FloatArray
    score: FloatArray
    rise: FloatArray
    close_outcome: FloatArray
    open_outcome: FloatArray
    styles: FloatArray
    least: int

    def __len__(self) -> int:
        return len(self.day)

    @property
    def rose(self) -> FloatArray:
        """1.0 where the outcome is above 0, else 0.0."""
        return (self.outcome > 0).astype(np.float64)

    def where(self, mask: BoolArray) -> Sample:
        """Only the queries of ``mask`` (n,)."""
        arrays = {it.name: getattr(self, it.name)[mask] for it in fields(self) if it.name not in ("n_days", "least")}
        return Sample(n_days=self.n_days, least=self.least, **arrays)


def direction_of(probability: FloatArray) -> FloatArray:
    """1 above 0.5, 0 below, 0.5 at it."""
    return 0.5 * (1.0 + np.sign(probability - 0.5))


@dataclass(frozen=True, slots=True)
class MetricEstimate:
    """A figure with its 95 % interval; NaN where the figure does not exist, infinite where too few days speak."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Resampling:
    """Resampled days: how often each is drawn, (repetitions, n_days), and the days of a block."""

    weights: FloatArray
    block: int

    @classmethod
    def of(cls, n_days: int, overlap: int = 1) -> Resampling:
        """Resample ``n_days`` of which ``overlap`` in a row share a part of their outcome."""
        return cls(day_weights(n_days, overlap=overlap), block_length(n_days, overlap))


@dataclass(frozen=True)
class Metric:
    """A figure as sums over days.

    ``daily`` gives (n_days, m) sums of a sample, ``pooled`` the figure of (..., m) sums, NaN where it does not exist.
    ``null`` is its value without skill (None: it has no such value), ``sign`` is 1 where more is better, else -1;
    ``lowest`` and ``highest`` bound it.
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

    def estimate(self, daily: FloatArray, resampling: Resampling) -> MetricEstimate:
        """Return the figure of daily sums with its interval."""
        value = float(self.pooled(daily.sum(axis=0)))
        draws = self.pooled(resampling.weights @ daily)
        low, high = bounds(value, draws, days_of_figure(daily), resampling.block)
        if np.isnan(low):
            return MetricEstimate(np.nan, np.nan, np.nan)
        if not np.isfinite(low):
            return MetricEstimate(value, low, high)
        return MetricEstimate(value, max(low, self.lowest), min(high, self.highest))

    def difference(self, ours: FloatArray, theirs: Sequence[FloatArray], resampling: Resampling) -> Interval:
        """Return the figure of ``ours`` less the mean figure of ``theirs``: daily sums of the same queries."""
        value = float(self._less(ours.sum(axis=0), [daily.sum(axis=0) for daily in theirs]))
        draws = self._less(resampling.weights @ ours, [resampling.weights @ daily for daily in theirs])
        return interval_of_draws(value, draws, days_of_figure(ours), resampling.block)

    def _less(self, ours: FloatArray, theirs: Sequence[FloatArray]) -> FloatArray:
        return np.asarray(self.pooled(ours) - np.mean([self.pooled(sums) for sums in theirs], axis=0))


def days_of_figure(daily: FloatArray) -> int:
    """Count the days that a figure rests on: not every day has enough symbols to rank."""
    return int(daily.any(axis=1).sum())


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


def _balanced(sums: FloatArray) -> FloatArray:
    """Mean of the share of rises and of the share of falls that were said; NaN where one of them never came."""
    tp, tn, fp, fn = np.moveaxis(sums[..., :4], -1, 0)
    return (_divide(tp, tp + fn) + _divide(tn, tn + fp)) / 2.0


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


def _ranking_days(sample: Sample, least: int = 0) -> BoolArray:
    return np.asarray(np.bincount(sample.day, minlength=sample.n_days) >= max(sample.least, least))


def _counted(daily: NDArray[np.floating[Any]], counts: BoolArray) -> FloatArray:
    """Sums (n_days, 2) of a figure that is a mean over the days that count."""
    return np.column_stack([np.where(counts, daily, 0.0), counts])


def _close_ic(sample: Sample) -> FloatArray:
    return _ic(sample, sample.close_outcome)


def _open_ic(sample: Sample) -> FloatArray:
    return _ic(sample, sample.open_outcome)


def _ic(whole: Sample, outcome: FloatArray) -> FloatArray:
    """Spearman's correlation of score and outcome within each day."""
    known = np.isfinite(outcome)
    sample = whole if known.all() else whole.where(known)
    daily = rank_correlations(sample.score, outcome[known], sample.day, sample.n_days)
    return _counted(daily, _ranking_days(sample))


def _residual_ic(whole: Sample) -> FloatArray:
    """The same, of what the styles leave of the score's ranks."""
    known = np.isfinite(whole.close_outcome)
    sample = whole if known.all() else whole.where(known)
    left = residuals(places(sample.score, sample.day).centred, sample.styles, sample.day, sample.n_days)
    came = places(sample.close_outcome, sample.day).centred
    return _counted(correlations(left, came, sample.day, sample.n_days), _ranking_days(sample, LEAST_RESIDUAL))


def _daily_auc(sample: Sample) -> FloatArray:
    """Share of the day's own (rise, fall) pairs in which the rise has the greater score, from the sum of its ranks."""
    stands = places(sample.score, sample.day)
    sums = _by_day(sample, sample.rose, sample.rose * (stands.low + stands.high + 1.0) / 2.0)
    rises, ranks, n = sums.T
    pairs = rises * (n - rises)
    auc = np.divide(ranks - rises * (rises + 1.0) / 2.0, pairs, out=np.zeros(len(pairs)), where=pairs > 0)
    return _counted(auc, _ranking_days(sample) & (pairs > 0))


def _spreads(sample: Sample) -> FloatArray:
    """Mean outcome of the day's top tenth less that of its bottom tenth, in basis points."""
    stands = places(sample.score, sample.day)
    size = np.maximum(1.0, np.floor(stands.count / np.where(stands.count < DECILES_FROM, 5, 10)))
    position = (stands.share_of_highest(size) - stands.share_of_lowest(size)) / size
    earned = 1e4 * np.bincount(sample.day, weights=position * sample.outcome, minlength=sample.n_days)
    return _counted(earned, _ranking_days(sample))


BALANCED_ACCURACY = Metric(_confusion, _balanced, null=0.5, lowest=0.0, highest=1.0)

METRICS: dict[str, Metric] = {
    "acc": Metric(_right, _mean, null=0.5, lowest=0.0, highest=1.0),
    "acc_ranked": Metric(_right_ranked, _mean, null=0.5, lowest=0.0, highest=1.0),
    "mcc": Metric(_confusion, _mcc, null=0.0, lowest=-1.0, highest=1.0),
    "auc": Metric(_score_histograms, _auc, null=0.5, lowest=0.0, highest=1.0),
    "brier": Metric(_squares, _mean, sign=-1, lowest=0.0, highest=1.0),
    "log_loss": Metric(_surprise, _mean, sign=-1, lowest=0.0),
    "ece": Metric(_gaps, _ece, sign=-1, lowest=0.0, highest=1.0),
    "auc_day": Metric(_daily_auc, _mean, null=0.5, lowest=0.0, highest=1.0),
    "ic": Metric(_close_ic, _mean, null=0.0, lowest=-1.0, highest=1.0),
    "ic_o2o": Metric(_open_ic, _mean, null=0.0, lowest=-1.0, highest=1.0),
    "ic_residual": Metric(_residual_ic, _mean, null=0.0, lowest=-1.0, highest=1.0),
    "spread_bp": Metric(_spreads, _mean, null=0.0),
}
"""``acc_ranked`` takes a score above the day's median for a rise (half at it): for outcomes relative to the day. The
last five are means over days with enough symbols to rank (``Sample.least``); the spread is before costs."""

CROSS_SECTIONS = ("ic", "ic_o2o", "ic_residual", "auc_day")
"""Figures of whole days: to leave out queries by their outcome would leave nothing of them."""
