"""Examples of a warm step of a reader of text: newer days more often, or new days alone."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest

from ragsignal.config import WalkForwardSpec
from ragsignal.errors import DataError
from ragsignal.training.examples import Example, draw_by_age
from ragsignal.types import Query

DAYS = [date(2014, 1, 1) + timedelta(days=number) for number in range(200)]


def example(day: date, symbol: str) -> Example:
    return Example(Query(symbol, (day,), (1.0,)), 0.01, day + timedelta(days=1))


EXAMPLES = [example(day, symbol) for day in DAYS for symbol in "ABCDE"]
PLACES = {(it.query.as_of, it.query.symbol): place for place, it in enumerate(EXAMPLES)}


def drawn(n: int, seed: int = 0, last: date = DAYS[150], **keys: Any) -> list[Example]:
    return draw_by_age(EXAMPLES, n, WalkForwardSpec.model_construct(**keys), last, seed)


def test_examples_a_half_life_older_are_drawn_half_as_often_and_stay_in_their_order() -> None:
    ages: Counter[int] = Counter()
    for seed in range(300):
        found = drawn(20, seed, replay=True, half_life=50)
        places = [PLACES[it.query.as_of, it.query.symbol] for it in found]
        assert places == sorted(set(places))
        ages.update((DAYS[-1] - it.query.as_of).days // 50 for it in found)
    assert ages[1] / ages[0] == pytest.approx(0.5, abs=0.06)
    assert ages[2] / ages[1] == pytest.approx(0.5, abs=0.08)


def test_without_replay_there_are_days_after_those_of_the_step_before_alone() -> None:
    found = drawn(40, replay=False)
    assert len(found) == 40
    assert all(it.query.as_of > DAYS[150] for it in found)
    assert len(drawn(9999, replay=False)) == 5 * 49


def test_few_examples_are_all_drawn() -> None:
    assert drawn(len(EXAMPLES), replay=True, half_life=10) == EXAMPLES


def test_no_new_day_is_an_error_that_says_what_to_write() -> None:
    with pytest.raises(DataError, match=r"days after 2014-07-19 alone, and no example is of one; write replay = true"):
        drawn(5, last=DAYS[-1], replay=False)
