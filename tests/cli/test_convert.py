"""``ragsignal convert``: JSON alone on stdout, counts on stderr, one line where something is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from ragsignal.cli import main
from tests.data.converters.made import (
    cycle,
    new_log,
    paths,
    predictions,
    write_json,
    write_paths,
    write_predictions,
)


def _run(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["ragsignal", "convert", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_every_format_by_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new_log(tmp_path / "results", "NVDA", "2024-05-10")
    new_log(tmp_path / "results", "NVDA", "2024-05-13", "**Rating**: REVIEW")
    write_json(tmp_path / "desk" / "desk-run-1.json", cycle("2024-05-10", {"NVDA": 0.5}))
    write_predictions(tmp_path / "model", predictions())
    write_paths(tmp_path / "kronos.csv", paths())
    commands = {
        "tradingagents": (tmp_path / "results",),
        "ai-hedge-fund": (tmp_path / "desk",),
        "freqai": (tmp_path / "model", "--rename", "BTC=BTC-USD", "--target", "&-s_close"),
        "kronos": (tmp_path / "kronos.csv", "--horizon", "1", "--stamps", "close"),
    }
    for name, words in commands.items():
        out = tmp_path / "out" / f"{name}.csv"
        assert _run(monkeypatch, name, *words, "--out", out) == 0
        said = capsys.readouterr()
        answer = json.loads(said.out)
        table = pd.read_csv(out)
        assert list(table.columns) == ["symbol", answer["time"], answer["value"]]
        assert (answer["format"], answer["decisions"], answer["symbols"]) == (
            name,
            len(table),
            sorted(set(table["symbol"])),
        )
        assert f"{len(table)} decision(s) of 1 symbol(s)" in said.err
        assert ("1 left out: rated REVIEW" in said.err) == (name == "tradingagents")
        assert [it["when"] for it in answer["left_out"]] == (["2024-05-13"] if name == "tradingagents" else [])


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["tradingagents", "nowhere", "--out", "decisions.csv"], 1, "no such file or folder"),
        (["tradingagents", "results", "--out", "decisions.xls"], 2, "ends in .csv or .parquet"),
        (["tradingagents", "results", "--rename", "NVDA", "--out", "decisions.csv"], 2, "expected FROM=TO"),
        (
            ["tradingagents", "results", "--rename", "AMD=X", "--out", "decisions.csv"],
            2,
            "there is no such symbol; there are NVDA",
        ),
        (["kronos", "results", "--horizon", "0", "--out", "decisions.csv"], 2, "expected 1, the next bar"),
        (["tradingagents", "results", "--out", "results/decisions.csv"], 2, "which is read"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    message: str,
) -> None:
    new_log(tmp_path / "results", "NVDA", "2024-05-10")
    monkeypatch.chdir(tmp_path)
    assert _run(monkeypatch, *words) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert not list(tmp_path.glob("decisions.*"))
