"""``ragsignal wrap``: a Backtrader strategy that knows of no signal, with and without one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from ragsignal.cli.cost import announce
from ragsignal.cli.options import Out, Settings, SpecPath
from ragsignal.cli.sweep import LocalJobs
from ragsignal.cli.terminal import answer, people, percent, progress_bars, say, sharpe
from ragsignal.errors import ConfigError
from ragsignal.utils import NewRun, write_json

if TYPE_CHECKING:
    from ragsignal.config import RunSpec, StrategySpec
    from ragsignal.trading import VariantResult, Wrapped


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
    jobs: LocalJobs = None,
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
    rows = [
        (run.name, *_cells(run), refused)
        for run, refused in zip(wrapped.results, ("", *(f"{it:,}" for it in wrapped.refused)), strict=True)
    ]
    for row in rows[:2]:
        table.add_row(*row)
    table.add_section()
    ranked = [row for _, row in sorted(zip(wrapped.chance, rows[2:], strict=True), key=_return, reverse=True)]
    places = {len(ranked) // 2: "median", len(ranked) - 1: "worst", 0: "best"}  # of one or two some are the same
    for at, place in sorted(places.items()):
        name, *cells = ranked[at]
        table.add_row(f"{name}, the {place} of {len(ranked)}", *cells)
    return table


def _return(run: tuple[VariantResult, tuple[str, ...]]) -> float:
    return run[0].metrics["return"]


def _cells(run: VariantResult) -> tuple[str, ...]:
    row = {**run.metrics, **run.account_record()}
    figures = (percent(row["return"]), sharpe(row), percent(row["max_drawdown"]), f"{row['trades']:,}")
    return (*figures, f"{row['costs_paid']:,.0f}")


def _rule(wrapped: Wrapped) -> str:
    name, line, above = wrapped.variant.name, wrapped.line, wrapped.wrap.above
    least, most = (f">= {above:g}", f"<= {-above:g}") if above else (">= 0", "<= 0")
    return (
        f"An order that enters a long position was let through where the {line} of {name!r} was {least}, one that "
        f"enters a short where it was {most}; exits always. Random filters: the same signals, turned round in time."
    )
