"""A feed that grows: a symbol's bars of a :class:`~ragsignal.trading.live.market.LiveMarket`, as they come."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from ragsignal.trading.feed import guard_prices

_COLUMNS = ("open", "high", "low", "close", "volume")


class LiveFeed(bt.feed.DataBase):
    """Gives a bar a step of its market, and says ``DELAYED`` and ``LIVE`` as Backtrader's live feeds do.

    ``DELAYED`` while days come that were there at the start, ``LIVE`` from the first look at the source after that on.
    Under it Cerebro runs bar by bar, without preloading. Its prices cannot be read before its first bar, as those of
    :class:`~ragsignal.trading.feed.GuardedFeed`.

    Params: ``market``, whose symbol the feed's name is.
    """

    params = (("market", None),)
    first_day = "a day to come"

    def start(self) -> None:
        """Guard the prices; what comes now lies in the past."""
        super().start()
        guard_prices(self)
        self.put_notification(self.DELAYED)

    def stop(self) -> None:
        """Say that nothing more comes."""
        super().stop()
        self.put_notification(self.DISCONNECTED)

    def islive(self) -> bool:
        """Whether the feed goes on: Cerebro then preloads nothing."""
        return True

    def haslivedata(self) -> bool:
        """Whether a bar lies ready."""
        return bool(self.p.market.waiting)

    def next(self, datamaster: Any = None, ticks: bool = True) -> bool | None:
        """Load the next bar. Once a step: Cerebro asks again, with a ``datamaster``, those that had none."""
        return None if datamaster is not None else super().next(ticks=ticks)

    def _load(self) -> bool | None:
        bar = self.p.market.step(self._name)
        if self.p.market.status.live and self._laststatus != self.LIVE:
            self.put_notification(self.LIVE)
        if bar is None or bar is False:
            return bar
        self.lines.datetime[0] = float(bar.day.toordinal())  # Backtrader's days count from the same one
        for name in _COLUMNS:
            getattr(self.lines, name)[0] = getattr(bar, name)
        self.lines.openinterest[0] = float("nan")
        return True

    def _tick_fill(self, force: bool = False) -> None:
        """Copies of the bar that only a replay needs: the broker takes the bar itself."""

    def _tick_nullify(self) -> None:
        """As above."""
