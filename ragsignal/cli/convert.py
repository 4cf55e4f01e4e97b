"""``ragsignal convert FORMAT INPUT --out FILE``: decisions of other projects, for ``signal = "external"``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ragsignal.cli.terminal import Commands, answer, note, say
from ragsignal.errors import ConfigError

if TYPE_CHECKING:
    from ragsignal.data import Converted

convert_app = Commands(help='Turn decisions of other projects into a file that signal = "external" reads.')

Out = Annotated[
    Path, typer.Option(help="File that receives the decisions, .csv or .parquet; one that is there is replaced.")
]
Rename = Annotated[
    list[str] | None,
    typer.Option(metavar="FROM=TO", help="Another name for a symbol, as your prices have it: BTC=BTC-USD; repeatable."),
]


@convert_app.command("tradingagents")
def convert_tradingagents(
    folder: Annotated[Path, typer.Argument(help="eval_results, results, or a run of its backtest.")],
    out: Out,
    rename: Rename = None,
) -> None:
    """TradingAgents' results folder, as actions: buy, overweight, hold, underweight, sell."""
    from ragsignal.data import check_out, read_tradingagents

    check_out(out, folder)
    _finish(read_tradingagents(folder), "tradingagents", out, rename)


@convert_app.command("ai-hedge-fund")
def convert_ai_hedge_fund(
    path: Annotated[Path, typer.Argument(help="A JSON or JSON-lines file, or a folder of them.")],
    out: Out,
    rename: Rename = None,
) -> None:
    """ai-hedge-fund's cycles, sessions and backtests as target weights; orders of its first version as actions."""
    from ragsignal.data import check_out, read_ai_hedge_fund

    check_out(out, path)
    _finish(read_ai_hedge_fund(path), "ai-hedge-fund", out, rename)


@convert_app.command("freqai")
def convert_freqai(
    path: Annotated[Path, typer.Argument(help="The folder backtesting_predictions, its parent, or one *.feather.")],
    out: Out,
    rename: Rename = None,
    target: Annotated[str | None, typer.Option(help="Which target, where there are several: '&-s_close'.")] = None,
    rise: Annotated[str | None, typer.Option(help="Which class of a classifier says that prices rise.")] = None,
) -> None:
    """Predictions of freqtrade's FreqAI; known when their candle ends."""
    from ragsignal.data import check_out, read_freqai

    check_out(out, path)
    _finish(read_freqai(path, target, rise), "freqai", out, rename)


@convert_app.command("kronos")
def convert_kronos(
    path: Annotated[Path, typer.Argument(help="A CSV file or Parquet table of predicted bars, or a folder of them.")],
    out: Out,
    rename: Rename = None,
    horizon: Annotated[int, typer.Option(help="Which predicted bar's close counts: 1 is the next bar.")] = 1,
    full_return: Annotated[float, typer.Option(help="Of one path, the predicted return that is a score of 1.")] = 0.02,
    stamps: Annotated[
        Literal["open", "close"], typer.Option(help="What a stamp with a time is: a bar's opening, or its end.")
    ] = "open",
) -> None:
    """Bars that Kronos predicted: P(rise) of several sampled paths, a score of one."""
    from ragsignal.data import KronosReading, check_out, read_kronos

    check_out(out, path)
    _finish(read_kronos(path, KronosReading(horizon, full_return, stamps)), "kronos", out, rename)


def _finish(converted: Converted, source: str, out: Path, rename: list[str] | None) -> None:
    """Write decisions; say how many there are, and what was left out."""
    if rename:
        converted = converted.renamed(_names(rename))
    converted.write(out)
    times = converted.decisions[converted.time]
    first, last = str(times.min()), str(times.max())
    rows, symbols = len(converted.decisions), converted.symbols
    say(f"{out}: {rows} decision(s) of {len(symbols)} symbol(s), {first} to {last}, {converted.value}")
    if converted.repeats:
        note(f"{converted.repeats} decision(s) were written down again, and alike; each counts once")
    for reason, count in converted.reasons.items():
        note(f"{count} left out: {reason}")
    answer(
        {
            "format": source,
            "out": str(out),
            "time": converted.time,
            "value": converted.value,
            "decisions": rows,
            "symbols": symbols,
            "first": first,
            "last": last,
            "repeats": converted.repeats,
            "left_out": [
                {"symbol": it.symbol, "when": it.when, "reason": it.reason, "place": it.place}
                for it in converted.left_out
            ],
        }
    )


def _names(rename: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in rename]
    for word, (old, _, new) in zip(rename, pairs, strict=True):
        if not old or not new:
            raise ConfigError(f"--rename {word}: expected FROM=TO, such as BTC=BTC-USD")
    return {old: new for old, _, new in pairs}
