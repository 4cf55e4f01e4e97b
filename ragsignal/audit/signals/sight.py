"""What a signal's address is made of besides its recipe, built anew from prices whose future is cut off or poisoned.

    prices ─► treat (cut, poison) at t ─► World (candidates, ranks) ─► digest as of t ─┐
    traded bars ─► treat at t ─► queries as of <= t ──────────────────────────────────┴► the same as without: no leak

A digest is a running hash: equal at t, it is equal at every earlier day. But a candidate that reads h bars ahead is
wrong only where the cut lies within h bars of it, so that every bar of the window is a cut point, if time allows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.signals.retrieval import spread
from ragsignal.config import CorpusSpec
from ragsignal.data import Panel, build_panel
from ragsignal.errors import DataError
from ragsignal.retrieval import Corpus, build_corpus
from ragsignal.signals import queries_of
from ragsignal.types import Query
from ragsignal.utils import Progress, silent

Frames = Mapping[str, pd.DataFrame]
Treat = Callable[[Market, int], Market]
Change = Callable[[Frames], Frames]

SECONDS = 60.0
"""What the cuts, and what the poisons, may take; where all would take longer, they are spread over the window."""
RECENT = 756
"""Bars before the window that most cuts begin with: three years, and the longest memory of a sequence is 293 bars."""
WHOLE = 8
"""Cut points at which all of the history is built again."""
_FEWEST = 8


@dataclass(frozen=True)
class Sight:
    """What a variant looks at besides its window: candidates behind an ``embargo`` (None: none), and ranks."""

    embargo: int | None
    wide: bool


@dataclass(frozen=True)
class World:
    """Candidates and ranks of some prices; None where nobody looks at them, or where there are none yet."""

    corpus: Corpus | None
    panel: Panel | None

    def digest(self, sight: Sight, day: date) -> tuple[str, str]:
        """Of all that is visible as of ``day``, for a variant of this sight."""
        candidates = self.corpus.digest_as_of(day, sight.embargo) if self.corpus and sight.embargo is not None else ""
        return candidates, self.panel.digest_as_of(day) if self.panel and sight.wide else ""


@dataclass(frozen=True)
class Moved:
    """What changed when the future did: ``points`` cut points were compared, ``whole`` of them with all of history."""

    points: int
    whole: int
    queries: tuple[str, ...]
    worlds: Mapping[Sight, tuple[str, ...]]

    def of(self, sight: Sight) -> list[str]:
        """All that moved for a variant of this sight, in words."""
        return [*self.queries, *self.worlds[sight]]


@dataclass
class Prover:
    """Compares worlds and queries of treated prices with those of all prices.

    Parameters
    ----------
    market : Market
        Prices that candidates and ranks are made of.
    traded : Market
        The traded bars, as the queries are cut from them.
    spec : CorpusSpec
    symbols : sequence of str
        Those of the market that candidates are cut from.
    sights : frozenset of Sight
    progress : callable, optional
    """

    market: Market
    traded: Market
    spec: CorpusSpec
    symbols: Sequence[str]
    sights: frozenset[Sight]
    progress: Progress = silent
    days: list[date] = field(init=False)

    def __post_init__(self) -> None:
        self.days = [stamp.date() for stamp in self.traded.days]

    @cached_property
    def recent(self) -> Market:
        """The market from some years before the window on: what lies before cannot make a candidate read ahead."""
        first = int(self.market.days.searchsorted(self.traded.days[0])) - RECENT
        return self.market.span(max(0, first), len(self.market.days) - 1)

    def build(self, frames: Frames) -> World:
        """What these prices show."""
        present = {symbol: frame for symbol, frame in frames.items() if len(frame)}
        corpus, panel = None, None
        if any(sight.embargo is not None for sight in self.sights):
            try:
                corpus = build_corpus({name: present[name] for name in self.symbols if name in present}, self.spec)
            except DataError:  # no candidate yet: the whole history was built before, so the prices themselves are fine
                corpus = None
        if any(sight.wide for sight in self.sights):
            panel = build_panel(present)
        return World(corpus, panel)

    def scan(self, what: str, treat: Treat, wanted: int) -> Moved:
        """Treat the future at ``wanted`` bars of the window, or at as many as time allows.

        Parameters
        ----------
        what : str
            Told with the progress.
        treat : callable
            From a market and a point of its own days to the market without, or with another, future.
        wanted : int
        """
        everything = self.moved(treat, spread(self.days, WHOLE), market=self.market)
        began = time.perf_counter()
        self.moved(treat, self.days[-1:])
        each = (time.perf_counter() - began) / 2  # the untreated prices were built too
        count = min(wanted, max(_FEWEST, int(SECONDS / max(each, 1e-6))))
        recent = self.moved(treat, spread(self.days, count), what=what)
        worlds = {sight: everything.worlds[sight] + recent.worlds[sight] for sight in self.sights}
        return Moved(recent.points, everything.points, everything.queries + recent.queries, worlds)

    def catches(self, treat: Treat, sight: Sight) -> bool:
        """The control: prices that are read early, at half of the window, must move what this sight sees."""
        middle = self.days[len(self.days) // 2 - 1 : len(self.days) // 2]
        found = self.moved(treat, middle, change=lambda frames: early(frames, self.spec.stride + 2))
        frozen = self.spec.end is not None and self.spec.end < self.days[0]  # candidates that no traded bar can move
        looks = (sight.embargo is not None and not frozen) or sight.wide
        return bool(found.queries) and (bool(found.worlds[sight]) or not looks)

    def moved(
        self,
        treat: Treat,
        points: Sequence[date],
        market: Market | None = None,
        change: Change | None = None,
        what: str = "",
    ) -> Moved:
        """Compare at each of ``points``, in the recent market if no other is given.

        ``change`` is done to all prices before anything is made of them.
        """
        history, changed = market or self.recent, change or (lambda frames: frames)
        whole, asked = self.build(changed(history.frames)), self._queries(changed(self.traded.frames))
        worlds: dict[Sight, list[str]] = {sight: [] for sight in self.sights}
        queries: list[str] = []
        for number, day in enumerate(points):
            world = self.build(changed(self._treated(treat, history, day).frames))
            for sight in self.sights:
                if world.digest(sight, day) != whole.digest(sight, day):
                    worlds[sight].append(f"what is visible as of {day}")
            then = self._queries(changed(self._treated(treat, self.traded, day).frames), day)
            queries += _first_difference([query for query in asked if query.as_of <= day], then)
            if what:
                self.progress(what, number + 1, len(points))
        return Moved(len(points), 0, tuple(queries), {sight: tuple(found) for sight, found in worlds.items()})

    def _treated(self, treat: Treat, market: Market, day: date) -> Market:
        return treat(market, int(market.days.searchsorted(pd.Timestamp(day), side="right")) - 1)

    def _queries(self, frames: Frames, last: date | None = None) -> list[Query]:
        return [query for query in queries_of(frames, self.spec.lookback) if last is None or query.as_of <= last]


def early(frames: Frames, bars: int) -> dict[str, pd.DataFrame]:
    """The planted leak: every bar holds the prices of ``bars`` bars later (at the end, those of the last)."""
    places = {name: np.minimum(np.arange(len(frame)) + bars, len(frame) - 1) for name, frame in frames.items()}
    return {name: frame.iloc[places[name]].set_axis(frame.index, axis=0) for name, frame in frames.items()}


def _first_difference(known: Sequence[Query], found: Sequence[Query]) -> list[str]:
    """Where two lists of queries part, in words; empty where they do not."""
    if known == found:
        return []
    pairs = (left for left, right in zip(known, found, strict=False) if left != right)
    first = next(pairs, None) or (known or found)[-1]
    return [f"the window of {first.symbol} as of {first.as_of}"]
