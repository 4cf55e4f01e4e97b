"""What a signal means to the strategies of this folder."""

from __future__ import annotations

import math
from typing import Any

from ragsignal.strategies.book import Params, TargetBook


def sign(value: float) -> float:
    """-1.0, 0.0 or 1.0."""
    return float((value > 0.0) - (value < 0.0))


class SignalTrader(TargetBook):
    """Long while the signal is above 0, short while below; 0.0 and NaN are no view, and no view is no position.

    Orders, fills and feeds: see `TargetBook`. Every feed has its own line and an equal part of `invest`.

    Parameters
    ----------
    signal : callable
        Feed -> line, such as ``bt.ind.ROC`` or a ``functools.partial`` of an indicator; its first line is traded.
    invest : float, default 0.95
        Fraction of equity that a full book uses.
    """

    params: Params = (("signal", None),)

    def __init__(self) -> None:
        super().__init__()
        if not callable(self.p.signal):
            name = type(self).__name__
            raise ValueError(f"{name}: signal={self.p.signal!r} is not callable; try {name}(signal=bt.ind.ROC)")
        self.signals: dict[Any, Any] = {data: self.build(data) for data in self.datas}

    def build(self, data: Any) -> Any:
        """Build the line that is traded for a feed."""  # not named `line`: Backtrader sets an attribute of that name
        return self.p.signal(data)

    def view(self, data: Any) -> float:
        """Signal at the feed's current bar, 0.0 where there is none."""
        if not len(data):  # before its first bar a preloaded line shows its *last* value
            return 0.0
        value = float(self.signals[data][0])
        return 0.0 if math.isnan(value) else value

    def side(self, data: Any) -> float:
        """Wanted part of the feed's slot, from -1.0 (all short) to 1.0 (all long)."""
        return sign(self.view(data))

    def weights(self, today: list[Any]) -> dict[Any, float]:
        """Give each of today's feeds its side of an equal slot."""
        return {data: self.side(data) * self.slot for data in today}
