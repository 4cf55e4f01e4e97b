"""Strategies through a real Cerebro on small feeds made by hand, and what their account did."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import backtrader as bt
import pandas as pd

from ragsignal.strategies.book import Params

CASH = 100_000.0
NAN = float("nan")
DAYS = pd.bdate_range("2021-01-04", periods=60)


class Script(bt.Indicator):  # type: ignore[misc]
    """Says what the script says: feed name -> one value for each of the feed's own bars, then 0.0."""

    lines = ("value",)
    params: Params = (("table", {}),)

    def next(self) -> None:
        values, bar = self.p.table.get(self.data._name, ()), len(self.data) - 1
        self.l.value[0] = values[bar] if bar < len(values) else 0.0


class Journal(bt.Analyzer):  # type: ignore[misc]
    """Orders as plain tuples, and the book as it stands and as the orders of the bar will leave it."""

    def start(self) -> None:
        self.sent: list[tuple[date, str, int]] = []
        self.fills: list[tuple[date, str, int, float]] = []
        self.books: list[dict[str, Any]] = []
        self.rejected = 0
        self.seen: set[int] = set()

    def notify_order(self, order: bt.Order) -> None:
        if order.status == order.Completed:
            filled = bt.num2date(order.executed.dt).date()
            self.fills.append((filled, order.data._name, order.executed.size, order.executed.price))

    def next(self) -> None:
        strategy = self.strategy
        planned, closes = {}, {}
        for data in (data for data in self.datas if len(data)):
            size = strategy.broker.getposition(data).size
            order = strategy.orders.get(data)
            if order is not None and order.ref not in self.seen:
                self.seen.add(order.ref)
                self.sent.append((strategy.datetime.date(), data._name, order.created.size))
                size += order.created.size
            planned[data._name], closes[data._name] = size, data.close[0]
        self.books.append(
            {
                "date": strategy.datetime.date(),
                "equity": strategy.broker.getvalue(),
                "held": {data._name: strategy.broker.getposition(data).size for data in self.datas if len(data)},
                "planned": planned,
                "closes": closes,
            }
        )

    def stop(self) -> None:
        self.rejected = self.strategy.rejected

    def held(self, name: str) -> list[int]:
        """Shares of a feed at the close of every bar of the run, 0 before its first bar."""
        return [book["held"].get(name, 0) for book in self.books]


def feed(
    closes: Sequence[float], opens: Sequence[float] | None = None, days: Sequence[int] | None = None
) -> pd.DataFrame:
    """Daily bars; an open that is not given is the close before."""
    opens = [closes[0], *closes[:-1]] if opens is None else opens
    index = DAYS[: len(closes)] if days is None else DAYS[list(days)]
    frame = pd.DataFrame({"open": opens, "close": closes}, index=index, dtype=float)
    return frame.assign(high=frame.max(axis=1), low=frame.min(axis=1), volume=1000.0, openinterest=0.0)


def cerebro_of(frames: dict[str, pd.DataFrame]) -> bt.Cerebro:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(CASH)
    for name, frame in frames.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame), name=name)
    cerebro.addanalyzer(Journal, _name="journal")
    return cerebro


def run(
    strategy: type[bt.Strategy], frames: dict[str, pd.DataFrame], mode: dict[str, Any] | None = None, **params: Any
) -> Journal:
    cerebro = cerebro_of(frames)
    cerebro.addstrategy(strategy, **params)
    journal: Journal = cerebro.run(**(mode or {}))[0].analyzers.journal
    return journal


def script(**table: Sequence[float]) -> Callable[..., Any]:
    return functools.partial(Script, table=table)


def zigzag(seed: int, length: int = 50) -> list[float]:
    """Prices that swing by a quarter over 17 bars, each seed at another phase."""
    return [round(100 + 25 * math.sin(2 * math.pi * (bar + 5 * seed) / 17), 2) for bar in range(length)]


def ragged() -> dict[str, pd.DataFrame]:
    """Three feeds: a whole one, one that starts at bar 15, one without bars 20..22 that ends at bar 40."""
    late, holes = range(15, 50), [*range(20), *range(23, 40)]
    return {
        "whole": feed(zigzag(1)),
        "late": feed(zigzag(2, len(late)), days=late),
        "holes": feed(zigzag(3, len(holes)), days=holes),
    }


def walk(moves: list[float]) -> pd.DataFrame:
    """Overnight and daytime moves in turn, from a close of 100."""
    prices = [100.0]
    for move in moves:
        prices.append(prices[-1] * (1 + move))
    return feed(prices[2::2], opens=prices[1:-1:2])
