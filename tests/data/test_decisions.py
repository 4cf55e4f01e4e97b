"""Decisions from outside: what a file may hold, which bar a row is of, and that no later row moves an earlier one."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data.decision_bars import Calendars, Decisions, place_decisions
from ragsignal.data.decisions import read_decisions
from ragsignal.data.session import SessionClose
from ragsignal.errors import DataError

WEEK = np.arange("2024-03-01", "2024-03-16", dtype="datetime64[D]")
DAYS = WEEK[np.is_busday(WEEK)]  # 1 March is a Friday
CALENDARS = Calendars({"AAPL": DAYS, "IBM": DAYS}, SessionClose.parse("16:00 America/New_York"))
FRIDAY, MONDAY, TUESDAY = date(2024, 3, 1), date(2024, 3, 4), date(2024, 3, 5)


def _file(folder: Path, text: str) -> Path:
    path = folder / "mine.csv"
    path.write_text(text, encoding="utf-8")
    return path


def _decided(folder: Path, text: str, calendars: Calendars = CALENDARS, **options: object) -> Decisions:
    return place_decisions(read_decisions(_file(folder, text)), calendars, **options)  # type: ignore[arg-type]


def _values(decisions: Decisions, symbol: str = "AAPL") -> list[float | None]:
    """Values of the first bars."""
    found = [decisions.at(symbol, day) for day in DAYS[:5].tolist()]
    return [None if it is None else it.value for it in found]


@pytest.mark.parametrize(
    ("column", "written", "value", "probability"),
    [
        ("probability", "0.7", 2.0 * 0.7 - 1.0, 0.7),
        ("score", "0.1", 0.1, 0.55),
        ("score", "-1", -1.0, 0.0),
        ("weight", "0.3", 0.3, 0.65),
        ("action", "BUY", 1.0, 1.0),
        ("action", "strong_sell", -1.0, 0.0),
        ("action", " Overweight ", 0.5, 0.75),
        ("action", "hold", 0.0, 0.5),
    ],
)
def test_what_was_decided_becomes_a_value_and_a_probability(
    column: str, written: str, value: float, probability: float, tmp_path: Path
) -> None:
    decision = _decided(tmp_path, f"symbol,date,{column}\nAAPL,2024-03-01,{written}\n").at("AAPL", FRIDAY)
    assert decision is not None
    assert (decision.value, decision.probability, decision.rank) == (value, probability, 0.0)
    assert (decision.row, decision.said.split()[0]) == ("line 2", column)


def test_the_signal_of_a_run_comes_back_whole_to_the_last_bit(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).random((len(DAYS), 3)) * [1.0, 2.0, 2.0] - [0.0, 1.0, 1.0]
    table = pd.DataFrame(numbers, columns=["probability", "value", "rank"])
    table = table.assign(symbol="AAPL", date=pd.DatetimeIndex(DAYS.astype("datetime64[s]")))
    table.to_csv(tmp_path / "mine.csv", index=False)
    table.to_parquet(tmp_path / "mine.parquet")
    for name in ("mine.csv", "mine.parquet"):
        decisions = place_decisions(read_decisions(tmp_path / name), CALENDARS)
        read = [decisions.at("AAPL", day) for day in DAYS.tolist()]
        assert [(it.probability, it.value, it.rank) for it in read if it] == list(map(tuple, numbers.tolist()))


def test_days_without_a_decision_have_none_and_a_decision_lasts_as_long_as_it_is_valid(tmp_path: Path) -> None:
    text = "symbol,date,score\nAAPL,2024-03-01,0.5\nAAPL,2024-03-06,-0.5\n"
    assert _values(_decided(tmp_path, text)) == [0.5, None, None, -0.5, None]
    assert _values(_decided(tmp_path, text, valid_bars=2)) == [0.5, 0.5, None, -0.5, -0.5]
    assert _values(_decided(tmp_path, text, valid_bars=9)) == [0.5, 0.5, 0.5, -0.5, -0.5]
    assert _decided(tmp_path, text).at("IBM", FRIDAY) is None
    assert _decided(tmp_path, text, valid_bars=9).at("AAPL", date(2024, 3, 2)) is None  # a Saturday has no bar


def test_a_hold_repeats_the_decision_before_it_or_is_neutral(tmp_path: Path) -> None:
    text = "symbol,date,action\n" + "".join(
        f"AAPL,{day},{action}\n" for day, action in zip(DAYS, ("hold", "buy", "hold", "sell", "hold"), strict=False)
    )
    assert _values(_decided(tmp_path, text)) == [0.0, 1.0, 1.0, -1.0, -1.0]
    assert _values(_decided(tmp_path, text, hold="neutral")) == [0.0, 1.0, 0.0, -1.0, 0.0]
    earlier = text + "AAPL,2024-02-01,sell\nIBM,2024-02-02,buy\n"  # before the prices, and another's
    assert _values(_decided(tmp_path, earlier)) == [-1.0, 1.0, 1.0, -1.0, -1.0]


@pytest.mark.parametrize(
    ("moment", "bar"),
    [
        ("2024-03-01T21:00:00Z", FRIDAY),  # the close itself: 16:00 in New York
        ("2024-03-01T16:00:00-05:00", FRIDAY),
        ("2024-03-01T21:00:01Z", MONDAY),
        ("2024-03-02 12:00:00+00:00", MONDAY),  # a Saturday
        ("2024-03-04T23:59:59+01:00", TUESDAY),
    ],
)
def test_a_moment_belongs_to_the_first_bar_whose_close_is_not_earlier(moment: str, bar: date, tmp_path: Path) -> None:
    decisions = _decided(tmp_path, f"symbol,decided_at,score\nAAPL,{moment},1\n")
    assert [day for day in DAYS.tolist() if decisions.at("AAPL", day)] == [bar]
    assert decisions.unplaced == 0


def test_moments_of_a_parquet_table_are_read_as_those_of_a_csv(tmp_path: Path) -> None:
    moments = pd.to_datetime(["2024-03-01T15:00", "2024-03-02T15:00"]).tz_localize("America/New_York")
    table = pd.DataFrame({"Symbol": "AAPL", "Decided At": moments, "Probability": [0.6, 0.4]})
    table.to_parquet(tmp_path / "mine.parquet")
    decisions = place_decisions(read_decisions(tmp_path / "mine.parquet"), CALENDARS)
    assert _values(decisions) == [pytest.approx(0.2), pytest.approx(-0.2), None, None, None]


def test_a_parquet_table_may_have_categories_dates_and_single_floats(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "symbol": pd.Categorical(["AAPL", "IBM"]),
            "date": [FRIDAY, MONDAY],
            "action": pd.Categorical(["Buy", "SELL"]),
        }
    )
    table.to_parquet(tmp_path / "mine.parquet")
    assert _values(place_decisions(read_decisions(tmp_path / "mine.parquet"), CALENDARS), "IBM")[:2] == [None, -1.0]
    table.drop(columns="action").assign(score=np.float32([0.1, 0.2])).to_parquet(tmp_path / "mine.parquet")
    assert _values(place_decisions(read_decisions(tmp_path / "mine.parquet"), CALENDARS))[0] == float(np.float32(0.1))


def test_what_was_there_in_time_is_read_and_an_empty_cell_says_nothing(tmp_path: Path) -> None:
    text = "symbol,date,score,available_at\nAAPL,2024-03-01,0.5,2024-03-01T16:00-05:00\nAAPL,2024-03-04,1,\n"
    assert _values(_decided(tmp_path, text))[:2] == [0.5, 1.0]  # at the close itself is in time
    assert _values(_decided(tmp_path, text.replace("T16:00-05:00", "")))[:2] == [0.5, 1.0]
    late = "symbol,decided_at,score,available_at\nAAPL,2024-03-01T20:00Z,1,2024-03-01T22:00Z\n"
    with pytest.raises(DataError, match="known 2024-03-01 22:00:00 UTC, bar 2024-03-01"):
        _decided(tmp_path, late)  # decided in time, and there too late: it is not moved to the next bar


def test_what_lies_outside_the_prices_is_counted_and_is_of_no_bar(tmp_path: Path) -> None:
    text = "symbol,date,score\nAAPL,2020-01-01,1\nAAPL,2024-03-04,0.5\nAAPL,2030-01-01,1\n"
    assert _decided(tmp_path, text).unplaced == 2
    moments = (
        "symbol,decided_at,score\nAAPL,2020-01-01T00:00Z,1\nAAPL,2024-03-04T15:00Z,0.5\nAAPL,2030-01-01T00:00Z,1\n"
    )
    decisions = _decided(tmp_path, moments)
    assert decisions.unplaced == 2
    assert _values(decisions) == [None, 0.5, None, None, None]  # years before the first bar are not of it


def test_a_day_whose_bar_was_dropped_is_counted_and_not_refused(tmp_path: Path) -> None:
    calendars = Calendars({"AAPL": np.delete(DAYS, 1)}, left_out={"AAPL": [MONDAY]})
    assert _decided(tmp_path, "symbol,date,score\nAAPL,2024-03-04,1\n", calendars).unplaced == 1


def test_symbols_of_a_universe_that_are_not_traded_are_counted(tmp_path: Path) -> None:
    text = "symbol,date,score\nAAPL,2024-03-01,1\nMSFT,2024-03-01,1\n"
    assert _decided(tmp_path, text, Calendars({"AAPL": DAYS}, others=["AAPL", "MSFT"])).unplaced == 1
    assert _decided(tmp_path, text, Calendars({"AAPL": DAYS}, others=None)).unplaced == 1


HEAD = "symbol,date,score\n"
WRONG = {
    "no symbol column": ("name,date,score\nAAPL,2024-03-01,1\n", "missing column symbol"),
    "no date column": ("symbol,score\nAAPL,1\n", "no column says when it was decided.*date or decided_at"),
    "both dates": (
        "symbol,date,decided_at,score\nAAPL,2024-03-01,2024-03-01T15:00Z,1\n",
        "2 columns say when it was decided: date, decided_at",
    ),
    "no decision column": ("symbol,date,scroe\nAAPL,2024-03-01,1\n", "no column says what.*Did you mean 'score'"),
    "two decision columns": ("symbol,date,score,action\nAAPL,2024-03-01,1,buy\n", "2 columns say what .*score, action"),
    "a column twice": ("symbol,date,score,Score\nAAPL,2024-03-01,1,1\n", "more than once: score"),
    "value without probability": ("symbol,date,score,value\nAAPL,2024-03-01,1,1\n", "a column value without"),
    "empty": ("symbol,date,score\n", "no decision in this file"),
    "nothing at all": ("", "no decision in this file"),
    "ragged": (HEAD + "AAPL,2024-03-01,1,2\nAAPL,2024-03-04,1\n", "too few or too many fields at line 2"),
    "no name": (HEAD + ",2024-03-01,1\n", "no symbol at line 2"),
    "unreadable date": (HEAD + "AAPL,1st of March,1\n", r"unreadable dates at line 2 \(AAPL 1st of March\)"),
    "empty date": (HEAD + "AAPL,,1\n", "unreadable dates at line 2"),
    "a time in a day": (HEAD + "AAPL,2024-03-01 15:30,1\n", "a time of day, or a zone, in the column date.*decided_at"),
    "naive moment": ("symbol,decided_at,score\nAAPL,2024-03-01T15:30,1\n", "decided_at without a time zone at line 2"),
    "a day as a moment": ("symbol,decided_at,score\nAAPL,2024-03-01,1\n", "decided_at without a time zone"),
    "probability above 1": (
        "symbol,date,probability\nAAPL,2024-03-01,1.2\n",
        r"probability outside 0 to 1 at line 2 \(AAPL 2024-03-01\).*0.55, not 55",
    ),
    "weight in per cent": ("symbol,date,weight\nAAPL,2024-03-01,35\n", "weight outside -1 to 1.*0.35, not 35"),
    "no number": (HEAD + "AAPL,2024-03-01,\nIBM,2024-03-01,high\n", "no number in the column score at line 2.*line 3"),
    "rank above 1": ("symbol,date,probability,rank\nAAPL,2024-03-01,1,3\n", "rank outside -1 to 1"),
    "unknown action": ("symbol,date,action\nAAPL,2024-03-01,buuy\n", "unknown action 'buuy'.*Did you mean 'buy'"),
    "unknown symbol": (HEAD + "AAPL.US,2024-03-01,1\n", r"1 symbol that the spec does not have .*Did you mean 'AAPL'"),
    "the same bar twice": (
        HEAD + "AAPL,2024-03-01,1\nIBM,2024-03-01,1\nAAPL,2024-03-01,-1\n",
        r"more than one decision for a bar at line 2 \(AAPL 2024-03-01\), line 4",
    ),
    "two moments of a bar": (
        "symbol,decided_at,score\nAAPL,2024-03-02T15:30Z,1\nAAPL,2024-03-03T15:30Z,1\n",
        "more than one decision for a bar at line 2.*line 3",
    ),
    "a week-end": (HEAD + "AAPL,2024-03-02,1\n", r"no bar of their symbol at line 2 \(AAPL 2024-03-02\).*decided_at"),
    "known on a later day": (
        "symbol,date,score,available_at\nAAPL,2024-03-01,1,2024-03-01\nAAPL,2024-03-04,1,2024-03-05\n",
        r"not there by the close at line 3 \(AAPL known 2024-03-05, bar 2024-03-04",
    ),
    "known after the close": (
        "symbol,date,score,available_at\nAAPL,2024-03-01,1,2024-03-01T16:30-05:00\n",
        r"line 2 \(AAPL known 2024-03-01 21:30:00 UTC, bar 2024-03-01, known 2024-03-01 21:00:00 UTC\)",
    ),
    "unreadable availability": ("symbol,date,score,available_at\nAAPL,2024-03-01,1,soon\n", "unreadable available_at"),
    "naive availability": (
        "symbol,date,score,available_at\nAAPL,2024-03-01,1,2024-03-01 12:00\n",
        "available_at without a time zone",
    ),
    "available in the second after the close": (
        "symbol,date,score,available_at\nAAPL,2024-03-01,1,1709326800001\n",
        "not there by the close at line 2.*21:00:00.001000 UTC",
    ),
    "availability under nearly its name": (
        "symbol,date,score,availble_at\nAAPL,2024-03-01,1,2024-06-01\n",
        "unknown column 'availble_at'.*Did you mean 'available_at'",
    ),
    "a time in a column of its own": (
        "symbol,date,time,score\nAAPL,2024-03-01,17:30,1\n",
        "a column time beside date.*decided_at",
    ),
    "an hour that is none": ("symbol,decided_at,score\nAAPL,2024-03-01T25:30Z,1\n", "unreadable dates at line 2"),
    "a minute that is none": ("symbol,decided_at,score\nAAPL,2024-03-01T12:99Z,1\n", "unreadable dates at line 2"),
    "an offset that is none": (
        "symbol,decided_at,score\nAAPL,2024-03-01T12:00+99:00,1\n",
        "unreadable dates at line 2",
    ),
    "a decimal comma": (
        "symbol;date;score\nAAPL;2024-03-01;0,5\n",
        "no number in the column score at line 2.*with a decimal point",
    ),
    "thousands": ('symbol,date,weight\nAAPL,2024-03-01,"1,000"\n', "no number in the column weight at line 2"),
    "a date in words": (
        'symbol,decided_at,score\nAAPL,"Fri, 01 Mar 2024 15:00:00 -0500",1\n',
        "unreadable dates at line 2",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_file_is_refused_with_rows_and_a_repair(wrong: str, tmp_path: Path) -> None:
    text, message = WRONG[wrong]
    with pytest.raises(DataError, match=message) as raised:
        _decided(tmp_path, text)
    assert str(tmp_path / "mine.csv") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_reasons_may_hold_commas_and_lines_of_a_spreadsheet_may_be_empty(tmp_path: Path) -> None:
    """A byte order mark, an unnamed column of row numbers, quoted commas, and rows that were cleared but kept."""
    text = '\ufeff,Symbol,decided_at,Action,reason\n0,AAPL,2024-03-01T15:00Z,BUY ,"strong, for once"\n,,,,\n , ,,,\n'
    assert _values(_decided(tmp_path, text))[0] == 1.0


def test_truth_values_are_no_scores(tmp_path: Path) -> None:
    table = pd.DataFrame({"symbol": ["AAPL"], "date": ["2024-03-01"], "probability": [True]})
    table.to_parquet(tmp_path / "mine.parquet")
    with pytest.raises(DataError, match="no number in the column probability at row 0"):
        read_decisions(tmp_path / "mine.parquet")


def test_a_hold_repeats_no_decision_of_another_time_that_was_not_there_yet(tmp_path: Path) -> None:
    """Before the first bar nothing is refused, so that here it has to be passed over."""
    late = "symbol,date,action,available_at\nAAPL,2024-02-28,sell,\nAAPL,2024-02-29,buy,{}\nAAPL,2024-03-01,hold,\n"
    assert _values(_decided(tmp_path, late.format("2024-02-29")))[0] == 1.0
    assert _values(_decided(tmp_path, late.format("2024-06-03")))[0] == -1.0
    assert _values(_decided(tmp_path, late.format("2024-06-03T12:00Z")))[0] == -1.0


def test_all_problems_of_a_file_are_listed_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 problem") as raised:
        _decided(tmp_path, HEAD + "AAPL,yesterday,1\nIBM,2024-03-01,7\n")
    assert "line 2" in str(raised.value)
    assert "line 3" in str(raised.value)


@pytest.mark.parametrize("column", ["decided_at", "date,available_at"])
def test_moments_need_the_markets_close_and_say_which_line_to_add(column: str, tmp_path: Path) -> None:
    day = "" if column == "decided_at" else "2024-03-01,"
    text = f"symbol,{column},score\nAAPL,{day}2024-03-01T15:30Z,1\n"
    with pytest.raises(DataError, match=r'close = "16:00 America/New_York" in \[data\]'):
        _decided(tmp_path, text, Calendars({"AAPL": DAYS}))


def test_a_missing_and_a_broken_file_are_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file of decisions.*external\.path"):
        read_decisions(tmp_path / "none.csv")
    (tmp_path / "mine.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match="cannot be read"):
        read_decisions(tmp_path / "mine.parquet")


# ------------------------------------------------------------------------------------------------------- laws

Row = tuple[str, date, str]


@st.composite
def files(draw: st.DrawFn) -> list[Row]:
    """Rows of distinct symbols and days, in any order; some before the prices."""
    days = [*DAYS.tolist(), date(2024, 2, 1), date(2024, 2, 2)]
    places = draw(st.lists(st.tuples(st.sampled_from(["AAPL", "IBM"]), st.sampled_from(days)), unique=True, min_size=1))
    actions = st.sampled_from(["buy", "sell", "hold", "flat", "underweight"])
    return [(symbol, day, draw(actions)) for symbol, day in places]


def _seen(rows: list[Row], through: date, valid_bars: int) -> list[object]:
    """What is in force on every bar up to a day; the place of a row in the file is no part of it."""
    text = "symbol,date,action\n" + "".join(f"{symbol},{day},{action}\n" for symbol, day, action in rows)
    with TemporaryDirectory() as folder:
        decisions = _decided(Path(folder), text, valid_bars=valid_bars)
    days = [day for day in DAYS.tolist() if day <= through]
    found = [decisions.at(symbol, day) for symbol in ("AAPL", "IBM") for day in days]
    return [None if it is None else (it.value, it.probability, it.said) for it in found]


@settings(max_examples=40, deadline=None)
@given(files(), st.sampled_from(DAYS.tolist()), st.integers(1, 4), st.data())
def test_whatever_later_rows_say_earlier_decisions_do_not_move(
    rows: list[Row], cut: date, valid_bars: int, data: st.DataObject
) -> None:
    known = [row for row in rows if row[1] <= cut]
    other = [(symbol, day, data.draw(st.sampled_from(["buy", "sell"]))) for symbol, day, _ in rows if day > cut]
    whole = _seen(rows, cut, valid_bars)
    assert _seen([*other, *known], cut, valid_bars) == whole
    if known:
        assert _seen(known, cut, valid_bars) == whole


@settings(max_examples=40, deadline=None)
@given(files(), st.integers(1, 4), st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows: list[Row], valid_bars: int, random: object) -> None:
    mixed = list(rows)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert _seen(mixed, DAYS[-1].item(), valid_bars) == _seen(rows, DAYS[-1].item(), valid_bars)
