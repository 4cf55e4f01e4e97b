"""Prices: every reader gives the same bars, and no bad bar gets through."""

import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ragsignal.data.readers as readers
from ragsignal.config import DataSpec
from ragsignal.data.check import find_problems
from ragsignal.data.labels import forward_returns
from ragsignal.data.prices import Prices, back_adjust, load_sample, read_folder, read_table
from ragsignal.data.readers import COLUMNS, download
from ragsignal.data.sources import load_prices
from ragsignal.data.synthetic import planted_market
from ragsignal.errors import ConfigError, DataError

YAHOO = ("Date", "Open", "High", "Low", "Close", "Adj Close", "Volume")
GOOD = [
    ["2020-01-02", "10", "12", "9", "11", "5.5", "100"],
    ["2020-01-03", "11", "13", "10", "12", "6", "200"],
    ["2020-01-06", "12", "14", "11", "13", "13", "300"],
    ["2020-01-07", "13", "15", "12", "14", "14", "0"],
]


def rows(change=None, source=GOOD):
    """GOOD with ``change[(row, column)] = text``."""
    copy = [list(row) for row in source]
    for (row, column), text in (change or {}).items():
        copy[row][YAHOO.index(column)] = text
    return copy


def text_of(body, header=YAHOO):
    return "".join(",".join(line) + "\n" for line in (header, *body))


def write_folder(folder, text, symbol="AAA"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{symbol}.csv").write_text(text, encoding="utf-8")
    return folder


def random_bars(seed, n_bars, start="2019-12-20"):
    """Raw bars as a vendor has them: with a dividend and a split in the adjusted close."""
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, n_bars)))
    open_ = close * np.exp(rng.normal(0, 0.01, n_bars))
    factor = np.where(np.arange(n_bars) < n_bars // 2, 0.487654321, 1.0)
    return pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * 1.01,
            "low": np.minimum(open_, close) * 0.99,
            "close": close,
            "adj close": close * factor,
            "volume": rng.integers(0, 10**9, n_bars).astype(float),
        },
        index=pd.bdate_range(start, periods=n_bars, name="date"),
    )


@pytest.fixture
def market():
    """Return a long history, one that starts later, a single bar, and a symbol that reads like a missing value."""
    return {
        "LONG": random_bars(1, 40),
        "LATE": random_bars(2, 15, start="2020-01-20"),
        "ONE": random_bars(3, 1, start="2020-01-02"),
        "NA": random_bars(4, 10),
    }


@pytest.fixture
def prices(market):
    return Prices({symbol: back_adjust(bars) for symbol, bars in market.items()})


def write_yahoo(market, folder):
    for symbol, bars in market.items():
        named = bars.rename(columns=str.title)[list(YAHOO[1:])]
        write_folder(folder, named.to_csv(index_label="Date", date_format="%Y-%m-%d"), symbol)
    return folder


def write_three_rows(market, folder):
    for symbol, bars in market.items():
        named = bars.rename(columns=str.title)
        named.columns = pd.MultiIndex.from_product([named.columns, [symbol]], names=["Price", "Ticker"])
        write_folder(folder, named.rename_axis("Date").to_csv(), symbol)
    return folder


def long_table(market, names=str):
    parts = [bars.reset_index().assign(symbol=symbol) for symbol, bars in market.items()]
    return pd.concat(parts, ignore_index=True).rename(columns=names)


# ---- the same bars from every form


def test_all_four_forms_give_equal_prices(tmp_path, market, prices):
    parquet, table = tmp_path / "long.parquet", tmp_path / "long.csv"
    long_table(market).to_parquet(parquet)
    long_table(market, lambda name: {"symbol": "Ticker", "adj close": "ADJ_CLOSE"}.get(name, name.title())).to_csv(
        table, index=False
    )
    assert read_folder(write_yahoo(market, tmp_path / "yahoo")) == prices
    assert read_folder(write_three_rows(market, tmp_path / "three")) == prices
    assert read_table(parquet) == prices
    assert read_table(table) == prices


