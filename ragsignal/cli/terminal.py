"""What a command shows: words, tables and progress on stderr; JSON of the result on stdout, for programs."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

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
from rich.text import Text
from typer.core import TyperCommand

from ragsignal.utils import Progress

_SILENCE = 60.0  # seconds after which a log gets a line, even within a tenth
# No markup: names, messages and code have [brackets] of their own. What is coloured says so by its style.
people = Console(stderr=True, markup=False, highlight=False)
_json_wanted = False
Function = TypeVar("Function", bound=Callable[..., Any])


class Commands(typer.Typer):
    """Commands that all take ``--json``, and a help in which [brackets] stay."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(no_args_is_help=True, rich_markup_mode="markdown", **settings)

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **settings: Any
    ) -> Callable[[Function], Function]:
        """As Typer's, of a command that answers."""
        return super().command(name, cls=cls or Answering, **settings)


class Answering(TyperCommand):
    """A command whose result is printed as JSON for a program: with ``--json``, or where stdout is no terminal."""

    def __init__(self, *args: Any, epilog: str | None = None, **settings: Any) -> None:
        words = "--json prints the result as JSON on stdout; where stdout is no terminal, it always is."
        super().__init__(*args, epilog=epilog or words, **settings)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take ``--json`` out: it is every command's, and no function's."""
        global _json_wanted
        _json_wanted = "--json" in args
        return super().parse_args(ctx, [word for word in args if word != "--json"])


def answer(value: Any) -> None:
    """Print a result as JSON, unless a person is looking who has not asked for it."""
    if _json_wanted or not sys.stdout.isatty():
        typer.echo(json.dumps(value, indent=1, default=lambda it: it.isoformat(), ensure_ascii=False))


def say(line: str) -> None:
    """Print a line for people, whole however wide the terminal is."""
    people.print(line, soft_wrap=True)


def note(line: str) -> None:
    """Print what a reader must know beside the result."""
    people.print(Text.assemble(("note:", "yellow"), " ", line), soft_wrap=True)


def percent(value: float | None, digits: int = 1, *, signed: bool = False) -> str:
    """Write a fraction as per cent, as the page does; an en dash where there is none."""
    if value is None:
        return "–"
    return f"{100 * value:{'+' if signed else ''}.{digits}f} %".replace("-", "−")


def sharpe(row: Mapping[str, Any]) -> str:
    """Write a row's Sharpe ratio; "ruined" where an account ended at nothing."""
    return "ruined" if "ruined" in row else "–" if row["sharpe"] is None else f"{row['sharpe']:.2f}".replace("-", "−")


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
    with Bars(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), *clock, console=people
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show


def _progress_lines() -> Progress:
    began: dict[str, float] = {}
    shown: dict[str, tuple[int, float]] = {}  # tenth and time of the last line

    def show(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        start = began.setdefault(what, now)
        tenth = 10 * done // max(1, total)
        last_tenth, last = shown.get(what, (-1, now))
        if tenth != last_tenth or now - last > _SILENCE:
            shown[what] = tenth, now
            say(f"{datetime.now():%H:%M:%S} {what}: {done} of {total}{_time_left(done, total, now - start)}")

    return show


def _time_left(done: int, total: int, seconds: float) -> str:
    """How long the rest will take at the pace so far; nothing where that is not known, or is over."""
    if not 0 < done < total or seconds < 1.0:
        return ""
    left = seconds * (total - done) / done
    return f", about {left:.0f} s left" if left < 100 else f", about {left / 60:.0f} min left"
