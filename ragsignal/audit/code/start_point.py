"""Data that begin later: the bars after which each line is what it is with the full history.

An exponential mean forgets its beginning slowly, and a running sum never does. Neither is a look-ahead, so this test
fails nothing: it says how much history a signal needs, and which lines depend on where the data begin. Lines only:
orders depend on the account, and so on everything before.
"""

from __future__ import annotations

import numpy as np

from ragsignal.audit.code.compare import equal
from ragsignal.audit.code.evidence import SubjectRuns
from ragsignal.audit.code.subjects import SubjectRunner
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


def later_starts(runner: SubjectRunner, number: int) -> dict[int, Trace]:
    """A trace for each of ``starts_of``."""
    n_bars = len(runner.market.days)
    return {start: runner.run(number, runner.market.span(start, n_bars - 1)) for start in starts_of(n_bars)}


def finding(runs: SubjectRuns) -> Finding:
    """The verdict on a subject, from its baseline and what :func:`later_starts` gave."""
    label, base = runs.subject.label, runs.base
    usable = {start: trace for start, trace in runs.later_starts.items() if len(trace) and trace.labels == base.labels}
    if runs.unknown or not base.values or not usable:
        reason = next((trace.error for trace in runs.later_starts.values() if trace.error), None)
        none = f"It shows no value of a line{f' ({reason})' if reason else ''}: there is nothing that could settle."
        return Finding(TEST, label, "unknown", runs.unknown or none)
    settled = _bars_to_settle(base, usable)
    never = sorted(name for name, bars in settled.items() if bars is None)
    bars_of = {name: bars for name, bars in settled.items() if bars is not None}
    slowest = max(bars_of, key=bars_of.__getitem__, default=None)
    bars = bars_of[slowest] if slowest else None
    evidence = {"within": WITHIN, "bars": bars, "slowest": slowest, "never": never[:_SHOWN], "starts": sorted(usable)}
    words = _words(bars, slowest, never, len(settled))
    stopped = [trace.error for trace in runs.later_starts.values() if trace.error and not len(trace)]
    if stopped:
        words += f" {len(stopped)} of {len(runs.later_starts)} later starts could not be run ({stopped[0]})."
    return Finding(TEST, label, "passed", words, evidence)


def _bars_to_settle(base: Trace, later: dict[int, Trace]) -> dict[str, int | None]:
    """Bars after the data begin until a line is right, the most of all starts; None for a line that never is."""
    most: dict[str, int | None] = {}
    for start, trace in sorted(later.items()):
        bars = min(len(trace), len(base) - start)
        wrong = ~equal(base.rows[start : start + bars], trace.rows[:bars], WITHIN)
        after = np.where(wrong.any(axis=0), bars - wrong[::-1].argmax(axis=0), 0)  # the bar behind the last wrong one
        for label, bar in zip(base.labels, after.tolist(), strict=True):
            # Judged by the earliest start, which leaves the most bars to settle in.
            before = most.setdefault(label, bar if bar < bars else None)
            if before is not None and bar < bars:
                most[label] = max(before, bar)
    return most


def _words(bars: int | None, slowest: str | None, never: list[str], lines: int) -> str:
    settles = ""
    if slowest:
        settles = (
            f"Lines are within {WITHIN:g} of their full-history values {bars} bars after the data begin ({slowest})."
        )
    if not never:
        return settles
    return (
        f"{settles} {len(never)} of {lines} lines depend on where the data begin, such as {never[0]}: a running sum or "
        "count does, and so does a mean of all bars. Two runs agree only if their data begin on the same day; whether "
        "it looks ahead is what prefix and poison say."
    ).strip()
