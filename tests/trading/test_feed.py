"""The feed holds what Backtrader's own would, in every mode."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest

from ragsignal.trading import PreloadedFeed
from tests.markets import bars


class Reader(bt.Strategy):  # type: ignore[misc]
    """Keeps each bar as it comes."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []

    def next(self) -> None:
        line = self.data.lines
        self.rows.append([float(getattr(line, name)[0]) for name in self.data.getlinealiases()])
        self.rows[-1].append(float(len(self.data)))


def rows(feed: type[bt.feeds.PandasData], mode: dict[str, Any]) -> list[list[float]]:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(feed(dataname=bars(30), openinterest=None))
    cerebro.addstrategy(Reader)
    read: list[list[float]] = cerebro.run(**mode)[0].rows
    return read


@pytest.mark.parametrize("mode", [{}, {"preload": False}, {"runonce": False}, {"exactbars": 1}], ids=str)
def test_every_bar_is_pandas_datas(mode: dict[str, Any]) -> None:
    np.testing.assert_array_equal(rows(PreloadedFeed, mode), rows(bt.feeds.PandasData, mode))
