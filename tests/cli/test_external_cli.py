"""Decisions from outside on the command line: exported, looked at, refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragsignal.cli import app as cli
from ragsignal.report import record_of
from ragsignal.report.record import RECORD, write_tables
from ragsignal.trading import run_spec
from tests.specs import HOLD, VOTE, spec, write_spec

MINE = {"name": "mine", "signal": "external", "external": {"path": "mine.csv"}}


def _ragsignal(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, str]:
    """The answer of a command, and what it said."""
    monkeypatch.setattr("sys.argv", ["ragsignal", *words])
    with pytest.raises(SystemExit):
        cli.main()
    out, said = capsys.readouterr()
    return json.loads(out) if out.strip() else None, said


def test_a_run_is_exported_and_its_decisions_are_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_spec(tmp_path, variant=[VOTE, MINE, HOLD])
    ran, folder = run_spec(spec(variant=[VOTE, HOLD])), tmp_path / "run"
    folder.mkdir()
    (folder / RECORD).write_text(json.dumps(record_of(ran)), encoding="utf-8")
    write_tables(ran, folder)
    words = ["export", str(folder), "--variant", "vote", "--out", str(tmp_path / "mine.csv")]
    answer, said = _ragsignal(words, capsys, monkeypatch)
    assert answer["decisions"] == ran.variants[0].metrics["signals"] - ran.variants[0].metrics["abstentions"]
    assert f"{answer['decisions']:,} decisions of vote" in said
    last = ran.variants[0].signals.iloc[-1]
    words = [
        "inspect",
        str(path),
        "--symbol",
        last["symbol"],
        "--date",
        f"{last['date']:%Y-%m-%d}",
        "--variant",
        "mine",
    ]
    shown, said = _ragsignal(words, capsys, monkeypatch)
    assert (shown["signal"], shown["probability"]["rise"]) == (last["value"], last["probability"])
    assert shown["decision"] == {
        "row": f"line {answer['decisions'] + 1}",
        "said": f"probability {float(last['probability'])!r}",
    }
    assert "of mine.csv: probability" in said


def test_a_file_that_cannot_be_traded_is_one_line_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_spec(tmp_path, variant=[MINE, HOLD])
    (tmp_path / "mine.csv").write_text("symbol,date,action\nAAA,2015-01-05,buy\nAA,2015-01-05,sell\n")
    answer, said = _ragsignal(["backtest", str(path), "--out", str(tmp_path / "runs")], capsys, monkeypatch)
    assert answer is None
    (line,) = said.strip().splitlines()
    assert "symbol that the spec does not have at line 3 (AA 2015-01-05). Did you mean 'AAA'?" in line
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").rglob("record.json"))
