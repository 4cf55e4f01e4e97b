"""Two traces, bar by bar: the same up to a bar, or where they part.

Numbers are equal within 1e-9 of their size: the same sum in another order is not a look-ahead. Everything else, which
bar, which symbol, which kind of order, is compared exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ragsignal.audit.code.trace import Act, Trace

RTOL = 1e-9
ATOL = 1e-12
"""Of the largest value of the line: what is left where a difference of two large numbers should be zero."""
_NAMED = 5


@dataclass(frozen=True)
class Difference:
    """Where two traces part.

    ``bar`` counts from the traces' first bar; ``what`` is a line's name, ``order``, ``lines`` or ``run``; ``left`` and
    ``right`` are what each side has there.
    """

    bar: int
    what: str
    left: Any
    right: Any

    @property
    def is_order(self) -> bool:
        """Whether trading moved, not a line alone."""
        return self.what == "order"


def differences(left: Trace, right: Trace, last: int) -> list[Difference]:
    """Where ``right`` parts from ``left`` up to bar ``last``: the first bar of each line, of the orders, of the run.

    Parameters
    ----------
    left : Trace
        The baseline.
    right : Trace
        The same bars up to ``last``, and another future or none.
    last : int
        The last bar that has to be equal, counted from the first bar of both.
    """
    bars = min(last + 1, len(left), len(right))
    found = _of_lines(left, right, bars) + _of_acts(left, right, bars)
    if len(right) < min(last + 1, len(left)):
        found.append(Difference(len(right), "run", "goes on", right.error or "ends here"))
    return sorted(found, key=lambda it: it.bar)


def _of_lines(left: Trace, right: Trace, bars: int) -> list[Difference]:
    gone = left.absent | right.absent
    labels, ours = _of_present(left, gone)
    labels_too, theirs = _of_present(right, gone)
    if labels != labels_too:
        odd = sorted(set(labels) ^ set(labels_too))[:_NAMED]
        return [Difference(0, "lines", f"{len(labels)} lines", f"{len(labels_too)}; on one side only: {odd}")]
    if not bars:
        return []
    ours, theirs = ours[:bars], theirs[:bars]
    moved = ~equal(ours, theirs)
    columns = np.flatnonzero(moved.any(axis=0))
    first = moved[:, columns].argmax(axis=0)
    order = np.argsort(first, kind="stable")[:_NAMED]
    pairs = [(int(first[it]), int(columns[it])) for it in order]
    return [Difference(bar, labels[k], float(ours[bar, k]), float(theirs[bar, k])) for bar, k in pairs]


def _of_present(trace: Trace, gone: frozenset[str]) -> tuple[tuple[str, ...], np.ndarray[Any, Any]]:
    """Labels and rows without those of symbols that one side has too few bars of."""
    if not gone:
        return trace.labels, trace.rows
    kept = [place for place, label in enumerate(trace.labels) if not label.endswith(tuple(gone))]
    return tuple(trace.labels[it] for it in kept), trace.rows[:, kept]


def equal(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any], rtol: float = RTOL) -> np.ndarray[Any, Any]:
    """(bars, lines) bool: equal within ``rtol`` of the value, or of rounding at the line's scale; NaN equals NaN."""
    if not ours.size:
        return np.ones(ours.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        size = np.where(np.isfinite(ours), np.abs(ours), 0.0)
        room = rtol * size + ATOL * size.max(axis=0, keepdims=True)
        near = np.abs(ours - theirs) <= room
    same: np.ndarray[Any, Any] = near | (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    return same


def _of_acts(left: Trace, right: Trace, bars: int) -> list[Difference]:
    ours, theirs = ([act for act in trace.acts if act.bar < bars] for trace in (left, right))
    for mine, other in zip(ours, theirs, strict=False):
        if not _same(mine, other):
            return [Difference(min(mine.bar, other.bar), "order", mine.words, other.words)]
    rest = [*ours[len(theirs) :], *theirs[len(ours) :]]
    if not rest:
        return []
    sides = (rest[0].words, "nothing") if len(ours) > len(theirs) else ("nothing", rest[0].words)
    return [Difference(rest[0].bar, "order", *sides)]


def _same(mine: Act, other: Act) -> bool:
    if mine[:3] != other[:3] or len(mine.details) != len(other.details):
        return False
    for (name, value), (name_too, value_too) in zip(mine.details, other.details, strict=True):
        if name != name_too:
            return False
        if isinstance(value, float) and isinstance(value_too, float):
            if not (abs(value - value_too) <= RTOL * abs(value) or (value != value and value_too != value_too)):
                return False
        elif value != value_too:
            return False
    return True