def test_the_three_row_form_is_the_one_yfinance_writes(tmp_path):
    text = (
        "Price,Close,High,Low,Open,Volume\nTicker,AAA,AAA,AAA,AAA,AAA\nDate,,,,,\n2020-01-02,11.0,12.0,9.0,10.0,100\n"
    )
    bars = read_folder(write_folder(tmp_path, text)).frames["AAA"]
    assert bars.loc["2020-01-02"].to_dict() == {"open": 10, "high": 12, "low": 9, "close": 11, "volume": 100}


def test_reading_two_symbols_gives_the_same_bars_as_selecting_them(tmp_path, market, prices):
    wanted = ["NA", "ONE"]
    table = tmp_path / "long.parquet"
    long_table(market).to_parquet(table)
    assert read_table(table, wanted) == prices.select(wanted)
    assert read_folder(write_yahoo(market, tmp_path / "yahoo"), wanted).symbols == ("NA", "ONE")


def test_frames_have_the_promised_form(prices):
    for frame in prices.frames.values():
        assert frame.index.dtype == "datetime64[us]"
        assert frame.index.name == "date"
        assert list(frame.columns) == ["open", "high", "low", "close", "volume"]
        assert (frame.dtypes == "float64").all()
    assert prices.frames["LATE"].index[0] == pd.Timestamp("2020-01-20")
    assert len(prices.frames["ONE"]) == 1


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_days_of_any_unit_and_name_become_the_same_prices(unit):
    bars = back_adjust(random_bars(0, 5))
    frame = Prices({"A": bars.set_axis(bars.index.as_unit(unit).rename("Day"))}).frames["A"]
    pd.testing.assert_frame_equal(frame, bars.set_axis(bars.index.as_unit("us")), check_freq=False)


def test_a_byte_order_mark_carriage_returns_and_blank_lines_change_nothing(tmp_path):
    plain = read_folder(write_folder(tmp_path / "plain", text_of(GOOD)))
    odd = "\ufeff" + text_of(GOOD).replace("\n", "\r\n") + "\r\n"
    assert read_folder(write_folder(tmp_path / "odd", odd)) == plain


def test_a_table_indexed_by_date_is_read_too(tmp_path, market, prices):
    path = tmp_path / "indexed.parquet"
    long_table(market).set_index("date").to_parquet(path)
    assert read_table(path) == prices


# ---- adjusting


def test_adjusting_by_hand(tmp_path):
    bars = read_folder(write_folder(tmp_path, text_of(GOOD))).frames["AAA"]
    assert bars.iloc[0].tolist() == [5.0, 6.0, 4.5, 5.5, 200.0]
    assert bars.iloc[2].tolist() == [12.0, 14.0, 11.0, 13.0, 300.0]


def test_prices_without_an_adjusted_close_are_taken_as_adjusted(tmp_path):
    without = [row[:5] + row[6:] for row in GOOD]
    bars = read_folder(write_folder(tmp_path, text_of(without, YAHOO[:5] + YAHOO[6:]))).frames["AAA"]
    assert bars["close"].tolist() == [11, 12, 13, 14]
    assert bars["volume"].tolist() == [100, 200, 300, 0]


positive = st.floats(1e-3, 1e6)
raw_bar = st.tuples(positive, positive, positive, positive, positive, st.integers(0, 10**12).map(float))


@settings(max_examples=50, deadline=None)
@given(st.lists(raw_bar, min_size=2, max_size=30))
def test_adjusting_gives_adjusted_returns_and_keeps_ratios_within_a_bar_and_money_volume(bars):
    raw = pd.DataFrame(bars, columns=["open", "high", "low", "close", "adj close", "volume"])
    adjusted = back_adjust(raw)
    returns = adjusted["close"].pct_change()
    np.testing.assert_allclose(returns, raw["adj close"].pct_change(), rtol=1e-9, atol=1e-9)
    for name in ("open", "high", "low"):
        np.testing.assert_allclose(adjusted[name] / adjusted["close"], raw[name] / raw["close"], rtol=1e-9)
    np.testing.assert_allclose(adjusted["close"] * adjusted["volume"], raw["close"] * raw["volume"], rtol=1e-9)


