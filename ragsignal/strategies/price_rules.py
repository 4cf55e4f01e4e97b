"""Rules that read the price alone, to trade beside a model: what it must beat."""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt

from ragsignal.strategies.base import SignalTrader
from ragsignal.strategies.book import Params
from ragsignal.strategies.cross_sectional import SlowBook


class PriceMomentum(SignalTrader):
    """Hold the side of the return over the last `period` bars: long after a rise, short after a fall.

    Orders are market orders sent at the close when the side changes, and filled at the feed's next open.

    Parameters
    ----------
    signal : callable, default ``bt.ind.ROC``
        Feed -> line, taking ``period``; another momentum indicator may stand in.
    invest : float, default 0.95
        Fraction of equity that a full book uses, 1/n of it per feed.
    period : int, default 20
        Bars.
    long_only : bool, default False
        Stay in cash where the rule asks for a short.
    """

    params: Params = (("signal", bt.ind.ROC), ("period", 20), ("long_only", False))

    def build(self, data: Any) -> Any:
        """Build the return over `period` bars."""
        return self.p.signal(data, period=self.p.period)

    def side(self, data: Any) -> float:
        """Sign of the return."""
        side = super().side(data)
        return max(0.0, side) if self.p.long_only else side


class Reversal(PriceMomentum):
    """`PriceMomentum` turned around: short after a rise, long after a fall of the last `period` bars.

    Parameters
    ----------
    signal, invest, long_only
        As in `PriceMomentum`.
    period : int, default 1
        Bars.
    """

    params: Params = (("period", 1),)

    def view(self, data: Any) -> float:
        """Minus the return."""
        return -super().view(data)


class ReversalBook(SlowBook):
    """`SlowBook` by the last return turned around: long what fell most, short what rose most.

    Parameters
    ----------
    signal : callable, default ``bt.ind.ROC``
        Feed -> line, taking ``period``; another momentum indicator may stand in.
    invest, quantile, speed, band, long_only
        As in `SlowBook`.
    period : int, default 1
        Bars of the return.
    """

    params: Params = (("signal", bt.ind.ROC), ("period", 1))

    def build(self, data: Any) -> Any:
        """Build minus the return over `period` bars."""
        return -self.p.signal(data, period=self.p.period)


class _PastLine(bt.linebuffer.LineBuffer):
    """A line that is NaN before its first bar, where Backtrader's is that of the last one."""

    def __getitem__(self, ago: int) -> float:
        return float(super().__getitem__(ago)) if self.lencount + ago > 0 else math.nan


class SkippedReturn(bt.Indicator):
    """Return from `period` to `skip` bars ago, a fraction.

    Not ``ROC(data.close(-skip))``: Backtrader leaves the first value of such a line empty where the data end with it,
    and all of them where bars are streamed.
    """

    lines = ("past",)
    params: Params = (("period", 250), ("skip", 20))

    def __init__(self) -> None:
        super().__init__()
        self.l.past.__class__ = _PastLine
        self.addminperiod(self.p.period + 1)

    def next(self) -> None:
        """Compare two closes of the past."""
        self.l.past[0] = self.data[-self.p.skip] / self.data[-self.p.period] - 1.0


class MomentumBook(SlowBook):
    """`SlowBook` by the return of the last year less its last month: long what rose most, short what fell most.

    Jegadeesh and Titman (1993), Returns to Buying Winners and Selling Losers; the last month is left out because it
    tends to reverse. It abstains for its first `period` bars.

    Parameters
    ----------
    signal : callable, default `SkippedReturn`
        Feed -> line, taking ``period`` and ``skip``; another momentum indicator may stand in.
    invest, quantile, speed, band, long_only
        As in `SlowBook`.
    period : int, default 250
        Bars back to which the return reaches.
    skip : int, default 20
        Last bars that it leaves out; less than `period`.
    """

    params: Params = (("signal", SkippedReturn), ("period", 250), ("skip", 20))

    def build(self, data: Any) -> Any:
        """Build the return from `period` to `skip` bars ago."""
        period, skip = self.p.period, self.p.skip
        if not 0 <= skip < period:
            raise ValueError(f"{type(self).__name__}: skip={skip!r} and period={period!r} must keep 0 <= skip < period")
        return self.p.signal(data, period=period, skip=skip)
