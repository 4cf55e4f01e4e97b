"""The search for the nearest opposite case, against readers whose answers are known, and against brute force."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data import RANK_LETTERS, Letters
from ragsignal.explanation.opposite import MOST, Ask, nearest_opposites
from ragsignal.types import FloatArray, IntArray

FACTORS = 5


def reader(seed: int, bias: float, crossed: float) -> Ask:
    """A reader with weights, curvature, and products of neighbouring factors; P without a bias is near one half."""
    rng = np.random.default_rng(seed)
    weights, curves = rng.normal(size=(2, FACTORS))

    def ask(owner: IntArray, letters: Letters) -> FloatArray:
        places = (letters + 0.5) / 8.0 - 1.0
        raw = places @ weights + 0.5 * places**2 @ curves + crossed * (places[:, 1:] * places[:, :-1]).sum(axis=1)
        return np.asarray(1.0 / (1.0 + np.exp(-raw - bias * np.sign(raw + 1e-9))))

    return ask


def single_changes(own: Letters) -> tuple[Letters, IntArray]:
    """Every case that differs in one known letter, and by how many steps."""
    cases, steps = [], []
    for factor in np.flatnonzero(own != RANK_LETTERS):
        for letter in set(range(RANK_LETTERS)) - {int(own[factor])}:
            case = own.copy()
            case[factor] = letter
            cases.append(case)
            steps.append(abs(letter - int(own[factor])))
    return np.array(cases, dtype=np.uint8).reshape(len(cases), FACTORS), np.array(steps, dtype=np.int64)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    bias=st.sampled_from([0.0, 0.5, 2.0]),
    crossed=st.sampled_from([0.0, 1.0]),
    rows=st.lists(st.lists(st.integers(0, RANK_LETTERS), min_size=FACTORS, max_size=FACTORS), min_size=1, max_size=4),
)
def test_what_is_found_turns_the_side_and_no_single_letter_does_where_two_are_said_to_be_needed(
    seed: int, bias: float, crossed: float, rows: list[list[int]]
) -> None:
    ask, letters = reader(seed, bias, crossed), np.array(rows, dtype=np.uint8)
    own = ask(np.arange(len(rows)), letters)
    for number, turned in enumerate(nearest_opposites(ask, letters, own)):
        side = np.sign(own[number] - 0.5)
        cases, steps = single_changes(letters[number])
        alone = np.sign(ask(np.zeros(len(cases), dtype=np.int64), cases) - 0.5) == -side if len(cases) else np.array([])
        if turned is None:
            assert not alone.any()
            continue
        (after,) = ask(np.array([0]), turned.letters[None])
        assert np.sign(after - 0.5) == -side
        assert after == turned.probability or abs(after - turned.probability) < 1e-12
        changed = np.flatnonzero(turned.letters != letters[number])
        assert (letters[number, changed] != RANK_LETTERS).all()
        assert (turned.letters < RANK_LETTERS)[changed].all()
        distance = np.abs(turned.letters.astype(int) - letters[number])[changed].sum()
        if len(changed) == 1:
            assert distance == steps[alone].min()  # no other single letter does it in fewer steps
        else:
            assert not alone.any()
            assert 2 <= len(changed) <= MOST
            for factor in changed:  # none can be left out, or be one step smaller
                for letter in (letters[number, factor], _nearer(turned.letters[factor], letters[number, factor])):
                    less = turned.letters.copy()
                    less[factor] = letter
                    assert np.sign(ask(np.array([0]), less[None])[0] - 0.5) != -side


def _nearer(now: np.uint8, own: np.uint8) -> int:
    return int(now) + (1 if own > now else -1)


def test_a_side_that_nothing_turns_has_no_opposite() -> None:
    letters = np.full((2, FACTORS), 3, dtype=np.uint8)
    asked: list[int] = []

    def stubborn(owner: IntArray, cases: Letters) -> FloatArray:
        asked.append(len(owner))
        return np.full(len(owner), 0.7)

    assert nearest_opposites(stubborn, letters, np.array([0.7, 0.7])) == [None, None]
    assert sum(asked[:12]) == 2 * FACTORS * (RANK_LETTERS - 1)  # every single change was tried, 12 steps up at most


def test_at_one_half_there_is_no_side_to_turn() -> None:
    def never(owner: IntArray, cases: Letters) -> FloatArray:
        raise AssertionError("nothing is to be asked")

    assert nearest_opposites(never, np.zeros((1, FACTORS), dtype=np.uint8), np.array([0.5])) == [None]