# ---- bad input

OUT_OF_ORDER = [GOOD[0], GOOD[3], GOOD[1], GOOD[2]]
ZONES = [
    "2020-01-02T00:00:00-05:00",
    "2020-01-03T00:00:00-05:00",
    "2020-01-06T00:00:00+09:00",
    "2020-01-07T00:00:00-05:00",
]

BAD_BARS = {
    "duplicate": (rows({(1, "Date"): "2020-01-02"}), "duplicate dates", "line 2 (2020-01-02), line 3 (2020-01-02)"),
    "unsorted": (OUT_OF_ORDER, "unsorted dates", "line 4 (2020-01-03), line 5 (2020-01-06)"),
    "missing price": (rows({(1, "High"): ""}), "prices missing", "line 3 (2020-01-03)"),
    "null": (rows({(1, "Close"): "null"}), "prices missing", "line 3 (2020-01-03)"),
    "zero price": (rows({(3, "Low"): "0"}), "prices missing or not above zero", "line 5 (2020-01-07)"),
    "negative price": (rows({(3, "Open"): "-1"}), "prices missing or not above zero", "line 5 (2020-01-07)"),
    "infinite price": (rows({(3, "High"): "inf"}), "prices missing or not above zero", "line 5 (2020-01-07)"),
    "adjusted close": (rows({(3, "Adj Close"): "0"}), "prices missing or not above zero", "line 5 (2020-01-07)"),
    "no volume": (rows({(2, "Volume"): ""}), "volume missing or negative", "line 4 (2020-01-06)"),
    "negative volume": (rows({(2, "Volume"): "-3"}), "volume missing or negative", "line 4 (2020-01-06)"),
    "high below low": (rows({(0, "High"): "8"}), "high below low", "line 2 (2020-01-02)"),
    "close above": (rows({(0, "Close"): "12.02"}), "open or close outside low..high", "line 2 (2020-01-02)"),
    "open below": (rows({(0, "Open"): "8.98"}), "open or close outside low..high", "line 2 (2020-01-02)"),
    "two zones": (rows({(i, "Date"): text for i, text in enumerate(ZONES)}), "mixed time zones", "line 4 (2020-01-06T"),
    "half zoned": (rows({(1, "Date"): "2020-01-03 00:00:00-05:00"}), "mixed time zones", "line 3 (2020-01-03 00"),
    "hour": (rows({(3, "Date"): "2020-01-07 10:30"}), "intraday bars", "line 5 (2020-01-07 10:30)"),
    "american date": (rows({(1, "Date"): "01/03/2020"}), "unreadable dates", "line 3 (01/03/2020)"),
    "no such day": (rows({(1, "Date"): "2020-02-30"}), "unreadable dates", "line 3 (2020-02-30)"),
    "month only": (rows({(1, "Date"): "2020-01"}), "unreadable dates", "line 3 (2020-01)"),
    "comma": ([GOOD[0], [*GOOD[1], "1"], *GOOD[2:]], "lines with too few or too many fields", "line 3"),
}


@pytest.mark.parametrize(("body", "rule", "place"), BAD_BARS.values(), ids=BAD_BARS.keys())
def test_each_bad_bar_is_refused_with_file_row_and_repair(tmp_path, body, rule, place):
    folder = write_folder(tmp_path, text_of(body))
    with pytest.raises(DataError) as caught:
        read_folder(folder)
    (problem,) = find_problems(folder)
    assert rule in problem.rule
    assert place in ", ".join(problem.rows)
    assert problem.file == str(folder / "AAA.csv")
    assert str(problem) in str(caught.value)
    assert str(caught.value).rstrip().endswith(problem.repair)
    assert problem.repair.endswith(".")


