"""What a command says of cost: an estimate before the work, with or without the work itself, and a line after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from ragsignal.cli.terminal import answer, people, progress_bars, say

if TYPE_CHECKING:
    from ragsignal.config import RunSpec
    from ragsignal.study import Estimate, Study, Work

_FIGURES = {"asked": "signals", "found": "in store", "to_make": "to make", "model_calls": "calls", "tokens": "tokens"}


def announce(study: Study, work: Sequence[Work]) -> None:
    """Say in one line what a run will cost before it begins; a run without signals has nothing to announce."""
    from ragsignal.study import estimate

    if work:
        say(estimate(study, work).sentence())


def estimate_of_backtest(spec: RunSpec) -> Estimate:
    """Estimate what ``ragsignal backtest`` would cost; raises as it would."""
    from ragsignal.study import estimate, work_of
    from ragsignal.trading import prepare

    with progress_bars() as progress:
        study, frames = prepare(spec, progress)
        return estimate(study, work_of(spec, frames))


def estimate_of_evaluation(spec: RunSpec) -> Estimate:
    """Estimate what ``ragsignal evaluate`` would cost; raises as it would."""
    from ragsignal.evaluation import prepare, work_of
    from ragsignal.study import estimate

    with progress_bars() as progress:
        study, questions, _ = prepare(spec, progress)
        return estimate(study, work_of(spec, questions))


def tell_estimate(estimated: Estimate) -> None:
    """Show the estimate as a table and a sentence, and answer with its record."""
    record = estimated.record()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, title="estimate; calls: at most")
    table.add_column("variant", overflow="fold")  # a long name takes two lines, and no figure is cut
    for title in (*_FIGURES.values(), "minutes"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in record["signals"]:
        table.add_row(row["name"], *(f"{row[figure]:,}" for figure in _FIGURES), f"{row['minutes']:.1f}")
    for row in record["embeddings"]:
        first, *others = row["variants"]
        name = f"embeddings: {first}" + (f" +{len(others)}" if others else "")
        table.add_row(name, "", "", f"{row['lines']:,}", "", "", f"{row['minutes']:.1f}")
    people.print(table)
    say(estimated.sentence())
    answer(record)


def cost_line(costs: Sequence[Mapping[str, Any]]) -> str:
    """Say what the variants of a run cost together."""
    signals, stored, reused, calls, tokens, seconds = (
        sum(cost[figure] for cost in costs)
        for figure in ("asked", "found", "reused", "model_calls", "tokens", "model_seconds")
    )
    if not signals:
        return "no variant has a signal of its own: no model call"
    again = f", {reused:,} of a prompt that was read before" if reused else ""
    speed = f" in {seconds:,.1f} s, {tokens / seconds:,.0f} a second" if seconds else ""
    return f"{signals:,} signals, {stored:,} from the store{again}; {calls:,} model calls, {tokens:,} tokens{speed}"
