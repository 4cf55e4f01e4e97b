"""Threads, one after another and at once: a store, a ledger and a spec's path serve all of a process."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

import ragsignal
from ragsignal.signals.store import SignalStore
from ragsignal.study.trials import Bars, Trial, TrialLedger
from ragsignal.trading.indicator import RagMomentum
from ragsignal.types import Prompt, Query, Signal
from tests.fakes import LOOKBACK, corpus_of, every_query, market, pipeline_of
from tests.specs import write_spec

THREADS = 8
DAY = date(2020, 1, 2)
FRAMES = market()
Rag: Any = RagMomentum


def _signal(name: str) -> Signal:
    return Signal("AA", DAY, 0.2, 0.6, None, (), name)


def test_a_store_keeps_what_many_threads_put_at_once(tmp_path: Path) -> None:
    store, prompt = SignalStore(tmp_path / "s.sqlite"), Prompt(Query("AA", (), ()), ())

    def put(thread: int) -> int:
        for number in range(20):
            recipe = store.put_recipe({"thread": thread, "number": number})
            store.put(recipe, [_signal(f"{thread}/{number}"), _signal(f"all/{number}")], [prompt, prompt])
        return len(store.get([f"{thread}/{number}" for number in range(20)]))

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(put, range(THREADS))) == [20] * THREADS
    assert len(SignalStore(tmp_path / "s.sqlite")) == 20 * THREADS + 20


def test_a_ledger_of_trials_counts_those_of_many_threads(tmp_path: Path) -> None:
    ledger, bars = TrialLedger(tmp_path / "t.sqlite"), Bars("", ("AA",), DAY, DAY)

    def add(thread: int) -> int:
        for number in range(10):
            ledger.add(bars, [Trial(f"{thread}/{number}", "backtest", 0.1), Trial(f"all/{number}", "backtest", 0.1)])
        return len(ledger.against(bars))

    with ThreadPoolExecutor(THREADS) as pool:
        assert max(pool.map(add, range(THREADS))) == 10 * THREADS + 10


def test_a_pipeline_gives_every_thread_the_same_signals_and_reads_each_prompt_once(tmp_path: Path) -> None:
    queries = every_query(FRAMES)
    alone = pipeline_of(corpus_of(FRAMES)).signals(queries)
    shared = pipeline_of(corpus_of(FRAMES), store=SignalStore(tmp_path / "s.sqlite"))
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(shared.signals, [queries] * THREADS))
    assert answers == [alone] * THREADS
    assert shared.cost.asked == THREADS * len(queries)
    assert shared.cost.model_calls == sum(signal.abstained is None for signal in alone)


def _line(path: Path) -> list[float]:
    """The signal of a run of Backtrader, by the path of a spec."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=FRAMES["AA"], openinterest=None), name="AA")
    cerebro.addindicator(RagMomentum, source=str(path))
    (ran,) = cerebro.run()
    return list(ran.getindicators()[0].signal.array)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    return write_spec(tmp_path)


def test_the_path_of_a_spec_works_in_one_thread_after_another(path: Path) -> None:
    first = _line(path)
    for _ in range(3):
        with ThreadPoolExecutor(1) as pool:  # a new thread each time, as a web server's
            assert pool.submit(_line, path).result() == first
    assert any(first)


def test_the_path_of_a_spec_works_in_threads_at_once_and_is_loaded_once(path: Path) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        loaded = list(pool.map(ragsignal.load_pipeline, [path] * THREADS))
        lines = list(pool.map(_line, [path] * THREADS))
    assert len({id(pipeline) for pipeline in loaded}) == 1
    assert lines == [lines[0]] * THREADS
    cache = path.parent / "cache" / "signals.sqlite"
    stored = sqlite3.connect(cache).execute("SELECT count(*) FROM signals").fetchone()[0]
    assert stored == len(FRAMES["AA"]) - LOOKBACK


def test_a_file_is_closed_over_a_fork_and_both_sides_go_on(tmp_path: Path) -> None:
    # in a process of its own: a fork of one that holds threads is a warning, that is, an error
    program = f"""
    import os
    from datetime import date
    from ragsignal.study.trials import Bars, Trial, TrialLedger
    bars = Bars("", ("AA",), date(2020, 1, 2), date(2020, 1, 2))
    ledger = TrialLedger({str(tmp_path / "t.sqlite")!r})
    ledger.add(bars, [Trial("before", "backtest", 0.1)])
    child = os.fork()
    ledger.add(bars, [Trial("child" if child == 0 else "parent", "backtest", 0.1)])
    if child == 0:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
    assert len(ledger.against(bars)) == 3
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)