BAD_FILES = {
    "zero bytes": ("", "an empty file"),
    "header only": (text_of([]), "an empty file"),
    "dividends": (text_of([[*row, "0"] for row in GOOD], (*YAHOO, "Dividends")), "unknown column 'Dividends'"),
    "no volume": (text_of([row[:-1] for row in GOOD], YAHOO[:-1]), "missing column volume"),
    "twice": (text_of([[*row, "1"] for row in GOOD], (*YAHOO, "adj_close")), "column more than once: adj close"),
    "other ticker": (
        "Price,Close,High,Low,Open,Volume\nTicker,BBB,BBB,BBB,BBB,BBB\nDate,,,,,\n2020-01-02,11,12,9,10,1\n",
        "its ticker says BBB",
    ),
    "two tickers": (
        "Price,Close,Close,High,Low,Open,Volume\nTicker,AAA,BBB,AAA,AAA,AAA,AAA\nDate,,,,,,\n2020-01-02,1,1,1,1,1,1\n",
        "column more than once: close",
    ),
}


@pytest.mark.parametrize(("text", "rule"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_each_bad_file_is_refused_with_its_name_and_repair(tmp_path, text, rule):
    folder = write_folder(tmp_path, text)
    with pytest.raises(DataError, match=r"AAA\.csv"):
        read_folder(folder)
    problems = find_problems(folder)
    assert [problem.rule for problem in problems] == [rule]
    assert problems[0].repair


def test_an_unknown_column_is_answered_with_the_columns_that_are_understood(tmp_path):
    folder = write_folder(tmp_path, text_of([[*row, "0"] for row in GOOD], (*YAHOO, "Stock Splits")))
    with pytest.raises(DataError, match="understood are date, open, high, low, close, volume, adj close"):
        read_folder(folder)


def test_a_file_whose_every_line_is_too_long_is_refused_for_that(tmp_path):
    folder = write_folder(tmp_path, text_of([[*row, "1"] for row in GOOD]))
    assert [problem.rule for problem in find_problems(folder)] == ["lines with too few or too many fields"]


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("a.parquet", b"no parquet at all", "cannot be read"),
        ("a.csv", b"\xff\xfe\x00\x01", "cannot be read"),
        ("a.csv.gz", b"no gzip", "cannot be read"),
        ("a.xlsx", b"", "none of .parquet, .csv, .csv.gz, .txt"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, name, content, rule):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=rule):
        read_table(path)


def test_a_missing_path_and_an_empty_folder_are_refused(tmp_path):
    for path, rule in [(tmp_path / "gone", "no such folder"), (tmp_path, "no price file in this folder")]:
        with pytest.raises(DataError, match=rule):
            read_folder(path)
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "gone.parquet")
    assert [problem.rule for problem in find_problems(tmp_path / "gone")] == ["no such file"]


def test_a_missing_symbol_is_refused_with_the_nearest_one(tmp_path, market):
    table = tmp_path / "long.parquet"
    long_table(market).to_parquet(table)
    folder = write_yahoo(market, tmp_path / "yahoo")
    for reader, path in [(read_folder, folder), (read_table, table)]:
        with pytest.raises(DataError, match=r"lonG: no prices for this symbol\. Did you mean 'LONG'\?"):
            reader(path, ["ONE", "lonG"])


def test_a_symbol_that_leaves_the_folder_is_refused(tmp_path):
    inner = write_folder(tmp_path / "inner", text_of(GOOD))
    write_folder(tmp_path, text_of(GOOD), "OUT")
    with pytest.raises(DataError, match="no prices for this symbol"):
        read_folder(inner, ["../OUT"])


def test_bad_rows_of_a_long_table_are_named_as_iloc_counts_them(tmp_path, market):
    table = long_table(market)
    table.loc[50, "close"] = np.nan
    table.loc[[3, 7], "symbol"] = None
    path = tmp_path / "long.parquet"
    table.to_parquet(path)
    unnamed, unpriced = find_problems(path)
    assert (unnamed.rule, unnamed.rows) == ("no symbol", ("row 3", "row 7"))
    assert (unpriced.symbol, unpriced.rows) == ("LATE", (f"row 50 ({table.loc[50, 'date'].date()})",))


