"""What the news said of each symbol, by the bars that may know of it.

An item belongs to the first bar of its symbol whose close is not earlier than the moment at which it was available:
what comes over a weekend or a holiday belongs to the next session. So nothing at a bar depends on later items.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ragsignal.data.check import nearest_symbol
from ragsignal.data.news.items import NewsItems, Texts
from ragsignal.errors import DataError
from ragsignal.types import FloatArray, IntArray, Recipe
from ragsignal.utils import json_digest

Days = NDArray[np.datetime64]


@dataclass(frozen=True, eq=False, repr=False)
class NewsScores:
    """What was made of each item of a :class:`~ragsignal.data.news.items.NewsItems`.

    Parameters
    ----------
    sentiment : (n,) float64
        In [-1, 1].
    novelty : (n,) float64
        In [0, 1]; see :func:`~ragsignal.data.news.novelty.novelty_of`.
    recipe : dict
        Everything beside the items that decides both.
    """

    sentiment: FloatArray
    novelty: FloatArray
    recipe: Recipe


@dataclass(frozen=True, eq=False, repr=False)
class NewsDays:
    """What the news said of each symbol, by its bars' days. Make it with :func:`build_news_days`.

    Parameters
    ----------
    symbols : tuple of str
    days : (n_days,) datetime64[D]
        Every day on which a symbol has a bar, ascending.
    sentiment : (n_days, n_symbols) float64
        Mean over the items of a bar, in [-1, 1]; NaN where there is none.
    count : (n_days, n_symbols) float64
        How many items belong to a bar; 0 where there is none.
    novelty : (n_days, n_symbols) float64
        Mean over the items of a bar, in [0, 1]; NaN where there is none.
    cells : (n_items,) int64, ascending
        The bar that an item belongs to, as row times ``n_symbols`` plus column.
    titles : (n_items,) object
        Headlines in the order of ``cells``; of one bar the latest first.
    day_digests : tuple of bytes, (n_days,)
        Of each day, whatever decides what stands here for it.
    """

    symbols: tuple[str, ...]
    days: Days
    sentiment: FloatArray
    count: FloatArray
    novelty: FloatArray
    cells: IntArray
    titles: Texts
    day_digests: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"NewsDays({len(self.cells)} items, {len(self.symbols)} symbols, {len(self.days)} days)"

    def headlines(self, symbol: str, day: date) -> tuple[str, ...]:
        """Headlines of the items that belong to the bar of ``symbol`` on ``day``, the latest first.

        Raises
        ------
        DataError
            If there is no such symbol here.
        """
        column = self._columns.get(symbol)
        if column is None:
            raise DataError(f"no news are kept of {symbol}. {nearest_symbol(symbol, self.symbols)}")
        row = int(np.searchsorted(self.days, np.datetime64(day)))
        if row == len(self.days) or self.days[row] != np.datetime64(day):
            return ()
        first, last = np.searchsorted(self.cells, [cell := row * len(self.symbols) + column, cell + 1])
        return tuple(self.titles[first:last])

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {symbol: column for column, symbol in enumerate(self.symbols)}

    def window_digest(self, row: int, memory: int) -> bytes:
        """Digest of what decides the ``memory`` days that end with day number ``row``, and of nothing later."""
        return hashlib.sha256(b"".join(self.day_digests[max(0, row + 1 - memory) : row + 1])).digest()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that decides this table; the order of the symbols does not matter."""
        return self.window_digest(len(self.days) - 1, len(self.days)).hex()


def build_news_days(items: NewsItems, scores: NewsScores, days: Mapping[str, Days]) -> NewsDays:
    """Give every item to its bar, and take the mean of a bar's items.

    Of several revisions of one item within a bar, only the last counts. Items that could have been known on the day
    before a symbol's first bar belong to no bar, and neither do those after its last.

    Parameters
    ----------
    items : NewsItems
    scores : NewsScores
        Of these items.
    days : mapping of symbol to (n,) datetime64[D]
        Days of each symbol's bars, ascending; a symbol of the items that is not here has no bars.
    """
    calendar, rows = bars_of(items, days)
    width = len(items.symbols)
    cells = np.where(rows < 0, -1, rows * width + items.places)
    order = _latest_first(items, cells)
    cells, shape = cells[order], (len(calendar), width)
    count = np.bincount(cells, minlength=shape[0] * width).astype(np.float64)
    sums = (np.bincount(cells, values[order], len(count)) for values in (scores.sentiment, scores.novelty))
    sentiment, novelty = (np.divide(it, count, np.full(len(count), np.nan), where=count > 0) for it in sums)
    digests = _day_digests(items, scores, order, np.searchsorted(cells, width * np.arange(len(calendar) + 1)), calendar)
    return NewsDays(
        symbols=items.symbols,
        days=calendar,
        sentiment=sentiment.reshape(shape),
        count=count.reshape(shape),
        novelty=novelty.reshape(shape),
        cells=cells,
        titles=items.headlines[order],
        day_digests=digests,
    )


def bars_of(items: NewsItems, days: Mapping[str, Days]) -> tuple[Days, IntArray]:
    """Every day of any symbol, ascending, and the place there of each item's bar, -1 for none: (n,) int64."""
    calendar = np.unique(np.concatenate([np.zeros(0, "datetime64[D]"), *days.values()]))
    known = items.close.first_bar(items.available_at, calendar)
    named = ~np.isnat(items.after)
    known[named] = np.maximum(known[named], np.searchsorted(calendar, items.after[named], side="right"))
    rows = np.full(len(items), -1, np.int64)
    bounds = np.searchsorted(items.places, np.arange(len(items.symbols) + 1))
    for place, symbol in enumerate(items.symbols):
        own = np.searchsorted(calendar, days.get(symbol, calendar[:0]))
        if len(own) == 0:
            continue
        part = slice(bounds[place], bounds[place + 1])
        bars = np.searchsorted(own, known[part], side="left")
        eve = items.close.instants((calendar[own[:1]] - np.timedelta64(1, "D")).astype("datetime64[D]"))
        kept = (bars < len(own)) & (items.available_at[part] > eve)
        rows[part] = np.where(kept, own[np.minimum(bars, len(own) - 1)], -1)
    return calendar, rows


def _latest_first(items: NewsItems, cells: IntArray) -> IntArray:
    """Order of the items that have a bar: by bar, the latest first; of revisions of one item the last alone."""
    newest = np.arange(len(items))[::-1]  # items are in the order of time within a symbol
    order = newest[np.argsort(cells[newest], kind="stable")]
    order = order[cells[order] >= 0]
    seen: set[tuple[int, str]] = set()
    kept = np.ones(len(order), bool)
    for number, key in enumerate(zip(cells[order].tolist(), items.ids[order].tolist(), strict=True)):
        kept[number] = key not in seen
        seen.add(key)
    return order[kept]


def _day_digests(
    items: NewsItems, scores: NewsScores, order: IntArray, bounds: IntArray, calendar: Days
) -> tuple[bytes, ...]:
    """Of each day: the recipe, and the items that belong to its bars with their novelty, which earlier days decide."""
    head = json_digest(scores.recipe)
    digests = []
    for first, last, day in zip(bounds[:-1], bounds[1:], calendar, strict=True):
        lines = sorted(f"{items.line(row)}{scores.novelty[row].hex()}" for row in order[first:last])
        digests.append(hashlib.sha256("\x1e".join([head, str(day), *lines]).encode()).digest())
    return tuple(digests)
