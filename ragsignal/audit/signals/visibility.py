"""What a signal's address is made of besides its recipe, built anew from prices whose future is cut off or poisoned.

    prices, news ─► change (cut, poison) after t ─► candidates, ranks, letters, days ─► digest as of t ─┐
    traded bars ─► change after t ─► queries as of <= t ────────────────────────────────────────────────┴► equal: fine

A digest of candidates is a running hash: equal at t, it is equal at every earlier day; one of rank letters is of the
days that the reader remembers. But a candidate that reads h bars ahead is wrong only where the cut lies within h bars
of it, so that every bar of the window is a cut point, if time allows. News are cut by their own stamps: what was
published or received after the close of t, or as much later as the spec's lag says, is not there at t, whichever bar
counts it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.signals.future import HONEST, ChangeFuture, Frames, Plant, changed
from ragsignal.audit.signals.news import AuditedNews, PlantedNews, planted_by_date, planted_early
from ragsignal.audit.signals.variants import spread_from_last
from ragsignal.config import CorpusSpec
from ragsignal.data import (
    NEWS_FACTORS,
    AlphaDays,
    MarketDays,
    NewsDays,
    NewsItems,
    Panel,
    RankLetters,
    alpha_days,
    build_market_days,
    build_panel,
    build_rank_letters,
    calendar_of,
    with_alphas,
    with_news,
)
from ragsignal.errors import DataError
from ragsignal.retrieval import Beside, Corpus, build_corpus
from ragsignal.signals import queries_of
from ragsignal.types import Query
from ragsignal.utils import Progress, day_of, silent, upper

SECONDS = 45.0
"""What the cuts, and what the poisons, may take; where all would take longer, they are spread over the window."""
RECENT = 756
"""Bars before the window that most cuts begin with: three years, and the longest memory of a sequence is 293 bars."""
WHOLE_HISTORY = 8
"""Cut points at which all of the history is built again."""
_FEWEST = 8


@dataclass(frozen=True)
class DayView:
    """Which days a variant retrieves from.

    Parameters
    ----------
    embargo : int
        Bars behind which it sees what they paid.
    brought : MarketDays, optional
        Days of an artifact, which come before those of the prices.
    """

    embargo: int
    brought: MarketDays | None = None

    def joined(self, own: MarketDays) -> MarketDays:
        """All days that can be retrieved once time allows."""
        return own if self.brought is None else self.brought.followed_by(own)


NewsView = Literal["letters", "headlines"]
"""What of the news a variant reads: their rank letters, or headlines in a prompt."""


@dataclass(frozen=True)
class Visibility:
    """What a variant looks at besides its window.

    Parameters
    ----------
    embargo : int, optional
        Bars behind which it sees candidates; None: it sees none.
    ranks : bool
        Whether it reads ranks among all symbols.
    memory : int
        Days of the universe's rank letters that a signal depends on; 0: it reads none.
    days : DayView, optional
        The days that it retrieves from; None: it retrieves none.
    news : NewsView, optional
        What it reads of the day's news besides candidates; None: nothing.
    alphas : bool
        Whether kept formulas are among the rank letters that it reads.
    """

    embargo: int | None
    ranks: bool
    memory: int = 0
    days: DayView | None = None
    news: NewsView | None = None
    alphas: bool = False

    @property
    def candidates(self) -> bool:
        """Whether any candidate is looked at."""
        return self.embargo is not None


@dataclass(frozen=True)
class VisibleData:
    """What is made of some prices; None where nobody looks at it, or where there is none."""

    corpus: Corpus | None
    panel: Panel | None
    letters: RankLetters | None
    days: MarketDays | None
    news: NewsDays | None = None
    alphas: AlphaDays | None = None
    _joined: dict[DayView, MarketDays] = field(default_factory=dict)  # its digests are made once for all points
    _further: dict[tuple[bool, bool], RankLetters | None] = field(default_factory=dict)

    def digest(self, visibility: Visibility, day: date) -> tuple[str, ...]:
        """Of all that a variant can see as of ``day``."""
        embargo = visibility.embargo
        candidates = self.corpus.digest_as_of(day, embargo) if self.corpus and embargo is not None else ""
        ranks = self.panel.digest_as_of(day) if self.panel and visibility.ranks else ""
        return (
            candidates,
            ranks,
            _letters_digest(self._letters_of(visibility), visibility.memory, day),
            self._days_digest(visibility.days, day),
            self._headlines_digest(day) if visibility.news == "headlines" else "",
        )

    def _letters_of(self, visibility: Visibility) -> RankLetters | None:
        """The rank letters that a variant reads, with all that stands beside those of bars."""
        key = visibility.alphas, visibility.news == "letters"
        if key not in self._further:
            letters = self.letters
            if letters and visibility.alphas and self.alphas:
                letters = with_alphas(letters, self.alphas)
            if letters and visibility.news == "letters" and self.news:
                letters = with_news(letters, self.news, {})
            self._further[key] = letters
        return self._further[key]

    def _headlines_digest(self, day: date) -> str:
        if self.news is None:
            return ""
        seen = int(np.searchsorted(self.news.days, np.datetime64(day), side="right"))
        return self.news.window_digest(seen - 1, seen).hex() if seen else ""

    def _days_digest(self, view: DayView | None, day: date) -> str:
        if self.days is None or view is None:
            return ""
        if view not in self._joined:
            self._joined[view] = view.joined(self.days)
        return self._joined[view].digest_as_of(day, view.embargo)


def _letters_digest(letters: RankLetters | None, memory: int, day: date) -> str:
    if letters is None or not memory:
        return ""
    wanted = upper(day, letters.days)
    row = int(np.searchsorted(letters.days, wanted))
    known = row < len(letters.days) and letters.days[row] == wanted
    return letters.window_digest(row, memory).hex() if known else ""


@dataclass(frozen=True)
class Changes:
    """What changed when the future did, in words.

    ``points`` cut points were compared, ``whole`` of them with all of history; ``visible`` is what changed for each
    kind of visibility.
    """

    points: int
    whole: int
    queries: tuple[str, ...]
    visible: Mapping[Visibility, tuple[str, ...]]

    def seen_by(self, visibility: Visibility) -> list[str]:
        """All that changed for a variant of this visibility."""
        return [*self.queries, *self.visible[visibility]]


@dataclass(frozen=True)
class NewsControls:
    """What leaks change that are planted in the news; None where no item is there that could leak.

    ``at_once`` of items that count for the bar of their calendar day, where some came after a close, else ``early``:
    what reads the news of a bar sees it on that bar. ``early`` of items that count more bars early than pass until a
    window of candidates is seen.
    """

    at_once: Changes | None
    early: Changes | None


@dataclass
class FutureTest:
    """Compares what is made of prices with a changed future with what is made of all prices.

    Parameters
    ----------
    market : Market
        Prices that candidates, ranks, rank letters and days are made of.
    traded : Market
        The traded bars, as the queries are cut from them.
    spec : CorpusSpec
    symbols : sequence of str
        Those of the market that candidates are cut from.
    visibilities : frozenset of Visibility
    progress : callable, optional
    news : AuditedNews, optional
        Of a spec with news.
    """

    market: Market
    traded: Market
    spec: CorpusSpec
    symbols: Sequence[str]
    visibilities: frozenset[Visibility]
    progress: Progress = silent
    news: AuditedNews | None = None
    _made: dict[tuple[int, Plant], tuple[VisibleData, list[Query]]] = field(default_factory=dict)

    @cached_property
    def days(self) -> list[date]:
        """The traded days."""
        days: list[date] = calendar_of(self.traded.frames.values()).tolist()
        return days

    @cached_property
    def recent(self) -> Market:
        """The market from some years before the window on: what lies before cannot make a candidate read ahead."""
        first = int(self.market.days.searchsorted(self.traded.days[0])) - RECENT
        return self.market.span(max(0, first), len(self.market.days) - 1)

    def build(self, frames: Frames, items: NewsItems | None = None) -> VisibleData:
        """The candidates, ranks, rank letters, days and news of ``frames`` and ``items`` that any variant looks at."""
        present = {symbol: frame for symbol, frame in frames.items() if len(frame)}
        corpus, panel, letters, days, alphas = None, None, None, None, None
        news = self.news.make(items, present) if self.news and items is not None else None
        with contextlib.suppress(DataError):  # too few bars or stocks yet
            alphas = alpha_days(self.spec.alphas, present) if self.spec.alphas else None
        if any(visibility.candidates for visibility in self.visibilities):
            # No candidate yet is no fault: the whole history was built before, so the prices themselves are fine.
            with contextlib.suppress(DataError):
                own = {name: present[name] for name in self.symbols if name in present}
                corpus = build_corpus(own, self.spec, Beside(news, alphas if self.spec.reads_alphas else None))
        if any(visibility.ranks for visibility in self.visibilities):
            panel = build_panel(present)
        if any(visibility.memory for visibility in self.visibilities):
            with contextlib.suppress(DataError):  # as above: too few stocks yet
                letters = build_rank_letters(present)
        if letters is not None and any(visibility.days for visibility in self.visibilities):
            days = build_market_days(letters, present, self.spec.target, self.spec.horizon)
        return VisibleData(corpus, panel, letters, days, news, alphas)

    def scan(self, what: str, change: ChangeFuture, wanted: int) -> Changes:
        """Change the future at ``wanted`` bars of the window, or at as many as time allows; ``what`` is told of it."""
        count = min(wanted, self._affordable(change))
        recent = self.compare(change, spread_from_last(self.days, count), what=what)
        if len(self.recent.days) == len(self.market.days):
            return replace(recent, whole=recent.points)
        whole = self.compare(change, spread_from_last(self.days, min(WHOLE_HISTORY, count)), market=self.market)
        visible = {seen: whole.visible[seen] + recent.visible[seen] for seen in self.visibilities}
        return Changes(recent.points, whole.points, whole.queries + recent.queries, visible)

    def planted(self, change: ChangeFuture) -> Changes:
        """The control: what prices that are read early change, at half of the window."""
        middle = self.days[len(self.days) // 2 - 1 : len(self.days) // 2]
        return self.compare(change, middle, plant=self._early_prices)

    @cached_property
    def _early_prices(self) -> Plant:
        return Plant(lambda frames: read_early(frames, self.spec.stride + 2))

    def planted_news(self, change: ChangeFuture) -> NewsControls:
        """The controls of news: what items change that count before they were available."""
        early, by_date = (self._planted_in_news(change, planted) for planted in self._early_news)
        return NewsControls(by_date or early, early)

    @cached_property
    def _early_news(self) -> tuple[PlantedNews | None, PlantedNews | None]:
        """Items that count some bars early, and items that count by their date."""
        if self.news is None:
            return None, None
        reach = 2 * (self.spec.stride + self.spec.horizon) + 4  # bars until a window is seen, weekends and a holiday
        items = self.news.items
        return planted_early(items, self.days, reach), planted_by_date(items, self.days)

    def _planted_in_news(self, change: ChangeFuture, planted: PlantedNews | None) -> Changes | None:
        return None if planted is None else self.compare(change, [planted.day], plant=Plant(news=planted.count))

    def catches(self, planted: Changes, visibility: Visibility) -> bool:
        """Whether the planted leak was seen in all that a variant of this visibility looks at."""
        looks = self._sees_candidates(visibility) or visibility.ranks or bool(visibility.memory)
        return bool(planted.queries) and (bool(planted.visible[visibility]) or not looks)

    def catches_news(self, planted: NewsControls, visibility: Visibility) -> bool:
        """Whether the leaks that were planted in the news were seen by a variant that reads some."""
        of_news = bool({*self.spec.indicators} & {*NEWS_FACTORS}) and self._sees_candidates(visibility)
        looked = [planted.at_once if visibility.news else None, planted.early if of_news else None]
        return all(changes.visible[visibility] for changes in looked if changes is not None)

    def _sees_candidates(self, visibility: Visibility) -> bool:
        """Whether a variant sees candidates that a traded bar can move."""
        return visibility.candidates and not (self.spec.end is not None and self.spec.end < day_of(self.days[0]))

    def compare(
        self,
        change: ChangeFuture,
        points: Sequence[date],
        market: Market | None = None,
        plant: Plant = HONEST,
        what: str = "",
    ) -> Changes:
        """Compare at each of ``points``, in the recent market if no other is given."""
        history = market or self.recent
        whole, all_queries = self._unchanged(history, plant)
        visible: dict[Visibility, list[str]] = {visibility: [] for visibility in self.visibilities}
        queries: list[str] = []
        for number, day in enumerate(points):
            cut = self._made_of(changed(change, history, day), plant, change, day)
            for visibility, words in visible.items():
                if cut.digest(visibility, day) != whole.digest(visibility, day):
                    words.append(f"what is visible as of {day}")
            known = [query for query in all_queries if query.as_of <= day]
            made = self._queries(plant.frames(changed(change, self.traded, day).frames))
            queries += _first_difference(known, [query for query in made if query.as_of <= day])
            if what:
                self.progress(what, number + 1, len(points))
        return Changes(len(points), 0, tuple(queries), {seen: tuple(words) for seen, words in visible.items()})

    def _affordable(self, change: ChangeFuture) -> int:
        """How many bars can be changed in the time that there is."""
        self._unchanged(self.recent, HONEST)
        began = time.perf_counter()
        self.compare(change, self.days[-1:])
        return max(_FEWEST, int(SECONDS / max(time.perf_counter() - began, 1e-6)))

    def _unchanged(self, history: Market, plant: Plant) -> tuple[VisibleData, list[Query]]:
        """What is made of all prices; kept, as each kind of change is compared with it."""
        key = id(history), plant
        if key not in self._made:
            self._made[key] = self._made_of(history, plant), self._queries(plant.frames(self.traded.frames))
        return self._made[key]

    def _made_of(
        self, history: Market, plant: Plant, change: ChangeFuture | None = None, day: date = date.max
    ) -> VisibleData:
        """What is made of a market, and of the news, which ``change`` cuts or poisons after ``day``."""
        items = self.news.items if self.news else None
        if items is not None and change is not None:
            items = change.news(items, day)
        if items is not None and plant.news is not None:
            items = plant.news(items)
        return self.build(plant.frames(history.frames), items)

    def _queries(self, frames: Frames) -> list[Query]:
        return queries_of(frames, self.spec.lookback)


def read_early(frames: Frames, bars: int) -> dict[str, pd.DataFrame]:
    """The planted leak: every bar holds the prices of ``bars`` bars later (at the end, those of the last)."""
    places = {name: np.minimum(np.arange(len(frame)) + bars, len(frame) - 1) for name, frame in frames.items()}
    return {name: frame.iloc[places[name]].set_axis(frame.index, axis=0) for name, frame in frames.items()}


def _first_difference(known: Sequence[Query], made: Sequence[Query]) -> list[str]:
    """Where two lists of queries part, in words; empty where they do not."""
    if known == made:
        return []
    pairs = (left for left, right in zip(known, made, strict=False) if left != right)
    first = next(pairs, None) or (known or made)[-1]
    return [f"the window of {first.symbol} as of {first.as_of}"]
