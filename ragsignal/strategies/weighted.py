"""Bet more where the signal is surer."""

from __future__ import annotations

from typing import Any

from ragsignal.strategies.base import SignalTrader
from ragsignal.strategies.book import Params


class TargetWeights(SignalTrader):
    """Hold the signal itself as a part of the account: 0.3 is 30 % of equity, long, and -0.1 a short of 10 %.

    Of weights whose sizes sum to more than `invest`, all are cut alike. No view is no position. A position that drifts
    is brought back where it is too far from its weight. Orders are market orders sent at the close and filled at the
    feed's next open, sells before buys.

    Parameters
    ----------
    signal : callable
        Feed -> line of weights in [-1, 1], such as decisions from outside that say ``weight``.
    invest : float, default 0.95
        Fraction of equity that a full book uses.
    band : float, default 0.02
        Largest distance, as a fraction of equity, between what is held and its weight, that is left alone until the
        weight changes.
    """

    params: Params = (("band", 0.02),)

    def __init__(self) -> None:
        super().__init__()
        if self.p.band < 0.0:
            raise ValueError(f"{type(self).__name__}: band={self.p.band!r} must not be negative")

    def weights(self, today: list[Any]) -> dict[Any, float]:
        """Give each of today's feeds its signal, and cut all alike where they ask for more than there is."""
        wanted = {data: self.view(data) for data in today}
        away = sum(abs(self._money(data)) for data in self.datas if len(data) and data not in wanted)
        room = max(0.0, self.p.invest - away / self.broker.getvalue())
        gross = sum(map(abs, wanted.values()))
        return {data: weight * min(1.0, room / gross) for data, weight in wanted.items()} if gross else wanted

    def moved(self, data: Any, weight: float) -> bool:
        """Whether the weight changed, or what is held has drifted from it."""
        held = self._money(data) / self.broker.getvalue()
        return super().moved(data, weight) or abs(weight - held) > self.p.band

    def fit(self, _: dict[Any, float]) -> float:
        """Cut nothing more: all wanted weights together are within `invest`."""
        return 1.0


class ProbabilityWeighted(SignalTrader):
    """Hold a part of each feed's slot in proportion to its signal: ``signal * scale``, cut to [-1, 1].

    The slot is 1/n of `invest`. Orders are market orders sent at the close and filled at the feed's next open.

    Parameters
    ----------
    signal : callable
        Feed -> line, usually in [-1, 1]: P(rise) - P(fall).
    invest : float, default 0.95
        Fraction of equity that a full book uses.
    scale : float, default 1.0
        Slots per unit of signal; 2.0 fills the slot at a signal of 0.5, which is P(rise) = 0.75.
    long_only : bool, default False
        Stay in cash where the signal asks for a short.
    min_change : float, default 0.1
        Smallest change worth an order, as a fraction of the slot. A change to no position at all is always sent.
    """

    params: Params = (("scale", 1.0), ("long_only", False), ("min_change", 0.1))

    def __init__(self) -> None:
        super().__init__()
        if self.p.scale <= 0.0 or self.p.min_change < 0.0:
            raise ValueError(
                f"{type(self).__name__}: scale={self.p.scale!r} must be above 0, "
                f"min_change={self.p.min_change!r} must not be negative"
            )

    def side(self, data: Any) -> float:
        """Signal times scale, cut to what one slot can hold."""
        lowest = 0.0 if self.p.long_only else -1.0
        return min(1.0, max(lowest, self.view(data) * float(self.p.scale)))

    def moved(self, data: Any, weight: float) -> bool:
        """Whether the change is large enough, or leaves the feed."""
        change = abs(weight - self.targets.get(data, 0.0))
        return super().moved(data, weight) and (weight == 0.0 or change >= self.p.min_change * self.slot)
