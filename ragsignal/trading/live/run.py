"""A spec's variant on a feed that does not end, with a paper account.

spec, journal ─► LiveMarket ─► LiveFeeds ─► Cerebro: RagMomentum, strategy, PaperBroker ─► VariantResult
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import backtrader as bt

from ragsignal.config import EVERY, RunSpec, Variant
from ragsignal.data import SessionClose
from ragsignal.errors import ConfigError, DataError
from ragsignal.trading.engine import add_variant, result_of, run_cerebro, set_costs
from ragsignal.trading.live.bars import BarSource
from ragsignal.trading.live.feed import LiveFeed
from ragsignal.trading.live.folder import FolderSource
from ragsignal.trading.live.heartbeat import Heartbeat
from ragsignal.trading.live.journal import HEARTBEAT, LiveJournal
from ragsignal.trading.live.market import LiveMarket, LiveOptions, prices_of
from ragsignal.trading.live.paper import AccountJournal, PaperBroker
from ragsignal.trading.live.yahoo import YahooSource
from ragsignal.trading.strategy import check_strategy, code_of
from ragsignal.trading.variant import VariantResult

_STOPS = (signal.SIGTERM, signal.SIGINT)


def run_live(
    spec: RunSpec,
    variant: str | None,
    journal: Path,
    options: LiveOptions | None = None,
    say: Callable[[str], None] = print,
) -> VariantResult | None:
    """Trade a variant on its spec's bars as they come, until it is stopped.

    Ends by SIGTERM or SIGINT after the day that it is at, at ``data.end``, or, with ``options.once``, when all that is
    there is traded. Whatever ends it, the next call with the same journal goes on where it was.

    Parameters
    ----------
    spec : RunSpec
        With ``source = "folder"`` or ``"yfinance"``. Days before ``data.start`` are history.
    variant : str, optional
        By default the first that has a signal.
    journal : Path
        A SQLite file; beside it lies a file of the heartbeat, ``.jsonl``.
    options : LiveOptions, optional
    say : callable
        Told in words what happens.

    Returns
    -------
    VariantResult or None
        The account from ``data.start`` on; None before the second traded day.

    Raises
    ------
    ConfigError, DataError, ModelError, StoreError, LookAheadError
        If the spec, its source, its weights or the journal cannot be used.
    """
    options = options or LiveOptions()
    with LiveJournal.opened(journal) as opened:
        check_live(spec)
        spec = named_spec(spec, opened)
        chosen = checked_variant(spec, variant)
        opened.begin(about_of(spec, chosen))
        count = len(spec.data.symbols)
        say(f"{chosen.name} on {count} symbols, journal {journal}: reads what was traded, and its source")
        market = LiveMarket(spec, chosen, source_of(spec, opened, options), opened, options)
        return run_market(market, journal.with_suffix(HEARTBEAT), say)


def run_market(market: LiveMarket, heartbeat: Path, say: Callable[[str], None] = print) -> VariantResult | None:
    """Run Cerebro on a market until it ends; as :func:`run_live`."""
    with ExitStack() as stack:
        beats = Heartbeat(market, heartbeat, market.options.poll, say)
        stack.callback(beats.close)
        stack.enter_context(_stopping(market))
        ran = run_cerebro(live_cerebro(market), market.variant)
    if len(ran.analyzers.account.days) < 2:
        return None
    traded = [day for day in market.journal.days() if day.day >= market.spec.data.start]
    frames = {symbol: frame for symbol, frame in prices_of(market.symbols, traded).frames.items() if len(frame)}
    return result_of(ran, market.variant, market.spec, frames)


def live_cerebro(market: LiveMarket) -> Any:
    """A Cerebro with the feeds of a market, the variant's strategy, and the paper broker."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.setbroker(PaperBroker())
    for symbol in market.symbols:
        cerebro.adddata(LiveFeed(market=market), name=symbol)
    set_costs(cerebro.broker, market.spec.costs)
    add_variant(cerebro, market.variant, market.spec.costs, market.signals)
    cerebro.addanalyzer(AccountJournal, market=market)
    return cerebro


