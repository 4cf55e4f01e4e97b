"""``bad_bars = "drop"``: what leaving a bar out mends is left out and counted; everything else is refused as before."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.config import DataSpec
from ragsignal.data.prices import read_folder, read_table
from ragsignal.data.rules import ROW_RULES, DroppedBar
from ragsignal.data.sources import load_prices
from ragsignal.errors import DataError

HEAD = "Date,Open,High,Low,Close,Volume\n"
GOOD = "10,12,9,11,100"
BAD = {
    "10,,9,11,100": "prices missing or not above zero",
    "10,12,9,0,100": "prices missing or not above zero",
    "10,12,9,11,": "volume missing or negative",
    "10,12,9,11,-1": "volume missing or negative",
    "10,8,9,11,100": "high below low",
    "10,12,9,13,100": "open or close outside low..high",
}


def write(folder: Path, rows: list[str], symbol: str = "AAA") -> Path:
    lines = [f"{date(2020, 1, 1) + timedelta(days=n)},{row}" for n, row in enumerate(rows)]
    (folder / f"{symbol}.csv").write_text(HEAD + "\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(("row", "rule"), BAD.items(), ids=BAD)
def test_a_bad_bar_is_dropped_and_named_and_the_others_stay(tmp_path: Path, row: str, rule: str) -> None:
    folder = write(tmp_path, [GOOD, row, GOOD])
    with pytest.raises(DataError, match=rule.replace("..", r"\.\.")):
        read_folder(folder)
    prices = read_folder(folder, drop=True)
    assert [str(day.date()) for day in prices.frames["AAA"].index] == ["2020-01-01", "2020-01-03"]
    assert prices.dropped == (DroppedBar("AAA", rule, date(2020, 1, 2)),)
    assert prices.drop_counts == {"AAA": {rule: 1}}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([GOOD, GOOD, *BAD]), min_size=1, max_size=12))
def test_dropping_is_deleting_the_bad_rows_by_hand(tmp_path_factory: pytest.TempPathFactory, drawn: list[str]) -> None:
    folder = write(tmp_path_factory.mktemp("drawn"), drawn)
    kept = read_folder(folder, drop=True)
    file = folder / "AAA.csv"
    head, *lines = file.read_text().splitlines(keepends=True)
    file.write_text(head + "".join(line for line in lines if line.strip().partition(",")[2] == GOOD))
    assert len(kept.dropped) == sum(row in BAD for row in drawn)
    if any(row == GOOD for row in drawn):
        assert kept == read_folder(folder)


@pytest.mark.parametrize(
    ("days", "rule"),
    [
        (["2020-01-02", "2020-01-02"], "duplicate dates"),
        (["2020-01-03", "2020-01-02"], "unsorted dates"),
        (["2020-01-02", "soon"], "unreadable dates"),
    ],
)
def test_days_that_cannot_be_trusted_are_refused_all_the_same(tmp_path: Path, days: list[str], rule: str) -> None:
    (tmp_path / "AAA.csv").write_text(HEAD + "".join(f"{day},10,8,9,11,100\n" for day in days))
    with pytest.raises(DataError, match=rule):
        read_folder(tmp_path, drop=True)


def test_the_rules_that_dropping_mends_are_those_of_prices_and_volume() -> None:
    assert {rule.name for rule in ROW_RULES if rule.mended} == {*BAD.values()}


def test_a_bar_that_breaks_two_rules_counts_once_and_parts_of_prices_keep_their_own(tmp_path: Path) -> None:
    write(tmp_path, ["10,,9,11,-1", GOOD, GOOD, "10,12,9,13,100"])
    write(tmp_path, ["10,8,9,11,100", GOOD], "BBB")
    prices = read_folder(tmp_path, drop=True)
    assert len(prices.dropped) == 3
    assert set(prices.select(["BBB"]).drop_counts) == {"BBB"}
    assert prices.between(date(2020, 1, 2), None).drop_counts == {"AAA": {"open or close outside low..high": 1}}
    assert prices.between(None, date(2020, 1, 1)).dropped == prices.dropped[:1] + prices.dropped[2:]


def test_a_spec_says_drop_and_the_table_is_read_alike(tmp_path: Path) -> None:
    rows = [GOOD, "10,8,9,11,100", GOOD]
    table = tmp_path / "long.csv"
    lines = [f"AAA,{date(2020, 1, 1) + timedelta(days=n)},{row}" for n, row in enumerate(rows)]
    table.write_text("symbol," + HEAD + "\n".join(lines) + "\n")
    given = {"source": "table", "path": table, "symbols": ("AAA",), "start": date(2020, 1, 2), "end": date(2020, 1, 9)}
    loaded = load_prices(DataSpec(**given, bad_bars="drop"))
    assert loaded == read_table(table, drop=True) == read_folder(write(tmp_path, rows), ["AAA"], drop=True)
    assert len(loaded.dropped) == 1
    with pytest.raises(DataError, match="high below low"):
        load_prices(DataSpec(**given))
