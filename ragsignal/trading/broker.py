"""The broker of every variant, which ends an account where its money ends, and the analyzer that keeps its books.

Backtrader goes on with an account below 0, and takes money that a strategy pays in for profit. Here an account at or
below 0 is ruined: it is worth 0 from there, whatever the positions would have come to. What is paid in or out changes
how many units the account has, and not what a unit is worth, as in a fund; returns are those of a unit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import backtrader as bt
import pandas as pd

from ragsignal.trading.feed_days import moment_of

_NOTHING = 1e-9  # of the first cash: rounding noise of sums of that size
_CALLED = ("prenext", "nextstart", "next", "prenext_open", "nextstart_open", "next_open")
_TOLD = ("notify_order", "notify_trade", "notify_cashvalue", "notify_fund", "notify_timer", "notify_data")


class AccountBroker(bt.brokers.BackBroker):
    """Backtrader's broker, with an end to an account that has lost everything, and with returns net of payments.

    Orders are filled as by Backtrader's own. An account is closed after a bar that leaves it at or below 0 (at its
    close, or by a fill that leaves no position and no money), and by a withdrawal of all it has: open orders are
    cancelled, positions are gone, the strategies are not called again but for ``stop``, and orders are rejected.

    Attributes
    ----------
    funds : float
        Money in the account at the last close, with what was paid in or out since.
    unit_value : float
        What the account would be worth at the last close without any payment: 0.0 once it is ruined, and from a
        withdrawal of everything on what it was then.
    closed : bool
        Whether the account has ended.
    fell_to : float or None
        What a ruined account was worth when it was closed, 0 or below.
    paid : list of float
        Payments that nobody has taken note of yet, those out of the account negative.
    """

    cash: float
    _running = False

    def init(self) -> None:
        """Begin anew; Backtrader calls this twice before a run."""
        super().init()
        self.closed = self._broke = False
        self.fell_to: float | None = None
        self.funds = self.unit_value = float(self.cash)
        self.paid: list[float] = []
        self.positions = _Positions()
        self._first_units = self._fundshares
        self._booked = self.funds  # cash as fills and payments make it, those that are not in it yet included

    def start(self) -> None:
        """Take cash that is set from here on for a payment."""
        super().start()
        self._running = True

    def stop(self) -> None:
        """End the run."""
        super().stop()
        self._running = False

    def next(self) -> None:
        """Fill orders and value the account at the close; end it there if nothing is left."""
        self.settle()
        if self.closed:
            return
        super().next()
        self._booked = float(self.cash)
        if self._broke or self._value <= self._nothing:
            self.fell_to = float(self._value)
            self.unit_value = 0.0
            self._close()
            return
        self.funds = float(self._value)
        self.unit_value = self.funds * (self._first_units / self._fundshares)

    def submit(self, order: Any, check: bool = True) -> Any:
        """Send an order, or reject it where there is no account."""
        if self.closed:
            order.reject(self)
            return order
        return super().submit(order, check)

    def add_cash(self, cash: float) -> None:
        """Pay in, or out with a minus sign; Backtrader books it when it next values the account."""
        if self._pay(cash):
            self._booked += cash
            super().add_cash(cash)

    def set_cash(self, cash: float) -> None:
        """Set the cash to begin with; during a run, pay in or out what is missing, at once."""
        change = cash - self.cash
        if not self._running:
            super().set_cash(cash)
        elif not self.closed:
            self.cash += change
            self._value += change
            self.settle()

    setcash = set_cash

    def settle(self) -> None:
        """Take what was written into ``cash`` itself since the last fill for a payment."""
        change = float(self.cash + sum(self._cash_addition)) - self._booked
        if abs(change) > self._nothing and self._pay(change):
            self._fundshares += change / self._fundval
            self._booked += change

    @property
    def _nothing(self) -> float:
        return _NOTHING * float(self.startingcash)

    def _pay(self, amount: float) -> bool:
        """Keep a payment; False where there is nothing to be booked, as the account has ended or ends by it."""
        if self.closed or not amount:
            return False
        emptied = self.funds + amount <= self._nothing
        self.paid.append(-self.funds if emptied else float(amount))
        self.funds += self.paid[-1]
        if emptied:
            self._close()
        return not emptied

    def _execute(self, order: Any, ago: int | None = None, **how: Any) -> Any:
        """Fill, and notice an account that is left without a position and without money."""
        cash = super()._execute(order, ago=ago, **how)
        if ago is not None and self.cash + sum(self._cash_addition) <= self._nothing:
            self._broke = self._broke or not any(position.size for position in self.positions.values())
        return cash

    def _try_exec(self, order: Any) -> None:
        """Try to fill an order; not on a bar on which all was lost before its turn came."""
        if not self._broke:
            super()._try_exec(order)
            return
        order.cancel()
        self.notify(order)

    def _get_value(self, datas: Any = None, lever: bool = False) -> float:
        """Value positions and cash; a closed account has none, and nothing is held of a feed that has not begun."""
        begun = [data for data in datas if len(data)] if datas else None
        if self.closed or begun == []:
            return 0.0
        return float(super()._get_value(begun, lever))

    def _close(self) -> None:
        """End the account: no order, no position, no money, and no strategy that is called again."""
        self.closed = True
        for order in (*self.submitted, *self.pending):
            order.cancel()
            self.notify(order)
        for queue in (self.submitted, self.pending, self.positions, self._toactivate, self._cash_addition):
            queue.clear()
        self.cash = self.funds = self._value = self._valuemkt = self._valuelever = self._valuemktlever = 0.0
        for strategy in self.cerebro.runningstrats:
            for name in (*_CALLED, *_TOLD):  # a strategy that divides by its account would raise
                setattr(strategy, name, _nothing_to_do)


class _Positions(dict[Any, bt.Position]):
    """Positions by feed. Who asks for that of a feed before its first bar leaves no entry, which would be valued."""

    def __missing__(self, data: Any) -> bt.Position:
        position = bt.Position()
        if len(data):
            self[data] = position
        return position


def _worth(comminfo: Any, size: float, price: float) -> float:
    return float(size * price * (1.0 if comminfo.stocklike else comminfo.p.mult))


def _nothing_to_do(*_: Any, **__: Any) -> None:
    """Stand for what a strategy would do with an account that has ended."""


class AccountRecorder(bt.Analyzer):
    """Writes down what the account of an :class:`AccountBroker` did: its value and exposure at each bar, and each fill.

    A contract with a margin is worth its price times its multiplier, as its profit is; a share its price.

    Params: ``same_close`` tells from which price slippage is measured: the close of the order's bar, not the open of
    the next. ``intraday`` that bars are named by moments, and not by days.
    """

    params = (("same_close", False), ("intraday", False))
    ORDER_COLUMNS = ("date", "symbol", "size", "price", "value", "commission", "slippage")

    def start(self) -> None:
        """Begin empty books."""
        self.days: list[pd.Timestamp] = []
        self.equity: list[float] = []  # net of payments
        self.funds: list[float] = []  # the account's money, after the payments of the bar
        self.payments: dict[pd.Timestamp, float] = {}
        self.exposure: list[float] = []
        self.orders: list[tuple[Any, ...]] = []  # a row a fill: an order may be filled in parts, and the rest expire
        self._booked: dict[int, int] = {}  # fills by the order's number
        self.trades = 0
        self.rejected = 0

    def prenext(self) -> None:
        """Bars before the strategy's minimum period count too: the window is the same for every variant."""
        self.next()

    def next(self) -> None:
        """Value the account at the close."""
        broker = self.strategy.broker
        broker.settle()
        held = [data for data in self.datas if broker.getposition(data).size]
        invested = sum(abs(_worth(self._comminfo(data), broker.getposition(data).size, data.close[0])) for data in held)
        self.days.append(self._name(self.strategy.datetime.datetime(0)))
        self.equity.append(broker.unit_value)
        self.funds.append(broker.funds)
        self.exposure.append(invested / broker.funds if broker.funds > 0 else 0.0)
        if broker.paid:
            self.payments[self.days[-1]] = sum(broker.paid)
            broker.paid.clear()

    def _name(self, stamp: datetime) -> pd.Timestamp:
        return pd.Timestamp(moment_of(stamp) if self.p.intraday else stamp.date())

    def notify_order(self, order: Any) -> None:
        """Keep what was filled; count what was refused."""
        if order.status in (order.Margin, order.Rejected):
            self.rejected += 1
        for fill in list(order.executed.exbits)[self._booked.get(order.ref, 0) :]:
            self._book(order, fill)
        self._booked[order.ref] = len(order.executed.exbits)

    def _book(self, order: Any, fill: Any) -> None:
        comminfo, size = self._comminfo(order.data), float(fill.size)
        price = size * float(fill.price) / size  # as Backtrader works out the price of an order, to the last bit
        base = float(order.created.pclose if self.p.same_close else order.data.open[0])
        slipped = abs(_worth(comminfo, size, price - base)) if order.exectype == order.Market else 0.0
        day = self._name(bt.num2date(fill.dt))
        value = _worth(comminfo, size, price)
        self.orders.append((day, order.data._name, size, price, value, float(fill.comm), slipped))

    def _comminfo(self, data: Any) -> Any:
        return self.strategy.broker.getcommissioninfo(data)

    def notify_trade(self, trade: Any) -> None:
        """Count positions that were opened."""
        self.trades += bool(trade.justopened)
