"""Readers of windows explained: ."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

from ragsignal.data import QUERY_SEQUENCE, log_returns
from ragsignal.explanation import Explanation, explain
from ragsignal.explanation.questions import queries_on
from ragsignal.explanation.window_reading import WindowReading
from ragsignal.study import Study
from ragsignal.types import Query
from tests.specs import HOLD, spec
from tests.tiny import tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.slow

DAY = date(2015, 3, 10)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Study:
    model = tiny_llama(tmp_path_factory.mktemp("tiny") / "llama", tiny_tokenizer(), 1024)
    variants: list[dict[str, Any]] = [
        {"name": "text", "signal": "llm"},
        {"name": "alone", "signal": "llm", "retrieval": {"retriever": "none"}},
        HOLD,
    ]
    llm = {"model": str(model), "dtype": "float32"}
    return Study(spec(llm=llm, retrieval={"k": 3}, variant=variants, data={"end": date(2015, 3, 31)}))


def one(opened: Study, variant: str) -> Explanation:
    (explanation,) = explain(opened, opened.spec.find_variant(variant), ["AAA"], DAY)
    return explanation


def test_a_text_model_is_read_again_without_returns_and_without_hits(opened: Study) -> None:
    it = one(opened, "text")
    assert it.reads == "window and sequences"
    assert [factor.words for factor in it.factors][-2:] == ["return of the day before", "return of the day"]
    assert [group.name for group in it.groups] == ["last return", "earlier returns"]
    assert it.rank is None
    assert len(it.hits) == it.hits_read == 3
    for hit in it.hits:
        assert hit.weight is None
        assert hit.without is not None
        assert hit.effect == pytest.approx(it.probability - hit.without)
    assert it.robustness is not None
    assert it.robustness.draws == 16
    assert it.neighbours is not None
    assert it.neighbours.unstored > 0  # a text model's earlier signals are not made
    assert "would cost model calls" in it.neighbours.words


def test_stored_answers_of_a_text_model_are_its_neighbours(opened: Study) -> None:
    variant = opened.spec.find_variant("text")
    for day in (date(2015, 3, 5), date(2015, 3, 6)):
        explain(opened, variant, ["AAA", "BBB"], day)
    it = one(opened, "text")
    assert it.neighbours is not None
    assert it.neighbours.earlier >= 4


def test_a_reader_of_a_window_alone_has_no_hits(opened: Study) -> None:
    it = one(opened, "alone")
    assert it.reads == "window"
    assert it.hits == ()
    assert it.opposite is not None
    assert {factor.place.split(" of ")[1] for factor in it.factors} == {"16"}


def test_a_changed_letter_stands_for_a_return_of_its_bin_and_the_others_stay(opened: Study) -> None:
    variant = opened.spec.find_variant("alone")
    source = opened.pipeline(variant)
    (pipeline, queries), *_ = source.parts([_query(opened)])
    reading = WindowReading(pipeline, [pipeline.prompter.render(queries[0], ())], opened.materials.bins, False)
    rng = np.random.default_rng(0)
    for _ in range(50):
        letters = rng.integers(0, 16, 5).astype(np.uint8)
        keep = rng.random(5) < 0.4
        letters[keep] = reading.letters[0, keep]
        changed = reading._query(0, reading._returns(np.array([0]), letters[None])[0])
        returns = log_returns(changed)
        assert (opened.materials.bins.codes(QUERY_SEQUENCE, returns) == letters).all()
        assert np.allclose(returns[keep], log_returns(queries[0])[keep], atol=1e-12)
    assert reading._query(0, reading.values[0]) is queries[0]


def _query(opened: Study) -> Query:
    return queries_on(opened, ["AAA"], DAY)[0]
