"""Days of a market by a call: random states and payoffs, for tests of what reads retrieved days."""

from __future__ import annotations

import numpy as np

from ragsignal.data import RANK_FACTORS, DayHits, MarketDays
from ragsignal.retrieval import NearestDays, StateMetric

HORIZON = 1


def made_days(n: int = 160, seed: int = 0) -> MarketDays:
    """``n`` business days from 2009-01-01, whose payoffs are known a day later; the last one's are not."""
    rng = np.random.default_rng(seed)
    days = np.busday_offset("2009-01-01", np.arange(n), roll="forward").astype("datetime64[D]")
    return MarketDays(
        days=days,
        market=rng.normal(0.0, 0.01, n),
        dispersion=rng.uniform(0.01, 0.03, n),
        stocks=np.full(n, 50, dtype=np.int32),
        payoffs=np.where(np.arange(n)[:, None] < n - HORIZON, rng.normal(0.0, 0.05, (n, len(RANK_FACTORS))), np.nan),
        available_at=np.append(days[HORIZON:], np.full(HORIZON, np.datetime64("NaT"))),
        horizon=HORIZON,
    )


def made_hits(rows: tuple[int, ...] = (70, 65, 80), scores: tuple[float, ...] = (0.9, 0.8, -0.7)) -> DayHits:
    """Hits of :func:`made_days`: a score below 0 is of a day that is unlike."""
    return DayHits(made_days(), np.array(rows), np.array(scores))


def made_retriever(table: MarketDays | None = None, k: int = 20, opposite: int = 10) -> NearestDays:
    """Nearest days of ``table``, by the Euclidean metric of its own states."""
    table = table or made_days()
    return NearestDays(table, StateMetric.euclidean(table.states), k=k, opposite=opposite)
