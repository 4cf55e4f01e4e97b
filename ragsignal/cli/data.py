"""``ragsignal data check|download``: price files."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ragsignal.cli.terminal import Commands, answer, people

data_app = Commands(help="Check price files, or download some.")


@data_app.command("check")
def data_check(
    path: Annotated[
        Path, typer.Argument(help="A folder of CSV or Stooq text files, or one long table (Parquet, CSV, text).")
    ],
) -> None:
    """List everything that is wrong with the prices in PATH; exit 1 if there is anything."""
    from ragsignal.data import find_problems

    problems = find_problems(path)
    table = Table("file", "symbol", "rule", "rows", "repair", title=f"{len(problems)} problem(s) in {path}")
    for problem in problems:
        rows = ", ".join(problem.rows)
        table.add_row(Path(problem.file).name, problem.symbol, problem.rule, rows, problem.repair)
    people.print(table if problems else f"{path}: nothing wrong")
    answer([asdict(problem) for problem in problems])
    raise typer.Exit(1 if problems else 0)


@data_app.command("download")
def data_download(
    symbols: Annotated[list[str], typer.Argument(help="Yahoo symbols.")],
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])],
    end: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])],
    out: Annotated[Path, typer.Option(help="Folder that receives one CSV a symbol.")] = Path("prices"),
) -> None:
    """Download daily prices with yfinance, as CSVs that `source = "folder"` reads."""
    from ragsignal.data import download

    answer([str(path) for path in download(symbols, start.date(), end.date(), out)])
