"""Replace all bars after t by garbage: nothing at or before t may move.

The length and the days stay, so that this test sees what reads prices ahead, and not what knows where the data end;
that is what the prefix test is for. Whatever happens after t, errors too, does not count.
"""

from __future__ import annotations

from ragsignal.audit.code.compare import differences
from ragsignal.audit.code.cuts import Block
from ragsignal.audit.code.evidence import Case, Part
from ragsignal.audit.code.prefix import shown, words_of
from ragsignal.audit.code.subjects import Bench
from ragsignal.audit.verdict import Finding

TEST = "poison"


def poison_block(bench: Bench, item: tuple[int, Block, int]) -> Part:
    """A block's baseline against its poisoned futures; the item's last number is how many blocks share them."""
    number, block, n_blocks = item
    bars = bench.market.span(block.first, block.last)
    base, part = bench.run(number, bars), Part()
    if not len(base):
        part.skip(base.error)
        return part
    for point in block.poisons(n_blocks):
        poisoned = bench.run(number, bars.poisoned(point - block.first))
        if len(poisoned):
            part.add(differences(base, poisoned, point - block.first), bench.market, point, block.first)
        else:
            part.skip(poisoned.error)
    return part


def finding(case: Case) -> Finding:
    """The verdict on a subject."""
    label, part = case.subject.label, case.poison
    evidence = {**case.seen, "futures": part.runs, "not_run": part.not_run, "differing": part.parted}
    if case.nothing:
        return Finding(TEST, label, "unknown", case.nothing, evidence)
    if part.clues:
        return Finding(TEST, label, "failed", words_of(case, part.clues, cut=False), evidence | shown(part.clues))
    if not part.runs:
        return Finding(TEST, label, "unknown", f"No poisoned future could be run: {part.reason}.", evidence)
    words = f"{part.runs} futures were replaced by garbage: nothing at or before any of them moved."
    return Finding(TEST, label, "passed", words, evidence)
