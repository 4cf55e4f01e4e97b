"""Retrievers of days: nothing that had not matured, the nearest first, one object for all stocks of a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.config import RetrievalSpec
from ragsignal.data import MarketDays
from ragsignal.retrieval.days import DayRetriever, NearestDays, RandomDays, RecentDays
from ragsignal.retrieval.factory import make_day_retriever
from ragsignal.retrieval.state_metric import StateMetric
from ragsignal.types import Query
from tests.day_tables import METRIC, day_at, drawn_days

TABLE = drawn_days()
LAST = day_at(TABLE, 149)
KINDS: dict[str, Callable[..., DayRetriever]] = {"state": NearestDays, "recent": RecentDays, "random": RandomDays}
TABLES, QUERIES = 100, 100
HORIZONS = st.sampled_from([1, 2, 5, 6, 10, 11, 20, 21])  # bars; one more where orders have to be filled


def query(day: date, symbol: str = "AA") -> Query:
    return Query(symbol, (day - timedelta(days=1), day), (1.0, 1.0))


def rows_that_had_matured(table: MarketDays, row: int, embargo: int, max_age: int | None) -> list[int]:
    """What may be seen at the close of a row, day by day."""
    if row - embargo < 0:
        return []
    held_back = table.days[row - embargo]
    seen = [
        early
        for early in range(row)
        if table.available_at[early] <= held_back
        and np.isfinite(table.payoffs[early]).all()
        and np.isfinite(table.states[early]).all()
    ]
    return seen if max_age is None else seen[-max_age:]


@st.composite
def tables(draw: st.DrawFn) -> MarketDays:
    """Days of one universe, or of two after each other that do not share their calendar."""
    wait, seed = draw(HORIZONS), draw(st.integers(0, 2**32))
    own = drawn_days(seed, draw(st.integers(90, 150)), wait)
    if draw(st.booleans()):
        return own
    return drawn_days(
        seed + 1, draw(st.integers(70, 120)), wait, draw(st.sampled_from(["2001-01-01", "2004-12-01"]))
    ).followed_by(own)


@settings(max_examples=TABLES, deadline=None)
@given(
    table=tables(),
    kind=st.sampled_from(list(KINDS)),
    options=st.fixed_dictionaries(
        {
            "k": st.integers(1, 200),
            "opposite": st.integers(0, 60),
            "embargo": st.integers(0, 30),
            "max_age": st.none() | st.integers(1, 60),
        }
    ),
    seed=st.integers(0, 2**32),
)
def test_in_10_000_cases_no_day_is_retrieved_that_had_not_matured(
    table: MarketDays, kind: str, options: dict[str, Any], seed: int
) -> None:
    retriever = KINDS[kind](table, METRIC, **options)
    for row in np.random.default_rng(seed).integers(0, len(table.days), QUERIES).tolist():
        found, day = retriever.of_day(day_at(table, row)), table.days[row]
        assert not (table.available_at[found.rows] > day).any()
        assert not np.isnat(table.available_at[found.rows]).any()
        known = found.known_through
        assert known is None or known <= day.item()
        # and nothing is held back beyond what was asked
        there = rows_that_had_matured(table, row, options["embargo"], options["max_age"])
        there = there if np.isfinite(table.states[row]).all() else []
        assert set(found.rows.tolist()) <= set(there)
        assert len(found.rows) == len(set(found.rows.tolist())) == min(options["k"] + options["opposite"], len(there))


def test_a_day_outside_the_calendar_retrieves_nothing() -> None:
    retriever = NearestDays(TABLE, METRIC)
    closed = next(day for day in (day_at(TABLE, 100) + timedelta(days=n) for n in range(40)) if TABLE.row(day) is None)
    for day in (closed, day_at(TABLE, 0) - timedelta(days=1), LAST + timedelta(days=1), day_at(TABLE, 0)):
        found = retriever.of_day(day)
        assert (len(found), found.known_through, tuple(found)) == (0, None, ())
        assert retriever.retrieve([query(day)]) == [()]


@settings(max_examples=30, deadline=None)
@given(row=st.integers(100, 149), k=st.integers(1, 30), opposite=st.integers(0, 30))
def test_the_nearest_states_come_first_and_the_most_unlike_last_with_scores_below_0(
    row: int, k: int, opposite: int
) -> None:
    found = NearestDays(TABLE, METRIC, k=k, opposite=opposite).of_day(day_at(TABLE, row))
    there = rows_that_had_matured(TABLE, row, 0, None)
    distances = {seen: float(((TABLE.states[seen] - TABLE.states[row]) ** 2).sum()) for seen in there}
    by_distance = sorted(there, key=distances.__getitem__)
    unlike = by_distance[max(k, len(there) - opposite) :]
    assert found.rows.tolist() == by_distance[:k] + unlike[::-1]
    alike = np.exp([-distances[seen] / 16 for seen in found.rows.tolist()])
    assert found.scores == pytest.approx(alike - ([0] * len(by_distance[:k]) + [1] * len(unlike)))
    assert ((found.scores < 0) == ([False] * len(by_distance[:k]) + [True] * len(unlike))).all()


def test_the_recent_days_are_the_last_and_their_opposites_the_oldest() -> None:
    there = rows_that_had_matured(TABLE, 149, 2, None)
    found = RecentDays(TABLE, METRIC, k=5, opposite=3, embargo=2).of_day(LAST)
    assert found.rows.tolist() == [*there[-5:][::-1], *there[:3]]


@given(seed=st.integers(0, 5), other=st.integers(0, 5), rows=st.permutations(range(110, 120)))
def test_random_days_follow_from_seed_and_day_alone(seed: int, other: int, rows: list[int]) -> None:
    one, two = (RandomDays(TABLE, METRIC, k=20, seed=it) for it in (seed, other))
    drawn = {row: one.of_day(day_at(TABLE, row)).rows.tolist() for row in rows}
    again = {row: two.of_day(day_at(TABLE, row)).rows.tolist() for row in sorted(rows)}
    assert (drawn == again) == (seed == other)
    assert len({tuple(draw) for draw in drawn.values()}) == len(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_all_stocks_of_a_day_share_one_object(kind: str) -> None:
    retriever = KINDS[kind](TABLE, METRIC)
    days = [day_at(TABLE, 120), LAST]
    found = retriever.retrieve([query(day, symbol) for symbol in ("AA", "BB") for day in days])
    assert found[0] is found[2]
    assert found[1] is found[3]
    assert found[0] != found[1]


def test_an_option_that_is_changed_on_a_live_retriever_changes_recipe_and_hits() -> None:
    retriever = NearestDays(TABLE, METRIC, k=9)
    before, found = retriever.recipe, retriever.of_day(LAST)
    retriever.k = 4
    assert retriever.recipe != before
    assert retriever.of_day(LAST).rows.tolist() == found.rows[:4].tolist()
    digest = retriever.corpus_digest(query(LAST))
    retriever.embargo = 30
    assert retriever.corpus_digest(query(LAST)) != digest


@pytest.mark.parametrize("name", ["finseer", "state", "recent", "random"])
def test_the_factory_makes_the_retriever_that_a_spec_names(name: str) -> None:
    metric = StateMetric(METRIC.mean, METRIC.scale, 2.0 * np.eye(8), decay=0.5)
    spec = RetrievalSpec.model_validate(
        {"candidates": "days", "retriever": name, "k": 7, "opposite": 2, "embargo": 3, "max_age": 60, "seed": 4}
    )
    retriever = make_day_retriever(spec, TABLE, metric, "abc")
    kind = {"recent": RecentDays, "random": RandomDays}.get(name, NearestDays)
    assert type(retriever) is kind
    assert retriever.metric.decay == (0.5 if name == "finseer" else 0.0)
    wanted = {"candidates": "days", "artifact": "abc", "k": 7, "opposite": 2, "embargo": 3, "max_age": 60}
    assert {key: retriever.recipe[key] for key in wanted} == wanted
    assert retriever.recipe.get("seed") == (4 if name == "random" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_states_that_are_standardised_otherwise_are_another_recipe(kind: str) -> None:
    # of own days the mean and the scale follow from data.start, which shows nowhere else
    others = [
        StateMetric(np.full(8, 0.1), METRIC.scale, METRIC.matrix),
        StateMetric(METRIC.mean, 2.0 * METRIC.scale, METRIC.matrix),
        StateMetric(METRIC.mean, METRIC.scale, 2.0 * METRIC.matrix),
        StateMetric(METRIC.mean, METRIC.scale, METRIC.matrix, decay=0.1),
    ]
    recipes = [KINDS[kind](TABLE, metric).recipe for metric in (METRIC, METRIC.plain, *others)]
    assert recipes[0] == recipes[1]
    assert len({repr(recipe) for recipe in recipes}) == 5


def test_recipes_of_different_retrievers_differ() -> None:
    finseer = StateMetric(METRIC.mean, METRIC.scale, 2.0 * np.eye(8))
    made = [NearestDays(TABLE, METRIC), NearestDays(TABLE, finseer), RecentDays(TABLE, METRIC),
            RandomDays(TABLE, METRIC), RandomDays(TABLE, METRIC, seed=1), NearestDays(TABLE, METRIC, artifact="a"),
            NearestDays(TABLE, METRIC, max_age=9)]  # fmt: skip
    assert len({repr(retriever.recipe) for retriever in made}) == len(made)
