"""Which variants a reader of days is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragsignal.config import RunSpec, load_spec
from tests.specs import HOLD, spec, write_spec

DAYS: dict[str, Any] = {"candidates": "days", "retriever": "finseer", "k": 400, "opposite": 200}
RANDOM: dict[str, Any] = {**DAYS, "retriever": "random"}
READER = {"model": "shipped:stockllm", "adapter": "shipped:stockllm-days"}


def _spec(*variants: dict[str, Any]) -> RunSpec:
    rag = {"name": "rag", "retrieval": DAYS, "llm": READER}
    return spec(corpus={"target": "relative"}, retrieval={"retriever": "none", "k": 5}, variant=[rag, *variants, HOLD])


def _rivals(*variants: dict[str, Any]) -> dict[str, list[str]]:
    found = _spec(*variants)
    return {**found.rivals_of(found.find_variant("rag"))}


def test_a_reader_of_days_is_compared_with_its_trunk_and_with_random_days() -> None:
    found = _rivals(
        {"name": "stockllm", "llm": {"model": "shipped:stockllm"}},
        {"name": "random-1", "retrieval": RANDOM | {"seed": 1}, "llm": READER},
        {"name": "random-2", "retrieval": RANDOM | {"seed": 2}, "llm": READER},
        {"name": "days-vote", "signal": "vote", "retrieval": DAYS},
        {"name": "boosting", "signal": "classifier"},
    )
    assert found == {"none": ["stockllm"], "random": ["random-1", "random-2"]}


@pytest.mark.parametrize(
    "other",
    [
        {"retrieval": RANDOM | {"k": 300}},
        {"retrieval": RANDOM | {"opposite": 0}},
        {"retrieval": RANDOM | {"max_age": 1000}},
        {"retrieval": RANDOM | {"embargo": 5}},
        {"retrieval": RANDOM | {"own_days": True}},
        {"retrieval": RANDOM | {"encoder": "another/finseer"}},
        {"retrieval": {"retriever": "random", "k": 100}},
        {"llm": READER | {"adapter": "another/reader"}},
        {"llm": {"model": "another/stockllm"}, "retrieval": {"retriever": "none"}},
        {"signal": "vote"},
    ],
    ids=lambda other: str(other)[:60],
)
def test_what_differs_in_more_than_the_choice_of_days_is_no_rival(other: dict[str, Any]) -> None:
    assert _rivals({"name": "other", "retrieval": RANDOM, "llm": READER} | other) == {}


def test_days_of_ones_own_are_one_pool_whatever_the_metric_comes_from() -> None:
    own = {"own_days": True}
    found = _spec(
        {"name": "nearest", "signal": "vote", "retrieval": DAYS | own | {"encoder": "some/finseer"}},
        {"name": "random", "signal": "vote", "retrieval": RANDOM | own},
    )
    assert found.rivals_of(found.find_variant("nearest")) == {"random": ["random"]}


def test_the_vote_of_the_same_days_is_known_by_its_whole_table() -> None:
    found = _spec(
        {"name": "days-vote", "signal": "vote", "retrieval": DAYS},
        {"name": "other-vote", "signal": "vote", "retrieval": DAYS | {"k": 100}},
        {"name": "random", "retrieval": RANDOM, "llm": READER},
        {"name": "random-vote", "signal": "vote", "retrieval": RANDOM},
        {"name": "stockllm", "llm": {"model": "shipped:stockllm"}},
    )
    votes = {variant.name: found.votes_like(variant) for variant in found.variants}
    assert {name: names for name, names in votes.items() if names} == {"rag": ["days-vote"]}


def test_a_reader_of_text_without_its_adapter_is_another_reader() -> None:
    sequences = {"retriever": "shape"}
    found = spec(
        variant=[
            {"name": "rag", "retrieval": sequences, "llm": {"adapter": "some/adapter"}},
            {"name": "bare", "retrieval": {"retriever": "none"}},
            {"name": "tuned", "retrieval": {"retriever": "none"}, "llm": {"adapter": "some/adapter"}},
            HOLD,
        ]
    )
    assert found.rivals_of(found.find_variant("rag")) == {"none": ["tuned"]}


def test_days_are_no_sequences_of_the_corpus() -> None:
    found = _spec({"name": "shapes", "signal": "vote", "retrieval": {"retriever": "shape"}})
    assert [variant.name for variant in found.variants if variant.reads_sequences] == ["shapes"]
    assert [variant.name for variant in found.variants if variant.reads_days] == ["rag"]


def test_keys_of_days_in_a_variant_are_read_with_those_of_the_run() -> None:
    days = {"candidates": "days", "retriever": "state", "k": 400}
    near = {"name": "near", "signal": "vote", "retrieval": {"retriever": "recent", "k": 800, "opposite": 5}}
    (variant, _) = spec(retrieval=days, variant=[near, HOLD]).variants
    assert (variant.retrieval.k, variant.retrieval.opposite, variant.retrieval.finds_days) == (800, 5, True)


@pytest.mark.parametrize(
    ("retrieval", "said"),
    [
        ({"retriever": "state"}, "variant 'v', retrieval: retriever 'state' does not find sequences"),
        ({"k": 400}, "variant 'v', retrieval: k = 400: of sequences at most 100"),
        ({"candidates": "days", "retriever": "shape"}, "variant 'v', retrieval: retriever 'shape' does not find days"),
        ({"k": -1}, "greater than or equal to 1"),
    ],
)
def test_keys_that_do_not_fit_those_of_the_run_are_refused_by_the_variants_name(
    retrieval: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        spec(variant=[{"name": "v", "signal": "vote", "retrieval": retrieval}, HOLD])


def test_the_file_of_macro_variables_lies_beside_the_spec(tmp_path: Path) -> None:
    days = {"candidates": "days", "retriever": "regimes", "macro": "macro.csv", "k": 60}
    (vote, random) = load_spec(write_spec(tmp_path, retrieval=days)).variants[:2]
    assert vote.retrieval.macro == tmp_path / "macro.csv"
    assert random.retrieval.retriever == "random"
    assert vote.retrieval.pool != random.retrieval.pool  # a fifth of the months is no 60 days
