"""What a formula was worth, window by window: the figures of a page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from ragsignal.alpha.scoring import (
    FormulaScorer,
    centred_ranks,
    correlations,
    earned_by,
    mean_and_t,
    turnover_of,
    weights_of,
)
from ragsignal.alpha.windows import WindowName
from ragsignal.config import SearchSpec
from ragsignal.data import Formula
from ragsignal.statistics import bars_a_year, mean_interval, sharpe, sharpe_error
from ragsignal.types import BoolArray, FloatArray
from ragsignal.utils import day_of

FIFTHS = 5
DECAY = 10
"""Bars over which the decay of the rank correlation is followed."""
_NORMAL = 1.959964  # 97.5 % of the normal distribution


@dataclass(frozen=True)
class WindowFigures:
    """A formula on one window.

    Parameters
    ----------
    window : str
    first, last : date
    days : int
        Days that were ranked.
    ic, low, high, p : float
        Mean daily rank correlation with what followed, its 95 % interval by resampled blocks of days, and the two-sided
        p-value of 0.
    t : float
        Mean over its standard error, days taken for independent.
    quantiles : tuple of float
        Mean of what followed, less that of all stocks of the day, in basis points, from the lowest fifth up.
    turnover : float
        Share of the money that is bought and sold in a bar.
    earned : float
        Return a year of the portfolio that holds the formula's ranks, after costs.
    sharpe, sharpe_low, sharpe_high : float
        Its Sharpe ratio a year with a 95 % interval (Mertens 2002); NaN for an account that does not move.
    gross_sharpe : float
        The same ratio before costs.
    """

    window: WindowName
    first: date
    last: date
    days: int
    ic: float
    low: float
    high: float
    p: float
    t: float
    quantiles: tuple[float, ...]
    turnover: float
    earned: float
    sharpe: float
    sharpe_low: float
    sharpe_high: float
    gross_sharpe: float


def window_figures(scorer: FormulaScorer, formula: Formula, spec: SearchSpec) -> WindowFigures:
    """Figures of a formula on the window of a scorer."""
    part = scorer.part
    series, there = scorer.daily(formula)
    interval = mean_interval(series[there], overlap=spec.alpha.horizon)
    ranks, where = scorer.ranks(formula)
    weights = weights_of(ranks, spec.alpha.horizon)
    net, gross = earned_by(weights, part.earned, spec.alpha.cost_bps), earned_by(weights, part.earned)
    year = bars_a_year(pd.DatetimeIndex(part.days))
    ratio, error = sharpe(net) * math.sqrt(year), sharpe_error(net) * math.sqrt(year)
    return WindowFigures(
        window=part.name,
        first=day_of(part.days[0].item()),
        last=day_of(part.days[-1].item()),
        days=int(there.sum()),
        ic=interval.difference,
        low=interval.low,
        high=interval.high,
        p=interval.p,
        t=mean_and_t(series[there])[1] if there.sum() > 1 else math.nan,
        quantiles=_quantiles(ranks, where, part.labels),
        turnover=float(turnover_of(weights)[1:].mean()),
        earned=float(net.mean()) * year,
        sharpe=ratio,
        sharpe_low=ratio - _NORMAL * error,
        sharpe_high=ratio + _NORMAL * error,
        gross_sharpe=sharpe(gross) * math.sqrt(year),
    )


def ic_by_year(scorer: FormulaScorer, formula: Formula) -> dict[int, float]:
    """Mean rank correlation by calendar year of the window."""
    series, there = scorer.daily(formula)
    years = scorer.part.days[there].astype("datetime64[Y]").astype(int) + 1970
    return {int(year): float(series[there][years == year].mean()) for year in np.unique(years)}


def decay_of(seen: FormulaScorer, formula: Formula) -> tuple[float, ...]:
    """Mean rank correlation with what a single bar earns, 1 to :data:`DECAY` bars after the formula is known.

    On search and selection days alone: the holdout is looked at for what judges, and for nothing else.
    """
    earned = seen.part.earned
    found = []
    for bars in range(1, DECAY + 1):
        later = np.full_like(earned, np.nan)
        later[: len(earned) - bars + 1] = earned[bars - 1 :]
        found.append(_mean_ic(seen, formula, later))
    return tuple(found)


def _mean_ic(scorer: FormulaScorer, formula: Formula, labels: FloatArray) -> float:
    ranks, where = scorer.ranks(formula)
    known = np.isfinite(labels)
    series, there = correlations(ranks, centred_ranks(labels, known), where & known)
    return float(series[there].mean()) if there.any() else math.nan


def _quantiles(ranks: FloatArray, where: BoolArray, labels: FloatArray) -> tuple[float, ...]:
    known = np.isfinite(labels) & where
    count = known.sum(axis=1, keepdims=True)
    mean = np.where(known, labels, 0.0).sum(axis=1, keepdims=True) / np.maximum(count, 1)
    beside = np.where(known, labels - mean, 0.0)
    fifth = np.clip(np.floor((ranks + 0.5) * FIFTHS), 0, FIFTHS - 1)
    sizes = [float((known & (fifth == number)).sum()) for number in range(FIFTHS)]
    sums = [float(beside[known & (fifth == number)].sum()) for number in range(FIFTHS)]
    return tuple(1e4 * total / size if size else math.nan for total, size in zip(sums, sizes, strict=True))


def net_returns(scorer: FormulaScorer, formula: Formula, spec: SearchSpec, *, costs: bool) -> FloatArray:
    """Simple returns (n_days,) of the portfolio that holds a formula's ranks, on the days of the window."""
    weights = weights_of(scorer.ranks(formula)[0], spec.alpha.horizon)
    return earned_by(weights, scorer.part.earned, spec.alpha.cost_bps if costs else 0.0)
