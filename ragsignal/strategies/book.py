"""The one order path of this folder: wanted weights in, market orders out."""

from __future__ import annotations

from typing import Any

import backtrader as bt

Params = tuple[tuple[str, Any], ...]


class TargetBook(bt.Strategy):
    """Hold the weights that a subclass wants; long and short, over any number of feeds.

    A weight set at the close fills at the feed's next open; an order is sent only when the weight changes, so positions
    drift in between, and it takes no more than the other feeds leave of `invest`. A feed is acted on at its own bars
    alone: one that starts late, misses a day or has ended neither delays the others nor is traded at a stale price.
    Feeds need equal time stamps, and a missing day is a missing row, not a row of NaN. An account at or below 0 is
    ruined: nothing is sent from there on, whatever it comes to later.

    Parameters
    ----------
    invest : float, default 0.95
        Fraction of equity that a full book uses, 1/n of it per feed. The rest lets a buy survive an open 5 % above the
        close (2.5 % where it turns a short around); above, it is refused (Margin), counted in `rejected` and repeated.
    """

    params: Params = (("invest", 0.95),)

    def __init__(self) -> None:
        if not 0.0 < self.p.invest <= 1.0:
            raise ValueError(f"{type(self).__name__}: invest={self.p.invest!r} must lie in (0, 1]")
        self.slot: float = self.p.invest / len(self.datas)
        self.targets: dict[Any, float] = {}  # fraction of equity last asked for
        self.orders: dict[Any, Any] = {}  # last order; Backtrader updates it in place
        self.rejected = 0
        self.ruined = False

    def weights(self, today: list[Any]) -> dict[Any, float]:
        """Wanted fraction of equity, negative for short, of each feed that has a bar today."""
        raise NotImplementedError(f"{type(self).__name__} must say its weights")

    def moved(self, data: Any, weight: float) -> bool:
        """Whether a weight differs enough from the last one to be worth an order."""
        return weight != self.targets.get(data, 0.0)

    def prenext(self) -> None:
        """Trade the feeds that are ready, where Backtrader would wait for the last one."""
        self.next()

    def next(self) -> None:
        """Send the orders that today's bars ask for."""
        self.ruined = self.ruined or self.broker.getvalue() <= 0.0
        if self.ruined:  # for good, though the price that took all may come back to what is still held
            self._cancel()
            return
        # len first: before its first bar a feed has nothing at [0], or, where preloaded, its *last* bar.
        now = self.datetime[0]
        today = [data for data in self.datas if len(data) and data.datetime[0] == now]
        wanted = self.weights(today)
        self._send({data: wanted[data] for data in wanted if self._is_free(data) and self.moved(data, wanted[data])})

    def _cancel(self) -> None:
        """Call back every order that is open."""
        for order in self.orders.values():
            if order is not None and order.alive():
                self.cancel(order)

    def _is_free(self, data: Any) -> bool:
        order = self.orders.get(data)  # None where a change came to less than a share
        return order is None or not order.alive()

    def _send(self, wanted: dict[Any, float]) -> None:
        """Send sells before buys, as cash is checked order by order."""
        if not wanted:
            return
        equity, fit = self.broker.getvalue(), self.fit(wanted)
        for data in sorted(wanted, key=lambda data: wanted[data] * fit * equity - self._money(data)):
            self.targets[data] = wanted[data]
            self.orders[data] = self.order_target_percent(data, target=wanted[data] * fit)

    def fit(self, wanted: dict[Any, float]) -> float:
        """Share of `wanted` that the other feeds leave room for in `invest`: all are cut alike."""
        others = sum(abs(self._money(data)) for data in self.datas if len(data) and data not in wanted)
        room, gross = max(0.0, self.p.invest - others / self.broker.getvalue()), sum(map(abs, wanted.values()))
        return room / gross if gross > room else 1.0

    def _money(self, data: Any) -> float:
        held = self.broker.getposition(data).size
        return float(self.broker.getvalue([data])) if held else 0.0  # negative for a short

    def notify_order(self, order: Any) -> None:
        """Count a refused order; what is really held becomes the target, so that the rest is asked for again."""
        if not order.alive() and order.status != order.Completed:
            self.rejected += order.status in (order.Margin, order.Rejected)
            equity = self.broker.getvalue()
            self.targets[order.data] = self._money(order.data) / equity if equity > 0.0 else 0.0
