"""The forgetting matrix for people: a table, and sentences that say what can be told and what not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ragsignal.evaluation.forgetting import Cell, Forgetting
from ragsignal.statistics import Interval

if TYPE_CHECKING:
    from rich.table import Table

_MARK = "*"
_LEGEND = f"Mean rank IC ± half of its 95 % interval; {_MARK} in sample: the model had learned these days."


def forgetting_table(forgetting: Forgetting) -> Table:
    """Lay out the matrix for a terminal: a row a step's model, a column a period."""
    from rich import box
    from rich.table import Table

    table = Table(title=_LEGEND, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("model of step", no_wrap=True)
    for title in _titles(forgetting):
        table.add_column(title, justify="right", no_wrap=True)
    for row in _rows(forgetting):
        table.add_row(*row)
    return table


def forgetting_section(forgetting: Forgetting) -> str:
    """The section of an evaluation's page."""
    head = ["model of step", *_titles(forgetting)]
    lines = [head, ["---"] * len(head), *_rows(forgetting)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    said = "\n".join(f"- {sentence}" for sentence in forgetting_sentences(forgetting))
    return f"## What later steps did to what was learned\n\n{_LEGEND}\n\n{table}\n\n{said}\n"


def forgetting_sentences(forgetting: Forgetting) -> Iterator[str]:
    """Say the means of the matrix, each with its interval, and what the trainings cost."""
    if forgetting.backward is None or forgetting.forgetting is None:
        yield "Backward transfer and forgetting: none, a period has to be learned and then a step be trained after it."
    else:
        yield f"Backward transfer (later steps on what had been learned): {_said(forgetting.backward)}."
        yield f"Average forgetting (the best earlier model less the last one): {_said(forgetting.forgetting)}."
    if forgetting.forward is not None:
        yield f"Forward transfer (each period before it was learned, out of sample): {_said(forgetting.forward)}."
    yield from _cost_words(forgetting)


def _cost_words(forgetting: Forgetting) -> Iterator[str]:
    anew = [cost for cost in forgetting.costs if not cost.warm]
    warm = [cost for cost in forgetting.costs if cost.warm]
    for words, costs in (("trained anew", anew), ("warm", warm)):
        if not costs:
            continue
        steps = sum(cost.steps for cost in costs) / len(costs)
        known = [cost.seconds for cost in costs if cost.seconds is not None]
        seconds = f" and {sum(known) / len(known):.1f} seconds" if known else ""
        yield f"Cost of a step that was {words}: {steps:,.0f} optimizer steps{seconds}, mean of {len(costs)}."


def _titles(forgetting: Forgetting) -> Iterator[str]:
    for period in forgetting.periods:
        yield f"{period.first} to {period.last}" if period.number else f"learned first: {period.first} to {period.last}"


def _rows(forgetting: Forgetting) -> Iterator[list[str]]:
    width = len(forgetting.periods)
    for number, cost in enumerate(forgetting.costs):
        cells = forgetting.cells[number * width : (number + 1) * width]
        yield [f"{cost.step}, from {cost.first}", *map(_cell, cells)]


def _cell(cell: Cell) -> str:
    if not cell.days:
        return "–"
    mark = _MARK if cell.in_sample else ""
    half = (cell.high - cell.low) / 2.0
    return f"{cell.ic:+.4f}{mark}" if half == float("inf") else f"{cell.ic:+.4f}{mark} ± {half:.4f}"


def _said(interval: Interval) -> str:
    if interval.high == float("inf"):
        return f"{interval.difference:+.4f}, of too few days for an interval"
    words = "" if interval.distinguishable else ", not distinguishable from 0"
    return f"{interval.difference:+.4f} (95 %: {interval.low:+.4f} to {interval.high:+.4f}){words}"
