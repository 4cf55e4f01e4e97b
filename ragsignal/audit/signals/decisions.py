"""Decisions from outside under a future that is cut off or poisoned: later bars and later rows move none before them.

    rows, bars ─► change (cut, poison) after t ─► placed again ─► what is in force up to t: the same, or a leak

What nobody can see in a file is whether a decision was made with what came after it: :mod:`ragsignal.audit.models`
says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from ragsignal.audit.signals.variants import spread_from_last
from ragsignal.audit.verdict import Finding
from ragsignal.data import Decisions, place_decisions
from ragsignal.types import BoolArray, FloatArray

POINTS = 12
"""Cut points on days with a decision, and as many on the bar before one."""

Day = np.datetime64
Change = Callable[[pd.DataFrame, BoolArray], pd.DataFrame]
"""From the rows of a file, and which of them are later than a day, to other rows."""


def audit_decisions(name: str, decisions: Decisions) -> list[Finding]:
    """``signal-prefix`` and ``signal-poison`` of a variant called ``name`` that reads ``decisions``."""
    test = _FutureRows(decisions)
    return [
        _judged("signal-prefix", name, test.moved(_cut), test.moved(_cut, early=1), test),
        _judged("signal-poison", name, test.moved(_poisoned), test.moved(_poisoned, early=1), test),
    ]


def _cut(table: pd.DataFrame, later: BoolArray) -> pd.DataFrame:
    return table[~later]


def _poisoned(table: pd.DataFrame, later: BoolArray) -> pd.DataFrame:
    """Other decisions on the same bars."""
    rng = np.random.default_rng(int(later.sum()))
    rise = np.where(later, rng.random(len(table)), table["probability"])
    value = np.where(later, 2.0 * rise - 1.0, table["value"])
    return table.assign(
        probability=rise, value=value, rank=np.where(later, value, table["rank"]), holds=table["holds"] & ~later
    )


@dataclass
class _FutureRows:
    """Places decisions again whose future is another one."""

    decisions: Decisions

    @cached_property
    def points(self) -> list[Day]:
        """Days at which the future is changed: with a decision, and the bar before one."""
        decided = np.unique(self.decisions.days[~np.isnat(self.decisions.days)])
        calendar = np.unique(np.concatenate(list(self.decisions.calendars.days.values())))
        before = calendar[np.maximum(np.searchsorted(calendar, decided) - 1, 0)]
        return sorted({*spread_from_last(list(decided), POINTS), *spread_from_last(list(before), POINTS)})

    def moved(self, change: Change, early: int = 0) -> list[str]:
        """What is in force up to a point and another than with the whole file.

        ``early`` plants a leak: each bar has what is in force so many bars later.
        """
        whole = self.decisions
        moved: list[str] = []
        for point in self.points:
            later = self._later(point)
            table = change(whole.rows.table, later)
            if table.empty:
                continue
            days = {
                name: days if change is _poisoned else days[days <= point]
                for name, days in whole.calendars.days.items()
            }
            again = place_decisions(
                replace(whole.rows, table=table), replace(whole.calendars, days=days), whole.valid_bars, whole.hold
            )
            moved += _differences(whole, again, point, early)
        return moved

    def _later(self, point: Day) -> BoolArray:
        """Rows that were decided after the close of a day, by what they say themselves, and not by where they lie."""
        table, close = self.decisions.rows.table, self.decisions.calendars.close
        later = table["day"].to_numpy() > point
        if close is not None:
            later |= table["moment"].to_numpy() > close.instants(np.array([point]))[0]
        return np.asarray(later, dtype=bool)


def _differences(whole: Decisions, again: Decisions, point: Day, early: int) -> list[str]:
    moved = []
    for symbol in whole.in_force:
        days = whole.calendars.days[symbol]
        bars = int(np.searchsorted(days, point, side="right"))
        same = np.array_equal(_seen(whole, symbol, bars, early), _seen(again, symbol, bars, early), equal_nan=True)
        if not same:
            moved.append(f"{symbol} as of {point}")
    return moved


def _seen(decisions: Decisions, symbol: str, bars: int, early: int) -> FloatArray:
    """(bars, 3): the numbers in force on the first bars of a symbol, NaN where there are none."""
    places = decisions.in_force.get(symbol, np.full(bars, -1))
    places = np.append(places[early:], np.full(early, -1))[:bars]
    numbers = decisions.numbers[["value", "probability", "rank"]].to_numpy(dtype=np.float64)
    return np.where(places[:, None] >= 0, numbers[places], np.nan)


def _judged(test: str, name: str, moved: Sequence[str], planted: Sequence[str], rows: _FutureRows) -> Finding:
    how = "cut off" if test == "signal-prefix" else "replaced by garbage"
    evidence = {"rows": len(rows.decisions.bar), "cut_points": len(rows.points), "moved": list(moved[:5])}
    if not planted:
        words = "The planted leak, decisions that are read a bar early, was not caught: this test is blind here."
        return Finding(test, name, "broken", words, evidence)
    if moved:
        words = f"It changes when later bars and rows are {how}: first {moved[0]}."
        return Finding(test, name, "failed", words, evidence)
    words = f"The same signal when the bars and the rows after it are {how}, at {len(rows.points)} days."
    return Finding(test, name, "passed", words, evidence)
