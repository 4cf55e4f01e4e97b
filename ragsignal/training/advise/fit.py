"""What a ladder says: losses with intervals, the best size for each amount of data, and how fast that grows.

    sums of each day ─► loss of size x amount ─► parabola in log size ─► its lowest point ─► slope in log amount

A repetition draws validation days anew, in blocks and the same for all points, and refits everything: the scale of the
scores, parabolas, lowest points, slope. Seeds differ too: their deviation, pooled over all points, is added to each
point's loss as an independent normal error of ``deviation / sqrt(seeds)``. The days of a repetition move single seeds
apart as well, so that this part counts twice: intervals are wide rather than narrow.

References
----------
Hoffmann et al. (2022), arXiv 2203.15556, approach 2 (parabolas in log size); arXiv 2402.14746 for N ~ D^gamma.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ragsignal.statistics import Interval, block_length, day_weights, holm, interval_of_draws, widening
from ragsignal.types import BoolArray, FloatArray, IntArray

SURE = 0.05
_DIGITS = 12  # of the exponent: equal sizes give 0, and not what is left of rounding

Figure = Callable[[FloatArray], FloatArray]
"""Of weights (repetitions, n_days): (n_amounts, n_sizes, n_seeds, repetitions)."""


@dataclass(frozen=True, eq=False)
class LadderSums:
    """Sums over each validation day's stocks, of every point.

    Parameters
    ----------
    parameters : (n_sizes,) int
        Of the models, ascending.
    labels : (n_amounts,) int
        Training labels, ascending.
    n, yy : (n_days,) float64
        Stocks, and squared ranks of what followed.
    ss, sy, ic : (n_amounts, n_sizes, n_seeds, n_days) float64
        Squared scores, products of score and rank, and Spearman's correlation.
    """

    parameters: IntArray
    labels: IntArray
    n: FloatArray
    yy: FloatArray
    ss: FloatArray
    sy: FloatArray
    ic: FloatArray

    def losses(self, weights: FloatArray) -> FloatArray:
        """Squared error per label, where scores are scaled as is best on the drawn days, by a factor of 0 or more.

        Parameters
        ----------
        weights : (repetitions, n_days) float64

        Returns
        -------
        (n_amounts, n_sizes, n_seeds, repetitions) float64
        """
        products = np.maximum(self.sy @ weights.T, 0.0)
        squares = self.ss @ weights.T
        explained = np.divide(products**2, squares, out=np.zeros_like(products), where=squares > 0.0)
        losses: FloatArray = (weights @ self.yy - explained) / (weights @ self.n)
        return losses

    def correlations(self, weights: FloatArray) -> FloatArray:
        """Mean of the days' correlations; shapes as of :meth:`losses`. A day without one counts as 0."""
        means: FloatArray = np.nan_to_num(self.ic) @ weights.T / weights.sum(axis=1)
        return means


