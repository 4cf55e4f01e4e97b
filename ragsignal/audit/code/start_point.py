"""Data that begin later: the bars after which each line is what it is with the full history.

An exponential mean forgets its beginning slowly, and a running sum never does. Neither is a look-ahead, so this test
fails nothing: it says how much history a signal needs, and which lines depend on where the data begin. Lines only:
orders depend on the account, and so on everything before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ragsignal.audit.code.compare import equal
from ragsignal.audit.code.evidence import Case
from ragsignal.audit.code.subjects import Bench
from ragsignal.audit.code.trace import Trace
from ragsignal.audit.verdict import Finding

TEST = "start_point"
WITHIN = 1e-6
"""Of the value, or of rounding at the line's scale."""
_STARTS = (1, 2, 3, 4)  # eighths of the history that are left away
_SHOWN = 5


def starts_of(n_bars: int) -> list[int]:
    """The bars at which data begin instead."""
    return sorted({n_bars * eighth // 8 for eighth in _STARTS} - {0})


def later_starts(bench: Bench, number: int) -> dict[int, Trace]:
    """A trace for each of ``starts_of``."""
    n_bars = len(bench.market.days)
    return {start: bench.run(number, bench.market.span(start, n_bars - 1)) for start in starts_of(n_bars)}


def finding(case: Case, later: dict[int, Trace]) -> Finding:
    """The verdict on a subject, from its baseline and what :func:`later_starts` gave."""
    label = case.subject.label
    usable = {start: it for start, it in later.items() if len(it) and it.labels == case.base.labels}
    if case.nothing or not case.base.values or not usable:
        reason = next((it.error for it in later.values() if it.error), None)
        none = f"It shows no value of a line{f' ({reason})' if reason else ''}: there is nothing that could settle."
        return Finding(TEST, label, "unknown", case.nothing or none)
    settled = _settled(case.base, usable)
    never = sorted(name for name, bars in settled.items() if bars is None)
    slowest = max((name for name in settled if name not in never), key=lambda name: settled[name] or 0, default=None)
    bars = settled[slowest] if slowest else None
    evidence = {"within": WITHIN, "bars": bars, "slowest": slowest, "never": never[:_SHOWN], "starts": sorted(usable)}
    return Finding(TEST, label, "passed", _words(bars, slowest, never, len(settled)), evidence)


def _settled(base: Trace, later: dict[int, Trace]) -> dict[str, int | None]:
    """Bars after the data begin until a line is right, the most of all starts; None for a line that never is."""
    most: dict[str, Any] = {}
    for start, trace in sorted(later.items()):
        bars = min(len(trace), len(base) - start)
        right = equal(base.rows[start : start + bars], trace.rows[:bars], WITHIN)
        wrong = ~right
        after = np.where(wrong.any(axis=0), bars - wrong[::-1].argmax(axis=0), 0)  # the bar behind the last wrong one
        for label, bar in zip(base.labels, after, strict=True):
            # Judged by the earliest start, which leaves the most bars to settle in.
            if label not in most:
                most[label] = int(bar) if bar < bars else None
            elif most[label] is not None and bar < bars:
                most[label] = max(most[label], int(bar))
    return most


def _words(bars: int | None, slowest: str | None, never: list[str], lines: int) -> str:
    said = ""
    if slowest:
        said = f"Lines are within {WITHIN:g} of their full-history values {bars} bars after the data begin ({slowest})."
    if not never:
        return said
    return (
        f"{said} {len(never)} of {lines} lines depend on where the data begin, such as {never[0]}: a running sum or "
        "count does, and so does a mean of all bars. Two runs agree only if their data begin on the same day; whether "
        "it looks ahead is what prefix and poison say."
    ).strip()
