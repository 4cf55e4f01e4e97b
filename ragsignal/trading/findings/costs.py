"""The same orders at other costs: what is left at 0 to 50 basis points a side, and which cost eats all of it.

Reckoned, not run again: the return of a bar changes by the difference in costs times what was traded on it over the
account of the bar before. A real run at other costs sizes its orders by another account, which moves a mean return a
year by less than a twentieth of what the costs themselves do (tests/trading/findings/test_findings.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ragsignal import statistics
from ragsignal.config import RunSpec
from ragsignal.trading.variant import VariantResult
from ragsignal.types import FloatArray

SIDES_BPS = (0.0, 5.0, 10.0, 20.0, 50.0)


@dataclass(frozen=True)
class CostFigures:
    """One variant at other costs: mean return a year and Sharpe ratio at each of :data:`SIDES_BPS`."""

    paid: float | None  # what costs took, a fraction of the account a year
    yearly: list[float | None] = field(metadata={"key": "return"})
    sharpe: list[float | None]
    break_even_bps: float | None  # cost at which the mean return is 0; below 0: loses even free of costs
    equal_bps: float | None  # cost at which the mean return is the benchmark's


@dataclass(frozen=True)
class OtherCosts:
    """Costs a side in the run, and those reckoned, in basis points; the figures by variant."""

    run_bps: float
    sides_bps: tuple[float, ...]
    variants: dict[str, CostFigures]


def costs_of(spec: RunSpec, variants: Sequence[VariantResult]) -> OtherCosts:
    """Mean return a year and Sharpe ratio of every variant at other costs."""
    run_bps = spec.costs.commission_bps + spec.costs.slippage_bps
    books = {variant.name: _books(variant) for variant in variants}
    held, held_traded = books[spec.benchmark]
    a_year = statistics.bars_a_year(pd.DatetimeIndex(variants[0].equity.index))
    figures = {}
    for name, (returns, traded) in books.items():
        reckoned = [returns + (run_bps - bps) / 1e4 * traded for bps in SIDES_BPS]
        figures[name] = CostFigures(
            paid=run_bps / 1e4 * float(traded.mean()) * a_year,
            yearly=[float(it.mean()) * a_year for it in reckoned],
            sharpe=[statistics.sharpe_a_year(it, a_year) for it in reckoned],
            break_even_bps=_crossing(returns, traded, run_bps),
            equal_bps=_crossing(returns - held, traded - held_traded, run_bps),
        )
    return OtherCosts(run_bps, SIDES_BPS, figures)


def _books(variant: VariantResult) -> tuple[FloatArray, FloatArray]:
    """Returns (n_bars - 1,), and the value traded on each of these bars over the account of the bar before.

    NaN throughout for an account that was ruined, as its later returns do not exist; 0 of one that was emptied.
    """
    days = pd.DatetimeIndex(variant.equity.index).tz_localize(None)
    dates = pd.DatetimeIndex(pd.to_datetime(variant.orders["date"])).tz_localize(None)
    by_day = variant.orders["value"].abs().astype(np.float64).groupby(dates).sum()
    traded = by_day.reindex(days, fill_value=0.0).to_numpy()[1:]
    returns = variant.returns.to_numpy(dtype=np.float64)
    before = variant.money.iloc[:-1].to_numpy(dtype=np.float64)
    if variant.ruined:
        return np.full_like(returns, np.nan), np.full_like(returns, np.nan)
    return returns, np.divide(traded, before, out=np.zeros_like(traded), where=before > 0.0)


def _crossing(returns: FloatArray, traded: FloatArray, run_bps: float) -> float | None:
    """Cost a side, in basis points, at which the mean return is 0: each unit of cost takes the mean traded value."""
    slope = float(traded.mean())
    if abs(slope) < 1e-12:
        return None
    return run_bps + 1e4 * float(returns.mean()) / slope
