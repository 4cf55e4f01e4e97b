"""Files that grow, are replaced, and are half written."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from ragsignal.errors import DataError
from ragsignal.trading.live import FolderSource

HEADER = "Date,Open,High,Low,Close,Volume\n"
FIRST = "2024-01-08,10,11,9,10.5,100\n"
SECOND = "2024-01-09,10.5,12,10,11.5,200\n"


def source(folder: Path, text: str = HEADER) -> FolderSource:
    (folder / "A.csv").write_text(text)
    return FolderSource(folder, ["A"])


def days(of: FolderSource) -> list[date]:
    return [bar.day for bar in of.poll().bars]


def add(folder: Path, text: str) -> None:
    with (folder / "A.csv").open("a") as file:
        file.write(text)


def test_a_line_that_is_half_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    one = source(tmp_path, HEADER + FIRST)
    assert days(one) == [date(2024, 1, 8)]
    for part in (SECOND[:7], SECOND[7:-2], SECOND[-2:-1]):
        add(tmp_path, part)
        assert days(one) == []
    add(tmp_path, "\n")
    (bar,) = one.poll().bars
    assert bar.values == (10.5, 12.0, 10.0, 11.5, 200.0)
    assert days(one) == []


@pytest.mark.parametrize("cut", range(len(HEADER + FIRST + SECOND) + 1))
def test_wherever_a_file_is_cut_no_bar_is_lost_or_wrong(tmp_path: Path, cut: int) -> None:
    text = HEADER + FIRST + SECOND
    one = source(tmp_path, text[:cut])
    got = one.poll().bars
    add(tmp_path, text[cut:])
    got += one.poll().bars
    assert [bar.close for bar in got] == [10.5, 11.5]


def test_a_file_that_is_replaced_is_read_again(tmp_path: Path) -> None:
    one = source(tmp_path, HEADER + FIRST)
    one.poll()
    (tmp_path / "new").write_text(HEADER + FIRST + SECOND)
    os.replace(tmp_path / "new", tmp_path / "A.csv")
    assert days(one) == [date(2024, 1, 8), date(2024, 1, 9)]


def test_a_line_that_is_corrected_in_its_place_is_read_again(tmp_path: Path) -> None:
    one = source(tmp_path, HEADER + FIRST + SECOND)
    one.poll()
    (tmp_path / "A.csv").write_text(HEADER + FIRST.replace("10.5,100", "10.6,100") + SECOND)
    os.utime(tmp_path / "A.csv", ns=(1, 1))  # a clock may be too coarse to tell the two apart
    assert [bar.close for bar in one.poll().bars] == [10.6, 11.5]


def test_a_file_that_is_gone_is_told_of_once_and_read_when_it_is_back(tmp_path: Path) -> None:
    one = source(tmp_path, HEADER + FIRST)
    one.poll()
    (tmp_path / "A.csv").rename(tmp_path / "away")
    (event,) = one.poll().events
    assert "put it back" in event.words
    assert one.poll().events == []
    (tmp_path / "away").rename(tmp_path / "A.csv")
    add(tmp_path, SECOND)
    assert date(2024, 1, 9) in days(one)


def test_prices_are_adjusted_where_a_file_has_an_adjusted_close(tmp_path: Path) -> None:
    one = source(tmp_path, "Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-08,10,12,8,10,5,100\n")
    (bar,) = one.poll().bars
    assert bar.values == (5.0, 6.0, 4.0, 5.0, 200.0)


@pytest.mark.parametrize("end", [",\n", "\n", ",nan\n"])
def test_a_line_that_lacks_its_adjusted_close_is_no_bar(tmp_path: Path, end: str) -> None:
    """It would be a bar in another basis than those before it: here of twice their prices."""
    good = "2024-01-08,10,12,8,10,100,5\n"
    one = source(tmp_path, f"{HEADER[:-1]},Adj Close\n{good}2024-01-09,10,12,8,10,100{end}")
    (tmp_path / "B.csv").write_text(HEADER + FIRST)
    first, second = one.poll().bars
    assert (first.fault, second.fault) == (None, "prices missing or not above zero")
    both = FolderSource(tmp_path, ["A", "B"]).poll().bars
    assert both[-1].values == (10.0, 11.0, 9.0, 10.5, 100.0)  # a file without the column is adjusted already


def test_a_line_with_too_many_fields_is_told_of_and_not_read(tmp_path: Path) -> None:
    polled = source(tmp_path, HEADER + "2024-01-08,1,010,1,011,1,009,1,010,100\n" + SECOND[:-1] + ",\n").poll()
    assert [bar.day for bar in polled.bars] == [date(2024, 1, 9)]
    (event,) = polled.events
    assert event.kind == "bad"
    assert "has 10 fields, and the header 6; correct it at the source" in event.words


def test_a_header_with_two_closes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"A\.csv: column more than once: close; keep one of them"):
        source(tmp_path, "Date,Open,High,Low,Close,Close,Volume\n").poll()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("2024-01-08,10,11,9\n", "prices missing or not above zero"),
        ("2024-01-08,10,11,9,ten,100\n", "prices missing or not above zero"),
        ("2024-01-08,10,11,9,10,\n", "volume missing or negative"),
    ],
)
def test_a_line_that_is_no_bar_comes_with_its_fault(tmp_path: Path, text: str, fault: str) -> None:
    (bar,) = source(tmp_path, HEADER + text).poll().bars
    assert bar.fault == fault


def test_a_line_without_a_day_is_told_of(tmp_path: Path) -> None:
    polled = source(tmp_path, HEADER + "yesterday,10,11,9,10,100\n" + SECOND).poll()
    assert "'yesterday' is no day" in polled.events[0].words
    assert len(polled.bars) == 1


def test_a_file_without_a_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"A\.csv: its first line is no header with date, open"):
        source(tmp_path, FIRST).poll()


def test_a_folder_that_lacks_what_is_wanted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        FolderSource(tmp_path / "none", ["A"])
    with pytest.raises(DataError, match="no price file in this folder"):
        FolderSource(tmp_path, ["A"])
    (tmp_path / "AAPL.csv").write_text(HEADER)
    with pytest.raises(DataError, match=r"no file APPL\.csv.*AAPL"):
        FolderSource(tmp_path, ["APPL"])


def test_a_last_line_that_nobody_ends_is_told_of_once(tmp_path: Path) -> None:
    one = source(tmp_path, HEADER + FIRST + SECOND[:-1])
    assert one.poll().events == []  # it may still be written
    past = (tmp_path / "A.csv").stat().st_mtime - 3600.0
    os.utime(tmp_path / "A.csv", (past, past))
    (event,) = one.poll().events
    assert event.kind == "source"
    assert "ends in a line without a newline" in event.words
    assert one.poll().events == []
    assert FolderSource(tmp_path, ["A"]).poll().events == [event]  # at the first look too
