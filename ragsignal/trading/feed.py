"""A run's bars as a Backtrader feed."""

from __future__ import annotations

import array

import backtrader as bt
import numpy as np
import pandas as pd

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
