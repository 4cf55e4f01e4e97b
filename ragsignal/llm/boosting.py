"""Gradient boosting on rank letters, averaged over a few models: StockLLM's teacher, and the baseline beside it.

    letters of a day ─► LightGBM regressors on the rank of what followed ─► mean of their standardised scores
    state of the market ─┘ of the day, where they were trained with it

Saved as LightGBM's own text, which runs no code when it is loaded, as a pickle would.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragsignal.artifacts import reading
from ragsignal.data import RANK_LETTERS, Letters
from ragsignal.errors import ModelError
from ragsignal.llm.changed_letters import Changed
from ragsignal.types import FloatArray, Recipe
from ragsignal.utils import libraries_of

if TYPE_CHECKING:
    from lightgbm import Booster

_SCALES = "scales.json"
_ROWS = 200_000  # of a matrix that LightGBM gets at once: 32 MB


@dataclass(frozen=True)
class Boosting:
    """Averaged regressors.

    Parameters
    ----------
    boosters : sequence of lightgbm.Booster
    scales : sequence of float
        Standard deviation of each one's scores on its training rows, by which they are divided.
    reads_states : bool
        Whether they read the market's state of the day beside the letters.
    """

    boosters: Sequence[Booster]
    scales: Sequence[float]
    reads_states: bool = False
    memory = 1

    @classmethod
    def load(cls, folder: Path, reads_states: bool = False) -> Boosting:
        """Read what :meth:`save` wrote; what it reads is in the card of its artifact."""
        import lightgbm

        with reading(folder, "boosting on rank letters", "train it again: ragsignal train classifier SPEC"):
            scales = [float(scale) for scale in json.loads((folder / _SCALES).read_text(encoding="utf-8"))]
            files = [folder / f"boosting-{number}.txt" for number in range(len(scales))]
            return cls([lightgbm.Booster(model_file=file) for file in files], scales, reads_states)

    def save(self, folder: Path) -> None:
        """Write each model as text, and the scales."""
        for number, booster in enumerate(self.boosters):
            booster.save_model(folder / f"boosting-{number}.txt")
        (folder / _SCALES).write_text(json.dumps(list(self.scales)), encoding="utf-8")

    @property
    def computed_with(self) -> Recipe:
        """LightGBM's version."""
        return {"libraries": libraries_of("lightgbm", "numpy")}

    def scores(self, letters: Letters, states: FloatArray | None = None) -> FloatArray:
        """Score every stock on every day.

        Parameters
        ----------
        letters : (n_days, n_symbols, n_factors) uint8
        states : (n_days, 8) float64, optional
            Of the same days; only what ``reads_states`` looks at them.

        Returns
        -------
        (n_days, n_symbols) float64
        """
        of_rows = None if states is None else np.repeat(states, letters.shape[1], axis=0)
        return self.row_scores(letters.reshape(-1, letters.shape[-1]), of_rows).reshape(letters.shape[:-1])

    def last_scores(self, changed: Changed, state: FloatArray | None = None) -> FloatArray:
        """Scores of letters that are not the universe's, (m,); ``state`` (8,) is the market's of their day."""
        return self.row_scores(changed.last, None if state is None else np.tile(state, (len(changed), 1)))

    def row_scores(self, rows: Letters, states: FloatArray | None = None) -> FloatArray:
        """Score rows.

        Parameters
        ----------
        rows : (n, n_factors) uint8
        states : (n, 8) float64, optional
            State of the market on each row's day.

        Returns
        -------
        (n,) float64

        Raises
        ------
        ModelError
            If the models read states, and there are none.
        """
        if self.reads_states and states is None:
            raise ModelError("this boosting reads the market's state beside the letters, and was given letters alone")
        read = states if self.reads_states else None
        totals = np.zeros(len(rows))
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            numbers = as_numbers(rows[part], None if read is None else read[part])
            for booster, scale in zip(self.boosters, self.scales, strict=True):
                totals[part] += np.asarray(booster.predict(numbers)) / scale
        return totals / len(self.boosters)


def as_numbers(rows: Letters, states: FloatArray | None = None) -> Any:
    """Letters, and states (n, 8) after them, as LightGBM reads them: (n, n_columns) float32, NaN where unknown."""
    letters = np.where(rows == RANK_LETTERS, np.float32(np.nan), rows.astype(np.float32))
    return letters if states is None else np.hstack([letters, states.astype(np.float32)])
