"""Vectors of a whole corpus on disk: written once, block by block, and equal to what was encoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ragsignal.config import CorpusSpec
from ragsignal.errors import StoreError
from ragsignal.retrieval.corpus import Corpus, build_corpus
from ragsignal.retrieval.encoders import ShapeEncoder
from ragsignal.retrieval.vectors import CostlyEncoder, Storage, corpus_vectors
from ragsignal.types import Recipe
from tests.markets import bars


class Blocks:
    """An encoder that gives a few rows at a time, and counts how often it is asked."""

    def __init__(self, name: str = "blocks", fail: bool = False) -> None:
        self.name, self.fail, self.calls = name, fail, 0

    @property
    def recipe(self) -> Recipe:
        return {"encoder": self.name}

    def corpus_blocks(self, corpus: Corpus) -> Iterator[NDArray[np.float32]]:
        self.calls += 1
        vectors = ShapeEncoder().encode_corpus(corpus)
        for start in range(0, len(vectors), 100):
            yield vectors[start : start + 100]
            if self.fail:
                raise RuntimeError("interrupted")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return build_corpus({"A": bars(60), "B": bars(60, seed=1)}, CorpusSpec(indicators=("close", "volume", "high")))


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_what_is_mapped_is_what_was_encoded_and_is_encoded_once(
    corpus: Corpus, tmp_path: Path, storage: Storage
) -> None:
    encoder = Blocks()
    assert len(corpus) % 100
    expected = ShapeEncoder().encode_corpus(corpus).astype(storage)
    for _ in range(2):
        vectors = corpus_vectors(encoder, corpus, storage, tmp_path / "deep" / "vectors")
        assert vectors.dtype == storage
        assert not vectors.flags.writeable
        np.testing.assert_array_equal(vectors, expected)
    assert encoder.calls == 1


def test_another_encoder_corpus_or_precision_is_another_file(corpus: Corpus, tmp_path: Path) -> None:
    other = dataclasses.replace(corpus, scaled=corpus.scaled + 1e-6)
    corpus_vectors(Blocks(), corpus, "float32", tmp_path)
    corpus_vectors(Blocks("other"), corpus, "float32", tmp_path)
    corpus_vectors(Blocks(), other, "float32", tmp_path)
    corpus_vectors(Blocks(), corpus, "float16", tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_an_interrupted_write_leaves_nothing_and_the_next_run_starts_again(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="interrupted"):
        corpus_vectors(Blocks(fail=True), corpus, "float32", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(corpus_vectors(Blocks(), corpus, "float32", tmp_path)) == len(corpus)


@pytest.mark.parametrize("kept", [10, 1_000])
def test_a_damaged_file_is_an_error_that_says_what_to_delete(corpus: Corpus, tmp_path: Path, kept: int) -> None:
    corpus_vectors(Blocks(), corpus, "float32", tmp_path)
    (path,) = tmp_path.glob("*/vectors.npy")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        StoreError, match=f"cannot read the vectors in {path.parent}: .*delete the folder and run again"
    ):
        corpus_vectors(Blocks(), corpus, "float32", tmp_path)


def test_a_shape_costs_too_little_to_be_kept() -> None:
    assert isinstance(Blocks(), CostlyEncoder)
    assert not isinstance(ShapeEncoder(), CostlyEncoder)
