"""How a test changes the future of prices and news, and what it plants in all of them before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.signals.news import ChangeNews
from ragsignal.data import NewsItems

Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class ChangeFuture:
    """How the future is changed: of a market from a point of its own days on, and of news from a day on."""

    market: Callable[[Market, int], Market]
    news: ChangeNews


@dataclass(frozen=True)
class Plant:
    """What is done to all prices, and to all news, before anything is made of them."""

    frames: Callable[[Frames], Frames] = dict
    news: Callable[[NewsItems], NewsItems] | None = None


HONEST = Plant()
"""Nothing is done to them."""


def changed(change: ChangeFuture, market: Market, day: date) -> Market:
    """The market whose bars after ``day`` are changed."""
    return change.market(market, int(market.days.searchsorted(pd.Timestamp(day), side="right")) - 1)
