"""``ragsignal init``: a spec for your prices, and a strategy to edit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragsignal.cli.options import QueryOption, TableOption
from ragsignal.cli.terminal import answer, say


def init(
    prices: Annotated[
        str | None,
        typer.Argument(
            help="A folder with a CSV a symbol, one long table, or the URL of a database. Default: the bundled sample."
        ),
    ] = None,
    table: TableOption = None,
    query: QueryOption = None,
) -> None:
    """Write spec.toml and my_strategy.py into this folder, for PRICES; nothing is written over."""
    from ragsignal.study import choose_first_spec, write_first_spec

    chosen = choose_first_spec(prices, table, query)
    spec, strategy = write_first_spec(chosen, Path())
    commands = [f"ragsignal backtest {spec} --dry-run", f"ragsignal backtest {spec}"]
    say(chosen.why())
    say(f"written: {spec} and {strategy}, to be edited. What it costs, and then the run:")
    for command in commands:
        say(f"    {command}")
    answer({"spec": str(spec), "strategy": str(strategy), "next": commands})
