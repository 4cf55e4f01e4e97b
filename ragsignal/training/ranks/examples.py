"""What models on rank letters learn from: a label for every stock and day, and which of them are training, which valid.

prices ─► rank letters, forward returns ─► rank of the return among the day's stocks, in [-1, 1] ─► RankExamples
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragsignal.data import RankLetters, SplitPart, daily_ranks, label_tables
from ragsignal.errors import DataError
from ragsignal.training.run import Learned, TrainingRun
from ragsignal.types import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class RankExamples:
    """Labels on the calendar of the letters; tables are (n_days, n_symbols).

    Parameters
    ----------
    letters : RankLetters
    outcomes : float64
        Forward returns less the day's median, fractions.
    targets : float64
        Rank of the outcome among the day's ranked stocks, in (-1, 1); NaN where there is none.
    available_at : datetime64[D]
    train, valid : bool
        Which labels belong to each part.
    """

    letters: RankLetters
    outcomes: FloatArray
    targets: FloatArray
    available_at: NDArray[np.datetime64]
    train: BoolArray
    valid: BoolArray

    @property
    def rises(self) -> BoolArray:
        """Whether each validation label's stock beat the day's median: (n_valid,)."""
        return self.outcomes[self.valid] > 0.0

    def states_of(self, mask: BoolArray) -> FloatArray:
        """State of the market on the day of each label of ``mask``: (n, 8)."""
        return self.letters.states[np.nonzero(mask)[0]]

    def learned(self, mask: BoolArray) -> Learned:
        """What a card says of the labels of ``mask``."""
        days, symbols = self.letters.days[mask.any(axis=1)], np.array(self.letters.symbols)[mask.any(axis=0)]
        return Learned(
            first=days[0].item(),
            last=days[-1].item(),
            queries=int(mask.sum()),
            known_through=self.available_at[mask].max().item(),
            symbols=tuple(sorted(symbols.tolist())),
        )

    def information_coefficients(self, scores: FloatArray) -> FloatArray:
        """Spearman's correlation of scores (n_days, n_symbols) and outcomes on every validation day that has scores."""
        days = np.flatnonzero((self.valid & np.isfinite(scores)).any(axis=1))
        known = np.where(self.valid, self.outcomes, np.nan)[days]
        return _row_correlations(daily_ranks(np.where(np.isfinite(known), scores[days], np.nan)), daily_ranks(known))


def rank_examples(run: TrainingRun) -> RankExamples:
    """Lay out the labels of a training spec.

    Raises
    ------
    DataError
        If a part has no label.
    LookAheadError
        If a label of a part became known after the part's end.
    """
    letters, corpus = run.letters, run.spec.corpus
    frames = run.materials.prices.between(letters.days[0].item(), None).frames
    outcomes, available_at = label_tables(frames, letters.days, letters.symbols, corpus.target, corpus.horizon)
    known = np.where(letters.ranked, outcomes, np.nan)
    targets = 2.0 * daily_ranks(known) - 1.0
    train, valid = (
        _part_mask(part, letters, np.isfinite(known), available_at) for part in (run.split.train, run.split.valid)
    )
    return RankExamples(letters, outcomes, targets, available_at, train, valid)


def _part_mask(
    part: SplitPart, letters: RankLetters, known: BoolArray, available_at: NDArray[np.datetime64]
) -> BoolArray:
    days, last = letters.days, np.datetime64(part.last, "D")
    inside = (days >= np.datetime64(part.first, "D")) & (days <= last)
    mask = (
        known
        & inside[:, None]
        & np.isin(letters.symbols, part.symbols)
        & (available_at <= np.datetime64(part.known_by))
    )
    if not mask.any():
        raise DataError(
            f"no {part.name} label from {part.first} to {part.last}: a stock is ranked once it has 250 bars; move "
            "data.start, split.valid_from or data.end"
        )
    part.check(available_at[mask])
    return np.asarray(mask)


def _row_correlations(left: FloatArray, right: FloatArray) -> FloatArray:
    """Pearson's correlation within each row, (n_rows,)."""
    left, right = (it - np.nanmean(it, axis=1, keepdims=True) for it in (left, right))
    spread = np.nansum(left**2, axis=1) * np.nansum(right**2, axis=1)
    correlations: FloatArray = np.nansum(left * right, axis=1) / np.sqrt(spread)
    return correlations
