"""Retrieval-augmented signals for Backtrader: make them, trade them, test them.

Words, tables and progress go to stderr; JSON of the result to stdout, with --json or where stdout is no terminal.

Exit codes: 0 done, 1 the run failed, 2 the spec or an argument is wrong.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ragsignal.cli.alpha import alpha_app
from ragsignal.cli.audit import audit
from ragsignal.cli.backtest import backtest
from ragsignal.cli.compare import compare
from ragsignal.cli.convert import convert_app
from ragsignal.cli.data import data_app
from ragsignal.cli.evaluate import evaluate
from ragsignal.cli.explain import explain
from ragsignal.cli.export import export
from ragsignal.cli.init import init
from ragsignal.cli.inspect import inspect
from ragsignal.cli.news import news_app
from ragsignal.cli.probe import probe
from ragsignal.cli.sweep import MayStartRay, sweep
from ragsignal.cli.terminal import Commands, people, say
from ragsignal.cli.train import train_app
from ragsignal.cli.weights import weights_app
from ragsignal.cli.wrap import wrap
from ragsignal.errors import ConfigError, RagSignalError
from ragsignal.utils import disk_is_full, full_disk
from ragsignal.version import VERSION

_IN_USE = (
    "init",
    "data",
    "news",
    "convert",
    "backtest",
    "inspect",
    "explain",
    "evaluate",
    "probe",
    "audit",
    "wrap",
    "sweep",
    "compare",
    "export",
    "train",
    "alpha",
    "weights",
)
"""Commands in the order in which somebody new needs them."""


class _InOrder(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: _IN_USE.index(name) if name in _IN_USE else len(_IN_USE))


app = Commands(cls=_InOrder, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.command()(init)
app.command(cls=MayStartRay)(backtest)
app.command()(evaluate)
app.command()(probe)
app.command()(inspect)
app.command()(explain)
app.command(cls=MayStartRay)(sweep)
app.command()(audit)
app.command()(compare)
app.command()(export)
app.command()(wrap)
app.add_typer(train_app, name="train")
app.add_typer(alpha_app, name="alpha")
app.add_typer(data_app, name="data")
app.add_typer(news_app, name="news")
app.add_typer(convert_app, name="convert")
app.add_typer(weights_app, name="weights")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ragsignal {VERSION}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take what stands before a command."""


def main() -> None:
    """Run the command line; turn this library's errors into a message and an exit code."""
    try:
        app()
    except ConfigError as error:
        _fail(error, 2)
    except RagSignalError as error:
        _fail(error, 1)
    except Exception as error:
        if not disk_is_full(error):
            raise
        _fail(full_disk(getattr(error, "filename", None) or "a file", error), 1)


def _fail(error: RagSignalError, code: int) -> None:
    people.print(type(error).__name__, style="bold red", end=" ")
    say(str(error))
    raise SystemExit(code)
