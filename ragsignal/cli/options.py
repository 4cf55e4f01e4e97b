"""Arguments and options that several commands take."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

import typer


def bar_named(text: str) -> date:
    """The name of a bar: a day, ``2014-03-05``, or the moment at which one of hours ends, ``2014-03-05 15:30``."""
    from ragsignal.utils import read_stamp

    try:
        return read_stamp(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no day; write it as 2014-03-05, or of bars of hours the end of one, '2014-03-05 15:30'"
        ) from None


SpecPath = Annotated[Path, typer.Argument(help="A TOML spec, or shipped:sample.")]
TrainSpecPath = Annotated[Path, typer.Argument(help="A TOML training spec, such as backtests/text.train.toml.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what the run would cost, and stop there.")]
Out = Annotated[Path, typer.Option(help="Folder that receives a folder for each run, under the spec's name.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PLACE=VALUE",
        help="Another value for a key of SPEC: data.start=2015-01-02, strategy.params.enter=0.1, "
        "variant.NAME.retrieval.k=3; repeatable.",
    ),
]
BarName = Annotated[
    date,
    typer.Option(
        "--date",
        parser=bar_named,
        metavar="BAR",
        help="As of the close of this day, or of a bar of hours that ends then.",
    ),
]
TableOption = Annotated[str | None, typer.Option(help="Of a database: the table of bars, NAME or SCHEMA.NAME.")]
QueryOption = Annotated[str | None, typer.Option(help="Of a database: SQL that selects the bars.")]


def typed(command: str, spec: Path, settings: Sequence[str] | None) -> str:
    """``command`` with its spec and its ``--set`` options, as a shell takes it."""
    return " ".join([command, shlex.quote(str(spec)), *(f"--set {shlex.quote(word)}" for word in settings or ())])
