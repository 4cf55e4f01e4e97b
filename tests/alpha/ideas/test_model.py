"""Causal language models by reference: made up ones, and the embedded one from end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragsignal.alpha import open_source, polish, propose, propose_all
from ragsignal.alpha.ideas.causal import CausalModel
from ragsignal.alpha.ideas.draw import Sampling
from ragsignal.alpha.ideas.grammar import Limits
from ragsignal.alpha.ideas.sources import ModelSource
from ragsignal.artifacts import resolve
from ragsignal.config import IdeasSpec
from ragsignal.data import BAR_FIELDS, Kind, Window, depth, parse, parts, text_of
from ragsignal.errors import ModelError
from tests.alpha.ideas.readers import CountsWords, made_knowledge
from tests.tiny import tiny_llama, tiny_tokenizer
from tests.tokenizers import byte_pairs, sentence_pieces

pytestmark = pytest.mark.slow
FIELDS = {**BAR_FIELDS, "sector": Kind.GROUP}


@pytest.fixture
def _no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragsignal.alpha.ideas.opened.SentenceModel", lambda _: CountsWords())


@pytest.mark.parametrize(
    "make", [tiny_tokenizer, lambda: byte_pairs(["rank", " =>"]), lambda: sentence_pieces(["rank("])]
)
def test_a_model_of_any_tokenizer_proposes_formulas(make: Callable[[], Any], tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "model", make(), context=2048)
    model = CausalModel(resolve(str(folder)))
    source = ModelSource(model, made_knowledge(tmp_path), Limits(3), Sampling(1.0, 40, rows=3))
    proposed = propose_all("momentum of volume over 7 days", FIELDS, source, count=5, seed=3)
    assert len(proposed.proposals) == 5
    for it in proposed.proposals:
        assert depth(parse(text_of(it.formula), FIELDS)) <= 3
        assert it.came_from == str(folder)
        assert it.context
        windows = {part.bars for part in parts(it.formula) if isinstance(part, Window)}
        assert windows <= {*Limits().windows, 7}
    assert not [it for it in proposed.refused if "read" in it.reason]  # all parse: what is refused says nothing
    assert propose("momentum of volume over 7 days", FIELDS, source, 5, 3) == list(proposed.proposals)
    assert propose("momentum of volume over 7 days", FIELDS, source, 5, 4) != list(proposed.proposals)


def test_rows_that_end_leave_the_others_as_they_are(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "model", byte_pairs([]), context=2048)
    model, knowledge = CausalModel(resolve(str(folder))), made_knowledge(tmp_path)

    def drawn(rows: int) -> list[str]:
        source = ModelSource(model, knowledge, Limits(2), Sampling(1.0, 30, rows))
        return [text_of(it) for it in source.seeds(polish("momentum"), 4, 0).formulas]

    assert drawn(1) == drawn(4)


@pytest.mark.usefixtures("_no_encoder")
def test_the_embedded_model_from_end_to_end(language_model: str) -> None:
    source = open_source(IdeasSpec(model=language_model, floor=0.25, tokens=24, depth=3))
    first = propose("momentum of volume", BAR_FIELDS, source, count=2, seed=1)
    assert first
    assert propose("momentum of volume", BAR_FIELDS, source, count=2, seed=1) == first
    for it in first:
        assert parse(text_of(it.formula)) == it.formula
        assert it.came_from == language_model
        assert it.words.startswith("High where this is high: ")


def _without(folder: Path, name: str) -> Path:
    tiny_llama(folder, byte_pairs([]), context=2048)
    (folder / name).unlink()
    return folder


@pytest.mark.usefixtures("_no_encoder")
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: "embedded:GPT-9", r"GPT-9"),
        (lambda _: "owner/model", r"owner/model.*revision"),
        (lambda it: it / "none", r"no folder .*none: expected one with config.json, a tokenizer"),
        (lambda it: _without(it / "a", "tokenizer.json"), r"a cannot be read as a model with a tokenizer"),
        (lambda it: _without(it / "b", "model.safetensors"), r"b holds no \*.safetensors"),
        (lambda it: _without(it / "c", "config.json"), r"c holds no config.json"),
        (
            lambda it: tiny_llama(it / "d", sentence_pieces([], without="("), 2048),
            r"of .*d has no token for '\(', which",
        ),
        (lambda it: tiny_llama(it / "e", byte_pairs([]), 64), r"the prompt has \d+ tokens, .*e reads 64; give fewer"),
    ],
)
def test_models_that_cannot_be_used(make: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said):
        propose("momentum", BAR_FIELDS, open_source(IdeasSpec(model=str(make(tmp_path)), floor=0.0)), 1)


def test_a_model_that_lost_a_tensor(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "model", byte_pairs([]), context=2048)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(ModelError, match=r"the model of its config.json"):
        CausalModel(resolve(str(folder)))
