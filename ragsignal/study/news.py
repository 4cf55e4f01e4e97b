"""From ``[news]`` of a spec to what the news said by a stock's bars: read, scored once a text, and placed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragsignal.config import DataSpec, NewsSpec
from ragsignal.data import (
    NOVELTY_RECIPE,
    NewsDays,
    NewsItems,
    NewsRules,
    NewsScores,
    NewsTable,
    Prices,
    SessionClose,
    bars_of,
    build_news_days,
    counted_by_date,
    days_of,
    novelty_of,
    planted_news_table,
    read_news,
)
from ragsignal.errors import ConfigError, DataError
from ragsignal.llm import load_text_scorer
from ragsignal.protocols import TextScorer
from ragsignal.signals import SentimentOnce, SignalStore
from ragsignal.types import BoolArray, FloatArray, Recipe
from ragsignal.utils import Progress, silent


@dataclass(frozen=True)
class NewsSource:
    """The news of a study.

    Parameters
    ----------
    spec : NewsSpec
    store : callable
        Opens what keeps the sentiment of texts that were read.
    progress : callable, optional
        Told how many texts are scored.
    """

    spec: NewsSpec
    store: Callable[[], SignalStore]
    progress: Progress = silent

    def table(self, data: DataSpec, symbols: Sequence[str]) -> NewsTable:
        """Items of ``symbols``.

        Raises
        ------
        ConfigError
            If ``data.close`` names no zone that there is.
        DataError
            If the table cannot be trusted.
        """
        return read_news(self.path(data, symbols), symbols, news_rules(self.spec, data))

    def path(self, data: DataSpec, symbols: Sequence[str]) -> Path:
        """The table: of a made-up market the one that it brings, which is written first."""
        return self.spec.path or planted_news_table(data, symbols)

    @cached_property
    def recipe(self) -> Recipe:
        """Everything beside the items that decides what they said; raises ``ModelError`` as :meth:`days`."""
        return {
            "news": 1,
            "scorer": self._scorer.recipe,
            "novelty": NOVELTY_RECIPE,
            "novelty_days": self.spec.novelty_days,
        }

    @cached_property
    def _scorer(self) -> TextScorer:
        return load_text_scorer(self.spec)

    def days(self, items: NewsItems, prices: Prices) -> NewsDays:
        """What the items said, by the bars of ``prices`` that may know of them; only those of a bar are scored.

        Raises
        ------
        ModelError
            If the scorer's wheel or weights are missing or cannot be used.
        DataError
            If no item is of any bar.
        """
        items = counted_by_date(items) if self.spec.counts_for == "date" else items
        days = {symbol: days_of(frame) for symbol, frame in prices.frames.items()}
        calendar, rows = bars_of(items, days)
        if not (rows >= 0).any():
            self._refuse_other_years(items, calendar)
        memory = SentimentOnce(self._scorer, self.store(), partial(self.progress, "sentiment of news"))
        scores = NewsScores(
            sentiment=_sentiment(items, rows >= 0, memory),
            novelty=novelty_of(items, self.spec.novelty_days),
            recipe=self.recipe,
        )
        return build_news_days(items, scores, days)

    def _refuse_other_years(self, items: NewsItems, calendar: NDArray[np.datetime64]) -> None:
        first, last = (
            moment.astype("datetime64[D]") for moment in (items.available_at.min(), items.available_at.max())
        )
        raise DataError(
            f"{self.spec.path}: none of its {len(items):,} items of the spec's symbols is of a bar: they were "
            f"available from {first} to {last}, and bars go from {calendar[0]} to {calendar[-1]}; give another "
            "news.path, or prices of those years"
        )


def news_rules(news: NewsSpec, data: DataSpec) -> NewsRules:
    """How a spec's table of news is read; raises ``ConfigError`` where ``data.close`` names no zone that there is."""
    try:
        return NewsRules(SessionClose.parse(data.close or ""), news.delay, news.body, data.end)
    except ValueError as error:
        raise ConfigError(f"data.close: {error}") from None


def _sentiment(items: NewsItems, wanted: BoolArray, memory: SentimentOnce) -> FloatArray:
    """Sentiment of each item, 0 of those that are not wanted."""
    pairs = zip(items.headlines[wanted], items.bodies[wanted], strict=True)
    found = np.zeros(len(items))
    found[wanted] = memory.sentiment([f"{headline}\n{body}" if body else headline for headline, body in pairs])
    return found
