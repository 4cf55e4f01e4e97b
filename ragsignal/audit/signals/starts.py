"""What changes where the past begins later: bars of a feed, rank letters, candidates and hits.

Nothing fails by it but a window that never forgets where its feed began: the finding says how much history is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

import numpy as np
import pandas as pd

from ragsignal.audit.signals.beside import beside_until
from ragsignal.audit.signals.retrieval import LARGEST, text_encoder_of, with_corpus
from ragsignal.audit.signals.variants import AuditedVariant, spread_from_last
from ragsignal.audit.verdict import Finding
from ragsignal.data import RankLetters, build_market_days, build_rank_letters, cut_query, days_of
from ragsignal.errors import DataError
from ragsignal.retrieval import Corpus, DTWRetriever, build_corpus
from ragsignal.signals import queries_of
from ragsignal.study import Study
from ragsignal.types import Hit, Query

Frames = Mapping[str, pd.DataFrame]
_SETTLED = 1e-6  # relative difference of a sequence's values below which its start no longer shows
_LATE = 40  # queries whose hits are compared with those of a later start


class LateStartEvidence(TypedDict, total=False):
    """What changes where the past begins later: bars of a feed, rank letters, candidates, and hits."""

    feed_bars: int
    letters_compared: int
    letters_moved: int
    letters_settled_after_days: int
    letters_moved_in_window: int
    days_compared: int
    days_moved: int
    days_settled_after_days: int
    days_moved_in_window: int
    candidates_compared: int
    candidates_moved: int
    settled_after_days: int
    candidates_moved_in_window: int
    hits_left_out: str
    hits_asked: int
    hits_changed: int


@dataclass
class LateStart:
    """What changes where the past begins later: the window, rank letters, candidates' sequences, hits."""

    study: Study
    frames: Frames

    def finding(self, audited: AuditedVariant) -> Finding:
        """``signal-start`` of one variant."""
        lookback, name = audited.source.lookback, audited.name
        if feed_bars(self.frames, _normalised) is not None:
            words = "The planted window, which is scaled by the feed's first bar, seemed to settle: this test is blind."
            return Finding("signal-start", name, "broken", words)
        needed = feed_bars(self.frames, lambda feed: queries_of(feed, lookback)[-1])
        if needed is None:
            words = "The window of the last bar depends on where the feed begins, however early that is."
            return Finding("signal-start", name, "failed", words)
        evidence: LateStartEvidence = {"feed_bars": needed}
        words = f"A feed has to begin {needed} bar{'s' if needed > 1 else ''} before its first signal."
        if audited.variant.reads_sequences and len(self.study.corpus) <= LARGEST:
            evidence |= self.candidates | self._hits(audited)
            words += _about_candidates(evidence)
        if self.study.reads_universe(audited.variant):
            evidence |= self.letters
            words += _about_letters(evidence)
        if audited.variant.reads_days:
            evidence |= self.days
            words += _about_days(evidence)
        return Finding("signal-start", name, "passed", words, evidence)

    @cached_property
    def letters(self) -> LateStartEvidence:
        """How many days of a stock have other letters where prices begin halfway to the window, and for how long."""
        whole = self.study.materials.rank_letters
        begin, start, late = self._begin, np.datetime64(self.study.spec.data.start), self._late_letters
        if late is None:
            return {}
        same_days = np.searchsorted(whole.days, late.days)
        moved = (whole.letters[same_days] != late.letters).any(axis=2)
        rows = np.flatnonzero(moved.any(axis=1))
        return {
            "letters_compared": int(whole.ranked[same_days].sum()),
            "letters_moved": int(moved.sum()),
            "letters_settled_after_days": int((late.days[rows[-1]] - begin).astype(int)) if len(rows) else 0,
            "letters_moved_in_window": int(moved[late.days >= start].sum()),
        }

    @cached_property
    def days(self) -> LateStartEvidence:
        """How many days have another state, or other payoffs, where prices begin halfway, and for how long."""
        letters, spec = self._late_letters, self.study.spec
        if letters is None:
            return {}
        whole = self.study.materials.own_days
        late = build_market_days(letters, self._late_frames, spec.corpus.target, spec.corpus.horizon)
        same_days = np.searchsorted(whole.days, late.days)
        left = np.concatenate([whole.states, whole.payoffs], axis=1)[same_days]
        right = np.concatenate([late.states, late.payoffs], axis=1)
        known = whole.retrievable[same_days]
        moved = known & ~np.isclose(left, right, equal_nan=True).all(axis=1)
        rows = np.flatnonzero(moved)
        return {
            "days_compared": int(known.sum()),
            "days_moved": int(moved.sum()),
            "days_settled_after_days": int((late.days[rows[-1]] - self._begin).astype(int)) if len(rows) else 0,
            "days_moved_in_window": int(moved[late.days >= np.datetime64(spec.data.start)].sum()),
        }

    @cached_property
    def _begin(self) -> np.datetime64:
        """The day halfway between the first day of the letters and the window."""
        days = self.study.materials.rank_letters.days
        day: np.datetime64 = days[int(np.searchsorted(days, np.datetime64(self.study.spec.data.start))) // 2]
        return day

    @cached_property
    def _late_frames(self) -> Frames:
        begin = pd.Timestamp(self._begin)
        return {name: frame.loc[begin:] for name, frame in self.study.prices.frames.items()}

    @cached_property
    def _late_letters(self) -> RankLetters | None:
        """Of prices that begin halfway; None where there is too little."""
        try:
            return build_rank_letters(self._late_frames)
        except DataError:
            return None

    @cached_property
    def corpus(self) -> Corpus | None:
        """Of prices that begin halfway between their first day and the window; None where there is too little."""
        spec, start = self.study.spec, pd.Timestamp(self.study.spec.data.start)
        late = {}
        for name, frame in self.study.prices.frames.items():
            halfway = int(frame.index.searchsorted(start)) // 2
            late[name] = frame.iloc[halfway - halfway % spec.corpus.stride :]  # windows end on the same bars
        try:
            own = {name: late[name] for name in spec.corpus.symbols or spec.data.symbols}
            return build_corpus(own, spec.corpus, beside_until(self.study, late))
        except DataError:
            return None

    @cached_property
    def candidates(self) -> LateStartEvidence:
        """How many of the later corpus' candidates have other values than in the whole one, and for how long."""
        if self.corpus is None:
            return {}
        both = _table(self.study.corpus).merge(_table(self.corpus), on=["symbol", "sequence", "day"])
        left, right = np.stack(both["values_x"].to_list()), np.stack(both["values_y"].to_list())
        moved = ~np.isclose(left, right, rtol=_SETTLED, atol=_SETTLED).all(axis=1)
        first = both.groupby("symbol")["day"].transform("min")
        days = (both["day"] - first).dt.days[moved]
        inside = moved & (both["day"] >= pd.Timestamp(self.study.spec.data.start)).to_numpy()
        return {
            "candidates_compared": len(both),
            "candidates_moved": int(moved.sum()),
            "settled_after_days": int(days.max()) if len(days) else 0,
            "candidates_moved_in_window": int(inside.sum()),
        }

    def _hits(self, audited: AuditedVariant) -> LateStartEvidence:
        """Share of queries whose hits change; left out where texts would have to be embedded for it, and for DTW."""
        if self.corpus is None:
            return {}
        changed, compared = 0, 0
        for pipeline, part in audited.source.parts(spread_from_last(audited.whole_queries(self.frames), _LATE)):
            retriever = pipeline.retriever
            if isinstance(retriever, DTWRetriever) or text_encoder_of(retriever):
                return {"hits_left_out": "its candidates are texts to embed, or are compared one by one"}
            late = with_corpus(retriever, audited.variant.retrieval, self.corpus)
            pairs = zip(retriever.retrieve(part), late.retrieve(part), strict=True)
            changed += sum(_ids(whole) != _ids(later) for whole, later in pairs)
            compared += len(part)
        return {"hits_asked": compared, "hits_changed": changed}


def feed_bars(frames: Frames, last_query: Callable[[Frames], Query], most: int = 100) -> int | None:
    """Bars that a feed must hold for the query of its last bar to be that of the whole feed; None if it never is."""
    whole = {name: frame for name, frame in frames.items() if len(frame) > 1}
    needed = 1
    for name, frame in whole.items():
        target, reach = last_query({name: frame}), min(most, len(frame) - 1)
        moved = [bars for bars in range(1, reach + 1) if last_query({name: frame.iloc[-bars:]}) != target]
        if moved and moved[-1] == reach:
            return None
        needed = max([needed, *(bars + 1 for bars in moved)])
    return needed


def _normalised(feed: Frames) -> Query:
    """The planted window: closes in units of the feed's first close."""
    name, frame = next(iter(feed.items()))
    closes = frame["close"] / frame["close"].iloc[0]
    return cut_query(name, days_of(frame).tolist(), closes.tolist(), lookback=2)


def _table(corpus: Corpus) -> pd.DataFrame:
    """Candidates by symbol, sequence and last day, with their scale-free values."""
    columns = {
        "symbol": np.array(corpus.symbols)[corpus.symbol_id],
        "sequence": np.array(corpus.sequences)[corpus.sequence_id],
        "day": pd.DatetimeIndex(np.asarray(corpus.dates)[:, -1]),
        "values": list(np.asarray(corpus.scaled)),
    }
    return pd.DataFrame(columns)


def _about_candidates(evidence: LateStartEvidence) -> str:
    if "candidates_compared" not in evidence:
        return ""
    days, inside = evidence["settled_after_days"], evidence["candidates_moved_in_window"]
    words = f" Sequences forget where prices begin within {days} days"
    words += f"; {inside} candidates of the traded window still show it: begin the prices earlier." if inside else "."
    if "hits_asked" in evidence:
        changed, compared = evidence["hits_changed"], evidence["hits_asked"]
        words += f" With half the history {changed} of {compared} queries get other hits: fewer candidates are there."
    return words


def _about_letters(evidence: LateStartEvidence) -> str:
    if "letters_compared" not in evidence:
        return ""
    days, inside = evidence["letters_settled_after_days"], evidence["letters_moved_in_window"]
    words = f" Rank letters forget where prices begin within {days} days"
    return words + (f"; {inside} stock-days of the traded window still show it: begin earlier." if inside else ".")


def _about_days(evidence: LateStartEvidence) -> str:
    if "days_compared" not in evidence:
        return ""
    days, inside = evidence["days_settled_after_days"], evidence["days_moved_in_window"]
    words = f" States and payoffs of days forget it within {days} days"
    return words + (
        f"; with half the history, {inside} days of the traded window would still show it." if inside else "."
    )


def _ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.candidate.id for hit in hits]
