"""Replace all bars after t by garbage: nothing at or before t may move.

The length and the days stay, so that this test sees what reads prices ahead, and not what knows where the data end;
that is what the prefix test is for. Whatever happens after t, errors too, does not count: where garbage breaks lines
that are computed for all bars at once, both runs are made bar by bar.
"""

from __future__ import annotations

from functools import partial

from ragsignal.audit.code.cuts import Block
from ragsignal.audit.code.evidence import ComparedRuns, SubjectRuns, compare_futures
from ragsignal.audit.code.prefix import first_of_each, words_of_failed
from ragsignal.audit.code.subjects import SubjectRunner
from ragsignal.audit.verdict import Finding

TEST = "poison"


def poison_block(runner: SubjectRunner, number: int, block: Block, n_blocks: int) -> ComparedRuns:
    """Compare a block's baseline with its poisoned futures; ``n_blocks`` blocks share the futures of a subject."""
    bars = runner.market.span(block.first, block.last)
    cuts = (point - block.first for point in block.poisons(n_blocks))
    futures = ((cut, bars.poisoned(cut)) for cut in cuts)
    return compare_futures(partial(runner.run, number), bars, futures, excused=("period", "lines"))


def finding(runs: SubjectRuns) -> Finding:
    """The verdict on a subject."""
    label, futures = runs.subject.label, runs.poison
    evidence = {**runs.counts, "futures": futures.runs, "not_run": futures.not_run, "differing": futures.differing}
    if runs.unknown:
        return Finding(TEST, label, "unknown", runs.unknown, evidence)
    if futures.differences:
        words = words_of_failed(runs, futures.differences, "with garbage in their place")
        return Finding(TEST, label, "failed", words, evidence | first_of_each(futures.differences))
    if not futures.runs:
        return Finding(TEST, label, "unknown", f"No poisoned future could be run: {futures.reason}.", evidence)
    words = f"{futures.runs} futures were replaced by garbage: nothing at or before any of them moved."
    if futures.not_run:
        words += f" {futures.not_run} could not be run ({futures.reason})."
    return Finding(TEST, label, "passed", words, evidence)
