"""Files of retrieved days: what travels to the page is what was retrieved, and the words say so."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pytest

from ragsignal.report import record_of
from ragsignal.report.seen import days as seen_days
from ragsignal.report.seen.days import day_files, shelf_of, words_of
from ragsignal.study import DayEvidence, StateValue, day_evidence
from ragsignal.trading import RetrievedDays, RunResult
from tests.made_days import made_days, made_retriever
from tests.report.test_report import BENCHMARK, days_of, equity_of, random_returns, result_of, variant_of
from tests.sidecars import floats, shorts

DAYS = [made_days(320).days[row].item() for row in (282, 302)]


def evidence_on(days: list[date]) -> tuple[DayEvidence, ...]:
    found = [day_evidence(made_retriever(made_days(320), k=60, opposite=30), day) for day in days]
    return tuple(it for it in found if it is not None)


@pytest.fixture(scope="module")
def result() -> RunResult:
    days = days_of(120)
    variants = [
        variant_of(name, equity_of(random_returns(seed, 120), days), kind)
        for seed, (name, kind) in enumerate({"nearest": "vote", "rag-random-1": "vote", BENCHMARK: "none"}.items())
    ]
    evidence = {"nearest": evidence_on(DAYS), "rag-random-1": evidence_on(DAYS)}
    return dataclasses.replace(result_of(variants), evidence=evidence)


def test_the_page_draws_each_retrieved_day_at_its_place_on_one_line_of_the_market(result: RunResult) -> None:
    files = dict(day_files(shelf_of(result)))
    assert sorted(files) == ["days-0-2010", "days-1-2010", "market-0"]
    table, market = made_days(320), files["market-0"]
    np.testing.assert_array_equal(floats(market["days"]), table.days.astype(int))
    np.testing.assert_allclose(floats(market["level"]), 100 * np.exp(np.cumsum(table.market)), rtol=1e-5)
    assert np.isnan(floats(market["known"])[-1])
    for evidence in result.evidence["nearest"]:
        day = files["days-0-2010"][str(evidence.as_of)]
        np.testing.assert_array_equal(shorts(day["rows"]), evidence.hits.rows)
        np.testing.assert_allclose(floats(day["scores"]), evidence.hits.scores, rtol=1e-6)


def test_days_before_the_first_that_is_shown_are_left_out(result: RunResult) -> None:
    files = dict(day_files(shelf_of(result).since(DAYS[1])))
    assert list(files["days-0-2010"]) == [str(DAYS[1])]


def test_the_record_holds_a_few_numbers_a_day_and_nothing_where_no_days_are_read(result: RunResult) -> None:
    record = record_of(result)
    assert [day["as_of"] for day in record["retrieved"]["nearest"]] == [str(day) for day in DAYS]
    assert "evidence" not in record
    assert "retrieved" not in record_of(dataclasses.replace(result, evidence={}))


STATE = tuple(StateValue(f"{name}_20", -0.01, 0.0, 0.5) for name in ("trend", "volatility", "dispersion"))
FOUND = RetrievedDays(
    "2011-08-10", 3000, 400, 200, STATE, {"2008": 0.6, "2002": 0.4}, {"beta_120": -0.02, "rel_1": 0.01}
)


def test_the_sentence_says_how_many_days_of_which_years_and_what_paid() -> None:
    words = words_of(FOUND)
    assert words.startswith("On 2011-08-10 the market was going sideways")
    assert (
        "The 400 days most like it, of 3,000 whose outcomes were known, lie mostly in 2008 (60\u202f%) and 2002"
        in words
    )
    assert (
        "with a minus sign on the 200 days most unlike it, beta, 120 days mattered most: a low rank paid (−0.020)"
        in words
    )


def test_spread_years_and_a_draw_by_chance_are_not_called_alike() -> None:
    many = {str(2000 + number): 0.1 for number in range(10)}
    words = words_of(dataclasses.replace(FOUND, years=many, unlike=0), ("drawn by chance", ""))
    assert "The 400 days drawn by chance" in words
    assert "are spread over 10 years, most of them in 2000 (10\u202f%), 2001 (10\u202f%) and 2002 (10\u202f%)" in words
    assert "like it" not in words
    assert "minus sign" not in words


def test_every_retriever_of_days_is_described_as_what_it_is() -> None:
    said = {
        name: words_of(FOUND, seen_days._HOW.get(name, seen_days._ALIKE))
        for name in ("finseer", "state", "recent", "regimes", "random")
    }
    assert said["finseer"] == said["state"]
    assert len(set(said.values())) == 4
    assert "400 days of months whose macro variables were most like the latest" in said["regimes"]
    assert "200 days of the months that were most unlike it" in said["regimes"]


def test_a_random_retriever_is_described_as_one(result: RunResult) -> None:
    days = dict(day_files(shelf_of(result)))["days-1-2010"]
    assert all("drawn by chance" in day["sentence"] for day in days.values())
