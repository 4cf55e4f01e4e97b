"""How well a formula ranks what follows: rank correlation day by day, the fitness of the search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ragsignal.alpha.windows import LEAST_SYMBOLS, Part
from ragsignal.data import Evaluator, Formula
from ragsignal.study import sharpe_of
from ragsignal.types import BoolArray, FloatArray

_LEAST_SHARE = 0.8  # of the window's days that a formula has to rank
_PROFILE_DAYS = 64
_FLAT = 1e-12
_LEAST_SPREAD = 1e-3  # of daily rank correlations: those that are 1 every day have none
_MEMORY = 1 << 27  # bytes of parts that a worker keeps


@dataclass(frozen=True, slots=True)
class FormulaScore:
    """What a formula was worth on one window.

    Parameters
    ----------
    ic : float
        Mean over days of the rank correlation of its values with what followed; NaN if ``dead``.
    t : float
        ``ic`` over its standard error, days taken for independent.
    days : int
        Days that were ranked.
    sharpe : float or None
        Per bar, of the portfolio that holds its ranks, before costs; None below 100 days.
    dead : str
        Why it cannot be ranked: ``few`` days with values, ``constant`` ones, or ``levels`` of adjusted prices that a
        seed may not read; empty for one that can.
    """

    ic: float
    t: float
    days: int
    sharpe: float | None
    dead: str


@dataclass(frozen=True, eq=False)
class Scored:
    """A score, and the formula's ranks on some days of the window: what tells whether two formulas are alike."""

    score: FormulaScore
    profile: FloatArray

    def correlation(self, other: Scored) -> float:
        """Rank correlation of the values of two formulas, without its sign; 0 where one of them ranks nothing."""
        if self.score.dead or other.score.dead:
            return 0.0
        return abs(float(self.profile @ other.profile))