def test_symbols_that_were_not_asked_for_are_not_judged(tmp_path, market, prices):
    table = long_table(market)
    table.loc[50, "close"] = np.nan
    path = tmp_path / "long.parquet"
    table.to_parquet(path)
    assert find_problems(path, ["LONG"]) == []
    assert read_table(path, ["LONG"]) == prices.select(["LONG"])


def test_all_problems_of_a_file_come_at_once(tmp_path):
    bad = rows({(0, "High"): "8", (1, "Volume"): "-1", (2, "Date"): "2020-01-03", (3, "Adj Close"): "nan"})
    folder = write_folder(tmp_path, text_of(bad))
    found = {problem.rule for problem in find_problems(folder)}
    assert found == {
        "duplicate dates",
        "prices missing or not above zero",
        "volume missing or negative",
        "high below low",
    }
    with pytest.raises(DataError) as caught:
        read_folder(folder)
    assert all(rule in str(caught.value) for rule in found)


def test_five_rows_are_named_and_the_others_counted(tmp_path):
    body = [[str(date(2020, 1, 1) + timedelta(days=i)), "1", "1", "1", "1", "1", "-1"] for i in range(12)]
    (problem,) = find_problems(write_folder(tmp_path, text_of(body)))
    assert len(problem.rows) == 6
    assert problem.rows[0] == "line 2 (2020-01-01)"
    assert problem.rows[-1] == "and 7 more"


def test_a_long_list_of_problems_is_cut_at_twenty_lines_with_the_command_for_all(tmp_path):
    for number in range(30):
        write_folder(tmp_path, "", f"S{number}")
    with pytest.raises(DataError) as caught:
        read_folder(tmp_path)
    head, *lines, last = str(caught.value).splitlines()
    assert "30 problem(s)" in head
    assert len(lines) == 20
    assert last.endswith(f"10 more; for all of them run: ragsignal data check {tmp_path}")
    assert len(find_problems(tmp_path)) == 30


def test_line_numbers_count_blank_lines_and_all_header_rows(tmp_path):
    text = (
        "Price,Close,High,Low,Open,Volume\nTicker,AAA,AAA,AAA,AAA,AAA\nDate,,,,,\n\n"
        "2020-01-02,11,12,9,10,1\n\n2020-01-03,11,12,9,10,-1\n"
    )
    (problem,) = find_problems(write_folder(tmp_path, text))
    assert problem.rows == ("line 7 (2020-01-03)",)


CORRUPTIONS = {"Close": "99", "Low": "-1", "Volume": "x", "Date": "soon", "Adj Close": ""}


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(n_bars=st.integers(1, 30), data=st.data())
def test_one_bad_value_anywhere_is_found_on_its_own_line_and_nowhere_else(n_bars, data):
    place = data.draw(st.integers(0, n_bars - 1))
    column = data.draw(st.sampled_from(sorted(CORRUPTIONS)))
    good = [[str(date(2020, 1, 1) + timedelta(days=i)), *GOOD[0][1:]] for i in range(n_bars)]
    with tempfile.TemporaryDirectory() as folder:
        assert find_problems(write_folder(Path(folder), text_of(good))) == []
        corrupted = text_of(rows({(place, column): CORRUPTIONS[column]}, good))
        (problem,) = find_problems(write_folder(Path(folder), corrupted))
    (where,) = problem.rows
    assert where.startswith(f"line {place + 2} (")


# ---- what is accepted


def test_a_close_outside_the_range_by_rounding_is_accepted_unchanged(tmp_path):
    body = rows({(2, "Close"): "14.01", (2, "Adj Close"): "14.01"})
    assert read_folder(write_folder(tmp_path, text_of(body))).frames["AAA"]["close"].iloc[2] == 14.01


