"""What a signal's address is made of besides its recipe, built anew from prices whose future is cut off or poisoned.

    prices ─► change (cut, poison) after t ─► candidates, ranks, letters, days ─► digest as of t ─┐
    traded bars ─► change after t ─► queries as of <= t ──────────────────────────────────────────┴► the same: no leak

A digest of candidates is a running hash: equal at t, it is equal at every earlier day; one of rank letters is of the
days that the reader remembers. But a candidate that reads h bars ahead is wrong only where the cut lies within h bars
of it, so that every bar of the window is a cut point, if time allows.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.signals.variants import spread_from_last
from ragsignal.config import CorpusSpec
from ragsignal.data import (
    MarketDays,
    Panel,
    RankLetters,
    build_market_days,
    build_panel,
    build_rank_letters,
    calendar_of,
)
from ragsignal.errors import DataError
from ragsignal.retrieval import Corpus, build_corpus
from ragsignal.signals import queries_of
from ragsignal.types import Query
from ragsignal.utils import Progress, day_of, silent, upper

Frames = Mapping[str, pd.DataFrame]
ChangeFuture = Callable[[Market, int], Market]
"""From a market and a point of its own days to the market without, or with another, future."""

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
    """

    embargo: int | None
    ranks: bool
    memory: int = 0
    days: DayView | None = None

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
    _joined: dict[DayView, MarketDays] = field(default_factory=dict)  # its digests are made once for all points

    def digest(self, visibility: Visibility, day: date) -> tuple[str, str, str, str]:
        """Of all that a variant can see as of ``day``."""
        embargo = visibility.embargo
        candidates = self.corpus.digest_as_of(day, embargo) if self.corpus and embargo is not None else ""
        ranks = self.panel.digest_as_of(day) if self.panel and visibility.ranks else ""
        return candidates, ranks, self._letters_digest(visibility.memory, day), self._days_digest(visibility.days, day)

    def _days_digest(self, view: DayView | None, day: date) -> str:
        if self.days is None or view is None:
            return ""
        if view not in self._joined:
            self._joined[view] = view.joined(self.days)
        return self._joined[view].digest_as_of(day, view.embargo)

    def _letters_digest(self, memory: int, day: date) -> str:
        if self.letters is None or not memory:
            return ""
        wanted = upper(day, self.letters.days)
        row = int(np.searchsorted(self.letters.days, wanted))
        known = row < len(self.letters.days) and self.letters.days[row] == wanted
        return self.letters.window_digest(row, memory).hex() if known else ""


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
    """

    market: Market
    traded: Market
    spec: CorpusSpec
    symbols: Sequence[str]
    visibilities: frozenset[Visibility]
    progress: Progress = silent
    _made: dict[int, tuple[VisibleData, list[Query]]] = field(default_factory=dict)

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

    def build(self, frames: Frames) -> VisibleData:
        """The candidates, ranks, rank letters and days of ``frames`` that any variant looks at."""
        present = {symbol: frame for symbol, frame in frames.items() if len(frame)}
        corpus, panel, letters, days = None, None, None, None
        if any(visibility.candidates for visibility in self.visibilities):
            # No candidate yet is no fault: the whole history was built before, so the prices themselves are fine.
            with contextlib.suppress(DataError):
                corpus = build_corpus({name: present[name] for name in self.symbols if name in present}, self.spec)
        if any(visibility.ranks for visibility in self.visibilities):
            panel = build_panel(present)
        if any(visibility.memory for visibility in self.visibilities):
            with contextlib.suppress(DataError):  # as above: too few stocks yet
                letters = build_rank_letters(present)
        if letters is not None and any(visibility.days for visibility in self.visibilities):
            days = build_market_days(letters, present, self.spec.target, self.spec.horizon)
        return VisibleData(corpus, panel, letters, days)

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
        return self.compare(change, middle, plant=lambda frames: read_early(frames, self.spec.stride + 2))

    def catches(self, planted: Changes, visibility: Visibility) -> bool:
        """Whether the planted leak was seen in all that a variant of this visibility looks at."""
        frozen = self.spec.end is not None and self.spec.end < day_of(
            self.days[0]
        )  # candidates that no traded bar can move
        looks = (visibility.candidates and not frozen) or visibility.ranks or bool(visibility.memory)
        return bool(planted.queries) and (bool(planted.visible[visibility]) or not looks)

    def compare(
        self,
        change: ChangeFuture,
        points: Sequence[date],
        market: Market | None = None,
        plant: Callable[[Frames], Frames] | None = None,
        what: str = "",
    ) -> Changes:
        """Compare at each of ``points``, in the recent market if no other is given.

        ``plant`` is done to all prices before anything is made of them.
        """
        history = market or self.recent
        plant = plant or dict
        whole, all_queries = self._unchanged(history, plant)
        visible: dict[Visibility, list[str]] = {visibility: [] for visibility in self.visibilities}
        queries: list[str] = []
        for number, day in enumerate(points):
            cut = self.build(plant(_changed(change, history, day).frames))
            for visibility, words in visible.items():
                if cut.digest(visibility, day) != whole.digest(visibility, day):
                    words.append(f"what is visible as of {day}")
            known = [query for query in all_queries if query.as_of <= day]
            made = self._queries(plant(_changed(change, self.traded, day).frames))
            queries += _first_difference(known, [query for query in made if query.as_of <= day])
            if what:
                self.progress(what, number + 1, len(points))
        return Changes(len(points), 0, tuple(queries), {seen: tuple(words) for seen, words in visible.items()})

    def _affordable(self, change: ChangeFuture) -> int:
        """How many bars can be changed in the time that there is."""
        self._unchanged(self.recent, dict)
        began = time.perf_counter()
        self.compare(change, self.days[-1:])
        return max(_FEWEST, int(SECONDS / max(time.perf_counter() - began, 1e-6)))

    def _unchanged(self, history: Market, plant: Callable[[Frames], Frames]) -> tuple[VisibleData, list[Query]]:
        """What is made of all prices; kept where nothing is planted, as it is compared with again and again."""
        if plant is not dict:
            return self.build(plant(history.frames)), self._queries(plant(self.traded.frames))
        if id(history) not in self._made:
            self._made[id(history)] = self.build(history.frames), self._queries(self.traded.frames)
        return self._made[id(history)]

    def _queries(self, frames: Frames) -> list[Query]:
        return queries_of(frames, self.spec.lookback)


def _changed(change: ChangeFuture, market: Market, day: date) -> Market:
    return change(market, int(market.days.searchsorted(pd.Timestamp(day), side="right")) - 1)


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
