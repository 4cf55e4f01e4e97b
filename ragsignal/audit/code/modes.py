"""The same bars in Cerebro's modes: where they differ, something was read that streaming does not have yet.

By default Backtrader loads all bars and computes all lines before the first one is traded, and ``data.close[1]`` reads
tomorrow without a word; where bars are streamed it raises. ``exactbars`` is no part of it: it keeps as many bars as the
minimum period, and so would flag an honest strategy that looks further back.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ragsignal.audit.code.compare import Difference, differences
from ragsignal.audit.code.evidence import SubjectRuns
from ragsignal.audit.code.subjects import SubjectRunner
from ragsignal.audit.code.trace import BATCH, Mode, Trace, short
from ragsignal.audit.verdict import Evidence, Finding

TEST = "modes"
OTHERS = (Mode(preload=True, runonce=False), Mode(preload=False, runonce=False))


def other_modes(runner: SubjectRunner, number: int) -> list[Trace]:
    """All bars in each of ``OTHERS``."""
    return [runner.run(number, mode=mode) for mode in OTHERS]


def finding(runs: SubjectRuns) -> Finding:
    """The verdict on a subject, from its baseline and what :func:`other_modes` gave."""
    label, evidence = runs.subject.label, {**runs.counts, "modes": [str(BATCH), *map(str, OTHERS)]}
    if runs.unknown:
        return Finding(TEST, label, "unknown", runs.unknown, evidence)
    empty = _empty_bar_by_bar(runs.base, runs.modes[0])
    for mode, other in zip(OTHERS, runs.modes, strict=True):
        ours, theirs = (_without(trace, empty) for trace in (runs.base, other))
        parted = differences(ours, theirs, len(runs.base) - 1)
        if parted:
            first = next((difference for difference in parted if difference.is_order), parted[0])
            evidence["differences"] = [_record(difference, mode) for difference in parted]
            return Finding(TEST, label, "failed", _words(first, mode), evidence)
    if empty:
        words = f"{', '.join(sorted(empty))} has no next(), so it is empty where bars are streamed: nothing to compare."
        return Finding(TEST, label, "unknown", words, evidence)
    words = "Preloaded, bar by bar and streamed, lines and orders are the same."
    return Finding(TEST, label, "passed", words, evidence)


def _empty_bar_by_bar(base: Trace, other: Trace) -> set[str]:
    """Lines that have values in batch mode and none bar by bar, on preloaded bars: nobody wrote their next()."""
    if base.labels != other.labels or not len(other):
        return set()
    empty = np.isnan(other.rows).all(axis=0) & ~np.isnan(base.rows).all(axis=0)
    return {base.labels[place] for place in np.flatnonzero(empty)}


def _without(trace: Trace, empty: set[str]) -> Trace:
    """Without empty lines, and without orders where there are any: those may come from the lines."""
    if not empty or not len(trace):
        return trace
    return replace(trace.with_lines(lambda label: label not in empty), events=())


def _record(difference: Difference, mode: Mode) -> Evidence:
    what, bar = difference.what, difference.bar
    return {"what": what, "bar": bar, "default": difference.left, str(mode): difference.right}


def _words(difference: Difference, mode: Mode) -> str:
    bar, by_default, in_mode = difference.bar + 1, short(difference.left), short(difference.right)
    why = f"with {mode}, where the bars to come are not there yet"
    if difference.what == "run":
        return f"It sees the future: at bar {bar} the run {by_default} by default; {why}: {in_mode}."
    return f"It sees the future: {difference.what} at bar {bar} is {by_default} by default, and {in_mode} {why}."
