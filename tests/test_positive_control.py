"""Is the machine able to find something that is there, and nothing where there is nothing?

The same parts as in a real run (shape retriever, vote of the hits' outcomes, strategy, broker), no language model.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from results import find

from ragsignal import statistics
from ragsignal.backtest.engine import run_spec
from ragsignal.backtest.results import RunResult
from ragsignal.config import load_spec

SPEC = """
name = "control"
benchmark = "hold"
[data]
source = "{source}"
seed = {seed}
symbols = ["AAA", "BBB", "CCC", "DDD"]
start = 2015-01-05
end = 2016-12-30
[corpus]
indicators = ["adj_close"]
[retrieval]
retriever = "shape"
k = 25
[strategy]
class = "strategies.rag_momentum:LongShort"
[costs]
{costs}
[[variant]]
name = "vote"
signal = "vote"
[[variant]]
name = "hold"
signal = "none"
strategy = {{ class = "strategies.buy_and_hold:BuyAndHold" }}
"""


def _run(folder: Path, source: str, seed: int = 0, costs: str = "") -> RunResult:
    path = folder / "control.toml"
    path.write_text(SPEC.format(source=source, seed=seed, costs=costs))
    return run_spec(load_spec(path))


def _gain(result: RunResult) -> statistics.Interval:
    gap = find(result, "vote").returns.to_numpy() - find(result, "hold").returns.to_numpy()
    return statistics.mean_interval(gap)


def _edge(result: RunResult) -> statistics.Interval:
    """Mean open-to-open return of a unit bet on each signal's sign, days resampled."""
    signals = find(result, "vote").signals.dropna(subset=["target"])
    bets = np.sign(signals["value"]) * signals["target"]
    daily = bets.groupby(signals["date"]).agg(["sum", "count"]).astype(float)
    return statistics.ratio_interval(daily["sum"].to_numpy(), daily["count"].to_numpy())


def test_on_a_planted_market_retrieval_beats_buy_and_hold_after_costs(tmp_path: Path) -> None:
    result = _run(tmp_path, "planted")
    assert _gain(result).low > 0.0
    assert _edge(result).low > 0.0
    assert float(find(result, "vote").metrics["hit_rate"] or 0) > 0.55


@pytest.mark.parametrize("seed", [0, 1])
def test_on_noise_the_interval_covers_zero(tmp_path: Path, seed: int) -> None:
    # Without costs: they are certain, so that with them a useless signal is surely a loser.
    result = _run(tmp_path, "noise", seed, "commission_bps = 0.0\nslippage_bps = 0.0")
    assert not _gain(result).distinguishable
    assert not _edge(result).distinguishable
