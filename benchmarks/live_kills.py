"""A year streamed through 50 lives of a process, each ended by kill -9 at a moment of chance: does it end the same?

30 symbols of the bundled universe, 252 days, StockLLM on ranks. This process appends to the files as a download would,
some lines in two halves; the other one is killed while days come, and started again. In the end the account is compared
with one that was never killed.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness import Measure, main
from benchmarks.live import Growing, differing, live, spec_on
from ragsignal.data import load_sample
from ragsignal.trading import LiveOptions, run_live
from ragsignal.trading.live import FolderSource

COMMAND = "python -m benchmarks.live_kills"
KILLS, SYMBOLS, SEED = 50, 30, 7
THREADS = 1  # of the reader in every life: another number, chosen by the load, moves its scores by up to 4e-8
_PRELOAD = ["benchmarks.live", "torch", "transformers", "ragsignal.llm.rank_model"]


def life(place: Path, symbols: tuple[str, ...], ready: Any) -> None:
    """One life of the program."""
    spec = spec_on(place / "prices", symbols, threads=THREADS)
    options = LiveOptions(poll=0.01, wait=3600.0)

    def hear(words: str) -> None:
        if words.startswith("live:"):
            ready.set()

    run_live(spec, None, place / "journal.sqlite", options, hear)


def measures() -> list[Measure]:
    """Ends that are not equal after the kills."""
    symbols, draw = load_sample().symbols[:SYMBOLS], random.Random(SEED)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    unequal, lives = 0, []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RAGSIGNAL_CACHE"] = folder + "/cache"
        place = Path(folder)
        growing = Growing(place / "prices", symbols)
        for kill in range(KILLS + 1):
            share = len(growing.days) * (kill + 1) // (KILLS + 1)
            lives.append(_one_life(context, place, growing, share, draw if kill < KILLS else None))
            print(f"life {kill + 1}: {growing.written} days written, {lives[-1]:.1f} s to the first", file=sys.stderr)
        spec = spec_on(growing.folder, symbols, threads=THREADS)
        killed = live(spec, place / "journal.sqlite", FolderSource(growing.folder, symbols), [])
        os.environ["RAGSIGNAL_CACHE"] = folder + "/another"
        whole = live(spec, place / "whole.sqlite", _Again(Growing(place / "again", symbols)), [])
        unequal = differing(_timeless(killed), _timeless(whole))
    detail = {"kills": KILLS, "days": len(killed.equity), "symbols": SYMBOLS, "orders": len(killed.orders)}
    detail |= {"signals": len(killed.signals), "equity": float(killed.equity.iloc[-1]), "longest_start_s": max(lives)}
    return [
        Measure(
            f"tables that differ after {KILLS} kills in a year streamed, {SYMBOLS} symbols, StockLLM on ranks",
            unequal, "tables", "the same year without a kill, with a store of its own", "<= 0", COMMAND, detail,
        )
    ]  # fmt: skip


class _Again(FolderSource):
    """The uninterrupted run: a day a look."""

    def __init__(self, growing: Growing) -> None:
        super().__init__(growing.folder, growing.symbols)
        self._growing = growing

    def poll(self) -> Any:
        for symbol, text in self._growing.next_lines().items():
            self._growing.append(symbol, text)
        return super().poll()


def _timeless(result: Any) -> Any:
    """A result without the seconds that each signal took, which no two runs share."""
    return replace(result, signals=result.signals.drop(columns="seconds"))


def _one_life(context: Any, place: Path, growing: Growing, until: int, draw: random.Random | None) -> float:
    """Start the program, let days come, kill it, or stop it without ``draw``; the seconds until it was live."""
    ready, began = context.Event(), time.perf_counter()
    process = context.Process(target=life, args=(place, growing.symbols, ready))
    process.start()
    late = draw is None or draw.random() < 0.8  # else it is killed while it starts
    if late:
        ready.wait(300)
    took = time.perf_counter() - began
    while growing.written < until:
        _write_day(growing, draw)
    if draw is None:
        time.sleep(5.0)
        os.kill(process.pid, signal.SIGTERM)
    else:
        time.sleep(draw.uniform(0.0, 0.5 if late else 3.0))
        process.kill()
    process.join(120)
    return took


def _write_day(growing: Growing, draw: random.Random | None) -> None:
    for symbol, text in growing.next_lines().items():
        cut = draw.randrange(len(text)) if draw and draw.random() < 0.1 else 0
        for part in (text[:cut], text[cut:]):
            growing.append(symbol, part)
    if draw:
        time.sleep(draw.uniform(0.0, 0.3))


if __name__ == "__main__":
    main(measures)
