"""Figures of forecasts of classes, each beside what the classes' shares alone reach, with intervals by whole days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragsignal.statistics.intervals import Interval, block_length, day_weights, interval_of_draws
from ragsignal.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class ClassForecasts:
    """Class probabilities of queries, and what came.

    Parameters
    ----------
    probabilities : (n, classes) float64, all above 0
    shares : (classes,) float64
        The base rate: what one says who knows nothing of the query.
    labels : (n,) int64
    day : (n,) int64
        From 0 to ``n_days`` - 1, in the order of time.
    n_days : int
    overlap : int
        How many consecutive days share a part of their outcome.
    """

    probabilities: FloatArray
    shares: FloatArray
    labels: IntArray
    day: IntArray
    n_days: int
    overlap: int = 1

    def by_day(self, values: FloatArray) -> FloatArray:
        """Sum values (n,) over each day, (n_days,)."""
        return np.bincount(self.day, weights=values, minlength=self.n_days).astype(np.float64)

    @property
    def weights(self) -> FloatArray:
        """How often each day is drawn, (repetitions, n_days)."""
        return day_weights(self.n_days, overlap=self.overlap)

    @property
    def losses(self) -> FloatArray:
        """Surprise at what came, (n,) nats."""
        return -np.log(self.probabilities[np.arange(len(self.labels)), self.labels])

    def interval(self, estimate: float, draws: FloatArray) -> Interval:
        """The interval of a figure from its draws on :attr:`weights`."""
        return interval_of_draws(estimate, draws, self.n_days, block_length(self.n_days, self.overlap))


@dataclass(frozen=True, slots=True)
class ClassFigure:
    """A figure, what the base rate reaches, and the gain over it: above zero is better, whatever the figure."""

    value: float
    base: float
    gain: Interval


def class_figures(forecasts: ClassForecasts) -> dict[str, ClassFigure]:
    """Accuracy, balanced accuracy (mean recall of the classes that came) and log-loss (nats; gain: base less value).

    Whole days are resampled, see :func:`~ragsignal.statistics.day_weights`; fewer than 100 days say nothing.
    """
    return {
        "accuracy": _accuracy(forecasts),
        "balanced_accuracy": _balanced_accuracy(forecasts),
        "log_loss": _log_loss(forecasts),
    }


def loss_difference(one: ClassForecasts, other: ClassForecasts) -> Interval:
    """Mean log-loss of ``other`` less that of ``one`` on the same queries, above zero where ``one`` knows more.

    Raises
    ------
    ValueError
        If the two are not of the same queries.
    """
    if not (np.array_equal(one.day, other.day) and np.array_equal(one.labels, other.labels)):
        raise ValueError("a paired difference needs the same queries on both sides")
    return _mean_gain(one, one.losses, other.losses, -1.0).gain


def mean_of_days(forecasts: ClassForecasts, daily: FloatArray, counts: FloatArray) -> ClassFigure:
    """Mean of a daily figure (n_days,) over the days that count (0 or 1), beside a base of 0."""
    sums = np.where(counts > 0, daily, 0.0)
    if not counts.any():
        return ClassFigure(np.nan, 0.0, Interval(np.nan, np.nan, np.nan))
    value = float(sums.sum() / counts.sum())
    return ClassFigure(value, 0.0, forecasts.interval(value, _ratio(forecasts.weights, sums, counts)))


def correlation_of_days(forecasts: ClassForecasts, left: FloatArray, right: FloatArray) -> ClassFigure:
    """Spearman's correlation of two daily figures (n_days,) over days, beside a base of 0; NaN where one is constant.

    Draws weigh the ranks that the days have among all days.
    """
    from scipy.stats import rankdata

    x, y = rankdata(left), rankdata(right)
    value = float(_correlations(np.ones((1, len(x))), x, y)[0])
    return ClassFigure(value, 0.0, forecasts.interval(value, _correlations(forecasts.weights, x, y)))


def _accuracy(forecasts: ClassForecasts) -> ClassFigure:
    right = (forecasts.probabilities.argmax(axis=1) == forecasts.labels).astype(np.float64)
    usual = (forecasts.labels == forecasts.shares.argmax()).astype(np.float64)
    return _mean_gain(forecasts, right, usual, 1.0)


def _log_loss(forecasts: ClassForecasts) -> ClassFigure:
    return _mean_gain(forecasts, forecasts.losses, -np.log(forecasts.shares[forecasts.labels]), -1.0)


def _mean_gain(forecasts: ClassForecasts, values: FloatArray, base: FloatArray, sign: float) -> ClassFigure:
    gains, counts = sign * forecasts.by_day(values - base), forecasts.by_day(np.ones_like(values))
    gain = float(gains.sum() / counts.sum())
    draws = _ratio(forecasts.weights, gains, counts)
    return ClassFigure(float(values.mean()), float(base.mean()), forecasts.interval(gain, draws))


def _balanced_accuracy(forecasts: ClassForecasts) -> ClassFigure:
    said = forecasts.probabilities.argmax(axis=1)
    came = [(forecasts.labels == number).astype(np.float64) for number in np.unique(forecasts.labels)]
    right = (said == forecasts.labels).astype(np.float64)
    weights = np.vstack([np.ones(forecasts.n_days), forecasts.weights])
    recalls = [_ratio(weights, forecasts.by_day(right * each), forecasts.by_day(each)) for each in came]
    # of a guess drawn by the shares: one class said always would depend on whether it came at all
    figures, base = np.mean(recalls, axis=0), float(forecasts.shares[np.unique(forecasts.labels)].mean())
    value = float(figures[0])
    return ClassFigure(value, base, forecasts.interval(value - base, figures[1:] - base))


def _ratio(weights: FloatArray, above: FloatArray, below: FloatArray) -> FloatArray:
    sums, counts = weights @ above, weights @ below
    return np.asarray(np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0))


def _correlations(weights: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Correlation of x and y (n,) under each row of weights (m, n): (m,)."""
    total = weights.sum(axis=1)
    mean_x, mean_y = weights @ x / total, weights @ y / total
    across = weights @ (x * y) / total - mean_x * mean_y
    spread = (weights @ x**2 / total - mean_x**2) * (weights @ y**2 / total - mean_y**2)
    scale = np.sqrt(np.maximum(spread, 0.0))
    return np.asarray(np.divide(across, scale, out=np.full(len(scale), np.nan), where=scale > 1e-9))
