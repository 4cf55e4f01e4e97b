"""Compare two traces bar by bar: the same up to a bar, or where they part.

Numbers are equal within 1e-9 of their size: the same sum in another order is not a look-ahead. Everything else, which
bar, which symbol, which kind of order, is compared exactly.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from ragsignal.audit.code.trace import BrokerEvent, Trace
from ragsignal.types import BoolArray, FloatArray

RTOL = 1e-9
ATOL = 1e-12
"""Of the largest value of the line: what is left where a difference of two large numbers should be zero."""
_NAMED = 5


class Difference(NamedTuple):
    """Where two traces part.

    ``bar`` counts from the traces' first bar; ``what`` is a line's name, ``order``, ``lines`` or ``run``; ``left`` and
    ``right`` are what each side has there.
    """

    bar: int
    what: str
    left: str | float
    right: str | float

    @property
    def is_order(self) -> bool:
        """Whether trading moved, not a line alone."""
        return self.what == "order"


def differences(left: Trace, right: Trace, last: int, *, raising: bool = True) -> list[Difference]:
    """Where ``right`` parts from ``left`` up to bar ``last``: the first bar of each line, of the orders, of the run.

    Parameters
    ----------
    left : Trace
        The baseline.
    right : Trace
        The same bars up to ``last``, and another future or none.
    last : int
        The last bar that has to be equal, counted from the first bar of both.
    raising : bool, default True
        Whether a function differs that raises on the right for a symbol of which it says something on the left.
    """
    bars = min(last + 1, len(left), len(right))
    parted = _of_absent(left, right, last) if raising else []
    if len(right):
        parted += _of_lines(left, right, bars) + _of_events(left, right, bars)
    if len(right) < min(last + 1, len(left)) and not right.absent:
        parted.append(Difference(len(right), "run", "goes on", right.error or "ends here"))
    return sorted(parted, key=lambda difference: difference.bar)


def _of_absent(left: Trace, right: Trace, last: int) -> list[Difference]:
    """The first value up to ``last`` of each symbol for which the right side raises: what it is before is warm-up."""
    parted = []
    for ending in right.absent.keys() - left.absent.keys():
        columns = [place for place, label in enumerate(left.labels) if label.endswith(ending)]
        said = np.argwhere(~np.isnan(left.rows[: last + 1, columns]))
        if len(said):
            bar, column = int(said[0, 0]), columns[said[0, 1]]
            parted.append(Difference(bar, left.labels[column], float(left.rows[bar, column]), right.absent[ending]))
    return parted


def _of_lines(left: Trace, right: Trace, bars: int) -> list[Difference]:
    absent = (*left.absent, *right.absent)
    if absent:
        left, right = (trace.with_lines(lambda label: not label.endswith(absent)) for trace in (left, right))
    if left.labels != right.labels:
        unpaired = sorted(set(left.labels) ^ set(right.labels))[:_NAMED]
        counts = f"{len(left.labels)} lines", f"{len(right.labels)}; on one side only: {unpaired}"
        return [Difference(0, "lines", *counts)]
    if not bars:
        return []
    ours, theirs = left.rows[:bars], right.rows[:bars]
    differs = ~equal(ours, theirs)
    columns = np.flatnonzero(differs.any(axis=0))
    first = differs[:, columns].argmax(axis=0)
    places = [(int(first[k]), int(columns[k])) for k in np.argsort(first, kind="stable")[:_NAMED]]
    return [Difference(bar, left.labels[k], float(ours[bar, k]), float(theirs[bar, k])) for bar, k in places]


def equal(ours: FloatArray, theirs: FloatArray, rtol: float = RTOL) -> BoolArray:
    """(bars, lines) bool: equal within ``rtol`` of the value, or of rounding at the line's scale; NaN equals NaN."""
    if not ours.size:
        return np.ones(ours.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        size = np.where(np.isfinite(ours), np.abs(ours), 0.0)
        room = rtol * size + ATOL * size.max(axis=0, keepdims=True)
        near = np.abs(ours - theirs) <= room
    same: BoolArray = near | (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    return same


def _of_events(left: Trace, right: Trace, bars: int) -> list[Difference]:
    ours, theirs = ([event for event in trace.events if event.bar < bars] for trace in (left, right))
    for mine, other in itertools.zip_longest(ours, theirs):
        if mine is None or other is None or not _same(mine, other):
            bar = min(event.bar for event in (mine, other) if event)
            return [Difference(bar, "order", mine.words if mine else "nothing", other.words if other else "nothing")]
    return []


def _same(mine: BrokerEvent, other: BrokerEvent) -> bool:
    if mine[:3] != other[:3] or list(mine.details) != list(other.details):
        return False
    return all(_same_detail(value, other.details[name]) for name, value in mine.details.items())


def _same_detail(mine: object, other: object) -> bool:
    if isinstance(mine, float) and isinstance(other, float):
        return abs(mine - other) <= RTOL * abs(mine) or (math.isnan(mine) and math.isnan(other))
    return mine == other
