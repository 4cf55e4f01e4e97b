"""Strategies that lose everything, or that move money in and out, and prices for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

CASH = 100_000.0


def bars(closes: Sequence[float], opens: Sequence[float] | None = None) -> pd.DataFrame:
    """OHLCV of weekdays; each opens at the close before, where no opens are given."""
    close = np.array(closes, dtype=np.float64)
    open_ = np.r_[close[:1], close[:-1]] if opens is None else np.array(opens, dtype=np.float64)
    columns = {"open": open_, "high": np.maximum(open_, close), "low": np.minimum(open_, close), "close": close}
    return pd.DataFrame({**columns, "volume": 1e6}, index=pd.bdate_range("2015-01-05", periods=len(close)))


def squeeze(n_bars: int = 300, seed: int = 0) -> pd.DataFrame:
    """A walk that is thirty times as high for 20 bars from the middle on, and at two fifths of itself after that."""
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, 0.005, n_bars)))
    middle = n_bars // 2
    close[middle : middle + 20] *= 30.0
    close[middle + 20 :] *= 0.4
    return bars(close.tolist())


class ShortHold(bt.Strategy):
    """Sell `part` of the account short on the first bar, and hold it."""

    params = (("part", 0.95), ("signal", None))

    def next(self) -> None:
        """Trade once."""
        if len(self) == 1:
            self.order_target_percent(target=-self.p.part)


class Stubborn(ShortHold):
    """Sell short, and then order on every bar, by a size that divides by the account; a limit order stays open."""

    def __init__(self) -> None:
        self.called = 0

    def next(self) -> None:
        """Trade whatever has happened."""
        self.called += 1
        if len(self) == 1:
            self.buy(size=10, exectype=bt.Order.Limit, price=45.0)
        self.order_target_percent(target=-0.95 * max(1.0, 1.0 / self.broker.getvalue()))


class SavingsPlan(bt.Strategy):
    """Pay in on the first bar of each month, and hold nine tenths in the first feed."""

    params = (("amount", 10_000.0),)
    month = None

    def next(self) -> None:
        """Pay, and invest."""
        if self.month != self.data.datetime.date(0).month:
            self.month = self.data.datetime.date(0).month
            self.broker.add_cash(self.p.amount)
            self.order_target_percent(target=0.9)


class Script(bt.Strategy):
    """Call what `acts` has for a bar: a function of the strategy, by the bar's number from 0."""

    params: Any = (("acts", {}),)

    def next(self) -> None:
        """Act."""
        act = self.p.acts.get(len(self) - 1)
        if act:
            act(self)
