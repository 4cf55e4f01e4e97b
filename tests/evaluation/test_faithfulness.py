"""Explanations under test: those that are true to the reader pass, importances by chance do not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragsignal.config import RunSpec, load_spec
from ragsignal.errors import ConfigError
from ragsignal.evaluation import evaluate_spec, write_evaluation
from ragsignal.evaluation.faithfulness import Faithfulness, effect_sizes, faithfulness
from ragsignal.evaluation.questions import Questions, build_questions
from ragsignal.evaluation.record import faithfulness_words
from ragsignal.explanation import Reading
from ragsignal.study import Study
from ragsignal.types import FloatArray, IntArray
from tests.explanation.studies import study
from tests.specs import spec, write_spec
from tests.universe import universe

pytestmark = pytest.mark.slow

N_DAYS = 470  # 130 of them are asked: fewer than 100 say nothing
QUERIES = 120
Asked = tuple[Study, Questions]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    frames = universe(n_symbols=24, n_days=N_DAYS)
    days = frames["S00"].index
    data = {"symbols": list(frames), "start": days[338].date(), "end": days[-1].date()}
    opened = study(tmp_path_factory.mktemp("reader") / "stockllm", frames, data=data | {"source": "planted"})
    return opened, build_questions(opened.prices.select(opened.spec.data.symbols).frames, opened.spec)


def rows_of(asked: Asked, variant: str, **options: Any) -> list[Faithfulness]:
    opened, questions = asked
    return faithfulness(opened, opened.spec.find_variant(variant), questions, QUERIES, **options)


def by_chance(reading: Reading, places: IntArray, probability: FloatArray) -> FloatArray:
    rng = np.random.default_rng(int(1e9 * probability[0]))
    return rng.random((len(places), reading.letters.shape[1]))


def least(reading: Reading, places: IntArray, probability: FloatArray) -> FloatArray:
    return -effect_sizes(reading, places, probability)


def test_effects_of_the_reader_pass_and_names_drawn_by_chance_do_not(asked: Asked) -> None:
    (true,), (chance,), (wrong,) = (
        rows_of(asked, "reader", **({"importance": it} if it else {})) for it in (None, by_chance, least)
    )
    assert (true.parts, true.deleted, true.of, true.queries, true.days) == ("factors", 5, 41, QUERIES, QUERIES)
    assert true.passes is True
    assert true.p is not None
    assert true.p < 0.01
    assert true.important is not None
    assert true.random is not None
    assert true.difference == pytest.approx(true.important - true.random)
    assert chance.passes is False
    assert chance.random == pytest.approx(true.random, abs=1e-6)  # the same random sets, read in other batches
    assert wrong.passes is False
    assert wrong.difference is not None
    assert wrong.difference < 0  # significant, and on the wrong side


def test_hits_that_count_move_a_vote_of_days_more_than_others(asked: Asked) -> None:
    factors, hits = rows_of(asked, "days")
    assert factors.passes is True
    assert (hits.parts, hits.deleted, hits.of) == ("hits", 2, 12)
    assert hits.passes is True


def test_few_days_say_nothing(asked: Asked) -> None:
    opened, questions = asked
    (few,) = faithfulness(opened, opened.spec.find_variant("reader"), questions, 40)
    assert (few.queries, few.days, few.p, few.passes) == (40, 40, None, None)
    assert few.difference is not None


def test_the_same_is_said_twice(asked: Asked) -> None:
    assert rows_of(asked, "days") == rows_of(asked, "days")


def small(**changes: Any) -> RunSpec:
    return spec(evaluation={"every": 2} | changes)


def test_it_stands_in_the_record_and_the_words_where_it_is_asked_for_and_nowhere_else(tmp_path: Path) -> None:
    without, with_it = evaluate_spec(small()), evaluate_spec(small(faithfulness=3))
    assert "faithfulness" not in write_evaluation(without, tmp_path / "without")
    assert "faithfulness" not in without.spec.model_dump(mode="json")["evaluation"]
    assert faithfulness_words(without) == []
    record = write_evaluation(with_it, tmp_path / "with")
    rows = json.loads(json.dumps(record["faithfulness"]))
    assert {row["variant"] for row in rows} == {"vote", "random"}
    assert {row["parts"] for row in rows} == {"factors", "hits"}
    words = faithfulness_words(with_it)
    assert len(words) == len(rows)
    assert all("too few days" in sentence for sentence in words)
    assert words[0] in (tmp_path / "with" / "table.md").read_text(encoding="utf-8")
    assert with_it.predictions.equals(without.predictions)


def test_verdicts_are_said_in_words() -> None:
    row = Faithfulness("v", "factors", 5, 41, 200, 150, 0.02, 0.01, 0.01, 0.005, 0.015, 0.001, True)
    said = []
    for passes, important in ((True, 0.02), (False, 0.02), (None, 0.02), (None, None)):
        rows = [replace(row, passes=passes, important=important)]
        said += faithfulness_words(_Only(rows))  # type: ignore[arg-type]
    for words, sentence in zip(
        ("faithful.", "NOT SHOWN", "too few days", "no query could be asked"), said, strict=True
    ):
        assert words in sentence


class _Only:
    def __init__(self, faithfulness: list[Faithfulness]) -> None:
        self.faithfulness = faithfulness


@pytest.mark.parametrize("value", [-1, 1.5, "many"])
def test_a_number_of_queries_that_is_none_is_refused(tmp_path: Path, value: Any) -> None:
    path = write_spec(tmp_path, evaluation={"faithfulness": value})
    with pytest.raises(ConfigError, match=r"evaluation\.faithfulness"):
        load_spec(path)
