"""Made-up tables of market days: gaps in the calendar, days without payoffs or state, payoffs that are never known."""

from __future__ import annotations

from datetime import date

import numpy as np

from ragsignal.data.market_days import MarketDays
from ragsignal.data.rank_factors import RANK_FACTORS
from ragsignal.retrieval.state_metric import StateMetric

METRIC = StateMetric(np.zeros(8), np.ones(8), np.eye(8))


def drawn_days(seed: int = 0, count: int = 150, wait: int = 1, first: str = "2005-01-03") -> MarketDays:
    """Days whose payoffs are known ``wait`` days of their calendar later; some have none, or no state."""
    rng = np.random.default_rng(seed)
    gaps = rng.choice([1, 1, 1, 3, 30], count)
    days = np.datetime64(first, "D") + np.cumsum(gaps)
    known = np.full(count, np.datetime64("NaT"), dtype="datetime64[D]")
    known[: max(count - wait, 0)] = days[wait:]
    payoffs = np.round(rng.normal(0, 0.02, (count, len(RANK_FACTORS))), 6)
    payoffs[(rng.random(count) < 0.1) | np.isnat(known)] = np.nan
    market, dispersion = rng.normal(0, 0.01, count), rng.uniform(0.01, 0.03, count)
    dispersion[: rng.integers(0, 40)] = np.nan
    stocks = np.where(np.isfinite(payoffs[:, 0]), 100, 0).astype(np.int32)
    return MarketDays(days, market, dispersion, stocks, payoffs, known, horizon=wait)


def day_at(table: MarketDays, row: int) -> date:
    """The date of a row."""
    day: date = table.days[row].item()
    return day
