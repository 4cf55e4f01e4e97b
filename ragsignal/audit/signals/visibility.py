"""What a signal's address is made of besides its recipe, built anew from prices whose future is cut off or poisoned.

    prices ─► change (cut, poison) after t ─► candidates, ranks ─► digest as of t ─┐
    traded bars ─► change after t ─► queries as of <= t ───────────────────────────┴► the same as without: no leak

A digest is a running hash: equal at t, it is equal at every earlier day. But a candidate that reads h bars ahead is
wrong only where the cut lies within h bars of it, so that every bar of the window is a cut point, if time allows.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.signals.retrieval import spread_from_last
from ragsignal.config import CorpusSpec
from ragsignal.data import Panel, build_panel
from ragsignal.errors import DataError
from ragsignal.retrieval import Corpus, build_corpus
from ragsignal.signals import queries_of
from ragsignal.types import Query
from ragsignal.utils import Progress, silent

Frames = Mapping[str, pd.DataFrame]
ChangeFuture = Callable[[Market, int], Market]
"""From a market and a point of its own days to the market without, or with another, future."""

SECONDS = 60.0
"""What the cuts, and what the poisons, may take; where all would take longer, they are spread over the window."""
RECENT = 756
"""Bars before the window that most cuts begin with: three years, and the longest memory of a sequence is 293 bars."""
WHOLE_HISTORY = 8
"""Cut points at which all of the history is built again."""
_FEWEST = 8


@dataclass(frozen=True)
class Visibility:
    """What a variant looks at besides its window: candidates behind an ``embargo`` (None: none), and ranks."""

    embargo: int | None
    ranks: bool

    @property
    def candidates(self) -> bool:
        """Whether any candidate is looked at."""
        return self.embargo is not None


@dataclass(frozen=True)
class VisibleData:
    """Candidates and ranks of some prices; None where nobody looks at them, or where there are none yet."""

    corpus: Corpus | None
    panel: Panel | None

    def digest(self, visibility: Visibility, day: date) -> tuple[str, str]:
        """Of all that a variant can see as of ``day``."""
        embargo = visibility.embargo
        candidates = self.corpus.digest_as_of(day, embargo) if self.corpus and embargo is not None else ""
        return candidates, self.panel.digest_as_of(day) if self.panel and visibility.ranks else ""


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
        Prices that candidates and ranks are made of.
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

    @cached_property
    def days(self) -> list[date]:
        """The traded days."""
        return [stamp.date() for stamp in self.traded.days]

    @cached_property
    def recent(self) -> Market:
        """The market from some years before the window on: what lies before cannot make a candidate read ahead."""
        first = int(self.market.days.searchsorted(self.traded.days[0])) - RECENT
        return self.market.span(max(0, first), len(self.market.days) - 1)

    def build(self, frames: Frames) -> VisibleData:
        """The candidates and ranks of ``frames`` that any variant looks at."""
        present = {symbol: frame for symbol, frame in frames.items() if len(frame)}
        corpus, panel = None, None
        if any(visibility.candidates for visibility in self.visibilities):
            # No candidate yet is no fault: the whole history was built before, so the prices themselves are fine.
            with contextlib.suppress(DataError):
                corpus = build_corpus({name: present[name] for name in self.symbols if name in present}, self.spec)
        if any(visibility.ranks for visibility in self.visibilities):
            panel = build_panel(present)
        return VisibleData(corpus, panel)

    def scan(self, what: str, change: ChangeFuture, wanted: int) -> Changes:
        """Change the future at ``wanted`` bars of the window, or at as many as time allows; ``what`` is told of it."""
        whole = self.compare(change, spread_from_last(self.days, WHOLE_HISTORY), market=self.market)
        began = time.perf_counter()
        self.compare(change, self.days[-1:])
        each = (time.perf_counter() - began) / 2  # the unchanged prices were built too
        count = min(wanted, max(_FEWEST, int(SECONDS / max(each, 1e-6))))
        recent = self.compare(change, spread_from_last(self.days, count), what=what)
        visible = {seen: whole.visible[seen] + recent.visible[seen] for seen in self.visibilities}
        return Changes(recent.points, whole.points, whole.queries + recent.queries, visible)

    def catches_planted_leak(self, change: ChangeFuture, visibility: Visibility) -> bool:
        """The control: prices that are read early, at half of the window, must move what is seen."""
        middle = self.days[len(self.days) // 2 - 1 : len(self.days) // 2]
        changes = self.compare(change, middle, plant=lambda frames: read_early(frames, self.spec.stride + 2))
        frozen = self.spec.end is not None and self.spec.end < self.days[0]  # candidates that no traded bar can move
        looks = (visibility.candidates and not frozen) or visibility.ranks
        return bool(changes.queries) and (bool(changes.visible[visibility]) or not looks)

    def compare(
        self,
        change: ChangeFuture,
        points: Sequence[date],
        market: Market | None = None,
        plant: Callable[[Frames], Frames] = lambda frames: frames,
        what: str = "",
    ) -> Changes:
        """Compare at each of ``points``, in the recent market if no other is given.

        ``plant`` is done to all prices before anything is made of them.
        """
        history = market or self.recent
        whole, all_queries = self.build(plant(history.frames)), self._queries(plant(self.traded.frames))
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
