"""What a model reads of the day's news: three factors beside those of bars, and three sequences that can be retrieved.

    NewsDays ─► news_factors (days x symbols, NaN without news) ─► rank letters
             └► news_sequences (a symbol's bars, 0 without news) ─► candidates

A factor is unknown where there is no item: a stock without news is not ranked among those with some. A sequence has no
gaps: no news is a sentiment, a count and a novelty of 0, but before the first item of the whole table nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.data.news.days import NewsDays
from ragsignal.data.prices import days_of
from ragsignal.errors import DataError
from ragsignal.types import FloatArray

NEWS_FORMULAS = {
    "news_sentiment": "mean sentiment of the items that the bar may know of, -1 to 1",
    "news_count": "number of these items",
    "news_novelty": "mean novelty of these items, 0 to 1",
}
"""The factors of news in their order, each with its formula; unknown without an item."""

NEWS_WORDS = {
    "news_sentiment": "sentiment of the day's news",
    "news_count": "number of news of the day",
    "news_novelty": "novelty of the day's news",
}
"""The factors of news as people call them: the greater, the higher the rank."""

NEWS_FACTORS: tuple[str, ...] = tuple(NEWS_FORMULAS)
"""Names of the factors, and of the sequences."""


def news_factors(news: NewsDays, symbols: Sequence[str], days: NDArray[np.datetime64]) -> Iterator[FloatArray]:
    """Lay the day's news of a universe out as its factors.

    Parameters
    ----------
    news : NewsDays
    symbols : sequence of str
    days : (n_days,) datetime64[D]

    Yields
    ------
    (n_days, n_symbols) float64
        In the order of :data:`NEWS_FACTORS`, NaN where a stock has no item.

    Raises
    ------
    DataError
        If the news are of other symbols or days.
    """
    place = np.ix_(_rows(news, days), np.array(_columns(news, symbols), np.int64))
    silent = news.count[place] == 0
    for table in (news.sentiment, news.count, news.novelty):
        yield np.where(silent, np.nan, table[place])


def news_sequences(news: NewsDays, frames: Mapping[str, pd.DataFrame], names: Sequence[str]) -> NDArray[np.float64]:
    """Lay the news of the bars of some symbols end to end.

    Parameters
    ----------
    news : NewsDays
    frames : mapping of symbol to DataFrame
        Their bars.
    names : sequence of str
        Which of :data:`NEWS_FACTORS`.

    Returns
    -------
    (n_names, n_bars of all frames) float64
        NaN before the first item of any symbol.

    Raises
    ------
    DataError
        If the news are of other symbols or days.
    """
    heard = news.count.sum(axis=1)
    begun = np.flatnonzero(heard)[:1]
    first = news.days[begun[0]] if len(begun) else np.datetime64("9999-12-31")
    tables = dict(zip(NEWS_FACTORS, (news.sentiment, news.count, news.novelty), strict=True))
    columns = []
    for (_, frame), column in zip(frames.items(), _columns(news, tuple(frames)), strict=True):
        rows = _rows(news, days_of(frame))
        own = np.stack([np.nan_to_num(tables[name][rows, column]) for name in names])
        columns.append(np.where(news.days[rows] < first, np.nan, own))
    return np.concatenate(columns, axis=1)


def _columns(news: NewsDays, symbols: Sequence[str]) -> list[int]:
    places = {symbol: place for place, symbol in enumerate(news.symbols)}
    missing = [symbol for symbol in symbols if symbol not in places]
    if missing:
        raise DataError(
            f"the news are of {len(places)} symbols, and {missing[0]} is none of them; read the news of all symbols "
            "of [data] and [corpus]"
        )
    return [places[symbol] for symbol in symbols]


def _rows(news: NewsDays, days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    rows = np.searchsorted(news.days, days)
    known = rows < len(news.days)
    known[known] = news.days[rows[known]] == days[known]
    if not known.all():
        raise DataError(
            f"the news end on {news.days[-1] if len(news.days) else 'no day'} and have no {days[~known][0]}; give "
            "them the bars of the same prices"
        )
    return rows.astype(np.int64)
