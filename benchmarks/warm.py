"""A warm backtest beside the same strategy on Backtrader's own SMA: what the indicator costs once signals are stored.

Five made-up symbols x 10 years of daily bars, five hits a signal. Both sides run the same Cerebro, strategy, broker and
analyzers in this process; ours reads its signals from the store in every round. Signals come from a rule (a vote of
shape-retrieved candidates), so that filling the store takes seconds: what a model would have said is read in the same
way.
"""

from __future__ import annotations

import functools
import os
import tempfile
from typing import Any

import backtrader as bt

from benchmarks.harness import Measure, main, speedup
from ragsignal.config import RunSpec
from ragsignal.study import Study
from ragsignal.trading import engine, load_strategy

COMMAND = "python -m benchmarks.warm"
SYMBOLS = ("AA", "BB", "CC", "DD", "EE")
SPEC: dict[str, Any] = {
    "name": "warm",
    "data": {"source": "noise", "symbols": SYMBOLS, "start": "2009-01-02", "end": "2018-12-31"},
    "corpus": {"stride": 5},
    "retrieval": {"retriever": "shape", "k": 5},
    "strategy": {"class": "ragsignal.strategies:LongShort", "params": {"enter": 0.6}},
    "benchmark": "buy-and-hold",
    "variant": (
        {"name": "rag", "signal": "vote"},
        {"name": "buy-and-hold", "signal": "none", "strategy": {"class": "ragsignal.strategies:BuyAndHold"}},
    ),
}


def above_average(data: Any) -> Any:
    """The other side's signal: close over its mean, less 1, on a scale that makes about as many orders as ours."""
    return (data.close / bt.ind.SMA(data.close, period=10) - 1.0) * 1000.0


def measures() -> list[Measure]:
    """Bars a second of a warm run against the SMA's."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["RAGSIGNAL_CACHE"] = cache
        spec = RunSpec.model_validate(SPEC)
        study = Study(spec)
        frames = engine._window(study)
        bars = sum(map(len, frames.values()))
        rag = spec.variants[0]
        engine.signals_of(study.pipeline(rag), frames)  # fills the store

        def ours() -> Any:
            cerebro = _cerebro(spec, frames, engine.signals_of(study.pipeline(rag), frames))
            return cerebro.run()

        def plain() -> Any:
            return _cerebro(spec, frames, None).run()

        orders = {name: len(side()[0].analyzers.account.orders) for name, side in (("ours", ours), ("rival", plain))}
        ratio, detail = speedup(ours, plain, rounds=9)
    detail |= {
        "bars": bars,
        "orders": orders,
        "ours_bars_per_s": bars / detail["ours_s"],
        "rival_bars_per_s": bars / detail["rival_s"],
    }
    name = "warm backtest, bars/s, 5 symbols x 10 years, k = 5"
    return [Measure(name, ratio, "x", "the same strategy on Backtrader's own SMA", ">= 0.8", COMMAND, detail)]


def _cerebro(spec: RunSpec, frames: Any, source: Any) -> Any:
    cerebro = engine._cerebro(frames, spec.costs)
    signal = above_average if source is None else functools.partial(engine._INDICATOR, source=source)
    cerebro.addstrategy(load_strategy(spec.strategy), signal=signal, **spec.strategy.params)
    cerebro.addanalyzer(engine.AccountRecorder, _name="account")
    cerebro.addanalyzer(engine.RagEvidence, _name="evidence")
    return cerebro


if __name__ == "__main__":
    main(measures)
