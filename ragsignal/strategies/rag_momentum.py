"""Thresholds with a dead band between entering and leaving, so that a signal near zero does not churn."""

from __future__ import annotations

from typing import Any

from ragsignal.strategies.base import SignalTrader, sign
from ragsignal.strategies.book import Params


class LongShort(SignalTrader):
    """Enter the side of the signal beyond `enter`, and leave it once the signal falls back inside `exit`.

    A long is left when the signal is below `exit`, a short when it is above ``-exit``, and both when there is no view.
    A signal beyond `enter` on the other side turns the position around in one order.
    Orders are market orders sent at the close and filled at the feed's next open.

    Parameters
    ----------
    signal : callable
        Feed -> line, usually in [-1, 1]: P(rise) - P(fall).
    invest : float, default 0.95
        Fraction of equity that a full book uses, 1/n of it per feed.
    enter : float, default 0.1
        In the signal's own unit; 0.1 is P(rise) = 0.55.
    exit : float, default 0.0
        In the signal's own unit, at most `enter`; 0.0 stays until the signal changes sign.
    """

    params: Params = (("enter", 0.1), ("exit", 0.0))

    def __init__(self) -> None:
        super().__init__()
        if not 0.0 <= self.p.exit <= self.p.enter:
            raise ValueError(
                f"{type(self).__name__}: exit={self.p.exit!r} and enter={self.p.enter!r} must keep 0 <= exit <= enter: "
                "a position is left at a weaker signal than it was entered at"
            )

    def side(self, data: Any) -> float:
        """Side of a strong signal, else the side held, else none."""
        signal, held = self.view(data), sign(self.targets.get(data, 0.0))
        if abs(signal) > self.p.enter:
            return sign(signal)
        return 0.0 if signal == 0.0 or held * signal < self.p.exit else held


class LongFlat(LongShort):
    """`LongShort` without the short side: long beyond `enter`, in cash once the signal is below `exit`.

    Parameters
    ----------
    signal, invest, enter, exit
        As in `LongShort`.
    """

    def side(self, data: Any) -> float:
        """Long or nothing."""
        return max(0.0, super().side(data))
