"""How alike two market states are: a Euclidean distance of z-scores, or one that FinSeer has learned.

    d(q, e)^2 = |W (z_q - z_e)|^2 + decay x age in years,  z = (state - mean) / scale,  similarity = exp(-d^2 / 16)

With W = I and no decay it is the z-scored Euclidean metric, from which training begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragsignal.errors import DataError
from ragsignal.types import FloatArray
from ragsignal.utils import json_digest

_YEAR = 365.25
_LEAST = 20
_WIDTH = 16.0  # twice the number of variables: two states drawn at random are exp(-1) alike


@dataclass(frozen=True, eq=False)
class StateMetric:
    """A metric on states.

    Parameters
    ----------
    mean, scale : (8,) float64
        Of the states of the training days.
    matrix : (m, 8) float64
        W.
    decay : float
        Squared distance that a year of age adds.
    """

    mean: FloatArray
    scale: FloatArray
    matrix: FloatArray
    decay: float = 0.0

    @classmethod
    def euclidean(cls, states: FloatArray) -> StateMetric:
        """Return the z-scored Euclidean metric of some states (n, 8); rows of NaN are left out.

        Raises
        ------
        DataError
            If fewer than 20 states are known, or one of their variables never changes.
        """
        known = states[np.isfinite(states).all(axis=1)]
        if len(known) < _LEAST or not np.ptp(known, axis=0).all():
            raise DataError(
                f"days are compared by their market state, in standard deviations of at least {_LEAST} states of "
                f"before data.start, and {len(known)} are known: a stock is ranked after 250 bars, a state needs 45 "
                "days of ranked stocks. Start later, bring earlier prices, or leave own_days out: FinSeer brings days"
            )
        return cls(known.mean(axis=0), known.std(axis=0), np.eye(states.shape[1]))

    @property
    def plain(self) -> StateMetric:
        """The Euclidean metric that this one began from."""
        return StateMetric(self.mean, self.scale, np.eye(len(self.mean)))

    @property
    def digest(self) -> str:
        """The same for the same metric, and for no other."""
        parts = (self.mean, self.scale, self.matrix)
        return json_digest([*(np.asarray(part).tolist() for part in parts), self.decay])

    def standardized(self, states: FloatArray) -> FloatArray:
        """Return z-scores."""
        return (states - self.mean) / self.scale

    def distances(self, query: FloatArray, states: FloatArray, ages: FloatArray) -> FloatArray:
        """Squared distances of a state (8,) to others (n, 8) that are ``ages`` (n,) days old: (n,)."""
        gaps = (states - query) / self.scale @ self.matrix.T
        squared: FloatArray = np.einsum("ij,ij->i", gaps, gaps) + self.decay * ages / _YEAR
        return squared


def similarity(distances: FloatArray) -> FloatArray:
    """Similarity in (0, 1] of squared distances."""
    return np.exp(-distances / _WIDTH)
