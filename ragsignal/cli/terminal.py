"""What a command shows: JSON of the result on stdout, words, tables and progress on stderr."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from ragsignal.utils import Progress

people = Console(stderr=True)


def answer(value: Any) -> None:
    """Print a result as JSON."""
    typer.echo(json.dumps(value, indent=1, default=lambda it: it.isoformat(), ensure_ascii=False))


@contextlib.contextmanager
def stdout_is_ours() -> Iterator[None]:
    """Send to stderr what others' code writes past Python: LAPACK prints to stdout where a fit meets a NaN."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def progress_bars() -> Iterator[Progress]:
    """Yield ``progress(what, done, total)``: bars on a terminal, a line a tenth elsewhere (a log shows no bars)."""
    if not people.is_terminal:
        yield _progress_lines()
        return
    clock = (TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn())
    with Bars(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *clock, console=people) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show


def _progress_lines() -> Progress:
    shown: dict[str, int] = {}

    def show(what: str, done: int, total: int) -> None:
        tenth = 10 * done // max(1, total)
        if shown.get(what) != tenth:
            shown[what] = tenth
            people.print(f"{datetime.now():%H:%M:%S} {what}: {done} of {total}", highlight=False)

    return show
