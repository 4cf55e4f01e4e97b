"""How far P moves under changes that should not matter much: letters that are one off, in factors drawn by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ragsignal.data import RANK_LETTERS, Letters
from ragsignal.explanation.explanation import Robustness
from ragsignal.explanation.readings import Reading
from ragsignal.types import FloatArray
from ragsignal.utils import json_digest

_SHARE = 0.25  # of the factors that a draw moves
_WITHIN = (0.05, 0.95)


def robustness_of(reading: Reading, names: Sequence[str], probability: FloatArray, draws: int) -> list[Robustness]:
    """Robustness of each signal.

    Parameters
    ----------
    reading : Reading
    names : sequence of str
        What each signal is called: its draws follow from it, whatever else is asked along.
    probability : (n,) float64
        P as it is.
    draws : int
        For each signal.
    """
    cases = np.concatenate([_moved(own, name, draws) for own, name in zip(reading.letters, names, strict=True)])
    answers = reading.changed(np.repeat(np.arange(len(names)), draws), cases).reshape(len(names), draws)
    return [_summary(own, drawn) for own, drawn in zip(probability.tolist(), answers, strict=True)]


def _moved(own: Letters, name: str, draws: int) -> Letters:
    rng = np.random.default_rng(int(json_digest(name)[:16], 16))
    steps = rng.choice([-1, 1], (draws, len(own))) * (rng.random((draws, len(own))) < _SHARE)
    moved = np.clip(own.astype(np.int64) + steps, 0, RANK_LETTERS - 1)
    return np.where(own == RANK_LETTERS, own, moved).astype(np.uint8)


def _summary(probability: float, drawn: FloatArray) -> Robustness:
    low, high = np.quantile(drawn, _WITHIN)
    return Robustness(
        change="a quarter of the factors, drawn by chance, one letter up or down",
        draws=len(drawn),
        mean=float(drawn.mean()),
        deviation=float(drawn.std()),
        low=float(low),
        high=float(high),
        turned=float(np.mean(np.sign(drawn - 0.5) != np.sign(probability - 0.5))),
    )
