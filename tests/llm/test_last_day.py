"""The last day alone says what the decoder says of it when it reads every day."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ragsignal.config import RanksTraining
from ragsignal.data import RANK_FACTORS
from ragsignal.llm import ChangedDays, ChangedLetters
from ragsignal.llm.rank_ensemble import RankEnsemble
from ragsignal.llm.rank_model import RankLM, rank_config

SHAPES = [(1, 3, 2), (2, 4, 2), (3, 3, 4), (2, 1, 2), (1, 1, 1)]
"""Layers, window, heads."""


def ensemble(layers: int, window: int, heads: int) -> RankEnsemble:
    """Two models whose norms have weights of their own, as trained ones have."""
    torch.manual_seed(0)
    spec = RanksTraining(layers=layers, window=window, heads=heads, hidden=16)
    models = [RankLM(rank_config(spec)).eval() for _ in range(2)]
    for model in models:
        for name, weight in model.named_parameters():
            torch.nn.init.uniform_(weight, 0.5, 1.5) if "norm" in name else torch.nn.init.normal_(weight, std=0.3)
    return RankEnsemble.of(models)


def letters(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 17, (*shape, len(RANK_FACTORS)), dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_windows_of_other_days_are_scored_as_the_decoder_scores_them(shape: tuple[int, int, int]) -> None:
    models = ensemble(*shape)
    days = letters(models.memory, 150)
    days[:, 100:] = days[:, [100]]  # one owner, each case with one factor of its own
    for case in range(101, 141):
        days[:, case, case - 101] = case % 17
    owner = np.minimum(np.arange(150), 100)
    assert_same(models, days, models.last_scores_and_states(ChangedDays(0, owner, days)))


@pytest.mark.parametrize("shape", SHAPES)
def test_last_days_of_unsorted_owners_are_scored_as_the_decoder_scores_them(shape: tuple[int, int, int]) -> None:
    models = ensemble(*shape)
    days, rng = letters(models.memory, 5), np.random.default_rng(1)
    owner = rng.choice([0, 1, 1, 1, 4], 1100)  # none of 2 and 3; more than are read at once
    whole = days[:, owner].copy()
    whole[-1, np.arange(1100), rng.integers(0, len(RANK_FACTORS), 1100)] = rng.integers(0, 17, 1100)
    assert_same(models, whole, models.last_scores_and_states(ChangedLetters(0, days[:-1], owner, whole[-1])))


def test_nothing_asked_is_nothing_said() -> None:
    models = ensemble(2, 4, 2)
    scores, states = models.last_scores_and_states(
        ChangedDays(0, np.empty(0, dtype=np.int64), letters(models.memory, 0))
    )
    assert scores.shape == (0,)
    assert [len(of_model) for of_model in states] == [0, 0]


def assert_same(models: RankEnsemble, days: np.ndarray, found: tuple[np.ndarray, list[torch.Tensor]]) -> None:
    scores, states = models.scores_and_states(days)
    assert np.ptp(scores[-1]) > 0.1
    assert np.allclose(found[0], scores[-1], atol=1e-5)
    for own, wanted in zip(found[1], states, strict=True):
        assert torch.allclose(own, wanted[-1], atol=1e-5)
