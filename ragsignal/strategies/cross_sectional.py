"""Bet on the order of the feeds, not on the market: at once, or slowly, which is what costs leave alive."""

from __future__ import annotations

from typing import Any

from ragsignal.strategies.base import SignalTrader
from ragsignal.strategies.book import Params


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


class SlowBook(SignalTrader):
    """Long the top quantile by the signal, short the bottom one, reached a little a day: `speed` of the way.

    Each bar the wanted weights move by `speed` from where they were towards the target: equal weights in each quantile,
    ``invest / 2`` a side. Orders bring what is held to what is wanted where the two differ by more than `band`; neither
    drift nor whole shares move what is wanted. Ranked are the feeds that have a bar today and a view: an abstention
    (exactly 0.0, or NaN) has a target of 0, and decays at the same speed. Ties keep the order in which the feeds were
    added. With fewer than two views, or no difference between the weakest long and the strongest short, all targets
    are 0. A feed without a bar today keeps its weight, which the others of its side leave free.
    Orders are market orders sent at the close and filled at the next open, sells before buys.

    Parameters
    ----------
    signal : callable
        Feed -> line; only the order of its values counts, not their sign.
    invest : float, default 0.95
        Fraction of equity that the two sides use together.
    quantile : float, default 0.2
        Share of the ranked feeds on each side, rounded down, at least one feed; at most 0.5.
    speed : float, default 0.05
        Share of the way to the target that a bar goes; 1.0 trades all at once.
    band : float, default 0.25
        Smallest difference between held and wanted weight worth an order, as a fraction of an equal slot (`invest` over
        the number of feeds). A weight below half of it is not worth a position.
    long_only : bool, default False
        Hold the top quantile alone, all of `invest` in it.
    """

    params: Params = (("quantile", 0.2), ("speed", 0.05), ("band", 0.25), ("long_only", False))

    def __init__(self) -> None:
        super().__init__()
        if not (0.0 < self.p.quantile <= 0.5 and 0.0 < self.p.speed <= 1.0 and self.p.band >= 0.0):
            raise ValueError(
                f"{type(self).__name__}: quantile={self.p.quantile!r} must lie in (0, 0.5], "
                f"speed={self.p.speed!r} in (0, 1], and band={self.p.band!r} must not be negative"
            )
        self.wanted: dict[Any, float] = {}  # fraction of equity, before whole shares and the band

    def goal(self, today: list[Any]) -> dict[Any, float]:
        """Weights of the two quantiles, of the feeds that are in one; the book moves towards them."""
        views = {data: self.view(data) for data in today}
        ranked = sorted((data for data in today if views[data] != 0.0), key=lambda data: -views[data])
        n = max(1, int(self.p.quantile * len(ranked) + 1e-9))  # 0.1 * 30 is 2.9999...
        longs, shorts = ranked[:n], ranked[-n:]
        if len(ranked) < 2 or views[longs[-1]] <= views[shorts[0]]:
            return {}
        away = [weight for data, weight in self.wanted.items() if data not in views]
        sides = ((longs, 1.0),) if self.p.long_only else ((longs, 1.0), (shorts, -1.0))
        goal: dict[Any, float] = {}
        for feeds, side in sides:
            room = self.p.invest / len(sides) - sum(max(0.0, side * weight) for weight in away)
            goal |= dict.fromkeys(feeds, side * max(0.0, room) / n)
        return goal

    def weights(self, today: list[Any]) -> dict[Any, float]:
        """Go a part of the way, and leave out what is too small to hold."""
        goal, speed = self.goal(today), self.p.speed
        for data in today:
            self.wanted[data] = (1.0 - speed) * self.wanted.get(data, 0.0) + speed * goal.get(data, 0.0)
        least = self.p.band * self.slot / 2
        return {data: self.wanted[data] if abs(self.wanted[data]) >= least else 0.0 for data in today}

    def moved(self, data: Any, weight: float) -> bool:
        """Whether what is held, drift included, is too far from what is wanted."""
        held = self._money(data) / self.broker.getvalue()
        return abs(weight - held) > self.p.band * self.slot or (weight == 0.0 and held != 0.0)

    def fit(self, _: dict[Any, float]) -> float:
        """Cut nothing: all that is wanted never sums to more than `invest`, and the band bounds how far drift goes."""
        return 1.0
