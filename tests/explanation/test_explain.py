"""Explanations end to end: the laws, what is said against what the reader itself says, and what cannot be explained."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ragsignal.data import FACTOR_GROUPS, RANK_FACTORS, forward_returns
from ragsignal.errors import ConfigError, DataError, RagSignalError
from ragsignal.explanation import Explanation, explain
from ragsignal.explanation.hits import MOST, shown_places
from ragsignal.explanation.neighbours import NEAREST, Past
from ragsignal.llm import HITS_RECIPE, RANKS_RECIPE, hit_width
from ragsignal.study import Study
from tests.explanation.studies import CALENDAR, DAY, START, market, study
from tests.markets import Frames, poisoned, until
from tests.specs import HOLD
from tests.tiny import tiny_rank_llm

pytestmark = pytest.mark.slow

SYMBOLS = ["S00", "S07", "S11"]
VARIANTS = ("reader", "days", "shape")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reader") / "stockllm"


@pytest.fixture(scope="module")
def opened(folder: Path) -> Study:
    return study(folder)


@pytest.fixture(scope="module")
def explained(opened: Study) -> Callable[[str], list[Explanation]]:
    made: dict[str, list[Explanation]] = {}

    def of(variant: str) -> list[Explanation]:
        if variant not in made:
            made[variant] = explain(opened, opened.spec.find_variant(variant), SYMBOLS, DAY)
        return made[variant]

    return of


def written(explanations: list[Explanation]) -> str:
    """As JSON; without the address, which is a digest of the same."""
    return json.dumps([replace(it, key="").to_record() for it in explanations], allow_nan=False)


# --- laws


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=1, deadline=None, phases=[Phase.generate])
@given(seed=st.integers(0, 99))
def test_poisoning_or_cutting_off_later_bars_changes_no_byte(
    folder: Path, explained: Callable[[str], list[Explanation]], variant: str, seed: int
) -> None:
    for frames in (poisoned(market(), DAY, seed), until(market(), DAY)):
        other = study(folder, frames)
        again = explain(other, other.spec.find_variant(variant), SYMBOLS, DAY)
        assert written(again) == written(explained(variant))


def test_the_poison_that_changes_nothing_afterwards_does_change_the_day_itself(
    folder: Path, explained: Callable[[str], list[Explanation]]
) -> None:
    before = CALENDAR[CALENDAR.get_loc(str(DAY)) - 1].date()
    other = study(folder, poisoned(market(), before, 3))
    again = explain(other, other.spec.find_variant("reader"), SYMBOLS, DAY)
    assert written(again) != written(explained("reader"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_signal_alone_is_explained_as_among_others(
    opened: Study, explained: Callable[[str], list[Explanation]], variant: str
) -> None:
    alone = explain(opened, opened.spec.find_variant(variant), SYMBOLS[1:2], DAY)
    assert written(alone) == written(explained(variant)[1:2])


def test_the_records_rest_on_outcomes_that_were_known(
    opened: Study, explained: Callable[[str], list[Explanation]]
) -> None:
    labels = forward_returns(opened.prices.select(opened.spec.data.symbols).frames, "relative")
    for it in explained("reader"):
        neighbours = it.neighbours
        assert neighbours is not None
        assert neighbours.last is not None
        assert neighbours.first is not None
        assert START <= neighbours.first <= neighbours.last < DAY
        assert neighbours.share == neighbours.true / neighbours.signals
        assert neighbours.low is not None
        assert neighbours.high is not None
        assert neighbours.low < neighbours.share < neighbours.high
        known = [
            (row.Index.date(), symbol)
            for symbol, frame in labels.items()
            for row in frame.itertuples()
            if row.Index.date() >= START and row.available_at <= pd.Timestamp(DAY)
        ]
        assert 0 < neighbours.earlier <= len(known)
        assert neighbours.signals <= min(NEAREST, neighbours.earlier)


# --- what is said


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_opposite_case_turns_the_side_by_what_is_said(
    explained: Callable[[str], list[Explanation]], variant: str
) -> None:
    turned = 0
    for it in explained(variant):
        assert it.opposite is not None
        assert it.probability is not None
        letters = {factor.name: factor.letter for factor in it.factors}
        for change in it.opposite.changes:
            assert change.before == letters[change.factor] != change.after
            assert change.steps == ord(change.after) - ord(change.before)
            assert change.words in change.text
            assert change.text in it.opposite.words
        if it.opposite.changes:
            turned += 1
            assert it.opposite.probability is not None
            assert (it.opposite.probability - 0.5) * (it.probability - 0.5) < 0
        assert it.opposite.steps == sum(abs(change.steps) for change in it.opposite.changes)
    assert turned or variant == "shape"


def test_factors_and_groups_are_those_of_the_reader(explained: Callable[[str], list[Explanation]]) -> None:
    for it in explained("reader"):
        assert tuple(factor.name for factor in it.factors) == RANK_FACTORS
        assert {group.name: group.factors for group in it.groups} == FACTOR_GROUPS
        assert it.reads == "ranks"
        assert it.rank is not None
        assert it.stocks is not None
        assert not it.hits
        single = {factor.name: factor.without for factor in it.factors}
        market = next(group for group in it.groups if group.name == "market")
        assert market.without == pytest.approx(single["beta_120"], abs=1e-6)  # a group of one factor
        for factor in it.factors:
            assert factor.effect == pytest.approx(it.probability - factor.without)
        assert [abs(factor.effect) for factor in it.strongest] == sorted(
            (abs(factor.effect) for factor in it.factors), reverse=True
        )


def test_every_factor_is_in_one_group() -> None:
    assert sorted(name for group in FACTOR_GROUPS.values() for name in group) == sorted(RANK_FACTORS)


def test_values_are_the_factors_themselves(opened: Study, explained: Callable[[str], list[Explanation]]) -> None:
    for it in explained("reader"):
        close = opened.prices.frames[it.symbol].loc[: str(DAY), "close"].to_numpy()
        values = {factor.name: factor.value for factor in it.factors}
        assert values["mom_5"] == pytest.approx(np.log(close[-1] / close[-6]), abs=1e-9)
        assert values["high_20"] == pytest.approx(np.log(close[-1] / close[-20:].max()), abs=1e-9)


def test_days_are_laid_over_the_querys_and_add_up_to_the_vote(explained: Callable[[str], list[Explanation]]) -> None:
    for it in explained("days"):
        assert it.reads == "ranks and days"
        assert it.hits_read == len(it.hits) == 12
        assert all(hit.known_on <= DAY and hit.first < DAY for hit in it.hits)
        assert [hit.unlike for hit in it.hits] == [False] * 8 + [True] * 4
        assert {len(hit.overlay.labels) for hit in it.hits} == {8}
        assert len({hit.overlay.query for hit in it.hits}) == 1  # one market on the day
        votes = sum(hit.adds or 0.0 for hit in it.hits)
        assert it.probability == pytest.approx(0.5 + votes / np.sqrt(2), abs=1e-9)
        assert all(hit.without is not None and hit.effect is not None for hit in it.hits)


def test_a_vote_without_a_hit_is_counted_again(explained: Callable[[str], list[Explanation]]) -> None:
    for it in explained("shape"):
        rises = sum(hit.movement == "rise" for hit in it.hits)
        falls = sum(hit.movement == "fall" for hit in it.hits)
        assert it.probability == pytest.approx((rises + 1) / (rises + falls + 2))
        for hit in it.hits:
            fewer = {"rise": (rises, 1), "fall": (rises + 1, 1), "freeze": (rises + 1, 0)}[str(hit.movement)]
            assert hit.without == pytest.approx(fewer[0] / (rises + falls + 2 - fewer[1]))
            assert hit.weight == pytest.approx(
                {"rise": 1, "fall": -1, "freeze": 0}[str(hit.movement)] / (rises + falls + 2)
            )
            assert len(hit.overlay.query) == len(hit.overlay.hit) == 5
            assert hit.known_on <= DAY
            assert hit.outcome is not None
        correlation = np.corrcoef(it.hits[0].overlay.query_shape, it.hits[0].overlay.hit_shape)[0, 1]
        assert it.hits[0].score == pytest.approx(correlation, abs=1e-5)  # what the retriever compares


def test_a_reader_of_ranks_with_sequences_is_asked_again_with_its_own(tmp_path: Path) -> None:
    reader = tmp_path / "with-hits"
    tiny_rank_llm(reader, seeds=1, hits=hit_width(5), template=RANKS_RECIPE | HITS_RECIPE)
    other = study(reader, retrieval={"retriever": "shape", "k": 3}, variant=[{"name": "both", "signal": "llm"}, HOLD])
    both = other.spec.find_variant("both")
    for it in explain(other, both, SYMBOLS[:2], DAY):
        assert it.reads == "ranks and sequences"
        assert len(it.hits) == 3
        assert all(hit.without is not None and hit.weight is None for hit in it.hits)
        assert len({hit.without for hit in it.hits}) == 3
        if it.opposite is not None and it.opposite.probability is not None:
            assert (it.opposite.probability - 0.5) * ((it.probability or 0.5) - 0.5) < 0
    (alone,) = explain(other, both, SYMBOLS[1:2], DAY)
    assert alone.groups == it.groups


def test_an_abstention_says_why_and_no_figures(opened: Study) -> None:
    (it,) = explain(opened, opened.spec.find_variant("reader"), ["S05"], DAY)
    assert it.abstained == "too few bars"
    assert (it.probability, it.opposite, it.neighbours, it.factors, it.groups, it.hits) == (
        None,
        None,
        None,
        (),
        (),
        (),
    )
    assert json.loads(json.dumps(it.to_record()))["abstained"] == "too few bars"


def test_all_are_explained_at_once_abstentions_too(opened: Study) -> None:
    days = explain(opened, opened.spec.find_variant("days"), ["all"], DAY)
    assert [it.symbol for it in days] == list(opened.spec.data.symbols)
    assert {it.symbol for it in days if it.abstained} == {"S05"}


def test_many_signals_show_the_first_and_the_last_hits() -> None:
    assert list(shown_places(600, 100)) == list(range(600))
    assert list(shown_places(600, MOST // 600 + 1)) == [*range(20), *range(590, 600)]
    assert list(shown_places(9, 100_000)) == list(range(9))


def test_neighbours_are_the_nearest_in_p_and_of_equal_ones_the_latest() -> None:
    rng = np.random.default_rng(0)
    probability = np.round(rng.choice([0.3, 0.4, 0.45, 0.6], 3000) + rng.choice([0.0, 0.001], 3000), 6)
    past = Past(np.arange(3000)[::-1].astype("datetime64[D]"), probability, np.ones(3000), np.arange(3000), 0)
    for own in (0.2, 0.4, 0.4405, 0.6, 0.9):
        distance = np.abs(probability - own)
        assert list(past._nearest(own)) == list(np.argsort(distance, kind="stable")[:NEAREST])


def test_few_earlier_signals_are_all_neighbours_and_the_words_say_how_far_they_reach() -> None:
    """Of 60 there are no 400 like this one: those of the other side were called "above one half, as this one"."""
    probability = np.round(np.linspace(0.1, 0.8, 60), 6)
    past = Past(np.arange(60)[::-1].astype("datetime64[D]"), probability, np.ones(60), np.arange(60), 0)
    one = past.like(0.7)
    assert one.signals == 60
    assert one.true == (probability > 0.5).sum()
    assert "nearest P (0.1000 to 0.8000 on both sides of one half), on 60 days" in one.words
    above = Past(past.day[:9], np.full(9, 0.6), np.ones(9), np.arange(9), 0).like(0.7)
    assert "nearest P (0.6000 to 0.6000), on 9 days, 9 came true" in above.words


# --- what cannot be explained

SATURDAY = DAY + timedelta(days=5 - DAY.weekday())
WRONG: list[tuple[str, list[str], date, type[RagSignalError], str]] = [
    (
        "hold",
        ["S00"],
        DAY,
        ConfigError,
        r"'hold' has nothing to explain: it trades prices alone; name one of \['reader'",
    ),
    ("reader", ["S0O"], DAY, ConfigError, r"S0O is none of the 26 symbols of data\.symbols\. Did you mean .*Name one"),
    (
        "reader",
        ["S00"],
        SATURDAY,
        DataError,
        rf"S00 has no bar on {SATURDAY}; the nearest .* and ",
    ),
    (
        "reader",
        ["all"],
        SATURDAY,
        DataError,
        rf"none of the 26 symbols has a bar on {SATURDAY}; the nearest days",
    ),
    (
        "reader",
        ["S00"],
        date(2020, 6, 1),
        ConfigError,
        rf"outside the spec's window, {START} .*--set data\.start=2020",
    ),
    ("reader", ["S00"], date(2022, 6, 1), ConfigError, r"outside the spec's window, .*--set data\.end=2022-06-01"),
    ("reader", ["S00", "S00"], DAY, ConfigError, r"S00 stands twice among the symbols; name each once"),
    ("reader", ["all", "S00"], DAY, ConfigError, r"name symbols \(--symbol AAPL --symbol IBM\), or all alone"),
    ("reader", [], DAY, ConfigError, r"name symbols .*got \[\]"),
]


@pytest.mark.parametrize(("variant", "symbols", "on", "kind", "message"), WRONG)
def test_what_cannot_be_explained_is_refused_in_a_line_with_the_repair(
    opened: Study, variant: str, symbols: list[str], on: date, kind: type[RagSignalError], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        explain(opened, opened.spec.find_variant(variant), symbols, on)
    assert "\n" not in str(caught.value)


def test_a_spec_without_a_signal_names_what_to_add(folder: Path) -> None:
    other = study(folder, variant=[HOLD])
    with pytest.raises(ConfigError, match=r'nothing to explain: .*add a \[\[variant\]\] with signal = "vote" or "llm"'):
        explain(other, other.spec.variants[0], ["S00"], DAY)


def test_a_symbol_that_lacks_the_day_names_its_own_nearest_bars(folder: Path) -> None:
    frames: Frames = market()
    frames["S07"] = frames["S07"].drop(CALENDAR[CALENDAR.get_loc(str(DAY))])
    other = study(folder, frames)
    with pytest.raises(
        DataError, match=rf"S07 has no bar on {DAY}; the nearest .* {CALENDAR[359].date()} and {CALENDAR[361].date()}"
    ):
        explain(other, other.spec.find_variant("shape"), ["S07"], DAY)
    assert "S07" not in {it.symbol for it in explain(other, other.spec.find_variant("shape"), ["all"], DAY)}


def test_a_signal_that_is_not_made_here_is_not_explained(opened: Study) -> None:
    other = replace(opened.spec.find_variant("reader"), signal="external")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="its signal is external, and not made here"):
        explain(opened, other, ["S00"], DAY)
