"""Hits of a reader of rank letters: what it reads of them, which day sees them, and that a batch changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ragsignal.config import RanksTraining
from ragsignal.data import RANK_FACTORS, RANK_LETTERS
from ragsignal.errors import LookAheadError
from ragsignal.llm.rank_ensemble import memory_of
from ragsignal.llm.rank_hits import hit_features, hit_width, hits_by_count
from ragsignal.llm.rank_model import RankLM, rank_config
from ragsignal.types import Candidate, Hit, Movement, Query

LOOKBACK = 5
WIDTH = hit_width(LOOKBACK)
DAYS = tuple(date(2020, 1, 1) + timedelta(days=number) for number in range(LOOKBACK + 1))
QUERY = Query("A", DAYS, (1.0, 1.1, 1.2, 1.1, 1.0, 1.1))
KNOWN = Candidate("B/adj_close/2019", "B", "adj_close", DAYS[1:], (9.0,) * 5, (1.0, 2.0, 3.0, 4.0, 5.0), Movement.RISE,
                  0.03, DAYS[0])  # fmt: skip


def hits(*candidates: Candidate, score: float = 0.5) -> list[Hit]:
    return [Hit(candidate, score, rank) for rank, candidate in enumerate(candidates)]


def reader(width: int = WIDTH, seed: int = 0) -> Any:
    """A random reader with weights large enough that everything it sees shows."""
    torch.manual_seed(seed)
    model: Any = RankLM(rank_config(RanksTraining(hidden=16, layers=2, heads=2, window=3), width))
    return model.eval()


def letters(stocks: int, days: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(seed).integers(0, RANK_LETTERS + 1, (stocks, days, len(RANK_FACTORS))).astype(np.uint8)
    )


def drawn_hits(stocks: int, k: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(stocks, k, WIDTH)).astype(np.float32))


def read(model: Any, days: torch.Tensor, features: torch.Tensor | None = None) -> torch.Tensor:
    with torch.inference_mode():
        scores: torch.Tensor = model(days, None if features is None else model.hit_embedding(features))
    return scores


# --- what is read of a hit


def test_a_hit_is_its_score_movement_outcome_age_and_standardised_window() -> None:
    (row,) = hit_features(QUERY, hits(KNOWN), LOOKBACK)
    window = (np.arange(5) - 2) / np.sqrt(2)
    assert row == pytest.approx([0.5, 1.0, 1.5, np.log1p(5) / 8, *window], abs=1e-6)


def test_no_hits_are_no_rows() -> None:
    assert hit_features(QUERY, (), LOOKBACK).shape == (0, WIDTH)


@given(st.floats(1e-3, 1e3), st.floats(-1e6, 1e6), st.floats(-1.0, 1.0))
def test_no_scale_of_a_window_shows_and_nothing_is_large(scale: float, score: float, outcome: float) -> None:
    moved = replace(KNOWN, scaled=tuple(scale * value for value in KNOWN.scaled), outcome=outcome)
    row, other = hit_features(QUERY, hits(KNOWN, moved, score=score), LOOKBACK)
    assert other[4:] == pytest.approx(row[4:], abs=2e-3)  # the floor of a flat window
    assert np.abs(other).max() <= 4.0


def test_a_flat_window_is_zeros() -> None:
    (row,) = hit_features(QUERY, hits(replace(KNOWN, scaled=(0.01,) * 5)), LOOKBACK)
    assert row[4:] == pytest.approx([0.0] * 5, abs=1e-6)


def test_names_dates_and_price_levels_do_not_show() -> None:
    other = replace(KNOWN, id="C/x/y", symbol="C", sequence="volume", values=(1e4,) * 5, dates=(date(2001, 1, 1),) * 5)
    assert (hit_features(QUERY, hits(other), LOOKBACK) == hit_features(QUERY, hits(KNOWN), LOOKBACK)).all()


@given(st.integers(-30, 30))
def test_a_later_candidate_is_never_read(days: int) -> None:
    candidate = replace(KNOWN, available_at=QUERY.as_of + timedelta(days=days))
    if days <= 0:
        assert hit_features(QUERY, hits(candidate), LOOKBACK)[0, 3] >= 0.0
    else:
        with pytest.raises(LookAheadError, match="as of 2020-01-06: the outcome of B/adj_close/2019 was only known on"):
            hit_features(QUERY, hits(KNOWN, candidate), LOOKBACK)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_tables_of_one_length_are_laid_together_and_none_is_lost(counts: list[int]) -> None:
    tables = [np.full((count, WIDTH), number, dtype=np.float32) for number, count in enumerate(counts)]
    groups = list(hits_by_count(tables))
    assert sorted(place for places, _ in groups for place in places.tolist()) == list(range(len(counts)))
    assert len(groups) == len(set(counts))
    for places, features in groups:
        assert features.shape[1:] == (counts[places[0]], WIDTH)
        assert all((features[row] == place).all() for row, place in enumerate(places))


# --- which day sees them


def test_a_reader_without_hits_has_no_weights_for_them_and_reads_as_it_did() -> None:
    plain, taught = reader(width=0), reader()
    assert {name for name, _ in taught.named_parameters()} - {name for name, _ in plain.named_parameters()} == {
        "hit_embedding.weight",
        "hit_embedding.bias",
    }
    taught.load_state_dict(plain.state_dict(), strict=False)
    days = letters(3, 9)
    assert torch.equal(read(taught, days), read(plain, days))
    torch.testing.assert_close(read(taught, days, drawn_hits(3, 0)), read(plain, days), atol=1e-6, rtol=0)


def test_the_last_day_alone_sees_the_hits() -> None:
    model, days = reader(), letters(3, 9)
    without, first, second = read(model, days), *(read(model, days, drawn_hits(3, 4, seed)) for seed in (1, 2))
    torch.testing.assert_close(first[:, :-1], without[:, :-1], atol=1e-6, rtol=0)
    assert (first[:, -1] - without[:, -1]).abs().min() > 1e-4
    assert (first[:, -1] - second[:, -1]).abs().min() > 1e-4


@given(st.integers(1, 12), st.integers(1, 6))
def test_with_hits_a_score_depends_on_the_days_that_it_remembers(further: int, k: int) -> None:
    model = reader()
    days, features = (
        letters(2, memory_of(model.config.num_hidden_layers, model.config.window) + further),
        drawn_hits(2, k),
    )
    near = read(model, days[:, further:], features)[:, -1]
    torch.testing.assert_close(read(model, days, features)[:, -1], near, atol=1e-5, rtol=0)


@given(st.permutations(range(5)))
def test_with_hits_a_batch_is_stock_by_stock(order: list[int]) -> None:
    model, days, features = reader(), letters(5, 6), drawn_hits(5, 3)
    together = read(model, days[order], features[order])
    alone = torch.cat([read(model, days[[stock]], features[[stock]]) for stock in order])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
