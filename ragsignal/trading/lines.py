"""Lines that say nothing before the first bar of their feed, where Backtrader's say what they do on its last."""

from __future__ import annotations

from typing import Any

import backtrader as bt


class SignalLine(bt.linebuffer.LineBuffer):
    """A line of one value a bar of a feed; before its first bar it is ``neutral``, in every mode.

    Backtrader's own line is read at its last place then, where bars are preloaded: what the last day will bring. The
    same holds for an indicator inside another, which batch mode leaves at its end.
    """

    neutral: float
    feed: Any
    inside: bool

    @classmethod
    def guard(cls, line: Any, neutral: float, feed: Any, *, inside: bool) -> None:
        """Make a line of Backtrader one of these; ``inside``: its indicator stands inside another."""
        line.__class__ = cls
        line.neutral, line.feed, line.inside = neutral, feed, inside

    def __getitem__(self, ago: int) -> float:
        bars = len(self.feed) if self.inside and not self.lencount else min(self.lencount, len(self.feed))
        if bars + ago <= 0:
            return self.neutral
        # under exactbars the array holds the last bars alone, and Backtrader's own place in it is right
        return float(super().__getitem__(ago) if bars == self.lencount else self.array[bars - 1 + ago])
