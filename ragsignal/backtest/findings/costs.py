"""The same orders at other costs: what is left at 0 to 50 basis points a side, and which cost eats all of it.

Reckoned, not run again: the return of a bar changes by the difference in costs times what was traded on it over the
account of the bar before. A real run at other costs sizes its orders by another account, which moves a mean return a
year by less than a twentieth of what the costs themselves do (tests/test_findings.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal import statistics
from ragsignal.backtest.results import VariantResult
from ragsignal.config import RunSpec

SIDES_BPS = (0.0, 5.0, 10.0, 20.0, 50.0)

Floats = NDArray[np.float64]


def costs_of(spec: RunSpec, variants: Sequence[VariantResult]) -> dict[str, Any]:
    """Mean return a year and Sharpe ratio of every variant at other costs.

    Returns
    -------
    dict
        ``run_bps`` and ``sides_bps``: costs a side. ``variants``: by name ``paid`` (what costs took, a fraction of the
        account a year), ``return`` and ``sharpe``, a value a cost;
        ``break_even_bps``: the cost a side at which the mean return is 0 (below 0: it loses even free of costs; None:
        never traded); ``equal_bps``: the cost at which it is the benchmark's (None where no cost makes them equal).
    """
    run_bps = spec.costs.commission_bps + spec.costs.slippage_bps
    by_name = {variant.name: variant for variant in variants}
    held, held_traded = _books(by_name[spec.benchmark])
    told = {}
    for name, variant in by_name.items():
        returns, traded = _books(variant)
        reckoned = [returns + (run_bps - bps) / 1e4 * traded for bps in SIDES_BPS]
        a_year = statistics.bars_a_year(pd.DatetimeIndex(variant.equity.index))
        told[name] = {
            "paid": run_bps / 1e4 * float(traded.mean()) * a_year,
            "return": [float(it.mean()) * a_year for it in reckoned],
            "sharpe": [statistics.sharpe_a_year(it, a_year) for it in reckoned],
            "break_even_bps": _crossing(returns, traded, run_bps),
            "equal_bps": _crossing(returns - held, traded - held_traded, run_bps),
        }
    return {"run_bps": run_bps, "sides_bps": list(SIDES_BPS), "variants": told}


def _books(variant: VariantResult) -> tuple[Floats, Floats]:
    """Returns (n_bars - 1,), and the value traded on each of these bars over the account of the bar before."""
    days = pd.DatetimeIndex(variant.equity.index).tz_localize(None)
    dates = pd.DatetimeIndex(pd.to_datetime(variant.orders["date"])).tz_localize(None)
    by_day = variant.orders["value"].abs().astype(np.float64).groupby(dates).sum()
    traded = by_day.reindex(days, fill_value=0.0).to_numpy()[1:]
    returns, before = (it.to_numpy(dtype=np.float64) for it in (variant.returns, variant.equity.iloc[:-1]))
    return returns, traded / np.where(np.isfinite(returns), before, np.nan)  # nothing once everything is lost


def _crossing(returns: Floats, traded: Floats, run_bps: float) -> float | None:
    """Cost a side, in basis points, at which the mean return is 0: each unit of cost takes the mean traded value."""
    slope = float(traded.mean())
    if abs(slope) < 1e-12:
        return None
    return run_bps + 1e4 * float(returns.mean()) / slope
