"""A table of news gives the same items whatever the order of its rows, and each wrong row is named with its repair."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragsignal.data import NewsItems, NewsRules, NewsTable, SessionClose, read_news
from ragsignal.errors import DataError

CLOSE = SessionClose.parse("16:00 America/New_York")
RULES = NewsRules(CLOSE, timedelta(0))
HEAD = "id,symbol,published_at,headline\n"


def csv(folder: Path, text: str) -> Path:
    path = folder / "news.csv"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, rows: str, rules: NewsRules = RULES, symbols: tuple[str, ...] = ("AAA", "BBB")) -> NewsTable:
    return read_news(csv(folder, HEAD + rows), symbols, rules)


def moments(items: NewsItems) -> list[str]:
    return [str(it).removesuffix(".000000") for it in items.available_at]


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2014-01-15T21:00:00Z", "2014-01-15T21:00:00"),
        ("2014-01-15 16:00:00-0500", "2014-01-15T21:00:00"),
        ("2014-01-15 16:00-05:00", "2014-01-15T21:00:00"),
        ("2014-01-15 21:00:00 UTC", "2014-01-15T21:00:00"),
        ("2014-01-15T21:00:00.250Z", "2014-01-15T21:00:00.250000"),
        ("1389819600", "2014-01-15T21:00:00"),
        ("1389819600000", "2014-01-15T21:00:00"),
    ],
)
def test_a_stamp_with_a_zone_is_a_moment(stamp: str, expected: str, tmp_path: Path) -> None:
    items = read(tmp_path, f"1,AAA,{stamp},a\n").items
    assert moments(items) == [expected]
    assert np.isnat(items.after).all()


@pytest.mark.parametrize("stamp", ["2014-01-15", "2014-01-15T10:00:00", "2014-01-15 23:59"])
def test_a_stamp_without_a_zone_is_its_day_and_known_when_that_is_over(stamp: str, tmp_path: Path) -> None:
    found = read(tmp_path, f"1,AAA,{stamp},a\n")
    assert moments(found.items) == ["2014-01-16T05:00:00"]  # midnight in New York
    assert found.items.after.tolist() == [date(2014, 1, 15)]
    assert found.counts.day_only == 1


@pytest.mark.parametrize(
    ("published", "received", "lag", "expected"),
    [
        ("2014-01-15T21:00:00Z", "2014-01-15T22:00:00Z", None, "2014-01-15T22:00:00"),
        ("2014-01-15T21:00:00Z", "2014-01-15T20:00:00Z", None, "2014-01-15T21:00:00"),
        ("2014-01-15T21:00:00Z", "2014-01-15T20:00:00Z", timedelta(minutes=5), "2014-01-15T21:05:00"),
        ("2014-01-15T21:00:00Z", "", timedelta(minutes=5), "2014-01-15T21:05:00"),
        ("2014-01-15", "2014-01-15T15:00:00Z", None, "2014-01-16T05:00:00"),
        ("2014-01-15T21:00:00Z", "2014-01-17", None, "2014-01-18T05:00:00"),
    ],
)
def test_an_item_is_in_hand_at_the_later_of_both_moments_plus_the_lag(
    published: str, received: str, lag: timedelta | None, expected: str, tmp_path: Path
) -> None:
    text = f"id,symbol,published_at,headline,received_at\n1,AAA,{published},a,{received}\n"
    assert moments(read_news(csv(tmp_path, text), ("AAA",), NewsRules(CLOSE, lag)).items) == [expected]


def test_what_is_said_again_counts_once_from_its_first_moment_and_revisions_are_kept_apart(tmp_path: Path) -> None:
    rows = [
        "1,AAA,2014-01-15T12:00:00Z,first",
        "1,AAA,2014-01-15T11:00:00Z,first",
        "1,AAA,2014-01-15T13:00:00Z,second",
        "1,AAA,2014-01-15T14:00:00Z,second",
        "1,AAA,2014-01-15T15:00:00Z,first",
        "1,BBB,2014-01-15T11:00:00Z,first",
    ]
    found = read(tmp_path, "\n".join(rows) + "\n")
    told = list(zip(found.items.places.tolist(), moments(found.items), found.items.headlines.tolist(), strict=True))
    assert told == [
        (0, "2014-01-15T11:00:00", "first"),
        (0, "2014-01-15T13:00:00", "second"),
        (0, "2014-01-15T15:00:00", "first"),
        (1, "2014-01-15T11:00:00", "first"),
    ]
    assert (found.counts.duplicates, found.counts.revisions) == (2, 2)


def test_words_are_in_nfc_without_markup_and_control_signs(tmp_path: Path) -> None:
    words = "<p>Cafe\u0301 &amp; Co</p> up\x00 5\u00a0% <br/>\nif a < b and c > d <!-- x -->"
    (headline,) = read(tmp_path, f'1,AAA,2014-01-15T12:00:00Z,"{words}"\n').items.headlines
    assert headline == "Caf\u00e9 & Co up 5 % if a < b and c > d"


def test_rows_of_other_symbols_are_counted_and_not_judged(tmp_path: Path) -> None:
    found = read(tmp_path, "1,AAA,2014-01-15T12:00:00Z,a\n2,ZZZ,whenever,\n3,,whenever,\n4,NA,2014-01-15,b\n")
    counts = found.counts
    assert (len(found.items), counts.rows, counts.outside, counts.other_symbols, counts.unnamed) == (1, 4, 2, 2, 1)
    assert counts.without == ("BBB",)


def test_the_ticker_na_and_an_empty_source_are_texts_like_others(tmp_path: Path) -> None:
    text = "id,symbol,published_at,headline,source\n1,NA,2014-01-15T12:00:00Z,a,\n2,NA,2014-01-15T12:00:00Z,b,wire\n"
    found = read_news(csv(tmp_path, text), ("NA",), RULES)
    assert found.counts.sources == {"": 1, "wire": 1}


def as_parquet(folder: Path, **columns: Any) -> Path:
    pd.DataFrame(columns).to_parquet(folder / "news.parquet", index=False)
    return folder / "news.parquet"


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (pd.Series(pd.to_datetime(["2014-01-15T16:00:00-05:00"])), "2014-01-15T21:00:00"),
        (pd.Series(pd.to_datetime(["2014-01-15T16:00:00"])), "2014-01-16T05:00:00"),
        (pd.Series([date(2014, 1, 15)]), "2014-01-16T05:00:00"),
        (pd.Series([1389819600]), "2014-01-15T21:00:00"),
        (pd.Series(["2014-01-15T21:00:00Z"]), "2014-01-15T21:00:00"),
    ],
)
def test_parquet_is_read_by_its_types(stamps: pd.Series, expected: str, tmp_path: Path) -> None:
    path = as_parquet(tmp_path, id=[7], symbol=pd.Categorical(["AAA"]), published_at=stamps, headline=["a"])
    assert moments(read_news(path, ("AAA",), RULES).items) == [expected]


def test_texts_of_parquet_may_be_of_any_kind(tmp_path: Path) -> None:
    row = {"id": "7", "symbol": "AAA", "published_at": "2014-01-15T21:00:00Z", "headline": "a"}
    for kind in (pa.string_view(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())):
        table = pa.table({name: pa.array([text]).cast(kind) for name, text in row.items()})
        pq.write_table(table, tmp_path / "news.parquet")
        items = read_news(tmp_path / "news.parquet", ("AAA",), RULES).items
        assert (moments(items), items.headlines.tolist()) == (["2014-01-15T21:00:00"], ["a"])


def test_ids_that_a_column_of_floats_cannot_hold_are_refused(tmp_path: Path) -> None:
    """pandas makes floats of whole numbers where one is missing: these two were revisions of one item."""
    rows = {"symbol": ["AAA"] * 2, "headline": ["a", "b"], "published_at": ["2014-01-15T10:00Z", "2014-01-15T11:00Z"]}
    pd.DataFrame({"id": [1234567890123456789.0, 1234567890123456790.0], **rows}).to_parquet(tmp_path / "news.parquet")
    with pytest.raises(DataError, match="id that a column of floats has rounded at row 0, row 1"):
        read_news(tmp_path / "news.parquet", ("AAA",), RULES)
    pd.DataFrame({"id": [123456789012345.0, 123456789012346.0], **rows}).to_parquet(tmp_path / "news.parquet")
    assert len(read_news(tmp_path / "news.parquet", ("AAA",), RULES).items) == 2


def test_csv_and_parquet_give_the_same_items_in_any_order_of_rows(tmp_path: Path) -> None:
    base = datetime(2014, 1, 15, 12, tzinfo=UTC)
    table = pd.DataFrame(
        {
            "Published At": [base + timedelta(hours=number // 3) for number in range(30)],
            "Symbol": ["AAA", "BBB", "CCC"] * 10,
            "Headline": [f"said {number % 7}, with a comma\nand a line" for number in range(30)],
            "ID": [number % 11 for number in range(30)],
        }
    )
    table.to_parquet(tmp_path / "news.parquet", index=False)
    table.sample(frac=1.0, random_state=0).to_csv(tmp_path / "news.csv", index=False)
    table.sample(frac=1.0, random_state=1).to_csv(tmp_path / "tabs.txt", index=False, sep="\t")
    table.to_csv(tmp_path / "news.csv.gz", index=False)
    digests = {read_news(path, ("AAA", "BBB"), RULES).items.digest for path in tmp_path.iterdir()}
    assert len(digests) == 1


OK = "9,BBB,2014-01-15T12:00:00Z,fine\n"
WRONG: list[tuple[str, str]] = [
    (HEAD + OK + "1,AAA,15/01/2014,a\n", r"published_at that is no time at line 3. Write ISO times with a zone"),
    (HEAD + OK + "1,AAA,2014-02-31T10:00:00Z,a\n", "published_at that is no time at line 3"),
    (HEAD + OK + "1,AAA,2014-01-15T10:00:00 EST,a\n", "published_at that is no time at line 3"),
    (HEAD + '8,BBB,2014-01-15,"two\nlines"\n1,AAA,,a\n', "no published_at at line 4. Write it into these rows"),
    (HEAD + OK + ",AAA,2014-01-15,a\n", "no id at line 3. Give every item an id of its own"),
    (HEAD + OK + "1,AAA,2014-01-15,<br/>\n", "no headline at line 3. Write one, or delete these rows"),
    (
        HEAD + "1,AAA,2014-01-15T10:00:00Z,a\n1,AAA,2014-01-15T10:00:00Z,b\n",
        "one id with two texts at the same moment at line 2, line 3. Keep one of them, or write into received_at",
    ),
    (HEAD + OK + "1,AAA,2014-01-15\n", "1 lines have too few or too many fields; every record needs 4.*line 3"),
    (HEAD + "1,aaa,2014-01-15,a\n", r"no row names one of the spec's symbols \(1 rows\).*did you mean 'aaa'"),
    (HEAD, r"no row names one of the spec's symbols \(0 rows\). Write them into the column symbol"),
    ("id,symbol,time,headline\n", "missing column published_at; rename the one that holds it.*the file has.*'time'"),
    ("id,symbol,published_at,headline,symbol\n", "column more than once: symbol; keep one of them"),
    (HEAD.strip() + ",recieved_at\n", "unknown column 'recieved_at'. Did you mean 'received_at'"),
    ("", "an empty file; a table of news has the columns published_at"),
    (HEAD.strip() + ",available_at\n", "unknown column 'available_at'. Did you mean 'received_at'"),
    (HEAD + OK + '1,"AAA,BBB",2014-01-15,a\n', "several symbols in one cell.*at line 3.*a row for each"),
    (HEAD + OK + "1,AAA BBB,2014-01-15,a\n", "'AAA BBB', at line 3.*a row for each"),
    (HEAD + OK + "1,['AAA'],2014-01-15,a\n", "at line 3.*a row for each"),
    (HEAD + OK + "1,aaa,2014-01-15,a\n", "'aaa' at line 3 is nearly 'AAA'"),
    (HEAD + OK + "1,$AAA,2014-01-15,a\n", "'[$]AAA' at line 3 is nearly 'AAA'"),
    (HEAD + OK + "1.23E+12,AAA,2014-01-15,a\n", "id that a spreadsheet has rounded at line 3"),
    (HEAD + OK + "1.23e+12,AAA,2014-01-15,a\n", "id that a spreadsheet has rounded at line 3"),
    (
        "id;symbol;published_at;headline\n1,23E+12;AAA;2014-01-15;a\n",
        "id that a spreadsheet has rounded at line 2",
    ),
    (HEAD + OK + "1,AAA,9999-12-31,a\n", "published_at that is no time at line 3"),
    (HEAD + OK + "1,AAA,9999-12-31T23:59:59Z,a\n", "published_at that is no time at line 3"),
    (HEAD + OK + "nan,AAA,2014-01-15,a\n", "no id at line 3"),
    (HEAD + OK + "1,AAA,2014-01-15,None\n", "no headline at line 3"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_wrong_table_is_answered_with_rows_and_a_repair(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said) as raised:
        read_news(csv(tmp_path, text), ("AAA", "BBB"), RULES)
    assert "\n" not in str(raised.value)


def test_every_rule_that_is_broken_is_named_with_at_most_five_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 problem") as raised:
        read(tmp_path, "1,AAA,soon,a\n" * 7 + ",AAA,2014-01-15,a\n")
    assert "at line 2, line 3, line 4, line 5, line 6, and 2 more." in str(raised.value)
    assert "no id at line 9" in str(raised.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "none.csv", "no such file of news; correct news.path"),
        (lambda folder: csv(folder, HEAD).rename(folder / "news.xlsx"), "rename it, or convert it"),
        (lambda folder: csv(folder, HEAD).rename(folder / "news.parquet"), "cannot be read.*expected a CSV file"),
        (lambda folder: as_parquet(folder, id=[1], headline=["a"]), "missing column published_at, symbol"),
        (
            lambda folder: as_parquet(folder, id=[1], headline=["a"], published_at=[1], symbol=[["AAA", "BBB"]]),
            r"column 'symbol' holds list<.*>; expected one value a row.*table\.explode\('symbol'\)",
        ),
        (
            lambda folder: as_parquet(folder, id=[1], headline=["a"], published_at=[1.5], symbol=["AAA"]),
            "published_at that is no time at row 0",
        ),
    ],
)
def test_what_is_no_table_is_refused(make: Callable[[Path], Path], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        read_news(make(tmp_path), ("AAA",), RULES)


def test_bytes_that_are_no_utf8_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_bytes(HEAD.encode() + "1,AAA,2014-01-15,Müller\n".encode("latin-1"))
    with pytest.raises(DataError, match="expected a CSV file in UTF-8"):
        read_news(path, ("AAA",), RULES)


def test_a_table_without_received_at_needs_a_lag(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'news\.lag = "5 min"'):
        read(tmp_path, OK, NewsRules(CLOSE))


def test_a_row_without_received_at_needs_a_lag(tmp_path: Path) -> None:
    text = "id,symbol,published_at,headline,received_at\n1,AAA,2014-01-15T12:00:00Z,a,\n"
    with pytest.raises(DataError, match=r'no received_at at line 2.*news\.lag = "5 min"'):
        read_news(csv(tmp_path, text), ("AAA",), NewsRules(CLOSE))


def test_bodies_are_read_where_they_are_wanted(tmp_path: Path) -> None:
    path = csv(tmp_path, "id,symbol,published_at,headline,body\n1,AAA,2014-01-15T12:00:00Z,a,<b>more</b>\n")
    assert read_news(path, ("AAA",), RULES).items.bodies.tolist() == [""]
    assert read_news(path, ("AAA",), NewsRules(CLOSE, timedelta(0), body=True)).items.bodies.tolist() == ["more"]
    with pytest.raises(DataError, match=r"news\.body = true, but there is no column body"):
        read_news(csv(tmp_path, HEAD + OK), ("BBB",), NewsRules(CLOSE, timedelta(0), body=True))
