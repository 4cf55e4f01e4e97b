"""docs/first-hour.md as a stranger types it, in an empty folder, on eight CSVs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ragsignal.cli.app import app

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "first-hour.md"
MINE = """
import backtrader as bt


class Cross(bt.Strategy):
    def __init__(self):
        averages = {data: (bt.ind.SMA(data, period=5), bt.ind.SMA(data, period=20)) for data in self.datas}
        self.cross = {data: bt.ind.CrossOver(*pair) for data, pair in averages.items()}

    def next(self):
        for data, cross in self.cross.items():
            if cross[0] > 0:
                self.buy(data, size=10)
            elif cross[0] < 0 and self.getposition(data):
                self.close(data)
"""


def _write_prices(folder: Path) -> None:
    folder.mkdir()
    days = pd.bdate_range("2014-01-01", "2016-12-30")
    rng = np.random.default_rng(3)
    for number in range(8):
        close = 50 * np.exp(np.cumsum(rng.normal(0.0, 0.01, len(days)))).round(4)
        frame = pd.DataFrame(
            {"Date": days.date, "Open": close, "High": close, "Low": close, "Close": close, "Volume": 1000}
        )
        frame.to_csv(folder / f"S{number}.csv", index=False)


def test_every_tested_command_of_the_page_runs_in_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ragsignal.report.write_tearsheets", lambda *_: None)  # drawn in test_cli.py and tests/report
    _write_prices(tmp_path / "prices")
    (tmp_path / "mine.py").write_text(MINE)
    commands = re.findall(r"^    ragsignal (.*?) +#.*†$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["init", "backtest", "wrap"]
    answers = []
    for command in commands:
        done = CliRunner().invoke(app, shlex.split(command))
        assert done.exit_code == 0, done.output
        answers.append(json.loads(done.stdout))
    _, ran, wrapped = answers
    assert {row["name"]: row["trades"] > 0 for row in ran["variants"]} == dict.fromkeys(
        ["rag", "rag-random", "momentum", "buy-and-hold"], True
    )
    assert Path(ran["report"]).is_file()
    assert len(wrapped["rows"]) == 22
    assert all(0 < row["refused"] < 300 for row in wrapped["rows"][1:])
