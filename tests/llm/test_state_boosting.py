"""Boosting that reads the market's state beside the letters: other states, other scores and addresses; no later day."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragsignal.artifacts.artifact import Artifact, load_artifact
from ragsignal.data.rank_letters import RankLetters, build_rank_letters
from ragsignal.data.windows import cut_queries
from ragsignal.errors import ModelError
from ragsignal.llm.boosting import Boosting, as_numbers
from ragsignal.llm.rank_recipe import RANKS_RECIPE, STATES_RECIPE, reads_states
from ragsignal.llm.ranks import RankScorer, day_scorer
from ragsignal.retrieval.retrievers import NoRetriever
from ragsignal.signals.pipeline import RagPipeline
from ragsignal.signals.store import SignalStore
from ragsignal.types import Query, Signal
from tests.markets import bars, poisoned, queries_of
from tests.tiny import tiny_boosting, tiny_state_boosting
from tests.universe import CALENDAR, N_DAYS, universe, universe_letters

FRAMES = universe()
LETTERS = universe_letters()
KNOWN = LETTERS.states[-30:]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return tiny_boosting(tmp_path_factory.mktemp("plain") / "boosting")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return tiny_state_boosting(tmp_path_factory.mktemp("state") / "boosting", KNOWN)


def asked(artifact: Artifact, letters: RankLetters, queries: list[Query]) -> list[Signal]:
    """Signals by a reader that has read nothing yet."""
    scorer = RankScorer(artifact, day_scorer(artifact), letters)
    return RagPipeline(NoRetriever(), scorer.prompter, scorer, SignalStore(":memory:"), lookback=5).signals(queries)


def said(signals: list[Signal]) -> list[tuple[str, float, float]]:
    return [(signal.key, signal.probability, signal.rank) for signal in signals]


def falling(day: int) -> RankLetters:
    """The letters of a universe whose median fell by 3 % on a day: the same letters, and other states from then on."""
    market = LETTERS.market.copy()
    market[day] -= 0.03
    return replace(LETTERS, market=market)


QUERIES = [query for name in ("S00", "S07", "S20") for query in queries_of(FRAMES, name)[-12:]]
STRANGER = bars(N_DAYS, 500, days=CALENDAR)


def test_equal_letters_in_another_state_of_the_market_are_scored_otherwise(artifact: Artifact, plain: Artifact) -> None:
    for reader, moves in ((artifact, True), (plain, False)):
        before, after = (asked(reader, it, QUERIES) for it in (LETTERS, falling(N_DAYS - 4)))
        moved = [left.probability != right.probability for left, right in zip(before, after, strict=True)]
        addresses = [left.key != right.key for left, right in zip(before, after, strict=True)]
        since = [query.as_of >= CALENDAR[N_DAYS - 4].date() for query in QUERIES]
        assert addresses == [moves and it for it in since]
        assert any(moved) is moves
        assert not any(it for it, later in zip(moved, since, strict=True) if not later)


def test_a_fall_sixty_days_back_is_another_address_and_one_of_sixty_one_is_not(artifact: Artifact) -> None:
    keys = [asked(artifact, it, QUERIES[-1:])[0].key for it in (LETTERS, falling(N_DAYS - 60), falling(N_DAYS - 61))]
    assert keys[0] != keys[1]
    assert keys[0] == keys[2]


def test_a_stock_that_is_not_of_the_universe_is_read_in_the_universes_state(artifact: Artifact) -> None:
    columns = tuple(STRANGER[name].tolist() for name in ("open", "high", "low", "close", "volume"))
    query = cut_queries("X", CALENDAR.date.tolist(), STRANGER["close"].tolist(), 5, columns)[-1]
    (signal,) = asked(artifact, LETTERS, [query])
    model, letters = day_scorer(artifact), LETTERS.placed(STRANGER)[0]
    (own,) = model.scores(letters[-1:, None], LETTERS.states[-1:])[0]
    others = model.scores(LETTERS.letters[-1:], LETTERS.states[-1:])[0, LETTERS.ranked[-1]]
    place = ((others < own).sum() + ((others == own).sum() + 1) / 2) / (len(others) + 1)
    assert signal.rank == pytest.approx(2.0 * place - 1.0)


def test_one_query_at_a_time_says_what_all_at_once_do(artifact: Artifact) -> None:
    few = QUERIES[::5]
    assert said(asked(artifact, LETTERS, few)) == said([asked(artifact, LETTERS, [query])[0] for query in few])


@pytest.mark.parametrize("seed", [0, 1])
def test_bars_that_are_garbage_after_a_day_move_no_signal_up_to_it(artifact: Artifact, seed: int) -> None:
    last = CALENDAR[N_DAYS - 8].date()
    letters = build_rank_letters(poisoned(FRAMES, last, seed))
    known = [query for query in QUERIES if query.as_of <= last]
    assert said(asked(artifact, letters, known)) == said(asked(artifact, LETTERS, known))
    assert said(asked(artifact, letters, QUERIES)) != said(asked(artifact, LETTERS, QUERIES))


def test_what_a_boosting_reads_is_in_its_card_and_in_its_recipe(artifact: Artifact, plain: Artifact) -> None:
    for reader, reads in ((artifact, True), (plain, False)):
        scorer = RankScorer(reader, day_scorer(reader), LETTERS)
        assert reads_states(load_artifact(reader.folder)) is reads
        assert ("states" in scorer.recipe) is reads
    assert artifact.card.template == RANKS_RECIPE | STATES_RECIPE


def test_states_in_other_units_are_refused(tmp_path: Path) -> None:
    other = tiny_state_boosting(tmp_path / "other", KNOWN, template=RANKS_RECIPE | {"states": "of another formula"})
    with pytest.raises(ModelError, match="was trained on template"):
        RankScorer(other, day_scorer(other), LETTERS)


def test_a_boosting_that_needs_states_says_so_and_one_that_reads_none_ignores_them(
    artifact: Artifact, plain: Artifact
) -> None:
    letters, states = LETTERS.letters[-3:], LETTERS.states[-3:]
    with pytest.raises(ModelError, match="reads the market's state beside the letters"):
        day_scorer(artifact).scores(letters)
    model = day_scorer(plain)
    assert np.array_equal(model.scores(letters, states), model.scores(letters))


def test_the_states_come_after_the_letters_and_the_unknown_stays_unknown() -> None:
    rows, states = LETTERS.letters[[-1, 250], 0], LETTERS.states[[-1, 250]]
    numbers = as_numbers(rows, states)
    assert numbers.dtype == np.float32
    assert np.array_equal(numbers[:, :-8], as_numbers(rows), equal_nan=True)
    assert np.array_equal(numbers[:, -8:], states.astype(np.float32), equal_nan=True)
    assert np.isnan(numbers[1, -8:]).all()


def test_the_shipped_boosting_reads_letters_alone_to_the_bit(tmp_path: Path) -> None:
    shipped = load_artifact("shipped:classifier")
    assert shipped.card.template == RANKS_RECIPE
    model = Boosting.load(shipped.folder)
    rows = LETTERS.letters[-1]
    numbers = np.where(rows == 16, np.float32(np.nan), rows.astype(np.float32))
    totals = np.zeros(len(rows))
    for booster, scale in zip(model.boosters, model.scales, strict=True):
        totals += np.asarray(booster.predict(numbers)) / scale
    assert np.array_equal(day_scorer(shipped).scores(rows[None], LETTERS.states[-1:])[0], totals / 4)
