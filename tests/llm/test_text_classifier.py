"""Sentiment by any text classifier: by its own labels, the same in any batch, and never by a head drawn at random."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.artifacts import resolve
from ragsignal.config import NewsSpec
from ragsignal.errors import ModelError
from ragsignal.llm import load_text_scorer
from ragsignal.llm.text_classifier import TextClassifier
from tests.tiny_text import SAYS, WORDS, tiny_classifier

pytestmark = pytest.mark.slow
TEXTS = ("profit up", "loss", "the court of a weak deal beats new record up up up", "strong")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("models") / "bert")


def scorer(folder: Path, **options: Any) -> TextClassifier:
    return TextClassifier(resolve(str(folder)), **options)


def test_a_sentiment_is_the_chance_of_positive_less_that_of_negative(folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    words = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        chances = [model(**words(text, return_tensors="pt")).logits.double().softmax(-1)[0] for text in TEXTS]
    expected = [float(it[2] - it[0]) for it in chances]
    found = scorer(folder).sentiment(TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(found) > 0.01  # the texts differ


@settings(max_examples=20, deadline=None)
@given(
    texts=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=20).map(" ".join), min_size=1, max_size=12),
    size=st.integers(1, 13),
)
def test_a_text_has_the_same_sentiment_in_any_batch(folder: Path, texts: list[str], size: int) -> None:
    alone = scorer(folder, batch_size=1)
    together = scorer(folder, batch_size=size)
    np.testing.assert_allclose(together.sentiment(texts), alone.sentiment(texts), atol=1e-5)


@pytest.mark.parametrize("labels", [("Positive", "Negative"), ("neutral", "POS", "NEG"), ("Bearish", "Bullish")])
def test_labels_are_found_by_their_names(labels: tuple[str, ...], tmp_path: Path) -> None:
    found = scorer(tiny_classifier(tmp_path / "other", labels)).sentiment(TEXTS)
    turned = scorer(tiny_classifier(tmp_path / "turned", tuple(map(_opposite, labels)))).sentiment(TEXTS)
    np.testing.assert_allclose(found, -turned)
    assert np.ptp(found) > 0.01


def _opposite(label: str) -> str:
    pairs = {"positive": "negative", "pos": "neg", "bullish": "bearish"}
    return (pairs | {bad: good for good, bad in pairs.items()}).get(label.lower(), label)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_of_a_text_that_is_too_long_the_beginning_is_read(kind: str, tmp_path: Path) -> None:
    model = scorer(tiny_classifier(tmp_path / kind, kind=kind))
    long, cut = " ".join(["up"] * 14 + ["loss"] * 40), " ".join(["up"] * 14)
    np.testing.assert_allclose(model.sentiment([long]), model.sentiment([cut]), atol=1e-6)


def test_no_text_has_no_sentiment(folder: Path) -> None:
    assert scorer(folder).sentiment([]).shape == (0,)


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def headless(folder: Path) -> None:
    from transformers import AutoModel

    labels = json.loads((folder / "config.json").read_text())["id2label"]
    AutoModel.from_pretrained(folder).save_pretrained(folder)
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(said | {"id2label": labels}))


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def no_numbers(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor * float("nan") for name, tensor in tensors.items()}, folder / "model.safetensors")


SPOILT: list[tuple[Callable[[Path], None], str]] = [
    (without("config.json"), "holds no config.json"),
    (without("tokenizer.json"), "cannot be read as a text classifier with its tokenizer"),
    (without("model.safetensors"), r"holds no \*\.safetensors"),
    (pickled, "holds only pickled weights"),
    (headless, "does not fit a text classifier: it lacks .*a classifier was expected that is trained"),
    (no_numbers, r"gave nan for 'profit up'; copy the folder again"),
]


@pytest.mark.parametrize(("spoil", "said"), SPOILT)
def test_a_spoilt_folder_is_refused(spoil: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path / "spoilt")
    spoil(folder)
    with pytest.raises(ModelError, match=said):
        scorer(folder).sentiment(["profit up"])


@pytest.mark.parametrize(
    "labels", [("LABEL_0", "LABEL_1"), ("1 star", "5 stars"), ("positive", "pos", "negative"), ("negative", "neutral")]
)
def test_labels_that_cannot_be_told_are_refused_with_their_list(labels: tuple[str, ...], tmp_path: Path) -> None:
    said = f"has the labels {', '.join(labels)}: which is positive.*id2label of its config.json"
    with pytest.raises(ModelError, match=said):
        scorer(tiny_classifier(tmp_path / "unclear", labels))


def test_a_classifier_of_several_labels_at_once_is_refused(tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path / "several", SAYS, problem_type="multi_label_classification")
    with pytest.raises(ModelError, match="answers several labels at once"):
        scorer(folder)


def test_a_hub_id_without_a_revision_and_a_gpu_that_is_not_there_are_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="it needs revision = the full 40-digit commit hash"):
        load_text_scorer(NewsSpec(path="news.csv", scorer="classifier", model="owner/finbert"))
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match=r'news\.device = "cuda", but torch sees no GPU'):
            load_text_scorer(NewsSpec(path="news.csv", scorer="classifier", model=str(folder), device="cuda"))


def test_other_weights_and_other_batches_are_another_recipe(folder: Path, tmp_path: Path) -> None:
    other = tiny_classifier(tmp_path / "other", ("positive", "neutral", "negative"))
    recipes = [scorer(folder).recipe, scorer(other).recipe, scorer(folder, batch_size=8).recipe]
    assert all(recipes.count(it) == 1 for it in recipes)
    assert scorer(folder, threads=1).recipe == recipes[0]  # threads move no signal
