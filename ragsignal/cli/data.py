"""``ragsignal data check|download``: price files."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ragsignal.cli.options import QueryOption, TableOption
from ragsignal.cli.terminal import Commands, answer, people
from ragsignal.errors import ConfigError

data_app = Commands(help="Check price files, or download some.")


@data_app.command("check")
def data_check(
    path: Annotated[
        str,
        typer.Argument(
            help="A folder of CSV or Stooq text files, one long table (Parquet, CSV, text), or the URL of a database."
        ),
    ],
    table: TableOption = None,
    query: QueryOption = None,
) -> None:
    """List everything that is wrong with the prices in PATH, and what only looks wrong; exit 1 for a problem."""
    from ragsignal.data import SqlSource, check_prices
    from ragsignal.utils import masked

    is_database = bool(table or query) or "://" in path
    if is_database and bool(table) == bool(query):
        raise ConfigError("a database needs --table NAME or --query 'SELECT ...', and not both: where are the bars?")
    found = check_prices(SqlSource(path, table, query) if is_database else path)
    path = masked(path)
    problems = sum(it.level == "problem" for it in found)
    title = f"{problems} problem(s) and {len(found) - problems} warning(s) in {path}"
    shown = Table("level", "file", "symbol", "rule", "rows", "repair", title=title)
    for it in found:
        file = it.file if is_database else Path(it.file).name
        shown.add_row(it.level, file, it.symbol, it.rule, ", ".join(it.rows), it.repair)
    people.print(shown if found else f"{path}: nothing wrong")
    answer([asdict(it) for it in found])
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
