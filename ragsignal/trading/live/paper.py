"""The paper broker, and what writes its account down."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from ragsignal.trading.broker import AccountBroker
from ragsignal.trading.live.journal import Account


class PaperBroker(AccountBroker):
    """The broker of every backtest; of a live run it fills at the next open of the bars that come.

    Cerebro calls a broker also where no bar came, as a real one may have news then. To this one nothing happens
    between two bars.
    """

    _steps = 0

    def next(self) -> None:
        """Go on by a bar, if there is one."""
        steps = sum(map(len, self.cerebro.datas))
        if steps != self._steps:
            self._steps = steps
            super().next()


class AccountJournal(bt.Analyzer):
    """Gives the account to the market after the orders of each day.

    Params: ``market``.
    """

    params = (("market", None),)

    def prenext(self) -> None:
        """As :meth:`next`: days before the strategy's minimum period count too."""
        self.next()

    def next(self) -> None:
        """Hand the account over."""
        self.p.market.traded(account_of(self.strategy))


def account_of(strategy: Any) -> Account:
    """Equity and cash, positions as size and price, and orders that wait for the next bar, by symbol."""
    broker = strategy.broker
    held = {data: broker.getposition(data) for data in strategy.datas if len(data)}
    return {
        "equity": float(broker.funds),
        "cash": float(broker.cash),
        "positions": {data._name: [position.size, position.price] for data, position in held.items() if position.size},
        "orders": [
            [order.data._name, float(order.created.size), order.getordername()]
            for order in (*broker.submitted, *broker.pending)
        ],
    }
