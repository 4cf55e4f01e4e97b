"""The bundled prices: the bytes that their page describes, and how they were chosen."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ragsignal.data
from benchmarks.bundle import bundle, most_traded, write
from ragsignal.data.check import find_problems
from ragsignal.data.prices import calendar_of, load_sample

FILE = Path(ragsignal.data.__file__).with_name("sample.parquet")
PAGE = FILE.with_suffix(".md").read_text(encoding="utf-8")


def made_up(symbol: str, money: float, start: str = "2009-06-01", end: str = "2011-06-30") -> pd.DataFrame:
    """Bars of one stock that is traded for ``money`` every day, at a close of 10."""
    days = pd.bdate_range(start, end)
    bar = {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.0, "volume": money / 10}
    return pd.DataFrame({"symbol": symbol, "date": days, **bar})


def test_the_file_is_the_one_that_its_page_describes() -> None:
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() in PAGE
    assert FILE.stat().st_size <= 6_000_000
    sample = load_sample()
    days = calendar_of(sample.frames.values())
    n_bars = sum(map(len, sample.frames.values()))
    assert (len(sample.symbols), len(days), n_bars) == (100, 1408, 140767)
    assert f"{len(sample.symbols)} US stocks" in PAGE
    assert f"{len(days):,} days, {n_bars:,} bars" in PAGE
    assert (days[0].item(), days[-1].item()) == (date(2009, 6, 1), date(2014, 12, 31))
    assert list(sample.symbols) == sorted(sample.symbols)


def test_the_check_of_prices_finds_nothing_in_it() -> None:
    assert find_problems(FILE) == []


def test_prices_are_those_of_the_day_adjusted_for_later_splits() -> None:
    apple = load_sample(["AAPL"]).frames["AAPL"]
    assert apple["close"].loc["2012-09-19":"2012-09-19"].item() == pytest.approx(
        90.297, abs=1e-3
    )  # traded at 702.10, before 7:1 and dividends
    around = apple["close"].loc["2014-06-06":"2014-06-09"].pct_change().iloc[-1]
    assert around == pytest.approx(0.016, abs=1e-3)  # the 7:1 split of 2014-06-09


def test_the_most_traded_of_2010_are_chosen_as_one_could_on_its_last_day() -> None:
    later = made_up("LATER", 1.0).assign(volume=lambda it: np.where(it["date"] > "2010-12-31", 1e9, 1.0))
    table = pd.concat(
        [
            made_up("SMALL", 10.0),
            made_up("BIG", 30.0),
            made_up("MIDDLE", 20.0),
            made_up("ENDS", 100.0, end="2010-12-31"),
            made_up("YOUNG", 100.0, start="2010-03-01"),
            later,
        ]
    )
    assert most_traded(table, 2) == ["BIG", "MIDDLE"]
    assert most_traded(table, 9) == ["BIG", "LATER", "MIDDLE", "SMALL"]


def test_bars_that_cannot_be_trusted_are_dropped_and_counted(tmp_path: Path) -> None:
    table = pd.concat(
        [made_up("B", 20.0, start="2009-01-01"), made_up("A", 10.0), made_up("C", 1.0)], ignore_index=True
    )
    bad = [("close", 12.0), ("open", 8.0), ("volume", np.nan), ("low", 0.0), ("high", np.inf)]
    of_b = table.index[table["symbol"] == "B"][300:]
    for row, (column, value) in zip(of_b, bad, strict=False):
        table.loc[row, column] = value
    bars, dropped = bundle(table.sample(frac=1.0, random_state=0), n_stocks=2)
    assert dropped == len(bad)
    assert list(bars["symbol"].unique()) == ["A", "B"]
    assert not set(table.loc[of_b[: len(bad)], "date"]) & set(bars.loc[bars["symbol"] == "B", "date"])
    assert bars["date"].min() == pd.Timestamp("2009-06-01")
    write(bars, tmp_path / "sample.parquet")
    again = pd.read_parquet(tmp_path / "sample.parquet")
    pd.testing.assert_frame_equal(again, bars.reset_index(drop=True))


def test_a_table_that_the_check_refuses_is_not_made(tmp_path: Path) -> None:
    bars = made_up("A", 10.0)
    with pytest.raises(SystemExit, match="unsorted dates"):
        write(bars.iloc[::-1], tmp_path / "sample.parquet")
