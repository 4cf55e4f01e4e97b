"""Readers asked about other letters, and without hits: as many cases together say what each says alone."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from ragsignal.artifacts import Artifact, load_artifact
from ragsignal.data import RANK_FACTORS, DayHits, build_market_days
from ragsignal.llm import (
    ChangedLetters,
    DayReader,
    DayVote,
    RankPrompt,
    RankScorer,
    UniverseReader,
    day_scorer,
    last_days,
    pooled_payoffs,
    pooling_weights,
)
from ragsignal.types import Query
from tests.made_days import made_hits
from tests.tiny import tiny_boosting, tiny_rank_llm, tiny_state_boosting
from tests.universe import universe, universe_letters

pytestmark = pytest.mark.slow

LETTERS, ROW = universe_letters(), 320
COLUMNS = np.flatnonzero(LETTERS.ranked[ROW])[:6]


@pytest.fixture(scope="module", params=["stockllm", "boosting", "boosting-state"])
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder: Path = tmp_path_factory.mktemp("reader") / "artifact"
    if request.param == "boosting-state":
        return tiny_state_boosting(folder, LETTERS.states[300:])
    return tiny_rank_llm(folder) if request.param == "stockllm" else tiny_boosting(folder)


@pytest.fixture(scope="module")
def hits() -> DayHits:
    days = build_market_days(LETTERS, universe(), "relative")
    rows = days.visible(LETTERS.days[ROW].item())[-9:]
    return DayHits(days, rows, np.linspace(0.9, -0.6, len(rows)))


@pytest.fixture(scope="module", params=["vote", "reader"])
def day_reader(request: pytest.FixtureRequest) -> UniverseReader:
    if request.param == "vote":
        return DayVote(LETTERS)
    return DayReader(load_artifact("shipped:stockllm"), load_artifact("shipped:stockllm-days"), LETTERS)


def prompt(column: int, hits: DayHits | tuple[()] = (), own: np.ndarray | None = None) -> RankPrompt:
    day: date = LETTERS.days[ROW].item()
    return RankPrompt(Query(LETTERS.symbols[column], (day,), (1.0,)), hits, row=ROW, column=column, own=own)


def cases(memory: int) -> tuple[np.ndarray, ChangedLetters]:
    """Days (memory, m, n_factors) of twenty cases, and the same as they are asked."""
    rng = np.random.default_rng(0)
    days = last_days(LETTERS.letters[:, COLUMNS], ROW, memory)
    owner = rng.integers(0, len(COLUMNS), 20)
    last = rng.integers(0, 17, (20, len(RANK_FACTORS)), dtype=np.uint8)
    whole = days[:, owner].copy()
    whole[-1] = last
    return whole, ChangedLetters(ROW, days[:-1], owner, last)


def test_other_letters_say_together_what_the_scorer_says_of_each(artifact: Artifact) -> None:
    scorer = RankScorer(artifact, day_scorer(artifact), LETTERS)
    whole, asked = cases(scorer.memory)
    together = scorer.chances(scorer.raw_of(asked, ()))
    alone = scorer.score([prompt(COLUMNS[own], (), whole[:, [it]]) for it, own in enumerate(asked.owner)])
    assert np.allclose(together, [score.probability for score in alone], atol=1e-6)
    assert np.ptp(together) > 1e-3


def test_a_stock_with_its_own_letters_keeps_its_place(artifact: Artifact) -> None:
    scorer = RankScorer(artifact, day_scorer(artifact), LETTERS)
    days = last_days(LETTERS.letters[:, COLUMNS], ROW, scorer.memory)
    usual = scorer.score([prompt(column) for column in COLUMNS])
    again = scorer.score([prompt(column, (), days[:, [it]]) for it, column in enumerate(COLUMNS)])
    assert [score.rank for score in again] == pytest.approx([score.rank for score in usual])
    assert [score.probability for score in again] == pytest.approx([score.probability for score in usual], abs=1e-6)


def test_readers_of_days_say_the_same_of_other_letters(day_reader: UniverseReader, hits: DayHits) -> None:
    whole, asked = cases(day_reader.memory)
    together = day_reader.chances(day_reader.raw_of(asked, hits))
    alone = day_reader.score([prompt(COLUMNS[own], hits, whole[:, [it]]) for it, own in enumerate(asked.owner)])
    assert np.allclose(together, [score.probability for score in alone], atol=1e-6)


def test_without_a_hit_is_what_the_scorer_says_when_it_is_not_there(day_reader: UniverseReader, hits: DayHits) -> None:
    places = np.array([0, 4, len(hits) - 1])
    left_out = day_reader.chances(day_reader.without_each(ROW, COLUMNS, hits, places))
    for without, place in zip(left_out, places, strict=True):
        fewer = hits.only(np.arange(len(hits)) != place)
        scores = day_reader.score([prompt(column, fewer) for column in COLUMNS])
        assert np.allclose(without, [score.probability for score in scores], atol=1e-6)
    assert np.ptp(left_out, axis=0).min() > 0


def test_pooled_payoffs_are_the_payoffs_by_their_weights() -> None:
    for scores in ((0.9, 0.8, -0.7), (0.9, 0.8, 0.7)):
        hits = made_hits(scores=scores)
        assert np.allclose(pooling_weights(hits) @ hits.payoffs, pooled_payoffs(hits), atol=1e-15)
