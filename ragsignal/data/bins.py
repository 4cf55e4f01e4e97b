"""Quantile letters: each scale-free value of a window as one of 16 letters, A (lowest) to P (highest).

The edges are fixed before the data that they are used on: :func:`shipped_bins` were fitted on four stocks through
2009-12-31 and stand in ``bins.json``; a spec may refit its own with ``corpus.bins_through``.
One letter is one token, and learns better than digits (a window of five returns costs 6 tokens instead of 53-142).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from importlib import resources

import numpy as np
import pandas as pd

import ragsignal.data.factors as factors
from ragsignal.data.formulas.kept import is_alpha
from ragsignal.data.prices import days_of
from ragsignal.errors import DataError
from ragsignal.types import FloatArray, IntArray
from ragsignal.utils import json_digest, upper

LETTERS = "ABCDEFGHIJKLMNOP"
# searchsorted(..., "right") sends the codes -1, 0, 1 of a category to A, H, P.
_CATEGORY_EDGES = (-0.5,) * 7 + (0.5,) * 8
NEWS_EDGES: dict[str, tuple[float, ...]] = {
    "news_sentiment": tuple(number / 8 for number in range(-7, 8)),
    "news_count": tuple(number - 0.5 for number in range(1, 16)),
    "news_novelty": tuple(number / 16 for number in range(1, 16)),
}
"""Edges of the sequences of news, which are bounded or counted: nobody has to fit them to any days."""
_RANK_EDGES = tuple(number / 16 for number in range(1, 16))
"""Edges of kept formulas, whose sequences are ranks from 0 to 1."""
_LEAST_VALUES = 20 * len(LETTERS)
# Some edges are 0, and many values too, up to rounding noise of 1e-14: a dividend would move their letters.
_DECIMALS = 9


@dataclass(frozen=True)
class Bins:
    """Edges between the letters, per sequence.

    Parameters
    ----------
    edges : mapping of str to tuple of 15 floats
        Ascending, in the sequence's scale-free unit.
    fitted_through : date
        Last day of the prices that the edges were fitted on; only later queries may use them.
    """

    edges: Mapping[str, tuple[float, ...]]
    fitted_through: date

    @cached_property
    def recipe(self) -> dict[str, str]:
        """Identity: a change of an edge is a change of every signal that reads letters."""
        return {"fitted_through": self.fitted_through.isoformat(), "digest": json_digest(dict(self.edges))}

    def codes(self, sequence: str, scaled: FloatArray) -> IntArray:
        """Letter numbers 0..15 of an array of any shape."""
        if is_alpha(sequence):
            edges = _RANK_EDGES
        else:
            edges = NEWS_EDGES[sequence] if sequence in NEWS_EDGES else self.edges[sequence]
        return np.searchsorted(np.asarray(edges), np.round(scaled, _DECIMALS), side="right")

    def line(self, sequence: str, scaled: Sequence[float]) -> str:
        """The one serialisation of a window, read by text encoders and by prompts: ``adj_close: C F H B A``."""
        return spell(sequence, self.codes(sequence, np.asarray(scaled, dtype=np.float64)))


def spell(sequence: str, codes: IntArray) -> str:
    """Join letter numbers of one window to the serialised line."""
    return f"{sequence}: {' '.join([LETTERS[code] for code in codes])}"


def fit_bins(frames: Mapping[str, pd.DataFrame], through: date) -> Bins:
    """Fit edges at the 1/16 .. 15/16 quantiles of each sequence's scale-free values, all symbols pooled.

    Raises
    ------
    DataError
        If a sequence has fewer than 320 values at or before ``through``.
    """
    pooled = []
    for frame in frames.values():
        past = frame.loc[: pd.Timestamp(upper(through, days_of(frame)))]
        pooled.append(factors.scale_free(past, factors.compute(past)))
    values = pd.concat(pooled)
    counts = np.isfinite(values).sum()
    if counts.min() < _LEAST_VALUES:
        raise DataError(
            f"cannot fit letter bins on {len(values)} bars through {through}: {counts.idxmin()} has {counts.min()} "
            f"values, {_LEAST_VALUES} are needed; use a later corpus.bins_through or a longer price history"
        )
    quantiles = np.arange(1, len(LETTERS)) / len(LETTERS)
    edges = {name: _edges_of(name, values[name].to_numpy(), quantiles) for name in factors.SEQUENCES}
    return Bins(edges=edges, fitted_through=through)


def _edges_of(name: str, values: FloatArray, quantiles: FloatArray) -> tuple[float, ...]:
    if factors.SEQUENCES[name].kind == "category":
        return _CATEGORY_EDGES
    finite = values[np.isfinite(values)]
    # 6 significant digits: enough to bin, and the same on machines whose quantiles differ in the last bit.
    return tuple(float(f"{edge:.6g}") for edge in np.quantile(finite, quantiles))


@lru_cache(maxsize=1)
def shipped_bins() -> Bins:
    """Edges fitted on AAPL, GOOG, IBM and MSFT from 2000-03 through 2009-12-31, prices that are no longer bundled."""
    raw = json.loads(resources.files("ragsignal.data").joinpath("bins.json").read_text(encoding="utf-8"))
    edges = {name: tuple(values) for name, values in raw["edges"].items()}
    return Bins(edges=edges, fitted_through=date.fromisoformat(raw["fitted_through"]))
