"""How far apart bars usually are: a signal is made of evidence whose bars are as far apart as the feed's.

Five weekly bars look like five daily ones, with moves twice as large; what followed the daily ones says nothing of
them. Daily bars with holes and holidays are daily: what is refused is another *regular* distance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.types import FloatArray
from ragsignal.utils import days_in, is_intraday

_BLOCK = 64  # gaps that are judged together: vendors have weekly bars before some year, and daily ones after it
_LEAST = 10  # gaps that show a distance
_APART = 2.5  # times: weekly from monthly bars, and not two days from one
_COARSE = 5.0  # days: stocks that are traded twice a week have daily bars
_FINE = 0.9  # days: bars that are nearer to each other are of a part of a day
_FINER = 1.4  # times: bars of 60 minutes from those of 90
_OVERNIGHT = 0.5  # days: the longest bar of hours
_IN_SESSION = 0.3  # of the gaps; of sessions of two bars half are
_REGULAR = 0.75  # of the gaps are within a fifth, or two days, of the middle one; of rare trades a third are


@dataclass(frozen=True)
class Stretch:
    """Bars that are regularly ``gap`` days apart, from ``first`` to ``last``."""

    gap: float
    first: date
    last: date

    @property
    def words(self) -> str:
        """Say it: ``bars 7 days apart from 2010-01-08 to 2011-03-04``."""
        return f"{bars_apart(self.gap)} from {self.first} to {self.last}"


def bars_apart(gap: float) -> str:
    """Say how far apart bars are: ``bars 7 days apart``."""
    if gap < _FINE:
        return f"bars {gap * 1440:.0f} minutes apart"
    return f"bars {gap:g} day{'' if gap == 1 else 's'} apart"


def usual_gap(days: NDArray[Any]) -> float | None:
    """Median of the days between one bar and the next; None if there are fewer than two bars.

    Parameters
    ----------
    days : (n,) datetime64[D] or [m], ascending
    """
    return float(np.median(_gaps(days))) if len(days) > 1 else None


def usual_gap_of(histories: Iterable[NDArray[Any]]) -> float | None:
    """Median of what is usual for each of several symbols; None if none has two bars."""
    gaps = [gap for gap in map(usual_gap, histories) if gap is not None]
    return float(np.median(gaps)) if gaps else None


def other_spacing(days: NDArray[Any], usual: float) -> Stretch | None:
    """The first stretch of ``days`` whose bars are regularly at another distance than ``usual``; None if there is none.

    Parameters
    ----------
    days : (n,) datetime64[D] or [m], ascending
    usual : float
        Days between two bars.
    """
    gaps, plain = _gaps(days), days_in(days)
    if len(gaps) < _LEAST:
        return None
    last = max(0, len(gaps) - _BLOCK)
    whole = gaps[: len(gaps) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    middles = np.median(whole, axis=1) if len(whole) else np.empty(0)
    # of daily bars mostly none
    doubtful = _BLOCK * np.flatnonzero((np.maximum(middles, usual) >= _COARSE) | (np.minimum(middles, usual) < _FINE))
    for start in [*doubtful.tolist(), last]:
        block = gaps[start : start + _BLOCK]
        if _is_other(block, usual):
            return Stretch(float(np.median(block)), plain[start].item(), plain[start + len(block)].item())
    return None


def is_spaced_otherwise(days: NDArray[Any], usual: float) -> bool:
    """Whether ``days`` as a whole are regularly at another distance than ``usual``."""
    return len(days) > _LEAST and _is_other(_gaps(days), usual)


def differs_in_spacing(gap: float, other: float) -> bool:
    """Whether bars that are ``gap`` days apart are of another kind than those ``other`` days apart."""
    coarse, fine = max(gap, other), min(gap, other)
    return (coarse >= _COARSE and coarse >= _APART * fine) or (fine < _FINE and coarse >= _FINER * fine)


def _is_other(gaps: FloatArray, usual: float) -> bool:
    middle = float(np.median(gaps))
    if not differs_in_spacing(middle, usual):
        return False
    return bool(middle < usual or (np.abs(gaps - middle) <= max(2.0, 0.2 * middle)).mean() >= _REGULAR)


def _gaps(days: NDArray[Any]) -> FloatArray:
    gaps = np.diff(days).astype(np.float64)
    if not is_intraday(days) or not len(gaps):
        return gaps
    gaps /= 1440.0
    near = gaps <= _OVERNIGHT
    # between two sessions no bar is missing: sessions of two bars have as many nights as gaps
    return np.where(near, gaps, np.median(gaps[near])) if near.mean() > _IN_SESSION else gaps