class FormulaScorer:
    """Scores formulas on one window; a worker process holds one."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self._known = np.isfinite(part.labels)
        self._labels = centred_ranks(part.labels, self._known)
        self._evaluator: Evaluator | None = None

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_evaluator": None}  # what was computed here is not sent

    def values(self, formula: Formula) -> FloatArray:
        """Values (n_days, n_symbols) of a formula on the days of the window."""
        if self._evaluator is None:
            self._evaluator = Evaluator(self.part.panel, _MEMORY)
        return self._evaluator.values(formula)[self.part.first :]

    def ranks(self, formula: Formula) -> tuple[FloatArray, BoolArray]:
        """Ranks (n_days, n_symbols) about 0 of a formula's values among the symbols of each day, and where it has any.

        0 where it has none.
        """
        values = self.values(formula)
        where = np.isfinite(values)
        return centred_ranks(values, where), where

    def daily(self, formula: Formula) -> tuple[FloatArray, BoolArray]:
        """Rank correlation (n_days,) with what followed, and on which days there is one."""
        ranks, where = self.ranks(formula)
        return correlations(ranks, self._labels, where & self._known)

    def score(self, formula: Formula) -> Scored:
        """Score a formula."""
        ranks, where = self.ranks(formula)
        series, there = correlations(ranks, self._labels, where & self._known)
        days = int(there.sum())
        if days < _LEAST_SHARE * self.part.labelled:
            moving = where.sum(axis=1) >= LEAST_SYMBOLS
            return dead_score("few" if moving.mean() < _LEAST_SHARE else "constant", days)
        ic, t = mean_and_t(series[there])
        gross = earned_by(weights_of(ranks), self.part.earned)
        return Scored(FormulaScore(ic, t, days, sharpe_of(gross), ""), _profile(ranks))


def dead_score(why: str, days: int = 0) -> Scored:
    """What a formula is worth that ranks nothing."""
    return Scored(FormulaScore(math.nan, math.nan, days, None, why), np.zeros(1))


def _profile(ranks: FloatArray) -> FloatArray:
    """Ranks on some days, of length 1."""
    rows = np.unique(np.linspace(0, len(ranks) - 1, _PROFILE_DAYS).astype(int))
    flat = ranks[rows].ravel()
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-12))


def score_all(scorer: FormulaScorer, formulas: Sequence[Formula]) -> list[Scored]:
    """Scores of several formulas, which share what they have in common: a task of a worker process."""
    return [scorer.score(formula) for formula in formulas]


def centred_ranks(values: FloatArray, where: BoolArray) -> FloatArray:
    """Rank of each value among those of its row, ties sharing the mean rank, over their number and about 0.

    Parameters
    ----------
    values : (n_days, n_symbols) float64
    where : (n_days, n_symbols) bool
        What is ranked; the rest is 0.
    """
    order = np.argsort(np.where(where, values, np.inf), axis=1, kind="stable")
    ascending = np.take_along_axis(np.where(where, values, np.inf), order, axis=1)
    places = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    opens = np.ones(values.shape, dtype=bool)
    opens[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    closes = np.ones(values.shape, dtype=bool)
    closes[:, :-1] = opens[:, 1:]
    low = np.maximum.accumulate(np.where(opens, places, 0), axis=1)
    high = np.minimum.accumulate(np.where(closes, places, values.shape[1])[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (low + high) / 2.0, axis=1)
    count = where.sum(axis=1, keepdims=True)
    return np.asarray(np.where(where, (ranks - (count - 1) / 2.0) / np.maximum(count, 1), 0.0))


def correlations(left: FloatArray, right: FloatArray, where: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Correlation (n_days,) of two tables of ranks over ``where``, and on which days there is one.

    A day needs ten symbols, and ranks that differ.
    """
    x, y = np.where(where, left, 0.0), np.where(where, right, 0.0)
    count = where.sum(axis=1)
    shared = np.maximum(count, 1)
    xx = (x**2).sum(axis=1) - x.sum(axis=1) ** 2 / shared
    yy = (y**2).sum(axis=1) - y.sum(axis=1) ** 2 / shared
    xy = (x * y).sum(axis=1) - x.sum(axis=1) * y.sum(axis=1) / shared
    there = (count >= LEAST_SYMBOLS) & (xx > _FLAT) & (yy > _FLAT)
    return np.where(there, xy / np.sqrt(np.where(there, xx * yy, 1.0)), np.nan), there


def mean_and_t(series: FloatArray) -> tuple[float, float]:
    """Mean of a series of rank correlations, and the mean over its standard error; the series counts as moving."""
    mean, spread = float(np.mean(series)), float(np.std(series, ddof=1))
    return mean, mean / max(spread, _LEAST_SPREAD) * math.sqrt(len(series))


def weights_of(ranks: FloatArray, horizon: int = 1) -> FloatArray:
    """Portfolio (n_days, n_symbols) that holds a formula's ranks, half of 1 long and half short.

    With a longer ``horizon`` each day's ranks are held for so many days, a part of the money each.
    """
    gross = np.abs(ranks).sum(axis=1, keepdims=True)
    daily: FloatArray = np.divide(ranks, gross, out=np.zeros_like(ranks), where=gross > 0.0)
    if horizon == 1:
        return daily
    running = np.cumsum(np.vstack([np.zeros((horizon, ranks.shape[1])), daily]), axis=0)
    return np.asarray((running[horizon:] - running[:-horizon]) / horizon)


def earned_by(weights: FloatArray, earned: FloatArray, cost_bps: float = 0.0) -> FloatArray:
    """Simple return (n_days,) of a portfolio on its money, less ``cost_bps`` of what is bought and sold each day."""
    gross = (weights * np.nan_to_num(earned)).sum(axis=1)
    return np.asarray(gross - turnover_of(weights) * cost_bps / 1e4)


def turnover_of(weights: FloatArray) -> FloatArray:
    """What is bought and sold each day (n_days,), a share of the money."""
    before = np.vstack([np.zeros((1, weights.shape[1])), weights[:-1]])
    return np.asarray(np.abs(weights - before).sum(axis=1))
