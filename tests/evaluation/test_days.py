"""Retrieved days are asked the same questions as retrieved sequences, and longer outcomes get wider blocks."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import pytest

from ragsignal.config import EvaluationSpec, RunSpec
from ragsignal.data import noise_market
from ragsignal.evaluation import Evaluation, evaluate_spec
from ragsignal.evaluation.comparisons import (
    BEST_BASELINE,
    CLASSIFIER,
    NO_RETRIEVAL,
    RANDOM_RETRIEVAL,
    REVERSAL,
    SAME_HITS,
    Comparison,
    compare,
    family_of,
)
from ragsignal.evaluation.forecasts import Scoring, of_probability
from ragsignal.evaluation.protocol import overlap_of
from ragsignal.evaluation.questions import build_questions
from ragsignal.evaluation.record import markdown
from ragsignal.statistics import block_length, holm
from tests.specs import HOLD, spec

pytestmark = pytest.mark.slow

SYMBOLS = [f"S{number:02d}" for number in range(24)]
SPAN = {"source": "noise", "symbols": SYMBOLS, "start": date(2015, 1, 5), "end": date(2015, 6, 30)}
OWN: dict[str, Any] = {"candidates": "days", "retriever": "state", "k": 60, "opposite": 30, "own_days": True}
DAYS = {**OWN, "own_days": False, "retriever": "finseer"}
READER = {"model": "shipped:stockllm", "adapter": "shipped:stockllm-days"}


def _votes(horizon: int) -> RunSpec:
    return spec(
        data=SPAN,
        corpus={"target": "relative", "horizon": horizon},
        retrieval=OWN,
        evaluation={"target": "relative", "horizon": horizon},
        variant=[
            {"name": "days", "signal": "vote"},
            {"name": "random-1", "signal": "vote", "retrieval": {"retriever": "random", "seed": 1}},
            {"name": "random-2", "signal": "vote", "retrieval": {"retriever": "random", "seed": 2}},
            HOLD,
        ],
    )


@pytest.fixture(scope="module", params=[1, 5])
def evaluation(request: pytest.FixtureRequest) -> Evaluation:
    return evaluate_spec(_votes(request.param))


def test_a_vote_of_days_meets_random_days_close_to_close_and_open_to_open(evaluation: Evaluation) -> None:
    rows = [row for row in evaluation.comparisons if row.against == RANDOM_RETRIEVAL and row.measure.startswith("ic")]
    assert {(row.left, *row.right, row.measure) for row in rows} == {
        ("days", "random-1", "random-2", "ic"),
        ("days", "random-1", "random-2", "ic_o2o"),
    }
    assert all(row.low < row.difference < row.high and 0 < row.p <= row.p_family for row in rows)
    assert not any(row.distinguishable for row in rows)  # this market has nothing to find
    assert "not distinguishable" in markdown(evaluation)


def test_the_corpus_of_sequences_is_not_made_for_days(evaluation: Evaluation) -> None:
    assert set(evaluation.digests) == {"prices"}


def test_blocks_are_twice_as_long_as_outcomes_reach(evaluation: Evaluation) -> None:
    options = evaluation.spec.evaluation
    block = block_length(evaluation.questions.days, overlap_of(options))
    assert block >= 2 * options.horizon
    assert f"in blocks of {block}," in " ".join(evaluation.protocol)


@pytest.mark.parametrize("horizon", [1, 5, 10, 20])
@pytest.mark.parametrize("every", [1, 2, 3, 7])
def test_blocks_are_twice_as_long_as_outcomes_reach_for_any_step(horizon: int, every: int) -> None:
    options = EvaluationSpec.model_validate({"horizon": horizon, "every": every})
    for days in (100, 1000):
        assert block_length(days, overlap_of(options)) * every >= 2 * horizon


def _seven_signals() -> RunSpec:
    """The signals of backtests/sample.toml."""
    return spec(
        data=SPAN,
        corpus={"target": "relative"},
        retrieval={"retriever": "none", "k": 5},
        evaluation={"target": "relative"},
        variant=[
            {"name": "stockllm", "llm": {"model": "shipped:stockllm"}},
            {"name": "rag", "retrieval": DAYS, "llm": READER},
            {"name": "random-1", "retrieval": DAYS | {"retriever": "random", "seed": 1}, "llm": READER},
            {"name": "random-2", "retrieval": DAYS | {"retriever": "random", "seed": 2}, "llm": READER},
            {"name": "days-vote", "signal": "vote", "retrieval": DAYS},
            {"name": "boosting", "signal": "classifier"},
            {"name": "boosting-state", "signal": "classifier", "classifier": "shipped:classifier-state"},
            HOLD,
        ],
    )


@pytest.fixture(scope="module")
def compared() -> list[Comparison]:
    """All differences of seven signals that know nothing."""
    asked = _seven_signals()
    questions = build_questions(noise_market(SYMBOLS, date(2014, 1, 1), SPAN["end"]).frames, asked)
    rng = np.random.default_rng(0)
    names = [variant.name for variant in asked.variants if variant.has_signal] + ["reversal-1d", "boosting-17"]
    forecasts = {name: of_probability(name, "variant", rng.random(len(questions))) for name in names}
    best = dict.fromkeys(("acc", "acc_ranked", "brier", "log_loss", "ic", "ic_o2o"), "boosting-17")
    return compare(asked, Scoring(questions), forecasts, best)


@pytest.mark.parametrize("measure", ["ic", "ic_o2o"])
def test_a_reader_of_days_meets_its_trunk_random_days_the_vote_and_boosting(
    compared: list[Comparison], measure: str
) -> None:
    assert {(row.against, *row.right) for row in compared if row.left == "rag" and row.measure == measure} == {
        (NO_RETRIEVAL, "stockllm"),
        (RANDOM_RETRIEVAL, "random-1", "random-2"),
        (SAME_HITS, "days-vote"),
        (CLASSIFIER, "boosting"),
        (CLASSIFIER, "boosting-state"),
        (REVERSAL, "reversal-1d"),
        (BEST_BASELINE, "boosting-17"),
    }


def test_a_control_is_compared_with_what_it_controls_and_with_nothing_else(compared: list[Comparison]) -> None:
    with_controls = [row for row in compared if {row.left, *row.right} & {"random-1", "random-2"}]
    assert {(row.left, row.against) for row in with_controls} == {("rag", RANDOM_RETRIEVAL)}


def test_questions_about_retrieval_are_not_paid_for_by_those_of_skill(compared: list[Comparison]) -> None:
    families = Counter(family_of(row.against, row.set, row.measure) for row in compared)
    retrieval, skill = True, False
    assert families["all", True, retrieval] == 6  # trunk, random days, vote; close to close and open to open
    assert families["all", True, skill] == 32  # 5 readers less reversal and the best, 3 of them less 2 classifiers
    by_retrieval = [row for row in compared if family_of(row.against, row.set, row.measure) == ("all", True, retrieval)]
    np.testing.assert_allclose([row.p_family for row in by_retrieval], holm([row.p for row in by_retrieval]))
