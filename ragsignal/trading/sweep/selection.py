"""What choosing the best of a sweep is worth: how often such a choice fails later, and whether any point beats luck.

A sweep that tries a hundred points shows a good one even where all are worthless. Three answers to that: the
probability of backtest overfitting (the best on one half of the days is below the median on the other), Hansen's test
of superior predictive ability (is any point better than the benchmark at the same costs?), and the deflated Sharpe
ratio of the best.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Required, TypedDict

import numpy as np
import pandas as pd

from ragsignal import statistics
from ragsignal.study import Trial, deflated, sharpe_of
from ragsignal.types import FloatArray

_BLOCKS = 16  # 12,870 ways to halve the days, as in the paper
_LEAST_DAYS = 100  # fewer say nothing: ragsignal.statistics


class SweepLuck(TypedDict, total=False):
    """How the best point stands beside luck; empty below two ratios or 100 days.

    ``sharpe0``: what the best of as many worthless points would have, a year; ``deflated_sharpe``: the probability that
    the best one's true Sharpe ratio is above that.
    """

    sharpe0: float
    deflated_sharpe: float | None


class SweepCount(SweepLuck):
    """``count`` of configurations ever tried on these bars, the sweep's own ``configurations``, and their luck."""

    count: Required[int]
    configurations: Required[int]


class Selection(TypedDict):
    """What the choice of the best of ``points`` is worth; None where points or days are too few.

    ``overfitting``: probability of backtest overfitting (None for a single point); ``superior``: p of "no point is
    better than the benchmark"; ``sharpe0`` and ``deflated_sharpe`` as in :class:`SweepLuck`.
    """

    points: int
    overfitting: float | None
    superior: float | None
    sharpe0: float | None
    deflated_sharpe: float | None


def packed(returns: pd.Series) -> str:
    """Returns as text for a journal's line, exactly."""
    return base64.b64encode(returns.to_numpy(dtype="<f8").tobytes()).decode("ascii")


def unpacked(text: str) -> FloatArray:
    """What :func:`packed` packed."""
    return np.frombuffer(base64.b64decode(text), dtype="<f8").astype(np.float64)


def selection_of(returns: Sequence[FloatArray], beside: Sequence[FloatArray], days: pd.DatetimeIndex) -> Selection:
    """Judge the choice of the best point.

    Parameters
    ----------
    returns, beside : sequences of (n_days,) float64
        Returns of every point that traded (maybe of none), and of the benchmark on its terms; NaN once everything is
        lost.
    days : DatetimeIndex (n_days,)
    """
    if not returns:
        return {"points": 0, "overfitting": None, "superior": None, "sharpe0": None, "deflated_sharpe": None}
    # an account that lost everything earns nothing more
    table, held = np.nan_to_num(np.column_stack(list(returns))), np.nan_to_num(np.column_stack(list(beside)))
    solvent = np.minimum(table, held).min(axis=0) > -1.0
    several = table.shape[1] > 1 and len(table) >= _LEAST_DAYS
    trials = [Trial("", "sweep", sharpe_of(column)) for column in table.T]
    luck: SweepLuck = against_all(list(table.T), trials, days) if several else {}
    gaps = table - held
    moved = gaps[:, solvent & (np.ptp(gaps, axis=0) > 0)]  # who does what the benchmark does has no gap to judge
    return {
        "points": len(returns),
        "overfitting": _finite(statistics.backtest_overfitting(table, _BLOCKS)) if several else None,
        "superior": _finite(statistics.superior_predictive_ability(moved)) if several and moved.size else None,
        "sharpe0": luck.get("sharpe0"),
        "deflated_sharpe": luck.get("deflated_sharpe"),
    }


def against_all(returns: Sequence[FloatArray], trials: Sequence[Trial], days: pd.DatetimeIndex) -> SweepLuck:
    """How the best point stands beside ``trials``."""
    if not returns or len(days) < _LEAST_DAYS:
        return {}
    ratios = [sharpe_of(column) for column in returns]
    best = int(np.argmax([-np.inf if ratio is None else ratio for ratio in ratios]))
    luck = deflated({"best": pd.Series(returns[best], index=days)}, trials)
    if luck is None:
        return {}
    return {"sharpe0": luck["sharpe0"], "deflated_sharpe": luck["deflated_sharpe"].get("best")}


def words_of(selection: Selection, ran: int, benchmark: str) -> list[str]:
    """The same in sentences; ``ran`` is how many points there are at all costs."""
    words = []
    points = selection["points"]
    if points < ran:
        words.append(f"Judged are the {points} points at the highest costs: of two costs the lower always wins.")
    if (share := selection["overfitting"]) is not None:
        words.append(
            f"Probability of backtest overfitting {100 * share:.0f} %: so often the best point of one half of the days "
            "lay below the median of all points on the other half; 50 % is a choice by lot."
        )
    if (p := selection["superior"]) is not None:
        verdict = "some point is better" if p <= 0.05 else "not distinguishable"
        words.append(f"Is any of {points} points better than {benchmark}? p = {p:.2f} over all of them: {verdict}.")
    if (belief := selection["deflated_sharpe"]) is not None:
        words.append(
            f"The best of {points} worthless points would have a Sharpe ratio of {selection['sharpe0']:.2f} by luck; "
            f"the probability that the best one here is truly above that is {100 * belief:.0f} % "
            "(deflated Sharpe ratio)."
        )
    return words


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
