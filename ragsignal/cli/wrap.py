"""``ragsignal wrap``: a Backtrader strategy that knows of no signal, with and without one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from ragsignal.cli.cost import announce
from ragsignal.cli.options import Out, Settings, SpecPath
from ragsignal.cli.sweep import Jobs
from ragsignal.cli.terminal import answer, people, progress_bars, say
from ragsignal.errors import ConfigError
from ragsignal.utils import NewRun, write_json

if TYPE_CHECKING:
    from ragsignal.config import RunSpec, StrategySpec
    from ragsignal.trading import Wrapped


def wrap(
    spec: SpecPath,
    strategy: Annotated[str, typer.Argument(help="module:Class, looked up beside SPEC and in the current folder.")],
    variant: Annotated[str | None, typer.Option(help="Whose signal filters; default: the first that has one.")] = None,
    params: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A param of the strategy; repeatable.")
    ] = None,
    above: Annotated[
        float, typer.Option(help="Least rank (of a reader of text: signal) of a buy, in [0, 1); shorts mirror it.")
    ] = 0.0,
    seeds: Annotated[int, typer.Option(min=1, help="Filters of chance.")] = 20,
    settings: Settings = None,
    jobs: Jobs = None,
    out: Out = Path("runs"),
) -> None:
    """Run STRATEGY plain, filtered by a signal of SPEC, and filtered by chance: entries need a signal that agrees."""
    from ragsignal.config import load_spec

    loaded = load_spec(spec, settings or ())
    with progress_bars() as progress:
        from ragsignal.parallel import open_pool
        from ragsignal.trading import Wrap, wrap_strategy

        run = NewRun(out / f"{loaded.name}-wrap")
        asked = Wrap(_strategy_of(loaded, strategy, params or ()), variant, above, seeds)
        with open_pool(jobs) as pool:
            wrapped = wrap_strategy(loaded, asked, progress, announce, pool)
    record = wrapped.record()
    folder, _ = run.write(lambda draft: write_json(draft / "wrap.json", record))
    people.print(_table(wrapped))
    for line in (_rule(wrapped), *wrapped.sentences()):
        say(line)
    say(f"{wrapped.trials:,} configurations have been tried on these data, by any command")
    say(f"record: {folder / 'wrap.json'}")
    answer({"run_dir": str(folder), **record})


def _strategy_of(spec: RunSpec, name: str, params: list[str] | tuple[str, ...]) -> StrategySpec:
    from ragsignal.config import StrategySpec, toml_value

    values = {}
    for word in params:
        key, _, text = (part.strip() for part in word.partition("="))
        if not key or not text:
            raise ConfigError(f"--param {word!r}: NAME=VALUE was expected, such as period=20")
        try:
            values[key] = toml_value(text)
        except ValueError:
            values[key] = text
    if name.count(":") != 1 or not all(name.split(":")):
        raise ConfigError(f"{name!r} names no strategy; module:Class was expected, such as my_strategy:MyStrategy")
    return StrategySpec.model_validate({"class": name, "params": values, "folder": spec.strategy.folder})


def _table(wrapped: Wrapped) -> Table:
    table = Table(title=wrapped.wrap.strategy.name, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("", no_wrap=True)
    for title in ("return", "Sharpe", "max DD", "trades", "costs", "refused"):
        table.add_column(title, justify="right", no_wrap=True)
    for result, refused in zip(wrapped.results, ("", *map(str, wrapped.refused)), strict=True):
        row = result.metrics
        sharpe = "ruined" if result.ruined else "–" if row["sharpe"] is None else f"{row['sharpe']:.2f}"
        figures = (f"{row['return']:.1%}", sharpe, f"{row['max_drawdown']:.1%}", str(row["trades"]))
        table.add_row(result.name, *figures, f"{row['costs_paid']:,.0f}", refused)
    return table


def _rule(wrapped: Wrapped) -> str:
    name, line, above = wrapped.variant.name, wrapped.line, wrapped.wrap.above
    least, most = (f">= {above:g}", f"<= {-above:g}") if above else (">= 0", "<= 0")
    return (
        f"An order that enters a long position was let through where the {line} of {name!r} was {least}, one that "
        f"enters a short where it was {most}; exits always. Random filters: the same signals, turned round in time."
    )
