"""Bet more where the signal is surer."""

from __future__ import annotations

from typing import Any

from ragsignal.strategies.base import SignalTrader
from ragsignal.strategies.book import Params


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
