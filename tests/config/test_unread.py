"""Keys that stand in a spec's file and that nothing reads are refused, in a line that names what would read them."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ragsignal.config import RunSpec, SearchSpec, TrainSpec, load_search_spec, load_spec, load_train_spec
from ragsignal.config.run import OVERLAID
from ragsignal.config.unread import _OF_DATA, _OF_RUN, _OF_SEARCH, _OF_TRAINING, _OF_VARIANTS
from ragsignal.errors import ConfigError
from tests.searches import SMALL_SEARCH
from tests.specs import HOLD, MOMENTUM, RANDOM, VOTE, changed, write, write_spec, write_train_spec

SUPCON = 'would be read by finseer.loss = "supcon" alone, and here nothing reads'
RANKS = {"stockllm": {"reader": "ranks"}, "classifier": {"kind": "boosting"}}

TRAININGS: list[tuple[dict[str, Any], str]] = [
    ({"finseer": {"positives": "same"}}, f"finseer.positives {SUPCON} it: write that, or delete the key"),
    ({"finseer": {"loss": "infonce", "positives": "overlap"}}, f"finseer.positives {SUPCON}"),
    ({"finseer": {"loss": "mix", "windows": 9, "buckets": 3}}, f"finseer.buckets, finseer.windows {SUPCON} them"),
    ({"finseer": {"state": "trend_20", "per_class": 4}}, f"finseer.state, finseer.per_class {SUPCON}"),
    ({"finseer": {"mix": 0.5}}, 'finseer.mix would be read by finseer.loss = "mix" alone'),
    ({"finseer": {"loss": "supcon", "negatives": 3}}, 'finseer.negatives would be read by finseer.loss = "kl"'),
    (RANKS | {"stockllm": {"reader": "ranks", "rank": 4}}, 'stockllm.rank would be read by stockllm.reader = "text"'),
    ({"stockllm": {"k": [0], "candidates": ["shape"]}}, "stockllm.candidates would be read by stockllm.k above 0"),
    ({"ranks": {"steps": 9}}, 'ranks.steps would be read by stockllm.reader = "ranks" alone'),
    (RANKS | {"ranks": {"candidates": ["shape"]}}, "ranks.candidates would be read by ranks.k above 0"),
    (
        {"classifier": {"kind": "logistic", "epochs": 1.0}},
        'classifier.epochs would be read by classifier.kind = "bert"',
    ),
    (RANKS | {"classifier": {"kind": "boosting", "seed": 1}}, 'by classifier.kind = "bert" or "logistic" alone'),
    ({"boosting": {"trees": 9}}, 'boosting.trees would be read by classifier.kind = "boosting" alone'),
]


@pytest.mark.parametrize(("changes", "said"), TRAININGS)
def test_a_key_of_a_training_that_nothing_reads_is_refused(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = write_train_spec(tmp_path, **changes)
    with pytest.raises(ConfigError, match=re.escape(said)) as told:
        load_train_spec(path)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"finseer": {"loss": "supcon", "positives": "overlap", "windows": 9, "teacher_temperature": 0.2}},
        {"finseer": {"loss": "mix", "mix": 0.3, "negatives": 3}},
        {"stockllm": {"method": "prefix", "rank": 4, "virtual_tokens": 8}},  # each of [methods] reads its own
        RANKS | {"ranks": {"k": [0, 5], "candidates": ["shape"]}, "boosting": {"trees": 9}},
        {"classifier": {"kind": "bert", "epochs": 1.0}},
    ],
)
def test_a_key_that_its_choice_reads_is_taken(changes: dict[str, Any], tmp_path: Path) -> None:
    assert isinstance(load_train_spec(write_train_spec(tmp_path, **changes)), TrainSpec)


def test_another_choice_by_set_leaves_the_keys_of_the_file_and_no_other_ones(tmp_path: Path) -> None:
    path = write_train_spec(tmp_path, finseer={"loss": "supcon", "windows": 9})
    assert load_train_spec(path, ["finseer.loss=kl"]).finseer.windows == 9
    with pytest.raises(ConfigError, match=r"finseer\.per_class would be read by"):
        load_train_spec(path, ["finseer.loss=kl", "finseer.per_class=4"])


LETTERS = [{"name": "ranks", "signal": "llm", "retrieval": {"retriever": "none"}}, VOTE, HOLD]
RUNS: list[tuple[dict[str, Any], str]] = [
    ({"retrieval": {"seed": 0}, "variant": [VOTE, HOLD]}, 'retrieval.seed would be read by retriever = "random" alone'),
    ({"variant": [VOTE | {"retrieval": {"seed": 1}}, RANDOM, HOLD]}, "variant.vote.retrieval.seed would be read by"),
    ({"variant": [VOTE | {"llm": {"template": "wide"}}, HOLD]}, 'llm.template would be read by signal = "llm" or "cl'),
    ({"retrieval": {"macro_lag": 9}}, 'retrieval.macro_lag would be read by retriever = "regimes" alone'),
    ({"variant": [RANDOM, HOLD], "retrieval": {"index": "exact"}}, 'retrieval.index would be read by retriever = "fin'),
    ({"retrieval": {"revision": "a"}}, 'retrieval.revision would be read by retriever = "embedding" alone'),
    ({"retrieval": {"encoder": "../e"}}, 'retrieval.encoder would be read by retriever = "finseer", "embedding" or'),
    ({"llm": {"model": "shipped:stockllm", "template": "wide"}, "variant": LETTERS}, "llm.template would be read by a"),
    (
        {"llm": {"model": "shipped:stockllm", "sha256": "0"}, "variant": LETTERS},
        "llm.sha256 would be read by a model th",
    ),
    ({"external": {"hold": "keep"}}, 'external.hold would be read by signal = "external" alone'),
    ({"variant": [VOTE | {"classifier": "../c"}, HOLD]}, 'variant.vote.classifier would be read by signal = "classif'),
    ({"data": {"source": "sample", "strength": 0.1}}, 'data.strength would be read by data.source = "planted" or'),
]


@pytest.mark.parametrize(("changes", "said"), RUNS)
def test_a_key_of_a_run_that_no_variant_reads_is_refused(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = write_spec(tmp_path, **changes)
    with pytest.raises(ConfigError, match=re.escape(said)) as told:
        load_spec(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"retrieval": {"seed": 3, "storage": "float16"}},  # of one variant each
        {
            "llm": {"model": "shipped:stockllm", "template": "wide"},
            "variant": [*LETTERS, {"name": "bert", "signal": "classifier"}],
        },
        {"retrieval": {"seed": 3}, "variant": [MOMENTUM, HOLD]},
        {"llm": {"template": "wide"}},  # while nobody reads by a model: a signal that is turned off
        {"retrieval": {"encoder": "../e"}, "variant": [VOTE | {"retrieval": {"retriever": "embedding"}}, RANDOM, HOLD]},
    ],
)
def test_a_key_that_one_variant_reads_may_stand_for_all(changes: dict[str, Any], tmp_path: Path) -> None:
    load_spec(write_spec(tmp_path, **changes))


@pytest.mark.parametrize(
    ("walk", "said"),
    [
        ({"warm_steps": 100}, "walk_forward.warm_steps would be read by walk_forward.warm = true alone"),
        (
            {"warm": True, "warm_steps": 9, "half_life": 500},
            "walk_forward.half_life would be read by walk_forward.repl",
        ),
    ],
)
def test_a_key_of_warm_steps_is_refused_where_there_are_none(walk: dict[str, Any], said: str, tmp_path: Path) -> None:
    write_train_spec(tmp_path, **RANKS, data={"end": date(2014, 12, 31)}, split={"valid_from": date(2014, 9, 1)})
    read = {"name": "ranks", "signal": "llm", "llm": {"model": "walk:stockllm"}, "retrieval": {"retriever": "none"}}
    path = write_spec(tmp_path, walk_forward={"train": "tiny.train.toml", **walk}, variant=[read, HOLD])
    (tmp_path / "tiny.toml").rename(tmp_path / "tiny.train.toml")
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_spec(path)


def test_another_retriever_by_set_leaves_the_keys_of_the_file(tmp_path: Path) -> None:
    path = write_spec(tmp_path, retrieval={"storage": "float16"}, variant=[VOTE, HOLD])
    assert load_spec(path, ["retrieval.retriever=random"]).retrieval.storage == "float16"
    with pytest.raises(ConfigError, match=r"retrieval\.index would be read by"):
        load_spec(path, ["retrieval.retriever=random", "retrieval.index=exact"])


def test_keys_of_a_local_model_are_refused_beside_a_url(tmp_path: Path) -> None:
    ideas = {"model": "small", "url": "http://localhost:8080/v1", "tokens": 60}
    path = write(tmp_path / "hunt.toml", changed(SMALL_SEARCH, ideas=ideas))
    with pytest.raises(ConfigError, match=r"ideas\.tokens would be read by an ideas\.model without ideas\.url alone"):
        load_search_spec(path)
    del ideas["url"]
    assert load_search_spec(write(path, changed(SMALL_SEARCH, ideas=ideas))).alpha.search_end == date(2012, 6, 29)


def test_every_rule_names_keys_that_there_are() -> None:
    kinds = [(TrainSpec, [*_OF_DATA, *_OF_TRAINING]), (SearchSpec, _OF_SEARCH), (RunSpec, _OF_RUN)]
    for kind, rules in kinds:
        for rule in rules:
            table = kind.model_fields[rule.table].annotation
            fields = table.model_fields if hasattr(table, "model_fields") else table.__args__[0].model_fields
            assert {*rule.keys} <= fields.keys(), rule.table
    for rule in _OF_VARIANTS:
        assert {*rule.keys} <= OVERLAID[rule.table].model_fields.keys(), rule.table
