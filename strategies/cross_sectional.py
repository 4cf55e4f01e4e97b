"""Bet on the order of the feeds, not on the market."""

from __future__ import annotations

from typing import Any

from strategies.base import SignalTrader
from strategies.book import Params


class CrossSectional(SignalTrader):
    """Each bar: long the `n` feeds with the highest signal, short the `n` with the lowest, equal money on both sides.

    Ranked are the feeds that have a bar today and a view: an abstention (exactly 0.0, or NaN) is left out and its
    position closed. Ties keep the order in which the feeds were added. With fewer than ``2 * n`` feeds to rank, or no
    difference between the weakest long and the strongest short, the book is flat.
    The book is brought back to equal money at every bar, by market orders that fill at the next open. A feed without a
    bar today keeps its position until it has one; until then the two sides may differ by it.

    Parameters
    ----------
    signal : callable
        Feed -> line; only the order of its values counts, not their sign.
    invest : float, default 0.95
        Fraction of equity that the two sides use together.
    n : int, default 1
        Feeds on each side, ``invest / (2 * n)`` of equity each.
    """

    params: Params = (("n", 1),)

    def __init__(self) -> None:
        super().__init__()
        if not 1 <= self.p.n <= len(self.datas) // 2:
            raise ValueError(
                f"{type(self).__name__}: n={self.p.n!r} feeds a side need at least 2 * n feeds, "
                f"and n at least 1; there are {len(self.datas)} feeds"
            )

    def weights(self, today: list[Any]) -> dict[Any, float]:
        """Rank today's feeds and share the money out."""
        views = {data: self.view(data) for data in today}
        ranked = sorted((data for data in today if views[data] != 0.0), key=lambda data: -views[data])
        longs, shorts = ranked[: self.p.n], ranked[-self.p.n :]
        weights = dict.fromkeys(today, 0.0)
        if len(ranked) >= 2 * self.p.n and views[longs[-1]] > views[shorts[0]]:
            each = self.p.invest / (2 * self.p.n)
            weights |= dict.fromkeys(longs, each) | dict.fromkeys(shorts, -each)
        return weights

    def moved(self, data: Any, weight: float) -> bool:
        """Let every bar rebalance what is held, drift included."""
        return weight != 0.0 or super().moved(data, weight)
