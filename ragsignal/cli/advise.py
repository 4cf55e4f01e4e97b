"""``ragsignal train advise``: which size of StockLLM on ranks fits a corpus, and what twice as much would ask for.

ragsignal train advise SPEC --dry-run       what the ladder will cost, measured here
ragsignal train advise SPEC                 the ladder; a killed one goes on
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from ragsignal.cli.options import DryRun, Settings, TrainSpecPath, typed
from ragsignal.cli.terminal import answer, people, progress_bars, say

if TYPE_CHECKING:
    from ragsignal.training import LadderCost

Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="Processes of one thread each; default: one a core.")]


def advise(spec: TrainSpecPath, jobs: Jobs = None, dry_run: DryRun = False, settings: Settings = None) -> None:
    """Compare sizes of StockLLM on ranks on shares of the corpus: which to take, and what twice the corpus asks for."""
    from ragsignal.config import load_train_spec

    loaded = load_train_spec(spec, settings or ())
    with progress_bars() as progress:
        from ragsignal.training import SizeAdvice, TrainingRun

        advice = SizeAdvice(TrainingRun(loaded, progress, typed("ragsignal train advise", spec, settings)), jobs)
        cost = advice.estimate()
        _print_cost(cost, advice.jobs)
        record = None if dry_run else advice.build()
    if record is None:
        answer(
            {**asdict(cost), "core_seconds": cost.seconds, "minutes": cost.minutes(advice.jobs), "jobs": advice.jobs}
        )
        return
    _print_points(record)
    for line in [*record["words"], record["times"]["next_step"]["words"]]:
        say(line)
    from ragsignal.report import write_ladder

    page = advice.record_path.with_suffix(".html")
    write_ladder(record, page)
    say(f"record: {advice.record_path}, page: {page}")
    answer(record)


def _print_cost(cost: LadderCost, jobs: int) -> None:
    from ragsignal.study import duration

    if not cost.points:
        say("all points of the ladder are there")
        return
    table = Table("width", "parameters", "core-seconds", box=box.SIMPLE_HEAD, pad_edge=False)
    for hidden, parameters in cost.parameters.items():
        table.add_row(str(hidden), f"{parameters:,}", f"{cost.by_size.get(hidden, 0.0):,.0f}")
    table.add_row("teachers", "", f"{cost.teachers:,.0f}")
    people.print(table)
    say(
        f"{cost.points} points to train: {cost.seconds:,.0f} seconds of a core, {duration(cost.minutes(jobs))} in "
        f"{jobs} processes on as many quiet cores. Kill it whenever you like, what is done is kept"
    )


def _print_points(record: Mapping[str, Any]) -> None:
    """A row a size and amount of data; a mark where a size is worse than the best one by more than chance."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("labels", "width", "loss above the best, x 1e-6", "", "IC"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in record["points"]:
        above, skill = row["above_best"], row["skill"]
        table.add_row(
            f"{row['labels']:,}",
            str(row["hidden"]),
            _shown(above, "loss", 1e6, 0),
            "worse" if row["told_apart"] else "",
            _shown(skill, "ic", 1.0, 4),
            end_section=row["hidden"] == record["points"][-1]["hidden"],
        )
    people.print(table)


def _shown(interval: Mapping[str, float], name: str, unit: float, digits: int) -> str:
    value, low, high = (f"{unit * interval[key]:.{digits}f}" for key in (name, "low", "high"))
    return f"{value} [{low}, {high}]".replace("-", "−")
