"""The forgetting matrix: its means by hand, which cells are in sample, words that claim no more than the days say."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.evaluation.forgetting import (
    Cell,
    Forgetting,
    Period,
    StepCost,
    StepScores,
    forgetting_record,
    mean_of_periods,
    scores_of,
    training_seconds,
)
from ragsignal.evaluation.forgetting_words import forgetting_section, forgetting_sentences
from ragsignal.statistics import Interval, mean_interval

DAYS = np.datetime64("2010-01-01") + np.arange(40)
SPANS = [(0, 9), (10, 19), (20, 29), (30, 39)]
R = np.array([[0.5, 0.1, 0.2, 0.0], [0.4, 0.6, 0.3, 0.1], [0.2, 0.3, 0.8, 0.4]])  # model of step 1.. x period 0..


def matrix(known: np.ndarray[Any, Any] = R) -> Forgetting:
    """Three steps of ten days each after ten days that were learned first; ICs are the same on all days of a cell."""
    day = DAYS.tolist()
    steps = [SimpleNamespace(first=day[first], last=day[last]) for first, last in SPANS[1:]]
    train = SimpleNamespace(corpus=SimpleNamespace(horizon=1))
    plan = SimpleNamespace(steps=steps, walk=SimpleNamespace(train=train))
    built = StepScores(SimpleNamespace(plan=plan))  # type: ignore[arg-type]
    learned = SimpleNamespace(first=day[0], last=day[9])
    cards = [SimpleNamespace(train=learned, trained_through=day[first - 1]) for first, _ in SPANS[1:]]
    held = built.__dict__
    held["artifacts"] = [SimpleNamespace(card=card) for card in cards]
    held["letters"] = SimpleNamespace(days=DAYS)
    held["daily"] = [np.repeat(row, 10) for row in known]
    return built.forgetting()


@pytest.fixture(autouse=True)
def no_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "ragsignal.evaluation.forgetting.step_costs",
        lambda *_: [StepCost(number, date(2010, 1, number), number > 1, 10 * number, None) for number in (1, 2, 3)],
    )


def test_the_means_are_those_of_the_matrix_by_hand() -> None:
    found = matrix()
    assert found.backward is not None
    assert found.backward.difference == pytest.approx(((0.2 - 0.5) + (0.3 - 0.6)) / 2)  # each less when just learned
    assert found.forgetting is not None
    assert found.forgetting.difference == pytest.approx(((0.5 - 0.2) + (0.6 - 0.3)) / 2)
    assert found.forward is not None
    assert found.forward.difference == pytest.approx((0.1 + 0.3 + 0.4) / 3)


def test_the_best_earlier_model_need_not_be_the_one_that_had_just_learned() -> None:
    known = R.copy()
    known[1, 0] = 0.9
    found = matrix(known)
    assert found.forgetting is not None
    assert found.forgetting.difference == pytest.approx(((0.9 - 0.2) + (0.6 - 0.3)) / 2)
    assert found.backward == matrix().backward


def test_a_period_is_in_sample_of_the_models_after_it_and_of_no_other() -> None:
    found = matrix()
    assert [(cell.step, cell.period) for cell in found.cells if cell.in_sample] == [
        (1, 0),
        (2, 0),
        (2, 1),
        (3, 0),
        (3, 1),
        (3, 2),
    ]
    assert len(found.cells) == 12
    assert all(cell.ic == pytest.approx(R[cell.step - 1, cell.period]) for cell in found.cells)
    assert [(period.first, period.last) for period in found.periods][1] == (DAYS[10].item(), DAYS[19].item())


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999), lengths=st.lists(st.integers(1, 200), min_size=1, max_size=4))
def test_periods_weigh_the_same_whatever_their_length(seed: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    periods = [rng.normal(number, 0.1, n) for number, n in enumerate(lengths)]
    found = mean_of_periods(periods)
    assert found.difference == pytest.approx(np.mean([it.mean() for it in periods]))
    if sum(lengths) < 100:
        assert (found.low, found.high) == (-np.inf, np.inf)
        assert not found.distinguishable
    elif len(lengths) == 1:
        alone = mean_interval(periods[0])
        assert (found.low, found.high) == pytest.approx((alone.low, alone.high))


def test_blocks_of_scores_are_those_of_one_pass() -> None:
    class Sum:
        """A score that depends on the day's letters and those of the two days before it."""

        memory = 3

        def scores(self, letters: Any) -> Any:
            total = letters.sum(axis=2).astype(float)
            return (
                total
                + np.vstack([np.zeros_like(total[:1]), total[:-1]])
                + np.vstack([np.zeros_like(total[:2]), total[:-2]])
            )

    held = np.random.default_rng(0).integers(0, 17, (200, 5, 4)).astype(np.uint8)
    known = np.zeros((200, 5), dtype=bool)
    known[7:190] = True
    found = scores_of(Sum(), SimpleNamespace(letters=held), known)  # type: ignore[arg-type]
    assert np.array_equal(found[7:190], Sum().scores(held)[7:190])
    assert np.isnan(found[190:]).all()


def told(interval: Interval) -> Forgetting:
    cell = Cell(1, 0, True, 200, 0.05, 0.01, 0.09)
    periods = (Period(0, date(2010, 6, 1), date(2010, 12, 31)),)
    costs = (StepCost(1, date(2011, 1, 3), False, 400, 12.0), StepCost(2, date(2012, 1, 3), True, 100, None))
    return Forgetting(periods, (cell, cell), interval, interval, interval, costs)


def test_words_say_where_nothing_can_be_told_apart() -> None:
    words = " ".join(forgetting_sentences(told(Interval(0.01, -0.02, 0.04))))
    assert words.count("not distinguishable from 0") == 3
    words = " ".join(forgetting_sentences(told(Interval(0.03, 0.02, 0.04))))
    assert "not distinguishable" not in words
    assert "trained anew: 400 optimizer steps and 12.0 seconds, mean of 1" in words
    assert "warm: 100 optimizer steps, mean of 1" in words
    words = " ".join(forgetting_sentences(told(Interval(0.03, -np.inf, np.inf))))
    assert words.count("too few days for an interval") == 3
    assert "+0.0500* ± 0.0400" in forgetting_section(told(Interval(0.01, -0.02, 0.04)))


def test_a_record_holds_no_seconds_as_they_are_never_the_same_twice() -> None:
    record = forgetting_record(told(Interval(0.03, 0.02, 0.04)))
    assert all("seconds" not in cost for cost in record["costs"])
    assert record["backward"]["distinguishable"] is True
    assert training_seconds(told(Interval(0.03, 0.02, 0.04))) == [12.0, None]
    one = forgetting_record(Forgetting((), (), None, None, None, ()))
    assert one["backward"] is None
