"""Rank letters as text, and the last days of them."""

from __future__ import annotations

import numpy as np

from ragsignal.data import RANK_LETTERS, Letters

_SPELLED = bytes.maketrans(bytes(range(RANK_LETTERS + 1)), b"ABCDEFGHIJKLMNOP-")


def spelled(letters: Letters) -> str:
    """One stock's letters of a day as text: A lowest sixteenth to P highest, - unknown."""
    return letters.tobytes().translate(_SPELLED).decode()


def letters_of(text: str) -> Letters:
    """What :func:`spelled` wrote, (n_factors,)."""
    return np.array([_SPELLED.index(letter) for letter in text.encode()], dtype=np.uint8)


def last_days(letters: Letters, row: int, memory: int) -> Letters:
    """The ``memory`` days (of n_days, ...) that end with day number ``row``; unknown letters before the first."""
    first = max(0, row + 1 - memory)
    window = np.full((memory, *letters.shape[1:]), RANK_LETTERS, dtype=np.uint8)
    window[memory - (row + 1 - first) :] = letters[first : row + 1]
    return window
