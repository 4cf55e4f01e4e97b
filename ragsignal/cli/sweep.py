"""``ragsignal sweep``, and the options of commands that spread their work.

ragsignal sweep SPEC --grid strategy.enter=0,0.05,0.1 --grid costs.commission_bps=0,5,10
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from ragsignal.cli.options import Out
from ragsignal.cli.terminal import Answering, answer, note, people, percent, progress_bars, say, sharpe
from ragsignal.utils import NewRun

if TYPE_CHECKING:
    from ragsignal.config import RunSpec, StrategySpec
    from ragsignal.utils import Record

LOCAL = "local"
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="Local processes that trade; on Ray, copies of the language model."),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray", metavar="[ADDRESS]", help="Use the Ray cluster there (auto, host:port); without ADDRESS, start one."
    ),
]
_SHOWN = 10


class MayStartRay(Answering):
    """A command whose ``--ray`` may stand without an address."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Fill in what is left out."""
        return super().parse_args(ctx, with_address(args))


def with_address(args: Sequence[str]) -> list[str]:
    """``args`` with an address after each ``--ray``: RAY_ADDRESS, or a cluster of this machine, where none is given."""
    filled: list[str] = []
    for number, word in enumerate(args):
        filled.append(word)
        following = args[number + 1 : number + 2]
        if word == "--ray" and (not following or following[0].startswith(("-", "shipped:")) or ".toml" in following[0]):
            filled.append(os.environ.get("RAY_ADDRESS") or LOCAL)
    return filled


def strategies_of(spec: RunSpec) -> list[StrategySpec]:
    """Every strategy of a spec, whose code a cluster may have to be sent."""
    return [variant.strategy for variant in spec.variants]


def sweep(
    spec: Annotated[Path, typer.Argument(help="A TOML spec, or shipped:sample.")],
    grid: Annotated[
        list[str] | None, typer.Option(help="A dotted place and its values: strategy.enter=0,0.05,0.1; repeatable.")
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help="Swept variants; default: those that trade a signal by [strategy].")
    ] = None,
    jobs: Jobs = None,
    ray: Ray = None,
    out: Out = Path("runs"),
) -> None:
    """Run SPEC at every point of a grid, on every core; signals are made once, and a killed sweep goes on."""
    from ragsignal.config import load_spec

    loaded = load_spec(spec)
    runs = out / f"{loaded.name}-sweep"
    with progress_bars() as progress:
        from ragsignal.parallel import open_pool
        from ragsignal.trading import Journal, parse_grid, run_sweep, write_sweep

        wanted = parse_grid(grid or [])
        run = NewRun(runs)
        journal = Journal(runs / "points.jsonl")  # beside the runs: a killed sweep is none, and its points are kept
        with open_pool(jobs, ray, strategies_of(loaded)) as pool:
            record = run_sweep(loaded, wanted, variant or [], progress, pool, journal)
        folder, _ = run.write(partial(write_sweep, record))
        journal.close()
    people.print(table_of_best(record))
    for line in record["notes"]:
        note(line)
    say(_tried(record["times"]["trials"]))
    say(f"record: {folder / 'sweep.json'}")
    parts = {key: record[key] for key in ("trials", "selection", "rows", "benchmarks", "notes", "times")}
    answer({"run_dir": str(folder), "record": str(folder / "sweep.json"), **parts})


def table_of_best(record: Record) -> Table:
    """The trials with the highest Sharpe ratio, and beside them the median and the worst of all, and the benchmark."""
    done = [row for row in record["rows"] if "refused" not in row]
    ran = sorted((row for row in done if row["orders"]), key=_sharpe, reverse=True)  # ruined ones last
    table = Table(
        title=f"{len(ran)} trials after costs, by Sharpe; gap: a year, to {record['benchmark']}",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("variant", no_wrap=True)
    for place in record["grid"]:
        table.add_column(place.partition(".")[2], overflow="fold")
    for title in ("return", "Sharpe", "drawdown", "trades", "gap, 95 %"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in ran[:_SHOWN]:
        table.add_row(row["variant"], *_cells(row, record))
    if len(ran) > _SHOWN:
        table.add_section()
        table.add_row("the median", *_cells(ran[len(ran) // 2], record))
        table.add_row("the worst", *_cells(ran[-1], record))
    idle = [row for row in done if not row["orders"]]
    if idle:
        table.add_section()
    for row in idle[:_SHOWN]:
        table.add_row(f"{row['variant']} (never traded)", *_cells(row, record))
    table.add_section()
    for row in record["benchmarks"]:
        table.add_row(row["variant"], *_cells(row, record))
    return table


def _cells(row: Record, record: Record) -> list[str]:
    point = [str(row["point"].get(place, "")) for place in record["grid"]]
    gap = row.get("gap")  # a benchmark has none
    known = gap is not None and gap["low"] is not None  # few bars have no interval
    beside = _gap(gap) if gap and known else ""
    figures = (percent(row["return"]), sharpe(row), percent(row["max_drawdown"]))
    return [*point, *figures, f"{row['trades']:,}", beside]


def _gap(gap: Record) -> str:
    difference, low, high = (percent(gap[end], 0, signed=True) for end in ("difference", "low", "high"))
    return f"{difference} [{low}, {high}]"


def _tried(trials: Record) -> str:
    """What the ledger says, beside the notes of this sweep alone: it may have been the tenth one on these days."""
    text = f"{trials['count']:,} configurations have been tried on these data, by any command"
    if trials.get("deflated_sharpe") is None:
        return text
    return (
        f"{text}: the best of as many worthless ones would have a Sharpe ratio of {trials['sharpe0']:.2f}; the "
        f"probability that the best point here is truly above that is {percent(trials['deflated_sharpe'], 0)}"
    )


def _sharpe(row: Record) -> tuple[float, float]:
    return float("-inf") if row["sharpe"] is None else float(row["sharpe"]), float(row["return"])
