"""The reading of days without a model: pooled payoffs by hand, and one table a day for all its stocks."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from ragsignal.data import DayHits, factor_values
from ragsignal.errors import ModelError
from ragsignal.llm.day_vote import DayVote, pooled_payoffs
from ragsignal.llm.ranks import RankPrompt
from ragsignal.types import FloatArray, Query
from tests.day_tables import drawn_days
from tests.universe import CALENDAR, N_DAYS, universe_letters

LETTERS = universe_letters()
TABLE = drawn_days()
ROW = N_DAYS - 10
RANKED = np.flatnonzero(LETTERS.ranked[ROW]).tolist()
WITH_PAYOFFS = np.flatnonzero(TABLE.retrievable)


def hits(scores: list[float], first: int = 0) -> DayHits:
    return DayHits(TABLE, WITH_PAYOFFS[first : first + len(scores)], np.array(scores))


HITS = hits([0.9, 0.5, 0.1, -0.4, -0.9])


def prompt(column: int, found: Any = HITS, row: int = ROW, own: Any = None) -> RankPrompt:
    day = CALENDAR[row].date()
    return RankPrompt(Query(LETTERS.symbols[column], (day,), (1.0,)), found, row=row, column=column, own=own)


class CountedVote(DayVote):
    """Keeps which days it was asked to read."""

    def __init__(self) -> None:
        super().__init__(LETTERS)
        self.read: list[int] = []

    def of_universe(self, row: int, hits: DayHits) -> FloatArray:
        self.read.append(row)
        return super().of_universe(row, hits)


def test_payoffs_are_the_mean_of_days_like_the_query_less_a_quarter_of_that_of_unlike_ones() -> None:
    rows = WITH_PAYOFFS[:5].tolist()
    alike = sum(TABLE.payoffs[row] for row in rows[:3]) / 3
    unlike = sum(TABLE.payoffs[row] for row in rows[3:]) / 2
    assert pooled_payoffs(HITS) == pytest.approx(alike - 0.25 * unlike)
    assert pooled_payoffs(hits([0.9, 0.5])) == pytest.approx((TABLE.payoffs[rows[0]] + TABLE.payoffs[rows[1]]) / 2)


def test_a_score_is_factors_times_pooled_payoffs_and_its_rank_the_place_on_the_day() -> None:
    raw = {column: float(factor_values(LETTERS.letters[ROW, column]) @ pooled_payoffs(HITS)) for column in RANKED}
    scores = DayVote(LETTERS).score([prompt(column) for column in RANKED])
    by_score = sorted(RANKED, key=raw.__getitem__)
    for column, score in zip(RANKED, scores, strict=True):
        place = (by_score.index(column) + 0.5) / len(RANKED)
        assert score.rank == pytest.approx(2 * place - 1)
        assert score.probability == pytest.approx(0.5 + raw[column] / math.sqrt(2.0))
        assert (score.probability > 0.5) == (raw[column] > 0)


def test_an_expected_rank_becomes_the_probability_of_a_normal_return() -> None:
    normal = NormalDist()
    for mean in (-0.1, -0.02, 0.0, 0.03, 0.1):  # in standard deviations; daily ones are of this size
        rank = 2 * normal.cdf(mean / math.sqrt(2.0)) - 1
        (chance,) = DayVote(LETTERS).chances(np.array([rank]))
        assert chance == pytest.approx(normal.cdf(mean), abs=2e-4)
    assert DayVote(LETTERS).chances(np.array([-9.0, 9.0])).tolist() == pytest.approx([0.01, 0.99])


def test_a_stock_of_other_bars_with_the_same_letters_gets_the_same_score() -> None:
    column = RANKED[3]
    own = LETTERS.letters[ROW, column][None, None]
    inside, outside = DayVote(LETTERS).score([prompt(column), prompt(column, own=own)])
    assert outside.probability == pytest.approx(inside.probability, abs=1e-12)
    assert outside.rank == pytest.approx(inside.rank, abs=1 / len(RANKED))  # one more among the others


def test_the_universe_is_read_once_a_day_however_its_stocks_are_asked() -> None:
    vote = CountedVote()
    by_symbol = [prompt(column, row=row) for column in RANKED for row in (ROW, ROW + 1)]
    together = vote.score(by_symbol)
    assert sorted(vote.read) == [ROW, ROW + 1]
    one_by_one = [vote.score([it])[0] for it in reversed(by_symbol)][::-1]
    assert sorted(vote.read) == [ROW, ROW + 1]
    assert [(it.probability, it.rank) for it in one_by_one] == [(it.probability, it.rank) for it in together]
    (other,) = vote.score([prompt(RANKED[0], hits([0.9, 0.5], first=4))])  # other days of the same day's
    assert len(vote.read) == 3
    assert other.probability != together[0].probability


def test_hits_that_are_no_days_are_refused() -> None:
    with pytest.raises(
        ModelError, match=rf'as of {CALENDAR[ROW].date()}: this reads retrieved days.*candidates = "days"'
    ):
        DayVote(LETTERS).score([prompt(RANKED[3], found=())])