@pytest.mark.parametrize(
    "stamps",
    [
        [
            "2020-03-05 00:00:00-05:00",
            "2020-03-06 00:00:00-05:00",
            "2020-03-09 00:00:00-04:00",
            "2020-03-10 00:00:00-04:00",
        ],
        ["2020-03-05T16:00Z", "2020-03-06T16:00:00Z", "2020-03-09T16:00:00.000+00:00", "2020-03-10 16:00:00+0000"],
        ["2020-03-05T23:30+09:00", "2020-03-06T23:30+09:00", "2020-03-09T23:30+09:00", "2020-03-10T23:30+09:00"],
    ],
    ids=["daylight saving", "at the close", "Tokyo, another day in UTC"],
)
def test_a_uniform_time_zone_gives_the_local_calendar_day(tmp_path, stamps):
    body = rows({(i, "Date"): text for i, text in enumerate(stamps)})
    index = read_folder(write_folder(tmp_path, text_of(body))).frames["AAA"].index
    assert index.tz is None
    assert [str(day.date()) for day in index] == ["2020-03-05", "2020-03-06", "2020-03-09", "2020-03-10"]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
def test_a_zoned_parquet_column_gives_the_local_calendar_day(tmp_path, market, prices, zone):
    table = long_table(market)
    table["date"] = (table["date"] + pd.Timedelta(hours=1)).dt.tz_localize(zone)
    path = tmp_path / "zoned.parquet"
    table.to_parquet(path)
    assert read_table(path) == prices


def test_hourly_bars_of_a_parquet_table_are_duplicates_and_intraday(tmp_path):
    table = long_table({"AAA": random_bars(1, 8)})
    table["date"] = pd.date_range("2020-01-02 10:00", periods=8, freq="h")
    path = tmp_path / "hourly.parquet"
    table.to_parquet(path)
    assert [problem.rule for problem in find_problems(path)] == ["intraday bars", "duplicate dates"]


# ---- Prices


def test_selecting_keeps_the_asked_order_and_answers_a_typo(prices):
    assert prices.select(["NA", "LONG"]).symbols == ("NA", "LONG")
    with pytest.raises(DataError, match=r"no prices for LOGN\. Did you mean 'LONG'\?"):
        prices.select(["LOGN"])
    with pytest.raises(DataError, match="There are LONG, LATE, ONE, NA"):
        prices.select(["QQQQ"])


def test_between_is_inclusive_at_both_ends_and_keeps_symbols_without_a_bar(prices):
    cut = prices.between(date(2020, 1, 2), date(2020, 1, 20))
    long = cut.frames["LONG"].index
    assert (long[0], long[-1]) == (pd.Timestamp("2020-01-02"), pd.Timestamp("2020-01-20"))
    assert len(cut.frames["LATE"]) == 1
    assert len(prices.between(None, date(2020, 1, 1)).frames["ONE"]) == 0
    assert prices.between(None, None) == prices


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), data=st.data())
def test_any_other_value_or_day_is_another_fingerprint(seed, data):
    bars = back_adjust(random_bars(seed, 6))
    base = Prices({"A": bars, "B": bars * 2})
    assert Prices({"A": bars.copy(), "B": bars * 2}).digest == base.digest
    changed = bars.copy()
    row, column = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 4))
    changed.iloc[row, column] = np.nextafter(changed.iloc[row, column], np.inf)
    moved = bars.set_axis(bars.index[:-1].append(bars.index[-1:] + pd.Timedelta(days=1)))
    for other in ({"A": changed, "B": bars * 2}, {"A": moved, "B": bars * 2}, {"A": bars}, {"A": bars, "C": bars * 2}):
        assert Prices(other) != base


@settings(max_examples=50, deadline=None)
@given(st.permutations(["LONG", "LATE", "ONE", "NA"]))
def test_the_order_of_symbols_does_not_change_the_fingerprint(order):
    frames = {symbol: back_adjust(random_bars(i, 5)) for i, symbol in enumerate(["LONG", "LATE", "ONE", "NA"])}
    shuffled = Prices({symbol: frames[symbol] for symbol in order})
    assert shuffled.symbols == tuple(order)
    assert shuffled.digest == Prices(frames).digest


