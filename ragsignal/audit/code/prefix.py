"""Cut the data after t, run again: everything up to t has to be the same. Every bar but the last is a t once.

Cuts are made in blocks, each of runs that begin the same ``window`` of bars before it; some are made in the full
history, each in a process that has run nothing before. A run that ends with an error at or before t, where the one that
knows the future goes on, differs: an unguarded ``close[1]`` ends so, and so does a look at a feed before its first bar.
In batch an indicator cannot be computed on fewer bars than its period: such a cut, and its baseline, run bar by bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ragsignal.audit.code.cuts import Block
from ragsignal.audit.code.evidence import ComparedRuns, DatedDifference, SubjectRuns, compare_ends, compare_futures
from ragsignal.audit.code.subjects import SubjectRunner
from ragsignal.audit.verdict import Finding

TEST = "prefix"
_ENOUGH = 3  # cuts of a block that differ: the others would only say it again
_SHOWN = 5


def cut_block(runner: SubjectRunner, number: int, block: Block) -> ComparedRuns:
    """Compare a block's baseline with each of its cuts; the baseline is a cut too, where it cannot be run."""
    run, bars = partial(runner.run, number), runner.market.span(block.first, block.last)
    ends = compare_ends(run, bars, runner.market.span(block.first, len(runner.market.days) - 1))
    cuts = ((point - block.first, runner.market.span(block.first, point)) for point in block.points)
    return ends if ends.differing else compare_futures(run, bars, cuts, _ENOUGH)


def finding(runs: SubjectRuns) -> Finding:
    """The verdict on a subject."""
    label, cuts = runs.subject.label, runs.prefix
    counts = {**runs.counts, "cut_points": runs.cut_points}
    evidence = {**counts, "cuts": cuts.runs, "not_run": cuts.not_run, "differing": cuts.differing}
    if runs.unknown:
        return Finding(TEST, label, "unknown", runs.unknown, evidence)
    remembered = runs.remembered
    if remembered:
        return Finding(TEST, label, "failed", _REMEMBERS.format(where=remembered[0].what), evidence)
    if cuts.differences:
        words = words_of_failed(runs, cuts.differences, WITHOUT)
        return Finding(TEST, label, "failed", words, evidence | first_of_each(cuts.differences))
    if not cuts.runs:
        return Finding(TEST, label, "unknown", f"No cut could be run: {cuts.reason}.", evidence)
    return Finding(TEST, label, "passed", _words_of_passed(runs), evidence)


def first_of_each(differences: Sequence[DatedDifference]) -> dict[str, list[dict[str, str | float]]]:
    """The first difference of each line, of the orders and of the run."""
    first: dict[str, DatedDifference] = {}
    for difference in _in_order(differences):
        first.setdefault(difference.what, difference)
    return {"differences": [difference.record for difference in list(first.values())[:_SHOWN]]}


def words_of_failed(runs: SubjectRuns, differences: Sequence[DatedDifference], otherwise: str) -> str:
    """What moved, whether it was traded, and what it most often is; ``otherwise``: without the bars after the cut."""
    ordered = _in_order(differences)
    order = next((difference for difference in ordered if difference.what == "order"), None)
    first = order or ordered[0]
    words = f"It sees the future: {first.words(otherwise)}."
    if first.what == "run" and otherwise == WITHOUT:
        return words + _RAISES
    if runs.subject.kind == "strategy" and not order and first.what != "run":
        words += " Only lines differ, no order."
    if first.before > _FAR:
        return f"{words} {_FAR_BEFORE.format(bars=first.before)}"
    at_the_end = otherwise == WITHOUT and first.before == 0 and first.with_future == "nothing"
    return words + (_AT_THE_END if at_the_end else "")


def _in_order(differences: Sequence[DatedDifference]) -> list[DatedDifference]:
    """By day: blocks are done in any order."""
    return sorted(differences, key=lambda difference: (difference.cut, difference.day, difference.what))


WITHOUT = "without them"
"""The bars after a cut, where the data end there."""
_FAR = 10
_FAR_BEFORE = (
    "The difference lies {bars} bars before the cut: a whole history is used at once (a mean, a scaler, a fit, a "
    "filter), or a place before the first bar is read, which wraps round to the last bar (guard it: len(self.data))."
)
_RAISES = (
    " It reads a bar that is not there yet: a later one, or one of a feed that has not begun, in whose place "
    "Backtrader gives the last bar of the data. Skip feeds without a bar: if not len(data): continue."
)
_AT_THE_END = " Acting on the last bar of the data is such knowledge too: nobody knows then that it is the last."
_REMEMBERS = (
    "A second run on the same bars gives another result than the first ({where}): something is remembered from run to "
    "run (a class attribute, a module's variable, a cache), and the first run has seen the future. Keep state in "
    "__init__."
)


def _words_of_passed(runs: SubjectRuns) -> str:
    cuts, base = runs.prefix, runs.base
    bars = len(runs.runner.market.days) - 1
    where = (
        "every bar" if runs.cut_points == bars else f"{runs.cut_points} of {bars} bars, as every bar takes too long,"
    )
    words = (
        f"{cuts.runs} cuts, after {where} and in the full history: {len(base.labels)} lines and {base.orders} orders "
        "are the same without the future."
    )
    if cuts.not_run:
        words += f" {cuts.not_run} cuts leave too few bars to run it ({cuts.reason})."
    if base.absent:
        symbols = sorted(ending.removeprefix(" of ") for ending in base.absent)
        words += (
            f" Of {', '.join(symbols)} nothing was compared, as it raises there: {next(iter(base.absent.values()))}."
        )
    if base.error:
        words += f" It ends early, after {len(base)} bars: {base.error}."
    return words
