"""Days as a model reads them: letters of payoffs and states, similarity, sign and age."""

from __future__ import annotations

from datetime import timedelta
from statistics import NormalDist

import numpy as np
import pytest

from ragsignal.data import RANK_FACTORS, RANK_LETTERS, DayHits
from ragsignal.errors import LookAheadError
from ragsignal.llm.day_hits import DayScales, day_features, normal_letters
from tests.day_tables import drawn_days

TABLE = drawn_days()
ROWS = np.flatnonzero(TABLE.retrievable)[[3, 10, 20]]
HITS = DayHits(TABLE, ROWS, np.array([0.75, 0.5, -0.9]))
SCALES = DayScales(np.full(len(RANK_FACTORS), 0.02), np.full(8, 0.1), np.full(8, 0.5))
LAST = HITS.known_through


def test_letters_are_sixteenths_of_a_standard_normal_number() -> None:
    normal = NormalDist()
    for letter in range(RANK_LETTERS):
        inside = [normal.inv_cdf((letter + share) / RANK_LETTERS) for share in (0.05, 0.5, 0.95)]
        assert normal_letters(np.array(inside)).tolist() == [letter] * 3
    assert normal_letters(np.array([np.nan, -np.inf, np.inf])).tolist() == [RANK_LETTERS, 0, RANK_LETTERS - 1]
    drawn = normal_letters(np.random.default_rng(0).normal(size=160_000))
    assert np.bincount(drawn) / 10_000 == pytest.approx(np.ones(RANK_LETTERS), abs=0.05)


def test_a_day_is_letters_of_what_it_paid_three_facts_and_its_state() -> None:
    assert LAST is not None
    features = day_features(HITS, LAST + timedelta(days=10), SCALES)
    assert (features.payoffs == normal_letters(TABLE.payoffs[ROWS] / 0.02)).all()
    ages = [(np.datetime64(LAST) - known).astype(int) + 10 for known in TABLE.available_at[ROWS]]
    expected = np.stack([[0.75, 0.5, 0.1], [0.0, 0.0, 1.0], np.log1p(ages) / 8], axis=1)  # an unlike day is .1 alike
    assert features.facts[:, :3] == pytest.approx(expected, abs=1e-6)
    assert features.facts[:, 3:] == pytest.approx(np.clip((TABLE.states[ROWS] - 0.1) / 0.5, -3.0, 3.0), abs=1e-6)
    assert (features.payoffs.dtype, features.facts.dtype) == (np.uint8, np.float32)


def test_a_day_whose_payoffs_were_not_known_is_never_read() -> None:
    assert LAST is not None
    assert day_features(HITS, LAST, SCALES).facts[:, 2].min() >= 0.0
    with pytest.raises(LookAheadError, match=f"as of {LAST - timedelta(days=1)}: what market/.* was only known on"):
        day_features(HITS, LAST - timedelta(days=1), SCALES)
