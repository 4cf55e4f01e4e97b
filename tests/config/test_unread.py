"""Keys that stand in a spec's file and that nothing reads are told, in a line that names what would read them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ragsignal.config import SearchSpec, TrainSpec, load_search_spec, load_spec, load_train_spec
from ragsignal.config.run import OVERLAID
from ragsignal.config.unread import _OF_DATA, _OF_SEARCH, _OF_TRAINING, _OF_VARIANTS, unread_keys
from tests.searches import SMALL_SEARCH
from tests.specs import HOLD, MOMENTUM, RANDOM, VOTE, changed, write, write_spec, write_train_spec

BACKTESTS = Path(__file__).parents[2] / "backtests"
SUPCON = 'read by finseer.loss = "supcon" alone, and here nothing reads'
RANKS = {"stockllm": {"reader": "ranks"}, "classifier": {"kind": "boosting"}}

TRAININGS: list[tuple[dict[str, Any], str]] = [
    ({"finseer": {"positives": "same"}}, f"finseer.positives: {SUPCON} it"),
    ({"finseer": {"loss": "infonce", "positives": "overlap"}}, f"finseer.positives: {SUPCON}"),
    ({"finseer": {"loss": "mix", "windows": 9, "buckets": 3}}, f"finseer.buckets, finseer.windows: {SUPCON} them"),
    ({"finseer": {"state": "trend_20", "per_class": 4}}, f"finseer.state, finseer.per_class: {SUPCON}"),
    ({"finseer": {"mix": 0.5}}, 'finseer.mix: read by finseer.loss = "mix" alone'),
    ({"finseer": {"loss": "supcon", "negatives": 3}}, 'finseer.negatives: read by finseer.loss = "kl"'),
    (RANKS | {"stockllm": {"reader": "ranks", "rank": 4}}, 'stockllm.rank: read by stockllm.reader = "text"'),
    ({"stockllm": {"k": [0], "candidates": ["shape"]}}, "stockllm.candidates: read by stockllm.k above 0"),
    ({"ranks": {"steps": 9}}, 'ranks.steps: read by stockllm.reader = "ranks" alone'),
    (RANKS | {"ranks": {"candidates": ["shape"]}}, "ranks.candidates: read by ranks.k above 0"),
    (
        {"classifier": {"kind": "logistic", "epochs": 1.0}},
        'classifier.epochs: read by classifier.kind = "bert"',
    ),
    (RANKS | {"classifier": {"kind": "boosting", "seed": 1}}, 'by classifier.kind = "bert" or "logistic" alone'),
    ({"boosting": {"trees": 9}}, 'boosting.trees: read by classifier.kind = "boosting" alone'),
]


TAKEN_TRAININGS: list[dict[str, Any]] = [
    {"finseer": {"loss": "supcon", "positives": "overlap", "windows": 9, "teacher_temperature": 0.2}},
    {"finseer": {"loss": "mix", "mix": 0.3, "negatives": 3}},
    {"stockllm": {"method": "prefix", "rank": 4, "virtual_tokens": 8}},  # each of [methods] reads its own
    RANKS | {"ranks": {"k": [0, 5], "candidates": ["shape"]}, "boosting": {"trees": 9}},
    {"classifier": {"kind": "bert", "epochs": 1.0}},
]

LETTERS = [{"name": "ranks", "signal": "llm", "retrieval": {"retriever": "none"}}, VOTE, HOLD]
RUNS: list[tuple[dict[str, Any], str]] = [
    ({"retrieval": {"seed": 0}, "variant": [VOTE, HOLD]}, 'retrieval.seed: read by retriever = "random" alone'),
    ({"variant": [VOTE | {"retrieval": {"seed": 1}}, RANDOM, HOLD]}, "variant.vote.retrieval.seed: read by"),
    ({"variant": [VOTE | {"llm": {"template": "wide"}}, HOLD]}, 'llm.template: read by signal = "llm" or "cl'),
    ({"retrieval": {"macro_lag": 9}}, 'retrieval.macro_lag: read by retriever = "regimes" alone'),
    ({"variant": [RANDOM, HOLD], "retrieval": {"index": "exact"}}, 'retrieval.index: read by retriever = "fin'),
    ({"retrieval": {"revision": "a"}}, 'retrieval.revision: read by retriever = "embedding" alone'),
    ({"retrieval": {"encoder": "../e"}}, 'retrieval.encoder: read by retriever = "finseer", "embedding" or'),
    ({"llm": {"model": "shipped:stockllm", "template": "wide"}, "variant": LETTERS}, "llm.template: read by a"),
    (
        {"llm": {"model": "shipped:stockllm", "sha256": "0"}, "variant": LETTERS},
        "llm.sha256: read by a model th",
    ),
    ({"external": {"hold": "keep"}}, 'external.hold: read by signal = "external" alone'),
    ({"variant": [VOTE | {"classifier": "../c"}, HOLD]}, 'variant.vote.classifier: read by signal = "classif'),
    ({"data": {"source": "sample", "strength": 0.1}}, 'data.strength: read by data.source = "planted" or'),
]


TAKEN_RUNS: list[dict[str, Any]] = [
    {"retrieval": {"seed": 3, "storage": "float16"}},  # of one variant each
    {
        "llm": {"model": "shipped:stockllm", "template": "wide"},
        "variant": [*LETTERS, {"name": "bert", "signal": "classifier"}],
    },
    {"retrieval": {"seed": 3}, "variant": [MOMENTUM, HOLD]},
    {"llm": {"template": "wide"}},  # while nobody reads by a model: a signal that is turned off
    {"retrieval": {"encoder": "../e"}, "variant": [VOTE | {"retrieval": {"retriever": "embedding"}}, RANDOM, HOLD]},
]


def unread(kind: str, changes: dict[str, Any], folder: Path) -> list[str]:
    if kind == "training":
        return unread_keys(load_train_spec(write_train_spec(folder, **changes)))
    return unread_keys(load_spec(write_spec(folder, **changes)))


@pytest.mark.parametrize(
    ("kind", "changes", "said"), [*(("training", *it) for it in TRAININGS), *(("run", *it) for it in RUNS)]
)
def test_a_key_that_nothing_reads_is_told(kind: str, changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert any(said in line for line in unread(kind, changes, tmp_path))


@pytest.mark.parametrize(
    ("kind", "changes"), [*(("training", it) for it in TAKEN_TRAININGS), *(("run", it) for it in TAKEN_RUNS)]
)
def test_a_key_that_its_choice_or_one_variant_reads_is_taken(
    kind: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    assert not unread(kind, changes, tmp_path)


def test_a_note_names_the_file_and_a_choice_by_set_is_told_as_one_of_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_train_spec(tmp_path, finseer={"loss": "supcon", "windows": 9})
    load_train_spec(path)
    assert not caplog.messages
    load_train_spec(path, ["finseer.loss=kl"])
    assert caplog.messages == [f"note: {path}: finseer.windows: {SUPCON} it"]


def test_the_command_line_tells_it_once_beside_the_answer(tmp_path: Path) -> None:
    path = write_spec(tmp_path, retrieval={"revision": "a"}, variant=[VOTE, HOLD])
    words = [sys.executable, "-m", "ragsignal.cli", "backtest", str(path), "--dry-run"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stderr.count("note: ") == 1
    assert f'note: {path}: retrieval.revision: read by retriever = "embedding" alone' in done.stderr


@pytest.mark.parametrize("path", sorted(BACKTESTS.glob("*.toml")), ids=lambda it: it.name)
def test_a_committed_spec_has_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAGSIGNAL_US_PRICES", "RAGSIGNAL_STOCKNET"):
        monkeypatch.setenv(name, "prices")
    load = {"variant": load_spec, "split": load_train_spec, "alpha": load_search_spec}
    table = next(it for it in load if it in tomllib.loads(path.read_text(encoding="utf-8")))
    assert not unread_keys(load[table](path))


def test_keys_of_a_local_model_are_told_beside_a_url(tmp_path: Path) -> None:
    ideas = {"model": "small", "url": "http://localhost:8080/v1", "tokens": 60}
    path = write(tmp_path / "hunt.toml", changed(SMALL_SEARCH, ideas=ideas))
    assert unread_keys(load_search_spec(path)) == [
        "ideas.tokens: read by an ideas.model without ideas.url alone, and here nothing reads it"
    ]
    del ideas["url"]
    assert not unread_keys(load_search_spec(write(path, changed(SMALL_SEARCH, ideas=ideas))))


def test_every_rule_names_keys_that_there_are() -> None:
    kinds = [(TrainSpec, [*_OF_DATA, *_OF_TRAINING]), (SearchSpec, _OF_SEARCH)]
    for kind, rules in kinds:
        for rule in rules:
            table = kind.model_fields[rule.table].annotation
            fields = table.model_fields if hasattr(table, "model_fields") else table.__args__[0].model_fields
            assert {*rule.keys} <= fields.keys(), rule.table
    for rule in _OF_VARIANTS:
        assert {*rule.keys} <= OVERLAID[rule.table].model_fields.keys(), rule.table
