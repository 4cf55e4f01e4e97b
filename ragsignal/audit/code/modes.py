"""The same bars in Cerebro's modes: where they differ, something was read that streaming does not have yet.

By default Backtrader loads all bars and computes all lines before the first one is traded, and ``data.close[1]`` reads
tomorrow without a word; where bars are streamed it raises. ``exactbars`` is no part of it: it keeps as many bars as the
minimum period, and so would flag an honest strategy that looks further back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ragsignal.audit.code.compare import Difference, differences
from ragsignal.audit.code.evidence import Case
from ragsignal.audit.code.subjects import Bench
from ragsignal.audit.code.trace import BATCH, Mode, Trace
from ragsignal.audit.verdict import Finding

TEST = "modes"
OTHERS = (Mode(preload=True, runonce=False), Mode(preload=False, runonce=False))


def other_modes(bench: Bench, number: int) -> list[Trace]:
    """All bars in each of ``OTHERS``."""
    return [bench.run(number, mode=mode) for mode in OTHERS]


def finding(case: Case, others: list[Trace]) -> Finding:
    """The verdict on a subject, from its baseline and what :func:`other_modes` gave."""
    label, evidence = case.subject.label, {**case.seen, "modes": [str(BATCH), *map(str, OTHERS)]}
    if case.nothing:
        return Finding(TEST, label, "unknown", case.nothing, evidence)
    silent = _silent(case.base, others[0])
    for mode, other in zip(OTHERS, others, strict=True):
        ours, theirs = (_without(trace, silent) for trace in (case.base, other))
        found = differences(ours, theirs, len(case.base) - 1)
        if found:
            first = next((it for it in found if it.is_order), found[0])
            evidence |= {"differences": [_record(it, mode) for it in found]}
            return Finding(TEST, label, "failed", _words(first, mode), evidence)
    if silent:
        words = (
            f"{', '.join(sorted(silent))} has no next(), so it is empty where bars are streamed: nothing to compare."
        )
        return Finding(TEST, label, "unknown", words, evidence)
    words = "Preloaded, bar by bar and streamed, lines and orders are the same."
    return Finding(TEST, label, "passed", words, evidence)


def _silent(base: Trace, other: Trace) -> set[str]:
    """Lines that have values in batch mode and none bar by bar, on preloaded bars: nobody wrote their next()."""
    if base.labels != other.labels or not len(other):
        return set()
    empty = np.isnan(other.rows).all(axis=0) & ~np.isnan(base.rows).all(axis=0)
    return {base.labels[place] for place in np.flatnonzero(empty)}


def _without(trace: Trace, silent: set[str]) -> Trace:
    """Without silent lines, and without orders where there are any: those may come from the lines."""
    if not silent or not len(trace):
        return trace
    kept = [place for place, label in enumerate(trace.labels) if label not in silent]
    return replace(trace, labels=tuple(trace.labels[it] for it in kept), rows=trace.rows[:, kept], acts=())


def _record(it: Difference, mode: Mode) -> dict[str, Any]:
    return {"what": it.what, "bar": it.bar, "default": it.left, str(mode): it.right}


def _words(it: Difference, mode: Mode) -> str:
    return (
        f"It sees the future: {it.what} at bar {it.bar + 1} is {_short(it.left)} by default, and {_short(it.right)} "
        f"with {mode}, where the bars to come are not there yet."
    )


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
