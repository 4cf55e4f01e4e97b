"""The command line: JSON of the result on stdout, everything for people on stderr.

    ragsignal backtest backtests/sample.toml
    ragsignal inspect backtests/paper.toml --symbol AAPL --date 2012-06-01
    ragsignal evaluate backtests/paper.toml
    ragsignal audit backtests/paper.toml
    ragsignal train stockllm backtests/text.train.toml
    ragsignal data check prices/
    ragsignal weights list

Exit codes: 0 done, 1 the run failed, 2 the spec or an argument is wrong.
"""

from __future__ import annotations

import typer

from ragsignal.cli.audit import audit
from ragsignal.cli.backtest import backtest
from ragsignal.cli.compare import compare
from ragsignal.cli.data import data_app
from ragsignal.cli.evaluate import evaluate
from ragsignal.cli.inspect import inspect
from ragsignal.cli.sweep import MayStartRay, sweep
from ragsignal.cli.terminal import people
from ragsignal.cli.train import train_app
from ragsignal.cli.weights import weights_app
from ragsignal.errors import ConfigError, RagSignalError
from ragsignal.utils import disk_is_full, full_disk

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.command(cls=MayStartRay)(backtest)
app.command()(evaluate)
app.command()(inspect)
app.command(cls=MayStartRay)(sweep)
app.command()(audit)
app.command()(compare)
app.add_typer(train_app, name="train")
app.add_typer(data_app, name="data")
app.add_typer(weights_app, name="weights")


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
    people.print(f"[bold red]{type(error).__name__}[/]", end=" ")
    people.print(str(error), markup=False, highlight=False, soft_wrap=True)
    raise SystemExit(code)