def test_swapping_the_bars_of_two_symbols_changes_the_fingerprint(prices):
    swapped = Prices({"LONG": prices.frames["NA"], "NA": prices.frames["LONG"]})
    assert swapped != prices.select(["LONG", "NA"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda bars: bars.tz_localize("UTC"), "naive days"),
        (lambda bars: bars.shift(freq="h"), "midnight"),
        (lambda bars: bars.reset_index(drop=True), "naive days"),
        (lambda bars: bars.iloc[::-1], "strictly increasing"),
        (lambda bars: bars.iloc[[0, 0]], "strictly increasing"),
        (lambda bars: bars[["close", "open", "high", "low", "volume"]], "the columns must be"),
        (lambda bars: bars.astype("float32"), "the columns must be float64"),
    ],
)
def test_frames_of_another_form_are_refused(spoil, message):
    with pytest.raises(DataError, match=message):
        Prices({"A": spoil(back_adjust(random_bars(0, 4)))})


# ---- sources


def spec(source, symbols=("AAA",), path=None, end=date(2020, 6, 30)):
    return DataSpec(source=source, path=path, symbols=symbols, start=date(2020, 1, 2), end=end)


def test_an_unknown_symbol_of_the_sample_is_answered_with_its_neighbour():
    with pytest.raises(DataError, match=r"Did you mean 'AAPL'\?"):
        load_sample(["APPL"])


def test_a_missing_package_is_answered_with_the_pip_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "yfinance", None)
    with pytest.raises(DataError, match="pip install yfinance"):
        download(["AAPL"], date(2020, 1, 2), date(2020, 2, 2), tmp_path)


def test_closes_alone_have_close_to_close_labels_and_no_open_to_open_ones(market):
    bars = back_adjust(market["LONG"])
    alone = Prices({"LONG": bars[["close"]].reindex(columns=list(COLUMNS))}).frames
    pd.testing.assert_frame_equal(
        forward_returns(alone, "movement")["LONG"], forward_returns(Prices({"LONG": bars}).frames, "movement")["LONG"]
    )
    assert forward_returns(alone, "open_to_open")["LONG"]["outcome"].isna().all()


def test_a_spec_loads_its_source_with_the_extra_symbols_and_the_whole_history(tmp_path, market, prices):
    table = tmp_path / "long.parquet"
    long_table(market).to_parquet(table)
    folder = write_yahoo(market, tmp_path / "yahoo")
    for source, path in [("folder", folder), ("table", table)]:
        loaded = load_prices(spec(source, ("LONG", "ONE"), path), ["NA", "ONE"])
        assert loaded.symbols == ("LONG", "ONE", "NA")
        assert loaded == prices.select(["LONG", "ONE", "NA"])
    assert load_prices(spec("sample", ("IBM",)), ["JPM"]) == load_sample(["IBM", "JPM"])


def test_a_synthetic_market_starts_years_before_the_spec_and_ends_with_it():
    loaded = load_prices(spec("planted", ("AAA",)), ["BBB"])
    assert loaded.symbols == ("AAA", "BBB")
    days = loaded.frames["BBB"].index
    assert days[0] < pd.Timestamp("2016-01-01")
    assert days[-1] == pd.Timestamp("2020-06-30")


def test_a_spec_says_how_much_a_planted_market_moves():
    weak = spec("planted").model_copy(update={"strength": 0.1, "seed": 3})
    start = date.fromordinal(weak.start.toordinal() - 5 * 365)
    assert load_prices(weak) == planted_market(["AAA"], start, weak.end, seed=3, strength=0.1)
    assert load_prices(weak) != load_prices(weak.model_copy(update={"strength": 0.5}))


@pytest.mark.parametrize("source", ["sample", "planted", "noise"])
def test_a_path_for_a_source_that_reads_none_is_refused(source, tmp_path):
    with pytest.raises(ConfigError, match="reads no path"):
        load_prices(spec(source, path=tmp_path))


