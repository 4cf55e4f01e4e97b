"""What Backtrader itself shows of the signal: its writers, its plot, and its command ``btrun``."""

from __future__ import annotations

import csv
import importlib
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from ragsignal.trading.indicator import RagMomentum
from ragsignal.types import Query, Signal
from tests.fakes import market
from tests.specs import write_spec

FRAME = market()["AA"]
ROOT = Path(__file__).parents[2]


class Weak:
    """Signals of a twentieth, and ranks of one: drawn on one scale the signals would be flat."""

    lookback = 5

    def signals(self, queries: Sequence[Query]) -> list[Signal]:
        return [self._signal(query, 0.05 if number % 2 else -0.05) for number, query in enumerate(queries)]

    def _signal(self, query: Query, value: float) -> Signal:
        return Signal(query.symbol, query.as_of, value, 0.5 + value / 2, None, (), "key", rank=20 * value)


def run() -> tuple[Any, str]:
    """A Cerebro that has run, and what its writer wrote."""
    cerebro, out = bt.Cerebro(stdstats=False), io.StringIO()
    cerebro.adddata(bt.feeds.PandasData(dataname=FRAME, openinterest=None), name="AA")
    cerebro.addindicator(RagMomentum, source=Weak())
    cerebro.addwriter(bt.WriterFile, csv=True, out=out)
    cerebro.run()
    return cerebro, out.getvalue()


def expected() -> list[Signal]:
    return Weak().signals([Query("AA", (stamp.date(),), (1.0,)) for stamp in FRAME.index])


def table(text: str) -> list[list[str]]:
    """The rows of a writer's table, the names first."""
    return [row for row in csv.reader(text.splitlines()) if len(row) > 5]


def test_a_writer_prints_the_lines() -> None:
    names, *rows = table(run()[1])
    first = names.index("RagMomentum")
    assert names[first + 2 : first + 6] == ["signal", "probability", "rank", "abstained"]
    assert len(rows) == len(FRAME)
    shown = [list(map(float, row[first + 2 : first + 6])) for row in rows]
    assert shown == [pytest.approx([it.value, it.probability, it.rank, 0.0]) for it in expected()]


def test_a_plot_has_the_signal_on_a_scale_of_its_own_and_says_probability_and_rank() -> None:
    pytest.importorskip("matplotlib")
    importlib.import_module("backtrader.plot")  # chooses a window system
    importlib.import_module("matplotlib").use("Agg")
    ((figure, *_),) = run()[0].plot(iplot=False, style="line", volume=False)
    _, panel = (axes for axes in figure.axes if axes.lines)
    low, high = panel.get_ylim()
    assert -0.1 < low < -0.05
    assert 0.05 < high < 0.1
    (text,) = (text.get_text() for text in panel.get_legend().get_texts())
    last = expected()[-1]
    assert text.startswith(f"RagMomentum (AA, P(rise) {last.probability:.2f}, rank {last.rank:+.2f})")
    assert "\nsignal " in text


def test_btrun_loads_it_from_the_file_that_the_module_prints(tmp_path: Path) -> None:
    write_spec(tmp_path)
    FRAME.assign(openinterest=0.0).to_csv(tmp_path / "AA.csv", index_label="Date")
    environment = {**os.environ, "RAGSIGNAL_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}

    def python(*words: str) -> str:
        command = [sys.executable, *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, check=True, stdout=-1, text=True, timeout=90
        ).stdout

    file = python("-m", "ragsignal.trading.btrun").strip()
    btrun = "from backtrader.btrun import btrun; btrun()"
    indicator = f"{file}:RagMomentum:source='small.toml'"
    said = python("-c", btrun, "--nostdstats", "--data", "AA.csv", "--indicator", indicator, "--writer", "csv=True")
    names, *rows = table(said)
    signals = [float(row[names.index("signal")]) for row in rows]
    assert len(signals) == len(FRAME)
    assert any(signals)
