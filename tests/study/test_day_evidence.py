"""What retrieved days say, for people: states among the visible days only, payoffs by name, words that are right."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from ragsignal.data import FACTOR_WORDS, RANK_FACTORS, STATE_FORMULAS, STATE_WORDS, factor_values
from ragsignal.llm import letters_of, pooled_payoffs
from ragsignal.llm.ranks import spelled
from ragsignal.retrieval import NoRetriever
from ragsignal.study import DayEvidence, StateValue, day_evidence, hit_record, market_in_words
from ragsignal.study.day_evidence import both_ends, strongest
from ragsignal.types import Candidate, Hit, Movement
from tests.made_days import made_days, made_hits, made_retriever

AS_OF = made_days().days[120].item()


@pytest.fixture(scope="module")
def evidence() -> DayEvidence:
    found = day_evidence(made_retriever(), AS_OF)
    assert found is not None
    return found


def test_every_factor_and_variable_has_its_own_words() -> None:
    assert tuple(FACTOR_WORDS) == RANK_FACTORS
    assert list(STATE_WORDS) == list(STATE_FORMULAS)
    assert len(set(FACTOR_WORDS.values())) == len(RANK_FACTORS)


def test_a_state_is_compared_with_days_that_could_be_retrieved(evidence: DayEvidence) -> None:
    table = made_days()
    seen = table.states[table.visible(AS_OF)]
    assert evidence.visible == len(seen)
    for column, value in enumerate(evidence.state):
        own = table.states[120, column]
        assert value.below == pytest.approx(np.mean(seen[:, column] < own))
        assert value.z == pytest.approx((own - seen[:, column].mean()) / seen[:, column].std())


def test_evidence_does_not_know_what_comes_later(evidence: DayEvidence) -> None:
    table = made_days()
    table.market[121:] += 0.5
    table.payoffs[120:] += 0.5
    again = day_evidence(made_retriever(table), AS_OF)
    assert again is not None
    # the metric of the fixture was standardised with later days; what is read, and told of the state, was not
    assert again.state == evidence.state
    assert again.visible == evidence.visible


def test_contributions_add_up_to_the_votes_score(evidence: DayEvidence) -> None:
    letters = np.random.default_rng(0).integers(0, 17, len(RANK_FACTORS)).astype(np.uint8)
    own = evidence.contributions(spelled(letters))
    assert list(own) == list(RANK_FACTORS)
    assert sum(own.values()) == pytest.approx(float(factor_values(letters) @ pooled_payoffs(evidence.hits)))
    np.testing.assert_array_equal(letters_of(spelled(letters)), letters)


def test_a_day_without_hits_and_a_retriever_of_no_days_have_no_evidence() -> None:
    assert day_evidence(made_retriever(), made_days().days[5].item()) is None  # no state yet
    assert day_evidence(made_retriever(), date(2009, 1, 3)) is None  # a Saturday
    assert day_evidence(NoRetriever(), AS_OF) is None


def test_a_record_of_a_day_names_what_paid_and_marks_unlike_days() -> None:
    alike, _, unlike = map(hit_record, made_hits().hits)
    assert (alike["similarity"], alike["unlike"]) == (0.9, False)
    assert (unlike["similarity"], unlike["unlike"]) == (pytest.approx(0.3), True)
    assert alike["available_at"] > alike["date"]
    best = max(alike["payoffs"], key=alike["payoffs"].get)
    worst = min(alike["payoffs"], key=alike["payoffs"].get)
    paid, cost = alike["words"].split("; cost ")
    assert f"known on {alike['available_at']}: paid {FACTOR_WORDS[best]} +" in paid
    assert cost.startswith(f"{FACTOR_WORDS[worst]} −")
    assert "unlike, similarity 0.30" in unlike["words"]


def test_a_record_of_a_sequence_has_its_fields() -> None:
    day = date(2010, 1, 4)
    candidate = Candidate("AA/x/1", "AA", "x", (day,), (1.0,), (0.1,), Movement.RISE, 0.02, day)
    assert hit_record(Hit(candidate, 0.5, 3)) == {
        "rank": 3,
        "score": 0.5,
        "id": "AA/x/1",
        "symbol": "AA",
        "sequence": "x",
        "dates": (day,),
        "values": (1.0,),
        "scaled": (0.1,),
        "movement": "rise",
        "outcome": 0.02,
        "available_at": day,
    }


def test_the_largest_payoffs_and_both_ends() -> None:
    payoffs = {"a": 0.1, "b": -0.3, "c": 0.2, "d": 0.0}
    assert list(strongest(payoffs, 2)) == ["b", "c"]
    assert both_ends(payoffs, 5) == ({"c": 0.2, "a": 0.1}, {"b": -0.3})


def test_a_market_is_called_what_it_was_among_the_days_before() -> None:
    def state(trend: float, volatility: float, dispersion: float) -> list[StateValue]:
        values = {
            "trend": (-0.0042, trend),
            "volatility": (0.021, volatility),
            "dispersion": (np.log(0.02), dispersion),
        }
        return [StateValue(f"{name}_20", value, 0.0, below) for name, (value, below) in values.items()]

    fell = market_in_words(state(0.03, 0.95, 0.5))
    assert "falling over 20 days (median stock −0.42\u202f% a day: lower than on 97\u202f% of days before)" in fell
    assert "volatile (2.10\u202f% a day: higher than on 95\u202f%)" in fell
    assert "as differently as usual (dispersion 2.00\u202f% a day: higher than on 50\u202f%)" in fell
    rose = market_in_words(state(0.9, 0.1, 0.9))
    assert all(word in rose for word in ("rising", "calm", "far apart"))
