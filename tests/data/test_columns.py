"""Vendors' names of columns, separators and ways to write numbers are read; what is said of others works when done."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data.check import find_problems
from ragsignal.data.columns import canonical, to_numbers
from ragsignal.data.prices import read_folder, read_table
from ragsignal.errors import DataError
from tests.markets import bars

FRAME = bars(20)
PLAIN = ("Date", "Open", "High", "Low", "Close", "Volume")


def text_of(
    header: tuple[str, ...] = PLAIN, separator: str = ",", comma: bool = False, frame: pd.DataFrame = FRAME
) -> str:
    """``frame`` as the text of a file; with ``comma`` decimals come after one."""
    lines = [separator.join(header)]
    for day, row in zip(frame.index, frame.to_numpy().tolist(), strict=True):
        numbers = [f"{number:.2f}" for number in row]
        lines.append(separator.join([f"{day:%Y-%m-%d}", *(it.replace(".", ",") if comma else it for it in numbers)]))
    return "\n".join(lines) + "\n"


def read(folder: Path, text: str, name: str = "AAA.csv") -> pd.DataFrame:
    (folder / name).write_bytes(text.encode("utf-8-sig"))
    return read_folder(folder).frames["AAA"]


def test_names_of_vendors_are_understood(tmp_path: Path) -> None:
    wanted = read(tmp_path, text_of())
    for header in (
        ("timestamp", "1. open", "2. high", "3. low", "4. close", "5. volume"),
        ("<DATE>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>"),
        ("Date", "Open Price", "High Price", "Low Price", "Close Price", "Vol."),
        ("Date", "Open", "High", "Low", "Price", "Vol."),
        ("Date", "Open", "High", "Low", "Close/Last", "Volume"),
        ("Datetime", "open_price", "high_price", "low_price", "Last", "VOL"),
        ("time", "open", "high", "low", "close", "Volume"),
        ("", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME"),
        ("Date/Time", "Open", "High", "Low", "Close", "Volume"),
        ("Trade Date", "Open*", "High*", "Low*", "Close*", "Volume"),
    ):
        pd.testing.assert_frame_equal(read(tmp_path, text_of(header)), wanted)


@pytest.mark.parametrize(
    "name", ["AdjClose", "Adj. Close", "adjClose", "adj_close", "Adj Close", "Adjusted Close", "5. adjusted close",
             "ADJ_CLOSE", "adjclose", "adjusted_close", "Adj Close**", "Close (adj)", "Adj. Close Price"],
)  # fmt: skip
def test_an_adjusted_close_adjusts_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    frame = FRAME.assign(adjusted=FRAME["close"] / 2)
    read_back = read(tmp_path, text_of((*PLAIN, name), frame=frame))
    assert canonical(name) == "adj close"
    assert read_back["close"].tolist() == pytest.approx((FRAME["close"] / 2).tolist(), abs=0.01)
    assert read_back["volume"].tolist() == pytest.approx((FRAME["volume"] * 2).tolist(), rel=1e-3)


def test_a_column_that_may_be_an_adjusted_close_is_not_to_be_deleted_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="If it holds adj close, rename it to that; delete it else"):
        read(tmp_path, text_of((*PLAIN, "Dividend-adj. last"), frame=FRAME.assign(adjusted=FRAME["close"] / 2)))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("comma", [False, True])
def test_separators_and_decimal_commas_are_just_read(tmp_path: Path, separator: str, comma: bool) -> None:
    if comma and separator == ",":
        return
    wanted = read(tmp_path, text_of())
    pd.testing.assert_frame_equal(read(tmp_path, text_of(separator=separator, comma=comma)), wanted)


def test_commas_that_may_be_thousands_are_refused_and_the_repair_works(tmp_path: Path) -> None:
    row = "2020-01-02;12,345;12,500;12,100;12,400;1000\n"
    text = "Date;Open;High;Low;Close;Volume\n" + row
    with pytest.raises(DataError, match=r"decimals or thousands.*Write decimals after a point, as in 12\.345"):
        read(tmp_path, text)
    assert read(tmp_path, text.replace(",", "."))["open"].tolist() == [12.345]


@settings(max_examples=200, deadline=None)
@given(number=st.floats(0.01, 1e9), european=st.booleans(), thousands=st.booleans())
def test_a_number_is_what_it_was_however_it_is_written(number: float, european: bool, thousands: bool) -> None:
    text = f"{number:{',' if thousands else ''}.2f}"
    if european:
        text = text.translate(str.maketrans(",.", ".,"))
    assert to_numbers(pd.Series([text]), european).tolist() == [float(f"{number:.2f}")]


def test_decimal_commas_in_quotes_and_thousands_of_shares_are_read(tmp_path: Path) -> None:
    head = "Date,Open,High,Low,Close,Volume\n"
    german = read(tmp_path, head + '2020-01-02,"1.012,50","1.013,25","1.011,75","1.012,75",1.500\n')
    assert german.iloc[0].tolist() == [1012.5, 1013.25, 1011.75, 1012.75, 1500.0]
    korean = read(tmp_path, head + '2020-01-02,"52,300","52,900","52,100","52,500","1,234,567"\n')
    assert korean.iloc[0].tolist() == [52300.0, 52900.0, 52100.0, 52500.0, 1234567.0]


def test_dollars_thousands_and_millions_are_numbers_and_words_are_none() -> None:
    written = pd.Series(["$1,234.50", "1.5M", "2K", "n/a", "", "1,23", "12"])
    assert to_numbers(written, decimal_comma=False).tolist()[:3] == [1234.5, 1.5e6, 2e3]
    assert pd.isna(to_numbers(written, decimal_comma=False)[3:6]).all()


@pytest.mark.parametrize("form", ["%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "epoch"])
def test_days_that_begin_with_the_year_are_read(tmp_path: Path, form: str) -> None:
    wanted = read(tmp_path, text_of())
    days = FRAME.index.astype("datetime64[s]").astype("int64") if form == "epoch" else FRAME.index.strftime(form)
    lines = text_of().splitlines()
    rewritten = [f"{day},{line.partition(',')[2]}" for day, line in zip(days, lines[1:], strict=True)]
    pd.testing.assert_frame_equal(read(tmp_path, "\n".join([lines[0], *rewritten])), wanted)


def test_a_long_table_with_semicolons_and_commas_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    lines = text_of(separator=";", comma=True).splitlines()
    path.write_text("\n".join([f"Ticker;{lines[0]}", *(f"AAA;{line}" for line in lines[1:])]))
    (tmp_path / "folder").mkdir()
    pd.testing.assert_frame_equal(read_table(path).frames["AAA"], read(tmp_path / "folder", text_of()))


def test_what_is_said_of_a_column_that_is_not_understood_works(tmp_path: Path) -> None:
    text = text_of(("Date", "Open", "High", "Low", "Settle", "Volume"))
    with pytest.raises(DataError, match=r"'Settle'\. If it holds close, rename it to that"):
        read(tmp_path, text)
    wanted = read(tmp_path, text_of())
    pd.testing.assert_frame_equal(read(tmp_path, text.replace("Settle", "close")), wanted)

    beside = text_of((*PLAIN, "Dividends"), frame=FRAME.assign(dividends=0.0))
    with pytest.raises(DataError, match=r"'Dividends'\. Delete it"):
        read(tmp_path, beside)
    deleted = "\n".join(line.rpartition(",")[0] for line in beside.splitlines())
    pd.testing.assert_frame_equal(read(tmp_path, deleted), wanted)


def test_splits_in_a_column_of_their_own_are_not_to_be_deleted_at_once(tmp_path: Path) -> None:
    factor = text_of((*PLAIN, "splitFactor"), frame=FRAME.assign(factor=1.0))
    with pytest.raises(DataError, match=r"'splitFactor'\. Delete it if the prices are adjusted by it already; else"):
        read(tmp_path, factor)
    adjusted = FRAME.assign(adjusted=FRAME["close"], high_adjusted=FRAME["high"], factor=1.0)
    with pytest.raises(DataError, match=r"'adjHigh', 'splitFactor'\. Delete it; understood"):
        read(tmp_path, text_of((*PLAIN, "adjClose", "adjHigh", "splitFactor"), frame=adjusted))


def test_a_long_table_in_a_folder_is_told_how_to_be_read(tmp_path: Path) -> None:
    long = pd.concat([FRAME.assign(symbol="AAA"), FRAME.assign(symbol="BBB")])
    long.to_csv(tmp_path / "all.csv", index_label="Date")
    with pytest.raises(DataError, match=r"long table: write data\.source = \"table\" and its path"):
        read_folder(tmp_path)
    assert list(read_table(tmp_path / "all.csv").frames) == ["AAA", "BBB"]


def test_what_is_said_of_a_missing_column_works(tmp_path: Path) -> None:
    text = "\n".join(line.rpartition(",")[0] for line in text_of().splitlines())
    (tmp_path / "AAA.csv").write_text(text)
    (problem,) = find_problems(tmp_path)
    assert problem.rule == "missing column volume"
    assert re.match("Add it, or rename the one that holds it: the file has 'Date', 'Open'", problem.repair)
    lines = text.splitlines()
    added = "\n".join([f"{lines[0]},volume", *(f"{line},0" for line in lines[1:])])
    assert (read(tmp_path, added)["volume"] == 0).all()
