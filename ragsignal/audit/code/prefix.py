"""Cut the data after t, run again: everything up to t has to be the same. Every bar but the last is a t once.

Cuts are made in blocks, each of runs that begin the same ``window`` of bars before it; some are made in the full
history, each in a process that has run nothing before. A run that ends with an error at or before t, where the one that
knows the future goes on, differs: an unguarded ``close[1]`` ends so. A run that ends before its first bar says nothing:
some indicators of Backtrader cannot be computed on fewer bars than their period.
"""

from __future__ import annotations

from typing import Any

from ragsignal.audit.code.compare import differences
from ragsignal.audit.code.cuts import Block, Market
from ragsignal.audit.code.evidence import Case, Clue, Part
from ragsignal.audit.code.subjects import Bench
from ragsignal.audit.code.trace import Trace
from ragsignal.audit.verdict import Finding

TEST = "prefix"
_ENOUGH = 3  # cuts of a block that differ: the others would only say it again
_SHOWN = 5


def cut_block(bench: Bench, item: tuple[int, Block]) -> Part:
    """A block's baseline against each of its cuts."""
    number, block = item
    base = bench.run(number, bench.market.span(block.first, block.last))
    part = Part()
    if not len(base):  # as in the first block of a history that is shorter than the subject's period
        part.skip(base.error)
        return part
    for point in block.points:
        compare_cut(
            part, base, bench.run(number, bench.market.span(block.first, point)), bench.market, point, block.first
        )
        if part.parted == _ENOUGH:
            break
    return part


def compare_cut(part: Part, base: Trace, cut: Trace, market: Market, point: int, first: int = 0) -> None:
    """Add to ``part`` what ``cut``, of the days ``first`` .. ``point``, says beside ``base``."""
    if not len(cut):
        part.skip(cut.error)
    else:
        part.add(differences(base, cut, point - first), market, point, first)


def finding(case: Case) -> Finding:
    """The verdict on a subject."""
    label, part = case.subject.label, case.prefix
    evidence: dict[str, Any] = {**case.seen, "cuts": part.runs, "not_run": part.not_run, "differing": part.parted}
    if case.nothing:
        return Finding(TEST, label, "unknown", case.nothing, evidence)
    remembered = differences(case.base, case.again, len(case.base) - 1)
    if remembered:
        return Finding(TEST, label, "failed", _REMEMBERS.format(where=remembered[0].what), evidence)
    if part.clues:
        return Finding(TEST, label, "failed", words_of(case, part.clues), evidence | shown(part.clues))
    if not part.runs:
        return Finding(TEST, label, "unknown", f"No cut could be run: {part.reason}.", evidence)
    return Finding(TEST, label, "passed", _words_of_passed(case), evidence)


def shown(clues: list[Clue]) -> dict[str, Any]:
    """The first differences, one a line."""
    first: dict[str, Clue] = {}
    for clue in _in_order(clues):
        first.setdefault(clue.what, clue)
    return {"differences": [clue.record for clue in list(first.values())[:_SHOWN]]}


def words_of(case: Case, clues: list[Clue], cut: bool = True) -> str:
    """What moved, whether it was traded, and what it most often is; ``cut``: the other data end at the cut."""
    ordered = _in_order(clues)
    traded = any(clue.what == "order" for clue in clues)
    clue = next((it for it in ordered if it.what == "order"), ordered[0])
    said = f"It sees the future: {clue.words('without them' if cut else 'with garbage in their place')}."
    if case.subject.kind == "strategy" and not traded and clue.what != "run":
        said += " Only lines differ, no order."
    if clue.before > _FAR:
        return f"{said} {_FAR_BEFORE.format(bars=clue.before)}"
    return said + (_AT_THE_END if cut and clue.before == 0 and clue.known == "nothing" else "")


def _in_order(clues: list[Clue]) -> list[Clue]:
    """By day: blocks are done in any order."""
    return sorted(clues, key=lambda it: (it.cut, it.day, it.what))


_FAR = 10
_FAR_BEFORE = (
    "The difference lies {bars} bars before the cut: a whole history is used at once (a mean, a scaler, a fit, a "
    "filter), or a place before the first bar is read, which wraps round to the last bar (guard it: len(self.data))."
)
_AT_THE_END = " Acting on the last bar of the data is such knowledge too: nobody knows then that it is the last."
_REMEMBERS = (
    "A second run on the same bars gives another result than the first ({where}): something is remembered from run to "
    "run (a class attribute, a module's variable, a cache), and the first run has seen the future. Keep state in "
    "__init__."
)


def _words_of_passed(case: Case) -> str:
    part, seen = case.prefix, case.seen
    said = (
        f"{part.runs} cuts, after every bar and in the full history: {seen['lines']} lines and {seen['orders']} orders "
        "are the same without the future."
    )
    if part.not_run:
        said += f" {part.not_run} cuts leave too few bars to run it ({part.reason})."
    if case.base.error:
        said += f" It ends early, after {len(case.base)} bars: {case.base.error}."
    return said