class FakeYahoo:
    """Answers as ``yfinance.download`` does: the end is exclusive, unknown symbols are empty."""

    def __init__(self, market):
        self.market = market
        self.asked = []

    def download(self, symbol, *, start, end, auto_adjust, multi_level_index, progress):
        assert (auto_adjust, multi_level_index, progress) == (False, False, False)
        self.asked.append(symbol)
        bars = self.market.get(symbol, random_bars(0, 0)).rename(columns=str.title)
        return bars[(bars.index >= pd.Timestamp(start)) & (bars.index < pd.Timestamp(end))].rename_axis("Date")


@pytest.fixture
def yahoo(monkeypatch, market):
    fake = FakeYahoo(market)
    monkeypatch.setitem(sys.modules, "yfinance", SimpleNamespace(download=fake.download))
    return fake


def test_a_download_reads_back_equal_with_both_days_included(tmp_path, yahoo, prices):
    start, end = date(2020, 1, 2), date(2020, 1, 20)
    files = download(["LONG", "LATE"], start, end, tmp_path / "new")
    assert files == [tmp_path / "new" / "LONG.csv", tmp_path / "new" / "LATE.csv"]
    assert sorted((tmp_path / "new").iterdir()) == sorted(files)
    assert read_folder(tmp_path / "new") == prices.select(["LONG", "LATE"]).between(start, end)


def test_symbols_without_bars_are_named_after_the_others_are_written(tmp_path, yahoo):
    with pytest.raises(DataError, match="Yahoo has no bars of TYPO, GONE from 2020-01-02"):
        download(["TYPO", "LONG", "GONE"], date(2020, 1, 2), date(2020, 1, 20), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["LONG.csv"]


def test_a_download_that_breaks_off_leaves_the_old_file(tmp_path, yahoo, monkeypatch):
    old = write_folder(tmp_path, text_of(GOOD), "LONG") / "LONG.csv"
    to_csv = pd.DataFrame.to_csv

    def break_off(self, path, **options):
        to_csv(self.head(3), path, **options)
        raise OSError("disk full")

    monkeypatch.setattr(readers.pd.DataFrame, "to_csv", break_off)
    with pytest.raises(OSError, match="disk full"):
        download(["LONG"], date(2020, 1, 2), date(2020, 1, 20), tmp_path)
    assert old.read_text(encoding="utf-8") == text_of(GOOD)
    assert list(tmp_path.iterdir()) == [old]


def test_a_symbol_that_is_no_file_name_is_not_downloaded(tmp_path, yahoo):
    with pytest.raises(DataError, match="cannot be a file name"):
        download(["LONG", "../OUT"], date(2020, 1, 2), date(2020, 1, 20), tmp_path)
    assert yahoo.asked == []


def test_a_spec_on_yfinance_downloads_once_and_up_to_its_last_day(tmp_path, yahoo, prices):
    wanted = spec("yfinance", ("LONG",), tmp_path, end=date(2020, 1, 31))
    first = load_prices(wanted)
    assert first == prices.select(["LONG"]).between(None, date(2020, 1, 31))
    assert load_prices(wanted, ["NA"]) == prices.select(["LONG", "NA"]).between(None, date(2020, 1, 31))
    assert yahoo.asked == ["LONG", "NA"]
    load_prices(spec("yfinance", ("LONG",), tmp_path, end=date(2020, 2, 3)))
    assert yahoo.asked == ["LONG", "NA", "LONG"]


def test_downloads_without_a_path_go_to_the_cache(tmp_path, yahoo, monkeypatch):
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path))
    load_prices(spec("yfinance", ("LONG",), end=date(2020, 1, 31)))
    assert (tmp_path / "prices" / "through-2020-01-31" / "LONG.csv").is_file()


def test_a_spec_on_yfinance_cannot_end_on_a_day_that_is_not_over(tmp_path, yahoo):
    with pytest.raises(DataError, match="not closed yet"):
        load_prices(spec("yfinance", ("LONG",), tmp_path, end=date.today()))
    assert yahoo.asked == []
