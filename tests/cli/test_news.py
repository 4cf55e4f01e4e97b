"""``ragsignal news check``: what a table holds for the bars of a spec, or what is wrong with it, row by row."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragsignal.cli import main
from tests.specs import write_spec
from tests.study.test_news import CLOSE, ROWS

Answered = tuple[int, Any, str]
Check = Callable[..., Answered]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    def run(rows: list[str] | None = None, *settings: str, **tables: Any) -> Answered:
        if rows is not None:
            (tmp_path / "news.csv").write_text("\n".join(rows), encoding="utf-8")
        words = [word for setting in settings for word in ("--set", setting)]
        path = write_spec(tmp_path, **({"data": CLOSE, "news": {"path": "news.csv", "lag": "5 min"}} | tables))
        monkeypatch.setattr(sys, "argv", ["ragsignal", "news", "check", str(path), *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(out) if out.strip() else None, " ".join(err.split())

    return run


def test_a_sound_table_is_described(check: Check) -> None:
    code, record, words = check(ROWS)
    assert code == 0
    expected = {
        "problems": [],
        "rows": 7,
        "items": 4,
        "late": 1,
        "duplicates": 1,
        "day_only": 1,
        "outside": 1,
        "other_symbols": 1,
    }
    expected |= {"revisions": 0, "unnamed": 0, "of_a_bar": 4, "without": [], "sources": {}}
    expected |= {"bars": 518, "bars_with_news": 4}
    assert {key: record[key] for key in expected} == expected
    assert (record["first"], record["last"]) == ("2015-03-02T15:05:00", "2015-06-02T04:05:00")
    assert "│ 1 │ of other symbols, left out" in words


def test_another_lag_moves_items_to_other_bars(check: Check) -> None:
    assert check(ROWS, "news.lag=0")[1]["bars_with_news"] == 4
    assert check(ROWS, 'news.lag="12 h"')[1]["bars_with_news"] == 3


def test_problems_are_listed_with_rows_and_repair(check: Check) -> None:
    code, record, words = check([ROWS[0], "1,AAA,soon,a", ",AAA,2015-03-02,a"])
    assert code == 1
    assert [(it["rule"], it["rows"]) for it in record["problems"]] == [
        ("published_at that is no time", ["line 2"]),
        ("no id", ["line 3"]),
    ]
    assert "2 problem(s)" in words


@pytest.mark.parametrize(
    ("rows", "tables", "code", "said"),
    [
        (None, {}, 1, "no such file of news; correct news.path"),
        ([ROWS[0], "1,aaa,2015-03-02,a"], {}, 1, "The spec says 'AAA'; did you mean 'aaa'?"),
        (ROWS, {"news": None}, 2, "has no table [news]; write one"),
        (ROWS, {"data": {}}, 2, 'close = "16:00 America/New_York"'),
        (ROWS, {"data": {"close": "16:00 Mars"}}, 2, "data.close: '16:00 Mars': there is no time zone 'Mars'"),
        (ROWS, {"news": {"path": "news.csv"}}, 1, 'news.lag = "5 min"'),
    ],
)
def test_what_cannot_be_checked_is_one_line(
    rows: list[str] | None, tables: dict[str, Any], code: int, said: str, check: Check
) -> None:
    ended, record, words = check(rows, **tables)
    assert (ended, record) == (code, None)
    assert said in words
    assert "Traceback" not in words
