"""A year of the bundled universe, streamed: how long a bar takes to become orders, a restart, and what differs.

100 symbols, 252 days, StockLLM on ranks. The files of a folder get a line each; the clock runs from the last of them
until the strategy has sent its orders: reading the files, the day's factors and letters, the model, the store, the
journal with its flush to disk, RagMomentum and the book. Then the same year as a backtest.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import Measure, main, seconds
from ragsignal.config import RunSpec, load_spec
from ragsignal.data import load_sample
from ragsignal.trading import LiveJournal, LiveMarket, LiveOptions, VariantResult, run_market, run_spec
from ragsignal.trading.live import FolderSource, Polled
from ragsignal.trading.live.run import about_of, checked_variant

COMMAND = "python -m benchmarks.live"
START, END = date(2014, 1, 2), date(2014, 12, 31)
HISTORY = "2011-06-01"
VARIANT = "stockllm"


@dataclass
class Growing:
    """The bundled prices as a folder that gains a day when it is told to."""

    folder: Path
    symbols: Sequence[str]
    frames: dict[str, pd.DataFrame] = field(init=False)
    days: list[date] = field(init=False)
    written: int = 0

    def __post_init__(self) -> None:
        sample = load_sample(self.symbols).frames
        self.frames = {symbol: frame.loc[HISTORY : str(END)] for symbol, frame in sample.items()}
        index = sorted(set().union(*(frame.loc[str(START) :].index for frame in self.frames.values())))
        self.days = [stamp.date() for stamp in index]
        self.folder.mkdir(parents=True, exist_ok=True)
        for symbol, frame in self.frames.items():
            before = frame.loc[: pd.Timestamp(START) - pd.Timedelta(days=1)]
            before.to_csv(self.folder / f"{symbol}.csv", index_label="date")

    def next_lines(self) -> dict[str, str]:
        """A line a symbol of the next day; nothing after the last one."""
        if self.written == len(self.days):
            return {}
        stamp = pd.Timestamp(self.days[self.written])
        self.written += 1
        rows = {symbol: frame.loc[stamp] for symbol, frame in self.frames.items() if stamp in frame.index}
        return {
            symbol: ",".join([f"{stamp.date()}", *(repr(float(it)) for it in row)]) + "\n"
            for symbol, row in rows.items()
        }

    def append(self, symbol: str, text: str) -> None:
        """Add to a file."""
        with (self.folder / f"{symbol}.csv").open("a") as file:
            file.write(text)


class Streamed(FolderSource):
    """Grows by a day before each look."""

    def __init__(self, growing: Growing) -> None:
        super().__init__(growing.folder, growing.symbols)
        self._growing = growing

    def poll(self) -> Polled:
        for symbol, text in self._growing.next_lines().items():
            self._growing.append(symbol, text)
        self.began, self.began_cpu = time.perf_counter(), time.process_time()
        return super().poll()


def spec_on(folder: Path, symbols: Sequence[str], end: date = date(2099, 12, 31), **llm: int) -> RunSpec:
    """backtests/sample.toml on a folder, with its plain reader alone; ``llm`` are keys of that table."""
    whole = load_spec("backtests/sample.toml").model_dump(mode="json", by_alias=True)
    data = {"source": "folder", "path": str(folder), "symbols": list(symbols), "start": f"{START}", "end": f"{end}"}
    data |= {"close": "16:00 America/New_York"}
    variants = [it for it in whole["variant"] if it["name"] == VARIANT]
    variants = [it | {"llm": it["llm"] | llm} for it in variants]
    return RunSpec.model_validate(whole | {"data": data, "variant": variants, "benchmark": VARIANT})


def live(spec: RunSpec, journal: Path, source: FolderSource, taken: list[tuple[float, float]]) -> VariantResult:
    """Run to the end of what comes; ``taken`` gets seconds and CPU seconds of each live day."""
    with LiveJournal.opened(journal) as opened:
        variant = checked_variant(spec, VARIANT)
        opened.begin(about_of(spec, variant))
        market = LiveMarket(spec, variant, source, opened, LiveOptions(poll=0.0, once=True))
        told: list[Any] = [None]

        def hear(_: Any) -> None:
            if isinstance(source, Streamed) and market.status.latency is not None and told[0] != market.status.day:
                told[0] = market.status.day
                taken.append((market.status.latency, time.process_time() - source.began_cpu))

        market.listen(hear)
        result = run_market(market, journal.with_suffix(".jsonl"), lambda _: None)
    assert result is not None
    return result


def differing(left: VariantResult, right: VariantResult) -> int:
    """How many of signals, orders, equity and exposure are not the same to the last bit."""
    pairs = [(getattr(left, name), getattr(right, name)) for name in ("signals", "orders", "equity", "exposure")]
    return sum(not one.equals(other) for one, other in pairs)


def measures() -> list[Measure]:
    """Latency, restart and parity of a year."""
    symbols = load_sample().symbols
    with tempfile.TemporaryDirectory() as place:
        os.environ["RAGSIGNAL_CACHE"] = place + "/cache"
        growing = Growing(Path(place) / "prices", symbols)
        spec, journal = spec_on(growing.folder, symbols), Path(place) / "journal.sqlite"
        taken: list[tuple[float, float]] = []
        streamed = live(spec, journal, Streamed(growing), taken)
        restart = seconds(lambda: live(spec, journal, FolderSource(growing.folder, symbols), []))
        end = growing.days[-1]
        again = run_spec(spec_on(growing.folder, symbols, end)).variants[0]
        os.environ["RAGSIGNAL_CACHE"] = place + "/another"
        fresh = run_spec(spec_on(growing.folder, symbols, end)).variants[0]
    return _told(np.array(taken) * 1e3, restart, streamed, again, fresh)


def _told(taken: Any, restart: float, streamed: VariantResult, again: VariantResult, fresh: VariantResult) -> Any:
    wall, cpu = taken.T
    detail = {
        **{f"p{percent}_ms": float(np.percentile(wall, percent)) for percent in (50, 90, 99, 100)},
        **{f"cpu_p{percent}_ms": float(np.percentile(cpu, percent)) for percent in (50, 99)},
        **{"days": len(wall), "symbols": 100, "cores": os.cpu_count(), "load": os.getloadavg()[0]},
    }
    apart = np.abs(streamed.signals["probability"] - fresh.signals["probability"]).max()
    found = {"orders": len(streamed.orders), "signals": len(streamed.signals)}
    parity = {**found, "model_calls": again.cost.model_calls, "days": len(streamed.equity)}
    anew = {**found, "largest_difference_of_p": float(apart), "orders_differ": not streamed.orders.equals(fresh.orders)}
    name = "of a year streamed, 100 symbols, StockLLM on ranks"
    return [
        Measure(f"bar to orders, p99, {name}", detail["p99_ms"], "ms", "", "<= 100", COMMAND, detail),
        Measure(f"restart at the end {name}", restart, "s", "", "<= 30", COMMAND, {"days": len(streamed.equity)}),
        Measure(f"tables that differ {name}", differing(streamed, again), "tables", "the backtest, from the store",
                "<= 0", COMMAND, parity),
        Measure(f"tables that differ {name}, made anew", differing(streamed, fresh), "tables",
                "the backtest, with a store of its own", "", COMMAND, anew),
    ]  # fmt: skip


if __name__ == "__main__":
    main(measures)
