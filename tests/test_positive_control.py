"""Is the machine able to find something that is there, and nothing where there is nothing?

The same parts as in a real run (shape retriever, vote of the hits' outcomes, strategy, broker), no language model.
"""

from __future__ import annotations

import numpy as np
import pytest

from ragsignal import statistics
from ragsignal.trading.engine import run_spec
from ragsignal.trading.results import RunResult
from tests.results import find
from tests.specs import HOLD, VOTE, spec

pytestmark = pytest.mark.slow


def _run(source: str, seed: int = 0, **costs: float) -> RunResult:
    control = spec(
        name="control",
        data={
            "source": source,
            "seed": seed,
            "symbols": ["AAA", "BBB", "CCC", "DDD"],
            "end": "2016-12-30",
        },
        retrieval={"k": 25},
        costs=costs,
        variant=[VOTE, HOLD],
    )
    return run_spec(control)


def _gain(result: RunResult) -> statistics.Interval:
    gap = find(result, "vote").returns.to_numpy() - find(result, "hold").returns.to_numpy()
    return statistics.mean_interval(gap)


def _edge(result: RunResult) -> statistics.Interval:
    """Mean open-to-open return of a unit bet on each signal's sign, days resampled."""
    signals = find(result, "vote").signals.dropna(subset=["target"])
    bets = np.sign(signals["value"]) * signals["target"]
    daily = bets.groupby(signals["date"]).agg(["sum", "count"]).astype(float)
    return statistics.ratio_interval(daily["sum"].to_numpy(), daily["count"].to_numpy())


def test_on_a_planted_market_retrieval_beats_buy_and_hold_after_costs() -> None:
    result = _run("planted")
    assert _gain(result).low > 0.0
    assert _edge(result).low > 0.0
    assert float(find(result, "vote").metrics["hit_rate"] or 0) > 0.55


@pytest.mark.parametrize("seed", [0, 1])
def test_on_noise_the_interval_covers_zero(seed: int) -> None:
    # Without costs: they are certain, so that with them a useless signal is surely a loser.
    result = _run("noise", seed, commission_bps=0.0, slippage_bps=0.0)
    assert not _gain(result).distinguishable
    assert not _edge(result).distinguishable
