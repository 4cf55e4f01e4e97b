"""The numeric encoder: scale-free on both sides, blind to what came after, and refusing what it was not trained on."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.artifacts.artifact import Artifact, save_artifact
from ragsignal.config import CorpusSpec
from ragsignal.data.factors import SEQUENCES
from ragsignal.errors import ModelError
from ragsignal.retrieval.corpus import Corpus, build_corpus
from ragsignal.retrieval.numeric import EXTRA, NumericEncoder, features
from ragsignal.retrieval.tower import TowerConfig, load_tower, new_tower, save_tower
from ragsignal.types import Query
from tests.markets import Frames, bars, queries_of, rescaled
from tests.tiny import tiny_finseer

few = settings(max_examples=15, deadline=None)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return tiny_finseer(tmp_path_factory.mktemp("artifacts") / "numeric")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return build_corpus({"A": bars(60, tick=0.5), "B": bars(60, seed=1)}, CorpusSpec())


# --- features


@given(st.integers(0, 2**32), st.floats(-0.1, 0.1))
def test_flat_windows_are_zeros_and_rounding_noise_does_not_show(seed: int, level: float) -> None:
    noise = np.random.default_rng(seed).normal(0, 1e-13, (3, 5))
    clean = features(np.full((3, 5), level))
    np.testing.assert_allclose(clean[:, :5], 0, atol=1e-9)
    np.testing.assert_allclose(features(level + noise), clean, atol=1e-6)


def test_features_tell_rises_from_falls_and_calm_from_storm() -> None:
    rising = np.array([[0.01, 0.02, 0.01, 0.02, 0.03]])
    same_shape = features(rising - 0.05)
    np.testing.assert_allclose(features(rising)[:, :-1], same_shape[:, :-1], atol=1e-5)
    assert features(rising)[0, -1] > 0 > same_shape[0, -1]
    stormy = features(10 * rising)
    np.testing.assert_allclose(stormy[:, [*range(5), 6]], features(rising)[:, [*range(5), 6]], rtol=1e-4)
    assert stormy[0, 5] > features(rising)[0, 5]


@given(st.integers(0, 2**32), st.sampled_from([1e-9, 1e-3, 1.0, 1e6]))
def test_features_are_bounded_whatever_the_window(seed: int, scale: float) -> None:
    windows = np.random.default_rng(seed).normal(size=(8, 5)) * scale
    found = features(windows)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 5.0


# --- what an embedding may depend on (law 5)


@few
@given(pair=rescaled())
def test_multiplying_all_prices_changes_no_vector(artifact: Artifact, pair: tuple[Frames, Frames]) -> None:
    encoder = NumericEncoder(artifact)
    before, after = (encoder.encode_corpus(build_corpus(frames, CorpusSpec(stride=2))) for frames in pair)
    np.testing.assert_allclose(after, before, atol=1e-5)
    before, after = (encoder.encode_queries(queries_of(frames, "A")) for frames in pair)
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_what_came_after_a_window_changes_no_vector(artifact: Artifact, corpus: Corpus) -> None:
    other = dataclasses.replace(
        corpus,
        outcome=corpus.outcome[::-1].copy(),
        movement=-corpus.movement,
        available_at=corpus.available_at + 7,
        dates=corpus.dates + 7,
        symbol_id=1 - corpus.symbol_id,
        values=corpus.values * 3.0,
    )
    encoder = NumericEncoder(artifact)
    np.testing.assert_array_equal(encoder.encode_corpus(other), encoder.encode_corpus(corpus))


# --- the encoder


def test_a_new_tower_retrieves_by_the_direction_of_returns_whatever_the_indicator() -> None:
    tower = new_tower(TowerConfig(5 + EXTRA, ("adj_close", "volume"), hidden=16, dim=8), 0)
    windows = np.random.default_rng(1).normal(0, 0.02, (40, 5))
    with torch.inference_mode():
        vectors = tower(torch.from_numpy(features(windows)), torch.arange(40) % 3).numpy()
    unit = windows / np.linalg.norm(windows, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors @ vectors.T, unit @ unit.T, atol=1e-4)


def test_a_flat_window_is_blank_for_a_network_that_knows_directions_alone(artifact: Artifact, tmp_path: Path) -> None:
    flat = Query("A", tuple(date(2020, 1, day) for day in range(1, 7)), (50.0,) * 6)
    moved = replace(flat, closes=(50.0,) * 5 + (51.0,))
    card = artifact.card.model_copy(update={"files": {}})
    new = new_tower(TowerConfig(5 + EXTRA, tuple(SEQUENCES), hidden=16, dim=8), 0)
    untrained = NumericEncoder(save_artifact(tmp_path / "new", card, lambda scratch: save_tower(new, scratch)))
    assert untrained.is_blank(flat)
    assert not untrained.encode_queries([flat]).any()
    assert not NumericEncoder(artifact).is_blank(flat)  # it has learned what lies near such windows
    assert not untrained.is_blank(moved)


def test_both_sides_are_unit_rows_and_an_untrained_query_is_a_window_of_the_adjusted_close(artifact: Artifact) -> None:
    frames = {"A": bars(40)}
    corpus = build_corpus(frames, CorpusSpec(indicators=("adj_close",)))
    encoder = NumericEncoder(artifact)
    queries = queries_of(frames, "A")
    candidates, asked = encoder.encode_corpus(corpus), encoder.encode_queries(queries)
    assert candidates.dtype == asked.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(candidates, axis=1), 1.0, atol=1e-6)
    by_last_day = {corpus.candidate(row).dates[-1]: row for row in range(len(corpus))}
    rows = [by_last_day[query.as_of] for query in queries[:-1]]
    np.testing.assert_allclose(asked[:-1], candidates[rows], atol=1e-6)


def test_the_same_window_of_another_indicator_is_another_vector(artifact: Artifact, corpus: Corpus) -> None:
    other = dataclasses.replace(corpus, sequence_id=(corpus.sequence_id + 1) % 34)
    encoder = NumericEncoder(artifact)
    assert np.abs(encoder.encode_corpus(other) - encoder.encode_corpus(corpus)).max(axis=1).min() > 1e-3


def test_batches_of_the_corpus_give_the_vectors_of_the_whole(
    artifact: Artifact, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = NumericEncoder(artifact).encode_corpus(corpus)
    monkeypatch.setattr("ragsignal.retrieval.numeric._BATCH", 100)
    np.testing.assert_allclose(NumericEncoder(artifact).encode_corpus(corpus), whole, atol=1e-6)


def test_indicators_are_known_by_name_and_not_by_their_place_in_a_corpus(artifact: Artifact, corpus: Corpus) -> None:
    number = corpus.sequences.index("volume")
    rows = np.flatnonzero(corpus.sequence_id == number)
    alone = build_corpus({"A": bars(60, tick=0.5), "B": bars(60, seed=1)}, CorpusSpec(indicators=("volume",)))
    encoder = NumericEncoder(artifact)
    np.testing.assert_allclose(encoder.encode_corpus(alone), encoder.encode_corpus(corpus)[rows], atol=1e-6)


def test_other_weights_are_another_encoder(artifact: Artifact, tmp_path: Path) -> None:
    other = tiny_finseer(tmp_path / "other", seed=1)
    assert NumericEncoder(other).recipe != NumericEncoder(artifact).recipe
    assert NumericEncoder(artifact).recipe == {"encoder": "numeric/2", "artifact": artifact.digest}


def test_a_window_of_another_length_is_refused(artifact: Artifact) -> None:
    with pytest.raises(ModelError, match=r"reads windows of 5 values, but these have 7; set corpus\.lookback"):
        NumericEncoder(artifact).encode_queries(queries_of({"A": bars(20)}, "A", lookback=7))


def test_an_indicator_it_never_saw_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    encoder = NumericEncoder(tiny_finseer(tmp_path / "few", sequences=("adj_close", "close")))
    with pytest.raises(ModelError, match=r"was not trained on .*volume"):
        encoder.encode_corpus(corpus)


def test_an_artifact_of_other_features_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="numeric/0"):
        NumericEncoder(tiny_finseer(tmp_path / "old", template={"encoder": "numeric/0"}))


def test_weights_that_do_not_fit_their_config_are_an_error(tmp_path: Path) -> None:
    save_tower(new_tower(TowerConfig(7, ("adj_close",), 16, 8), 0), tmp_path)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace("16", "17"))
    with pytest.raises(ModelError, match="cannot be read as a numeric encoder"):
        load_tower(tmp_path)


def test_a_new_tower_follows_its_seed_and_leaves_the_random_numbers_alone() -> None:
    config = TowerConfig(7, ("adj_close",), 16, 8)
    before = torch.get_rng_state()
    one, same, other = (new_tower(config, seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["names.weight"], other["names.weight"])
