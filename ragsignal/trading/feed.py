"""A run's bars as a Backtrader feed."""

from __future__ import annotations

import array
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from ragsignal.errors import LookAheadError
from ragsignal.utils import Clock, stamp_texts

EPOCH = 719_163
"""1970-01-01 in Backtrader's days."""


class PreloadedFeed(bt.feeds.PandasData):
    """A frame as a feed; preloaded in one go, where Backtrader takes 60 microseconds a bar.

    It stays a PandasData: a strategy that reads ``data.p.dataname`` finds the frame there.
    """

    params = (("openinterest", None),)

    def start(self) -> None:
        """Turn the frame into columns."""
        super().start()
        frame: pd.DataFrame = self.p.dataname
        days = frame.index.to_numpy(dtype="M8[us]").astype(np.int64) / 86_400e6 + EPOCH
        self._columns = {"datetime": array.array("d", days.tolist())}
        for name in ("open", "high", "low", "close", "volume"):
            self._columns[name] = array.array("d", frame[name].to_numpy(dtype=np.float64).tolist())
        self._columns["openinterest"] = array.array("d", [float("nan")] * len(frame))

    def preload(self) -> None:
        """All bars at once."""
        for name, column in self._columns.items():
            getattr(self.lines, name).array = column
        self._idx = len(self._columns["close"])  # nothing is left for _load
        self.home()

    def _tick_fill(self, force: bool = False) -> None:
        """Copies of the bar that only a replay needs, and that cost a sixth of a run."""

    def _tick_nullify(self) -> None:
        """As above: the broker takes the bar itself where there are none."""

    def _load(self) -> bool:
        self._idx += 1
        if self._idx >= len(self._columns["close"]):
            return False
        for name, column in self._columns.items():
            getattr(self.lines, name)[0] = column[self._idx]
        return True


def timeframe_of(clock: Clock) -> dict[str, int]:
    """What a feed of bars of ``clock`` tells Backtrader of them."""
    if clock.intraday:
        return {"timeframe": bt.TimeFrame.Minutes, "compression": clock.minutes}
    word = clock.name.split()[0]
    return {"timeframe": {"week": bt.TimeFrame.Weeks, "month": bt.TimeFrame.Months}.get(word, bt.TimeFrame.Days)}


class GuardedFeed(PreloadedFeed):
    """A feed whose prices cannot be read, and to which no order can be sent, before its first bar.

    Backtrader gives the last bar of the data there. The ``datetime`` stays, by which strategies tell whose day it is.

    Raises
    ------
    LookAheadError
        In the call of whoever reads a price too early.
    """

    def start(self) -> None:
        """Guard the prices."""
        super().start()
        guard_prices(self)

    @property
    def first_day(self) -> str:
        """The name of the first bar, for messages."""
        return stamp_texts(self.p.dataname.index[:1])[0]


def guard_prices(feed: Any) -> None:
    """Let the price lines of a feed raise before its first bar; it says in ``first_day`` when that is."""
    for name in ("open", "high", "low", "close", "volume"):
        line = getattr(feed.lines, name)
        line.__class__ = _GuardedLine
        line.name, line.feed = name, feed


class _GuardedLine(bt.linebuffer.LineBuffer):
    """A line of a feed that raises before the feed's first bar."""

    name: str
    feed: Any

    def __getitem__(self, ago: int) -> float:
        place = self._idx + ago  # as Backtrader does, without the property: prices are read often
        if self.lencount and place >= 0:
            value: float = self.array[place]
            return value
        raise self._too_early(ago)

    def get(self, ago: int = 0, size: int = 1) -> Any:
        """The last ``size`` values up to ``ago``, as Backtrader's; none where that is before the first bar."""
        return super().get(ago, size) if self._idx + ago >= 0 else []

    def _too_early(self, ago: int) -> LookAheadError:
        bars = self.lencount
        when = f"{-ago} bars before its bar {bars}" if bars else f"before its first bar, of {self.feed.first_day}"
        what, ask = ("a late one", f"len(data) <= {-ago}") if bars else ("the last one", "not len(data)")
        skip = "wait for" if bars else "skip feeds without"
        return LookAheadError(
            f"the {self.name} of {self.feed._name} is read {when}: Backtrader would give {what} of the data, which is "
            f"the future. In the strategy {skip} a bar: if {ask}: continue"
        )