@dataclass(frozen=True, eq=False)
class LadderFit:
    """Figures of a ladder with their draws; the last axis of ``*_draws`` are repetitions."""

    sums: LadderSums
    repetitions: int
    overlap: int

    @cached_property
    def losses(self) -> FloatArray:
        """Mean of the seeds' losses, (n_amounts, n_sizes)."""
        return np.asarray(self._by_seed(self.sums.losses).mean(axis=2))

    @cached_property
    def loss_draws(self) -> FloatArray:
        """The same in each repetition, (n_amounts, n_sizes, repetitions)."""
        return self._draws(self.sums.losses, stream=1)

    @cached_property
    def seed_deviation(self) -> float:
        """Standard deviation of the loss between seeds, pooled over all points."""
        return _pooled(self._by_seed(self.sums.losses))

    @property
    def base_loss(self) -> float:
        """Loss of saying the same of every stock."""
        return float(self.sums.yy.sum() / self.sums.n.sum())

    @cached_property
    def best_logs(self) -> FloatArray:
        """Log of the parameters at the lowest point of each amount's parabola, (n_amounts,); within the ladder."""
        return lowest(np.log(self.sums.parameters), self.losses)

    @cached_property
    def best_draws(self) -> FloatArray:
        """The same in each repetition, (n_amounts, repetitions)."""
        by_draw = np.moveaxis(self.loss_draws, -1, 1)
        return lowest(np.log(self.sums.parameters), by_draw)

    @property
    def at_edge(self) -> BoolArray:
        """Which amounts' best size is the smallest or the largest of the ladder: the true one may lie beyond it."""
        ends = np.log(self.sums.parameters[[0, -1]])
        return np.asarray(np.isclose(self.best_logs[:, None], ends).any(axis=1))

    def best_interval(self, amount: int) -> Interval:
        """Best size of an amount of data, in parameters."""
        found = self._held(float(self.best_logs[amount]), self.best_draws[amount])
        return Interval(math.exp(found.difference), math.exp(found.low), math.exp(found.high))

    @cached_property
    def exponent(self) -> Interval:
        """Gamma of N_best ~ D^gamma."""
        slope = _slope(np.log(self.sums.labels))
        gamma = round(float(slope @ self.best_logs), _DIGITS)
        return self._held(gamma + 0.0, slope @ self.best_draws)

    def correlation(self, amount: int, size: int) -> Interval:
        """Mean information coefficient of a point."""
        value = self._by_seed(self.sums.correlations).mean(axis=2)[amount, size]
        return self._around(float(value), self._correlation_draws[amount, size])

    def excess(self, amount: int) -> list[Interval]:
        """Loss of each size over that of the best one, paired by day; the best one's own is 0 without an interval."""
        best = int(np.argmin(self.losses[amount]))
        above, draws = self.losses[amount] - self.losses[amount, best], self.loss_draws[amount]
        return [
            Interval(0.0, 0.0, 0.0, 1.0)
            if size == best
            else self._around(float(above[size]), draws[size] - draws[best])
            for size in range(len(above))
        ]

    def undistinguished(self, amount: int) -> BoolArray:
        """Which sizes cannot be told from the best one: p of 0.05 or more after Holm's correction, (n_sizes,)."""
        best = int(np.argmin(self.losses[amount]))
        p_values = np.array([interval.p for interval in self.excess(amount)])
        p_values[best] = np.nan
        adjusted = holm(p_values)
        return np.asarray(~(adjusted < SURE))

    def gain_of_data(self, size: int) -> Interval:
        """By how much a size's loss falls from the second largest amount to all data."""
        value = self.losses[-2, size] - self.losses[-1, size]
        return self._around(float(value), self.loss_draws[-2, size] - self.loss_draws[-1, size])

    @cached_property
    def _correlation_draws(self) -> FloatArray:
        return self._draws(self.sums.correlations, stream=2)

    @property
    def _days(self) -> int:
        return len(self.sums.n)

    @property
    def _weights(self) -> FloatArray:
        return day_weights(self._days, 0, self.repetitions, self.overlap)

    def _by_seed(self, figure: Figure) -> FloatArray:
        return figure(np.ones((1, self._days)))[..., 0]

    def _draws(self, figure: Figure, stream: int) -> FloatArray:
        """Draws of days, and in each of them an error of the seeds."""
        drawn = figure(self._weights).mean(axis=2)
        error = _pooled(self._by_seed(figure)) / np.sqrt(self.sums.ss.shape[2])
        return np.asarray(drawn + error * np.random.default_rng(stream).normal(size=drawn.shape))

    def _around(self, value: float, draws: FloatArray) -> Interval:
        return interval_of_draws(value, draws, self._days, block_length(self._days, self.overlap))

    def _held(self, value: float, draws: FloatArray) -> Interval:
        """Percentile interval of what cannot leave the ladder, widened as others are; it holds ``value``.

        A basic interval would mirror the draws at ``value``, and past the end of the ladder.
        """
        wider = widening(self._days, block_length(self._days, self.overlap))
        low, high = value + wider * (np.quantile(draws, [0.025, 0.975]) - value)
        low, high = max(low, draws.min()), min(high, draws.max())
        return Interval(float(value), float(min(low, value)), float(max(high, value)))


def lowest(places: FloatArray, heights: FloatArray) -> FloatArray:
    """Where parabolas through points are lowest, within the range of the places.

    Parameters
    ----------
    places : (n,) float64
        Ascending, three at least.
    heights : (..., n) float64

    Returns
    -------
    (...) float64
        An end where the parabola opens downwards, or has its lowest point beyond it.
    """
    middle, half = (places[0] + places[-1]) / 2, (places[-1] - places[0]) / 2
    unit = (places - middle) / half
    fit = np.linalg.pinv(np.stack([np.ones_like(unit), unit, unit**2], axis=1))
    _, slope, curve = np.moveaxis(heights @ fit.T, -1, 0)
    inner = np.divide(-slope, 2 * curve, out=np.zeros_like(slope), where=curve > 0.0)
    found = np.where(curve > 0.0, np.clip(inner, -1.0, 1.0), -np.sign(slope))
    return np.asarray(middle + half * found)


def _slope(places: FloatArray) -> FloatArray:
    """Weights on values at ``places`` whose sum is the slope of least squares."""
    away = places - places.mean()
    return np.asarray(away / (away**2).sum())


def _pooled(values: FloatArray) -> float:
    """Standard deviation along the last axis, pooled over all others."""
    return float(np.sqrt(values.var(axis=-1, ddof=1).mean()))
