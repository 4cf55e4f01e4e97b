"""A broker that lets an entry through only where a signal agrees: it filters strategies that know of no signal.

It stands where all orders of a strategy pass, whether they come from ``buy``, ``sell``, ``close``, ``order_target_*``
or a bracket. A refused order is one that the broker has rejected: the strategy gets an order, as always, and hears of
``Order.Rejected`` in ``notify_order``. Its bracket is rejected with it, as Backtrader does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import backtrader as bt

from ragsignal.trading.broker import AccountBroker
from ragsignal.trading.feed_days import moment_of

View = Mapping[tuple[str, date], float]
"""What a signal says of a symbol as of a day, from -1 to 1; 0.0, or nothing, is no view."""


@dataclass(frozen=True)
class EntryFilter:
    """When an entry is let through.

    Parameters
    ----------
    view : mapping of (symbol, day) to float
    above : float
        A buy needs a view of at least this, a short one of at most minus this. At 0.0 no view lets both through.
    shorts, longs : frozenset of str
        Symbols in which the strategy by itself is ever short, and long: in no others may a refused entry make it so.
    """

    view: View
    above: float
    shorts: frozenset[str]
    longs: frozenset[str]

    def lets(self, symbol: str, day: date, side: int) -> bool:
        """Whether a position on ``side`` (1 long, -1 short) may be entered or enlarged."""
        held_by_itself = self.longs if side > 0 else self.shorts
        return symbol in held_by_itself and side * self.view.get((symbol, day), 0.0) >= self.above


class FilteringBroker(AccountBroker):
    """The broker of every variant, behind an :class:`EntryFilter`; exits always pass.

    An order is an exit as far as it reduces what is held, or what open orders of the other side may come to hold: a
    stop that is sent with its entry is one. What goes beyond is an entry. Where that is refused, the order is cut to
    its exit, or rejected if there is none. After a refused entry, orders of the other side in the same bar are its
    exits, and are rejected too.
    """

    def __init__(self, entries: EntryFilter) -> None:
        super().__init__()
        self._entries = entries
        self._refusing = False
        self._refused_on: dict[tuple[Any, int], int] = {}
        self._open: dict[Any, list[Any]] = defaultdict(list)
        self.refused = 0

    def buy(self, owner: Any, data: Any, size: Any, *args: Any, **settings: Any) -> Any:
        """Buy what the filter lets through."""
        with self._filtered(data, 1, size) as passed:
            return self._noted(super().buy(owner, data, passed, *args, **settings))

    def sell(self, owner: Any, data: Any, size: Any, *args: Any, **settings: Any) -> Any:
        """Sell what the filter lets through."""
        with self._filtered(data, -1, size) as passed:
            return self._noted(super().sell(owner, data, passed, *args, **settings))

    @contextmanager
    def _filtered(self, data: Any, side: int, size: Any) -> Iterator[Any]:
        """The size that may be ordered; where it is none, the whole size, to be rejected when it is submitted."""
        exits = self._exits(data, side)
        passed = size if size <= exits or self._lets(data, side) else exits
        self.refused += passed < size
        self._refusing = passed <= 0
        if self._refusing:
            self._refused_on[data, side] = len(data)
        try:
            yield size if self._refusing else passed
        finally:
            self._refusing = False

    def _noted(self, order: Any) -> Any:
        self._open[order.data].append(order)
        return order

    def submit(self, order: Any, check: bool = True) -> Any:
        """Take an order, or reject it."""
        if not self._refusing:
            return super().submit(order, check)
        order.reject(self)
        self.notify(order)
        return order

    def _lets(self, data: Any, side: int) -> bool:
        if self._refused_on.get((data, -side)) == len(data):
            return False
        stamp = data.datetime.datetime(0)
        bar = moment_of(stamp) if data._timeframe < bt.TimeFrame.Days else stamp.date()
        return self._entries.lets(data._name, bar, side)

    def _exits(self, data: Any, side: int) -> float:
        """Size that an order of ``side`` may have without entering: what is held, and may be, on the other side."""
        self._open[data] = [order for order in self._open[data] if order.alive()]
        coming = sum(abs(order.executed.remsize) for order in self._open[data] if order.isbuy() == (side < 0))
        return float(max(0.0, -side * self.getposition(data).size + coming))
