"""``ragsignal export``: the signals of a run as decisions that another spec can trade."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragsignal.cli.terminal import answer, say


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a backtest, such as runs/NAME/latest.")],
    variant: Annotated[str, typer.Option(help="Whose signals.")],
    out: Annotated[Path, typer.Option(help="The file to write: .csv, .csv.gz or .parquet.")],
) -> None:
    """Write a variant's signals as a file that signal = "external" reads: docs/external.md."""
    from ragsignal.report import Run, export_decisions

    opened = Run(run)
    table = export_decisions(opened, variant, out)
    say(f"{out}: {len(table):,} decisions of {variant}")
    answer({"run_dir": str(opened.folder), "variant": variant, "file": str(out), "decisions": len(table)})
