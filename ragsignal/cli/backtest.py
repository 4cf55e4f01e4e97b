"""``ragsignal backtest``: every variant of a spec on identical bars and costs, and the report."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from ragsignal.cli.cost import announce, cost_line, estimate_of_backtest, tell_estimate
from ragsignal.cli.options import DryRun, Out, Settings, SpecPath, typed
from ragsignal.cli.sweep import Jobs, Ray, strategies_of
from ragsignal.cli.terminal import answer, note, people, percent, progress_bars, say, sharpe
from ragsignal.utils import NewRun

if TYPE_CHECKING:
    from ragsignal.config import RunSpec

_MANY = 20  # symbols: five variants of them and a thousand bars take Backtrader as long as two processes their start


def backtest(
    spec: SpecPath,
    out: Out = Path("runs"),
    settings: Settings = None,
    dry_run: DryRun = False,
    jobs: Jobs = None,
    ray: Ray = None,
    csv: Annotated[
        bool, typer.Option("--csv", help="Write every table as CSV too, signals and many orders included.")
    ] = False,
) -> None:
    """Run every variant of SPEC on identical bars and costs, and write the report."""
    from ragsignal.config import load_spec

    loaded = load_spec(spec, settings or ())
    if dry_run:
        tell_estimate(estimate_of_backtest(loaded))
        return
    with progress_bars() as progress:
        from ragsignal.parallel import open_pool
        from ragsignal.report import answers_in_words, write_report
        from ragsignal.trading import run_spec

        run = NewRun(out / loaded.name)
        with open_pool(jobs if ray else jobs or _processes(loaded), ray, strategies_of(loaded)) as pool:
            result = run_spec(loaded, progress, announce, pool)
        progress("writing the report", 0, 1)
        result = replace(result, command=typed(f"ragsignal backtest {spec}", settings))
        folder, record = run.write(partial(write_report, result, every_csv=csv))
        progress("writing the report", 1, 1)
    costs = record["times"]["variants"]
    rows = [row | costs[row["name"]] for row in record["variants"]]
    _show_table(rows, loaded.benchmark)
    say(cost_line(list(costs.values())))
    for line in answers_in_words(result.findings, result.times["trials"]):
        say(line)
    for line in result.notes:
        note(line)
    say(f"report: {folder / 'index.html'}")
    answer(
        {"run_dir": str(folder), "report": str(folder / "index.html"), "variants": rows, "notes": list(result.notes)}
    )


def _processes(spec: RunSpec) -> int | None:
    """One for few symbols, which are traded sooner than others have started; else one a core."""
    from ragsignal.config import EVERY

    return 1 if spec.data.symbols != EVERY and len(spec.data.symbols) < _MANY else None


def _show_table(rows: list[dict[str, Any]], benchmark: str) -> None:
    table = Table(
        title=f"after costs; benchmark: {benchmark}", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    table.add_column("variant", no_wrap=True)
    for title in ("return", "Sharpe", "max DD", "trades", "costs", "hit rate", "calls"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        cells = [percent(row["return"]), sharpe(row), percent(row["max_drawdown"]), f"{row['trades']:,}"]
        cells += [f"{row['costs_paid']:,.0f}", percent(row["hit_rate"]), f"{row['model_calls']:,}"]
        table.add_row(row["name"], *cells)
    people.print(table)
