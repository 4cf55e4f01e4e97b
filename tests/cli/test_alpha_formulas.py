"""``ragsignal alpha operators`` and ``ragsignal alpha eval``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragsignal.cli import main
from ragsignal.config import load_spec
from ragsignal.data import BAR_FIELDS, OPERATORS
from ragsignal.study import TrialLedger, bars_between, ledger_path
from tests.specs import write_spec

Answered = tuple[int, Any, str]
DATA = {"symbols": ["AAA", "BBB", "CCC", "DDD"]}


@pytest.fixture
def alpha(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answered]:
    """``ragsignal alpha`` with the words that follow; SPEC is a small spec of four symbols."""

    def run(*words: str, **tables: Any) -> Answered:
        spec = str(write_spec(tmp_path, **({"data": DATA} | tables)))
        said = [spec if word == "SPEC" else word.replace("TMP", str(tmp_path)) for word in words]
        monkeypatch.setattr(sys, "argv", ["ragsignal", "alpha", *said])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(out) if out.strip() else None, " ".join(err.split())

    return run


def test_all_operators_are_listed(alpha: Callable[..., Answered]) -> None:
    code, record, words = alpha("operators")
    assert code == 0
    assert [it["name"] for it in record["operators"]] == [*OPERATORS]
    assert record["fields"] == [*BAR_FIELDS]
    by_name = {it["name"]: it for it in record["operators"]}
    assert by_name["ts_std"]["windows"] == [2, 504]
    assert by_name["ts_quantile"]["numbers"] == [0.0, 1.0]
    assert by_name["where"]["takes"] == ["a condition", "a series", "a series"]
    assert all(name in words for name in OPERATORS)


def test_a_formula_may_begin_with_a_minus_and_is_counted_as_a_trial(
    alpha: Callable[..., Answered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        code, record, _ = alpha("eval", "SPEC", "-ts_delta(close, 5) / close")
        assert (code, record["text"]) == (0, "-ts_delta(close, 5) / close")
    ledger = TrialLedger(ledger_path())
    data = load_spec(tmp_path / "small.toml").data
    trials = ledger.against(bars_between(data, data.start, data.end))
    assert [it.command for it in trials] == ["alpha eval"]
    ledger.close()


def test_a_formula_is_scored_by_year_and_its_values_written(alpha: Callable[..., Answered], tmp_path: Path) -> None:
    text = "rank(ts_delta(close, 5)) * -1"
    code, record, words = alpha("eval", "SPEC", text, "--out", "TMP/values.parquet", "--set", "data.start=2014-06-02")
    assert code == 0
    assert record["text"] == text
    assert [it["name"] for it in record["years"]] == ["2014", "2015"]
    assert record["whole"]["days"] == sum(it["days"] for it in record["years"])
    values = pd.read_parquet(tmp_path / "values.parquet")
    assert [*values.columns] == DATA["symbols"]
    assert len(values) == record["days"]
    assert record["coverage"] == 1.0
    # ranks of four stocks, centred: -3, -1, 1 and 3 eighths of a book of 1
    book = values.to_numpy() + 0.625
    assert record["turnover"] == pytest.approx(np.abs(np.diff(book, axis=0)).sum(axis=1).mean())
    assert "bought and sold in a bar by a portfolio that holds its ranks" in words


@pytest.mark.parametrize(
    ("words", "tables", "code", "said"),
    [
        (("SPEC", "rank(clsoe)"), {}, 2, "no field clsoe. Did you mean 'close'"),
        (("SPEC", "rank(cap)"), {}, 2, "there is no field cap"),
        (("SPEC", "rank(close"), {}, 2, "cannot be read"),
        (("SPEC", "ts_delay(close, -1)"), {}, 2, "no later one can be reached"),
        (("SPEC", "rank(5)"), {}, 2, "it reads no field.* write a field into it: open, high"),
        (("SPEC", "close / (open - open)"), {}, 1, "has no value on any of .* days.* a division by 0"),
        (("SPEC", f"{'ts_mean(' * 12}close{', 504)' * 12}"), {}, 1, "it reads 6036 bars before a day"),
        (("SPEC", "where(close > 0, log(-volume), open)"), {}, 1, "the logarithm of a negative number"),
        (("SPEC", "close"), {"data": {"symbols": ["AAA", "BBB"]}}, 2, "at least 3 symbols.* AAA, BBB"),
        (("SPEC", "close", "--out", "TMP/values.csv"), {}, 2, "name a file that ends in .parquet"),
        (("SPEC", "close", "--out", "TMP/no/values.parquet"), {}, 2, "there is no folder"),
        (("SPEC", "close", "--out", "TMP"), {}, 2, "ends in .parquet"),
        (("SPEC", "close", "--set", "data.strat=2014-01-02"), {}, 2, "data.strat"),
        (("TMP/none.toml", "close"), {}, 2, "none.toml"),
        (("SPEC", "close"), {"data": {"symbols": []}}, 2, "symbols"),
        (("SPEC",), {}, 2, "Missing argument 'formula'"),
        (("SPEC", "CLOSE"), {}, 2, "no field CLOSE. Did you mean 'close'"),
        (("SPEC", "close", "--otu", "x"), {}, 2, r"unexpected extra argument.*otu"),
        (("SPEC", "close", "--out", "TMP/folder.parquet"), {}, 2, "is a folder; name a file in it"),
    ],
)
def test_wrong_input_is_told_in_a_line(
    alpha: Callable[..., Answered], tmp_path: Path, words: tuple[str, ...], tables: dict[str, Any], code: int, said: str
) -> None:
    (tmp_path / "folder.parquet").mkdir()
    ended, record, told = alpha("eval", *words, **tables)
    assert (ended, record) == (code, None)
    assert re.search(said, told), told
    assert "Traceback" not in told
    assert [it.name for it in tmp_path.glob("*.parquet")] == ["folder.parquet"]