def named_spec(spec: RunSpec, journal: LiveJournal) -> RunSpec:
    """``spec`` with its symbols by name: those that a journal holds, else every file of its folder.

    Raises
    ------
    ConfigError
        If its symbols are picked by what prices say.
    """
    if not spec.data.unnamed:
        return spec
    if spec.data.universe is not None:
        raise ConfigError(
            "data.universe picks symbols by their prices, and those of a live run go on; write the names into "
            "data.symbols: ragsignal backtest SPEC lists them in its record"
        )
    folder = spec.data.path
    known = (journal.about().get("spec") or {}).get("data", {}).get("symbols")
    found = known or sorted(file.stem for file in folder.glob("*.csv")) if folder else []
    if not found:
        raise DataError(f"{folder}: no price file in this folder; name each file SYMBOL.csv")
    data = spec.data.model_copy(update={"symbols": tuple(found), "picked_from": EVERY})
    return spec.model_copy(update={"data": data})


def check_live(spec: RunSpec) -> None:
    """Refuse what a live run does not have: bars that are not daily ones of an exchange's day, and news.

    Raises
    ------
    ConfigError
    """
    data = spec.data
    if data.bar is not None or data.stamp is not None:
        key = f'data.bar = "{data.bar}"' if data.bar is not None else f'data.stamp = "{data.stamp}"'
        raise ConfigError(
            f"{key}: a live run reads daily bars that are named by their day; delete that line, or run such bars by "
            "ragsignal backtest"
        )
    if spec.news is not None:
        raise ConfigError(
            "[news]: a live run reads no news, and its signals would be made without those of the days to come; delete "
            "the table and the variants that read it"
        )
    if spec.corpus.alphas:
        raise ConfigError(
            "corpus.alphas: a live run evaluates no formulas on the days to come; delete the key and the variants that "
            "read them, or run such variants by ragsignal backtest"
        )


def checked_variant(spec: RunSpec, name: str | None) -> Variant:
    """The variant of a live run; raises ``ConfigError`` if there is none, or it cannot be traded live."""
    variant = spec.find_variant(name)
    check_strategy(variant)
    if variant.is_external:
        raise ConfigError(
            f'variant {variant.name!r}: signal = "external" is read from a file once, and a live run would not see the '
            "decisions of the days to come; name a variant whose signals are made here, or run the file by ragsignal "
            "backtest"
        )
    if spec.costs.execution == "same_close":
        raise ConfigError(
            'costs.execution = "same_close" fills at a close that has passed when its bar is known; a live run needs '
            'execution = "next_open"'
        )
    return variant


def about_of(spec: RunSpec, variant: Variant) -> dict[str, Any]:
    """What decides an account beside its bars: the spec but for where its bars come from, the variant, the code."""
    whole = spec.model_dump(mode="json", by_alias=True)
    data = {name: value for name, value in whole["data"].items() if name not in ("path", "close", "end")}
    kept = ("corpus", "retrieval", "llm", "strategy", "costs", "variant")
    return {
        "name": spec.name,
        "variant": variant.name,
        "spec": {"data": data, **{name: whole[name] for name in kept}},
        "code of the strategy": code_of(variant.strategy),
    }


def source_of(spec: RunSpec, journal: LiveJournal, options: LiveOptions) -> BarSource:
    """The source that a spec names.

    Raises
    ------
    ConfigError
        If it does not grow.
    """
    symbols = tuple(dict.fromkeys((*spec.data.symbols, *spec.corpus.symbols)))
    if spec.data.source == "folder" and spec.data.path is not None:
        return FolderSource(spec.data.path, symbols)
    if spec.data.source != "yfinance":
        raise ConfigError(
            f'data.source = "{spec.data.source}" does not grow; a live run needs source = "folder" with a path, or '
            '"yfinance"'
        )
    if spec.data.close is None:
        raise ConfigError(
            'a live run on Yahoo has to know when a day is over; write data.close, such as "16:00 America/New_York"'
        )
    last = {bar.symbol: bar.day for day in journal.days() for bar in day.bars.values()}
    return YahooSource(symbols, SessionClose.parse(spec.data.close), last, options.clock)


@contextmanager
def _stopping(market: LiveMarket) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the market; in a thread that is not the main one, signals are not ours."""
    before: dict[signal.Signals, Any] = {}
    try:
        for number in _STOPS:
            before[number] = signal.signal(number, lambda got, _: market.stop(signal.Signals(got).name))
    except ValueError:  # not the main thread
        before.clear()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
