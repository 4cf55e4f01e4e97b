"""Letters of a day that are not those of the universe: what a reader is asked with, to see what its answer rests on."""

from __future__ import annotations

from dataclasses import dataclass

from ragsignal.data import Letters
from ragsignal.types import IntArray


@dataclass(frozen=True, eq=False)
class ChangedLetters:
    """Cases: each the days of one of n stocks, with a last day of its own.

    Parameters
    ----------
    row : int
        Number of the last day among the universe's.
    before : (memory - 1, n, n_factors) uint8
        Letters of the days before it, oldest first.
    owner : (m,) int64
        Which stock's days each case has.
    last : (m, n_factors) uint8
        Letters of its last day.
    """

    row: int
    before: Letters
    owner: IntArray
    last: Letters

    def __len__(self) -> int:
        return len(self.owner)


@dataclass(frozen=True, eq=False)
class ChangedDays:
    """Cases of which earlier days are changed too.

    Parameters
    ----------
    row : int
        Number of the last day among the universe's.
    owner : (m,) int64
        Whose days they were; cases of one stand side by side.
    days : (memory, m, n_factors) uint8
        Letters of all days, oldest first.
    """

    row: int
    owner: IntArray
    days: Letters

    @property
    def last(self) -> Letters:
        """Letters of the last day, (m, n_factors)."""
        last: Letters = self.days[-1]
        return last

    def __len__(self) -> int:
        return len(self.owner)


Changed = ChangedLetters | ChangedDays
"""What a reader is asked with."""
