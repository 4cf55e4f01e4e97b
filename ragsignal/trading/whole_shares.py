"""Orders that come to less than one share: Backtrader drops them and says nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt


class TooDear(bt.Analyzer):
    """Finds the feeds that a strategy asked for and never got, because the money came to no whole share.

    Watches the strategy's own ``buy``, ``sell`` and ``order_target_value``, which ``order_target_percent`` goes
    through: so it holds for strategies that know nothing of it. :meth:`get_analysis` gives, by the feed's name, the
    least factor by which more money would have bought a first share, or None where the strategy named no amount.
    """

    def start(self) -> None:
        """Put a watch before each of the three methods."""
        self.factors: dict[str, float | None] = {}
        self.traded: set[str] = set()
        strategy = self.strategy
        strategy.order_target_value = self._watch_target(strategy.order_target_value)
        strategy.buy, strategy.sell = self._watch(strategy.buy), self._watch(strategy.sell)

    def _watch_target(self, order: Callable[..., Any]) -> Callable[..., Any]:
        def watched(data: Any = None, target: float = 0.0, price: float | None = None, **kwargs: Any) -> Any:
            sent = order(data=data, target=target, price=price, **kwargs)
            feed = self.strategy.data if data is None else data
            if sent is None and target and not self.strategy.broker.getposition(feed).size:
                self._note(feed, (feed.close[0] if price is None else price) / abs(target))
            return sent

        return watched

    def _watch(self, order: Callable[..., Any]) -> Callable[..., Any]:
        def watched(data: Any = None, *args: Any, **kwargs: Any) -> Any:
            sent = order(data, *args, **kwargs)
            feed = self.strategy.data if data is None else data
            if sent is None:
                self.factors.setdefault(feed._name, None)
            else:
                self.traded.add(feed._name)
            return sent

        return watched

    def _note(self, feed: Any, times: float) -> None:
        known = self.factors.get(feed._name)
        self.factors[feed._name] = times if known is None else min(times, known)

    def get_analysis(self) -> dict[str, float | None]:
        """Factors of the feeds that were never traded."""
        return {name: times for name, times in self.factors.items() if name not in self.traded}
