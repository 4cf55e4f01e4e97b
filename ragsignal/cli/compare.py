"""``ragsignal compare``: what differs between runs that were made before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragsignal.cli.terminal import answer, people


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN RUN...",
            help="Folders of runs, such as runs/NAME/latest; the first is compared with the others.",
        ),
    ],
) -> None:
    """Say what differs between backtests: spec, data, versions, figures, and their returns bar by bar."""
    from ragsignal.report import compare as compare_runs

    comparison = compare_runs(*runs)
    people.print(str(comparison), markup=False, highlight=False, soft_wrap=True)
    answer(comparison.record)
