"""Headlines in a prompt: which are quoted, how they are masked, and that none was published after the close."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.config import TemplateName
from ragsignal.data import NewsDays, NewsItems, build_news_days, shipped_bins
from ragsignal.errors import DataError
from ragsignal.llm.headlines import Headlines
from ragsignal.llm.prompt import LinePrompter, Template
from ragsignal.types import Candidate, Hit, Movement, Query
from tests.made_news import CLOSE, drawn_scores

DAYS = np.array([f"2014-01-{day:02d}" for day in (2, 3, 6, 7, 8, 9, 10, 13)], "datetime64[D]")
NAMES = {"GE": ["General Electric", "General Electric Co"], "AAPL": ["Apple"], "ALL": []}
DATES = tuple(day.item() for day in DAYS)
QUERY = Query("GE", DATES[2:8], (100.0, 101.0, 99.0, 99.0, 102.0, 100.0))
CANDIDATE = Candidate(
    f"AAPL/adj_close/{DATES[5]}",
    "AAPL",
    "adj_close",
    DATES[1:6],
    (1.0,) * 5,
    (0.01, 0.0, -0.01, 0.02, 0.0),
    Movement.FALL,
    -0.02,
    DATES[6],
)
HITS = (Hit(CANDIDATE, 0.9, 0),)


def news(*told: tuple[str, str, str]) -> NewsDays:
    """News of three symbols: symbol, moment in UTC, headline."""
    symbols = tuple(NAMES)
    rows = sorted(told, key=lambda it: (symbols.index(it[0]), it[1]))
    items = NewsItems(
        symbols=symbols,
        close=CLOSE,
        places=np.array([symbols.index(symbol) for symbol, _, _ in rows], np.int64),
        available_at=np.array([moment for _, moment, _ in rows], "datetime64[us]"),
        after=np.full(len(rows), "NaT", "datetime64[D]"),
        ids=np.array([str(number) for number in range(len(rows))], object),
        headlines=np.array([text for _, _, text in rows], object),
        bodies=np.full(len(rows), "", object),
    )
    return build_news_days(items, drawn_scores(items), dict.fromkeys(symbols, DAYS))


TOLD = (
    ("GE", "2014-01-13T15:00", "General Electric Co. beats Apple's forecast"),
    ("GE", "2014-01-13T20:00", "$GE names January 20, 2014 for its\nmeeting"),
    ("GE", "2014-01-13T21:00:01", "published after the close"),
    ("GE", "2014-01-10T15:00", "of another day"),
    ("AAPL", "2014-01-09T20:00", "AAPL: ALL falls, says GE"),
    ("AAPL", "2014-01-10T15:00", "the day after the window"),
)


def template(name: TemplateName = "compact", mask: bool = True, most: int = 2) -> Template:
    return Template(name, mask, shipped_bins(), headlines=Headlines(news(*TOLD), most, NAMES))


def test_headlines_stand_before_the_line_of_their_stock_golden() -> None:
    assert template().render(QUERY, HITS).text == (
        "Stock moves by day, from A (big fall) to P (big rise), and what came next.\n"
        "news: STOCK: OTHER falls, says OTHER\n"
        "adj_close: L H E N H fall\n"
        "news: STOCK names DATE for its meeting\n"
        "news: STOCK. beats OTHER's forecast\n"
        "adj_close: L C H O C"
    )


def test_at_most_so_many_are_quoted_and_the_latest_first() -> None:
    text = template(most=1).render(QUERY, ()).text
    assert "DATE for its meeting" in text
    assert "forecast" not in text


def test_unmasked_headlines_are_as_they_were_written_but_for_line_breaks() -> None:
    text = template(mask=False).render(QUERY, HITS).text
    assert "news: $GE names January 20, 2014 for its meeting\n" in text
    assert "General Electric Co. beats Apple's forecast" in text


def test_the_chat_template_holds_headlines_as_a_key() -> None:
    text = template("finseer-json").render(QUERY, HITS).text
    records = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert [it["headlines"] for it in records] == [
        ["STOCK: OTHER falls, says OTHER"],
        ["STOCK names DATE for its meeting", "STOCK. beats OTHER's forecast"],
    ]


def test_without_headlines_recipe_digest_and_text_are_what_they_were() -> None:
    plain, quoting = Template("compact", True, shipped_bins()), template()
    assert quoting.recipe == plain.recipe | {"headlines": "headlines/1, 2 at most"}
    assert plain.context_digest(QUERY) == ""
    assert template(most=3).recipe != quoting.recipe
    assert "news:" not in plain.render(QUERY, HITS).text


def test_a_classifier_reads_no_headlines_and_keeps_its_address() -> None:
    plain, quoting = Template("compact", True, shipped_bins()), template()
    prompters = LinePrompter(plain), LinePrompter(quoting)
    assert prompters[0].render(QUERY, ()) == prompters[1].render(QUERY, ())
    assert prompters[0].context_digest(QUERY) == prompters[1].context_digest(QUERY) == ""
    assert quoting.line_recipe == plain.recipe


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("GE up 5% on March 3, 2015", "STOCK up 5% on DATE"),
        ("GE may march to $2015 in 2016", "STOCK may march to $2015 in DATE"),
        ("General electric, APPLE and $ALL", "STOCK, OTHER and OTHER"),
        ("GEAR, ge and PINEAPPLE are words; ALLY too", "GEAR, ge and PINEAPPLE are words; ALLY too"),
        ("Q3 2014, FY2013, 12/31/2014, 2014-05-01 and '14", "Q3 DATE, DATE, DATE, DATE and DATE"),
        ("the 5th of May, in June and on 3 Sept 2012", "the DATE, in DATE and on DATE"),
        ("up 2010% at 1,995 and 20.15", "up 2010% at 1,995 and 20.15"),
    ],
)
def test_names_are_masked_as_words_and_dates_in_the_forms_of_headlines(written: str, read: str) -> None:
    quoted = Headlines(news(("GE", "2014-01-02T12:00", written)), 1, NAMES).of("GE", DATES[0], mask=True)
    assert quoted == [read]


def test_a_name_that_two_stocks_have_is_each_ones_own() -> None:
    names = NAMES | {"ALL": ["Apple"]}
    told = news(("ALL", "2014-01-02T12:00", "Apple rises"), ("AAPL", "2014-01-02T12:00", "Apple rises"))
    for symbol in ("ALL", "AAPL"):
        assert Headlines(told, 1, names).of(symbol, DATES[0], mask=True) == ["STOCK rises"]


def test_a_symbol_that_the_news_do_not_know_is_an_error_with_the_nearest() -> None:
    with pytest.raises(DataError, match="no news are kept of AAPLE"):
        template().render(replace(QUERY, symbol="AAPLE"), ())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 7 * 24 * 60), st.integers(2, 7), st.sampled_from(["compact", "percent", "finseer-json"]))
def test_no_headline_is_quoted_before_it_could_be_known(minutes: int, last: int, name: Any) -> None:
    moment = np.datetime64("2014-01-06T00:00", "m") + np.timedelta64(minutes, "m")
    told = news(("GE", str(moment), "told"), ("AAPL", str(moment), "told"))
    query = Query("GE", DATES[max(0, last - 5) : last + 1], QUERY.closes[: min(6, last + 1)])
    early = replace(CANDIDATE, dates=DATES[:last], available_at=DATES[last])
    prompt = Template(name, True, shipped_bins(), headlines=Headlines(told, 3, NAMES)).render(
        query, (Hit(early, 1.0, 0),)
    )
    if "told" in prompt.text:
        assert moment <= CLOSE.instants(DAYS[last : last + 1])[0]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 7), st.integers(1, 6 * 24 * 60))
def test_a_later_headline_changes_no_address_and_an_earlier_one_does(row: int, minutes: int) -> None:
    close = CLOSE.instants(DAYS[row : row + 1])[0]
    query = replace(QUERY, dates=DATES[: row + 1], closes=(1.0,) * (row + 1))
    plain = Template("compact", True, shipped_bins(), headlines=Headlines(news(*TOLD), 2, NAMES))
    for shift, changes in ((minutes, False), (-minutes, True)):
        moment = str(close + np.timedelta64(shift, "m"))
        told = Headlines(news(*TOLD, ("AAPL", moment, "one more")), 2, NAMES)
        same = replace(plain, headlines=told).context_digest(query) == plain.context_digest(query)
        known = close - np.timedelta64(minutes, "m") > CLOSE.instants(DAYS[:1] - np.timedelta64(1, "D"))[0]
        assert same != (changes and known)


def test_another_name_is_another_address() -> None:
    other = replace(template(), headlines=Headlines(news(*TOLD), 2, NAMES | {"ALL": ["Allstate"]}))
    assert other.context_digest(QUERY) != template().context_digest(QUERY)


def test_no_symbol_name_or_year_is_left_in_a_masked_prompt() -> None:
    for name in ("compact", "percent", "finseer-json"):
        text = template(name).render(QUERY, HITS).text
        assert not re.search(r"\bGE\b|AAPL|ALL\b|General|Apple|20\d\d|January", text), text


def test_dates_before_the_news_quote_nothing() -> None:
    assert template().headlines is not None
    assert template().headlines.of("GE", date(2013, 1, 2), mask=True) == []
    assert template().headlines.digest_as_of(DATES[0] - timedelta(days=1))
