"""Signals under a future that is cut off or poisoned, under a later start, and made again.

A signal's address in the store is a digest of its recipe, of all that was visible as of its day, and of its window. So
nothing has to be scored to prove the first (:mod:`ragsignal.audit.signals.visibility`): where the address made of
prices that end at t is the address made of all prices, the signal is the same. That the signal behind an address is the
one that would be made again is tested on some days, with candidates of prices that end there; texts that were read
before are not read again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypedDict

import numpy as np
import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.signals.retrieval import (
    LARGEST,
    AuditedVariant,
    audited_variants,
    cut_corpus,
    is_embedded,
    spread_from_last,
    text_encoder_of,
    with_corpus,
)
from ragsignal.audit.signals.visibility import ChangeFuture, Changes, Frames, FutureTest, Visibility
from ragsignal.audit.verdict import Finding
from ragsignal.config import Variant
from ragsignal.data import build_rank_letters, cut_query
from ragsignal.errors import DataError
from ragsignal.llm import day_scorer
from ragsignal.retrieval import Corpus, DTWRetriever, build_corpus
from ragsignal.signals import Cost, SignalStore, queries_of
from ragsignal.study import Study
from ragsignal.types import Hit, Query, Signal
from ragsignal.utils import Progress, silent_steps

POISONS = 40
DAYS = 4
"""Days on which signals are made again."""
TOLERANCE = 0.02
"""Of a probability that a model computes again in bf16, in a batch of another shape."""
LETTERS_TOLERANCE = 1e-4
"""The same of a reader of rank letters, in float32: its probabilities lie within hundredths of one half."""
_RANK_TOLERANCE = 0.05  # stocks whose scores differ by rounding alone may change places
_SETTLED = 1e-6  # relative difference of a sequence's values below which its start no longer shows
_LATE = 40  # queries whose hits are compared with those of a later start


def audit_signals(study: Study, frames: dict[str, pd.DataFrame], progress: Progress) -> list[Finding]:
    """Cut, poison, late start and replay of every variant that has a signal.

    Parameters
    ----------
    study : Study
    frames : dict of symbol to DataFrame
        The traded bars.
    progress : callable, optional
        Told how far the work is: ``progress(what, done, total)``.

    Returns
    -------
    list of Finding
        ``signal-prefix``, ``signal-poison``, ``signal-start``, ``signal-replay``: one of each a variant.
    """
    audited, findings = audited_variants(study, "signal-prefix")
    if not audited:
        return findings
    visibilities = {variant.name: _visibility(study, variant.variant) for variant in audited}
    future, late = _future_test(study, frames, frozenset(visibilities.values()), progress), LateStart(study, frames)
    for test, change in _CHANGES.items():
        changes = future.scan(test, change, len(future.days) if test == "signal-prefix" else POISONS)
        planted = future.planted(change)
        for name, seen in visibilities.items():
            finding = _judged(test, name, changes, seen, future)
            caught = future.catches(planted, seen)
            findings.append(finding if caught else replace(finding, verdict="broken", words=_BLIND))
    for variant in audited:
        findings += [late.finding(variant), _replay(study, frames, variant)]
    return findings


_CHANGES: dict[str, ChangeFuture] = {
    "signal-prefix": lambda market, point: market.span(0, point),
    "signal-poison": lambda market, point: market.poisoned(point),
}
_BLIND = "The planted leak, prices that are read some bars early, was not caught: this test is blind here."


def _visibility(study: Study, variant: Variant) -> Visibility:
    embargo = variant.retrieval.embargo if variant.reads_corpus else None
    return Visibility(embargo, variant.reads_ranks, _memory(study, variant))


def _memory(study: Study, variant: Variant) -> int:
    """Days of rank letters that a signal depends on, the most of all steps; 0 of a reader of one stock alone."""
    if not study.reads_universe(variant):
        return 0
    artifacts = study.artifacts(variant).values()
    return max(day_scorer(artifact).memory for artifact in artifacts if artifact.card.reads_ranks)


def _future_test(study: Study, frames: Frames, visibilities: frozenset[Visibility], progress: Progress) -> FutureTest:
    """Over all prices; of a corpus that is too large to be built again and again, over as many symbols as fit."""
    spec, prices = study.spec, dict(study.prices.frames)
    symbols = list(spec.corpus.symbols or spec.data.symbols)
    if any(seen.candidates for seen in visibilities) and len(study.corpus) > LARGEST:
        symbols = spread_from_last(symbols, max(2, len(symbols) * LARGEST // len(study.corpus)))
        if not any(seen.memory for seen in visibilities):  # which need every stock, and are built in seconds
            prices = {name: prices[name] for name in symbols}
    return FutureTest(Market(prices), Market(frames), spec.corpus, symbols, visibilities, progress)


def _judged(test: str, name: str, changes: Changes, seen: Visibility, future: FutureTest) -> Finding:
    changed, bars = changes.seen_by(seen), len(future.days)
    looks = {"candidates": seen.candidates, "ranks": seen.ranks, "rank letters": seen.memory > 0}
    rebuilt = [what for what, is_read in looks.items() if is_read]
    evidence: dict[str, object] = {
        "bars": bars,
        "cut_points": changes.points,
        "cut_points_of_all_history": changes.whole,
        "rebuilt": rebuilt,
        "moved": changed[:5],
    }
    symbols = len(future.market.frames) if seen.memory else len(future.symbols)
    if rebuilt:
        evidence["symbols_rebuilt"] = symbols
    how = "cut off" if test == "signal-prefix" else "replaced by garbage"
    if changed:
        words = f"It changes when later bars are {how}: first {changed[0]}. Find what reads past its own bar."
        return Finding(test, name, "failed", words, evidence)
    anew = f", {' and '.join(rebuilt)} of {symbols} symbols built anew at each" if rebuilt else ""
    words = f"The same signal when the bars after it are {how}, at {changes.points} of {bars} bars{anew}."
    return Finding(test, name, "passed", words, evidence)


class LateStartEvidence(TypedDict, total=False):
    """What changes where the past begins later: bars of a feed, rank letters, candidates, and hits."""

    feed_bars: int
    letters_compared: int
    letters_moved: int
    letters_settled_after_days: int
    letters_moved_in_window: int
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
        words = f"A feed has to begin {needed} bars before its first signal."
        if audited.variant.reads_corpus and len(self.study.corpus) <= LARGEST:
            evidence |= self.candidates | self._hits(audited)
            words += _about_candidates(evidence)
        if self.study.reads_universe(audited.variant):
            evidence |= self.letters
            words += _about_letters(evidence)
        return Finding("signal-start", name, "passed", words, evidence)

    @cached_property
    def letters(self) -> LateStartEvidence:
        """How many days of a stock have other letters where prices begin halfway to the window, and for how long."""
        whole, prices = self.study.materials.rank_letters, self.study.prices.frames
        start = np.datetime64(self.study.spec.data.start)
        begin = whole.days[int(np.searchsorted(whole.days, start)) // 2]
        try:
            late = build_rank_letters({name: frame.loc[pd.Timestamp(begin) :] for name, frame in prices.items()})
        except DataError:
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
    def corpus(self) -> Corpus | None:
        """Of prices that begin halfway between their first day and the window; None where there is too little."""
        spec, start = self.study.spec, pd.Timestamp(self.study.spec.data.start)
        late = {}
        for name, frame in self.study.prices.select(spec.corpus.symbols or spec.data.symbols).frames.items():
            halfway = int(frame.index.searchsorted(start)) // 2
            late[name] = frame.iloc[halfway - halfway % spec.corpus.stride :]  # windows end on the same bars
        try:
            return build_corpus(late, spec.corpus)
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
    return cut_query(name, [stamp.date() for stamp in frame.index], closes.tolist(), lookback=2)


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


def _ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.candidate.id for hit in hits]


def _replay(study: Study, frames: Frames, audited: AuditedVariant) -> Finding:
    """Read twice, the same; made again on some days from what was known then, the same."""
    queries, name = queries_of(frames, audited.source.lookback), audited.name
    first, second = audited.source.signals(queries), audited.source.signals(queries)
    pairs, left_out = _made_again(study, audited, dict(zip(queries, first, strict=True)))
    tolerance = LETTERS_TOLERANCE if study.reads_universe(audited.variant) else TOLERANCE
    changed = [made for stored, made in pairs if differs(stored, made, tolerance)]
    evidence: dict[str, object] = {
        "signals": len(queries),
        "read_twice_equal": first == second,
        "made_again": len(pairs),
        "made_again_differs": len(changed),
    }
    if left_out:
        evidence["left_out"] = left_out
    example = first[-1]
    if not differs(example, replace(example, probability=(example.probability + 0.5) % 1.0), tolerance):
        return Finding("signal-replay", name, "broken", "A planted change of probability was not seen.", evidence)
    if first != second or changed:
        what = "two reads differ"
        if changed:
            what = f"made again as of {changed[0].as_of}, {changed[0].symbol} has another signal"
        words = f"The store does not hold what its recipe makes: {what}. Delete its signals and run the backtest again."
        return Finding("signal-replay", name, "failed", words, evidence)
    words = f"Read twice, all {len(queries)} signals are equal"
    words += f"; {len(pairs)} made again from what was known on their day are the stored ones." if pairs else "."
    return Finding("signal-replay", name, "passed", words + (f" Left out: {left_out}." if left_out else ""), evidence)


def _made_again(
    study: Study, audited: AuditedVariant, stored: Mapping[Query, Signal]
) -> tuple[list[tuple[Signal, Signal]], str]:
    """(stored, made again) from prices that end on the signal's day; and what was not made, in words."""
    variant = audited.variant
    if study.reads_universe(variant):
        return _made_from_cut_prices(study, audited, stored), ""
    if variant.reads_corpus and len(study.corpus) > LARGEST:
        return [], "the corpus is too large to be built again"
    pairs: list[tuple[Signal, Signal]] = []
    whole = [query for query in stored if len(query.closes) > audited.source.lookback]
    for day in spread_from_last(sorted({query.as_of for query in whole}), DAYS):
        corpus = None
        if variant.reads_corpus:
            with contextlib.suppress(DataError):  # no candidate was known yet: the stored signal abstained too
                corpus = cut_corpus(study, day)
        for pipeline, queries in audited.source.parts([query for query in whole if query.as_of == day]):
            retriever = pipeline.retriever
            if corpus is not None:
                if not is_embedded(retriever, corpus, queries):
                    return pairs, "lines that were never embedded"
                retriever = with_corpus(retriever, variant.retrieval, corpus)
            store = SignalStore(":memory:")
            fresh = replace(pipeline, retriever=retriever, store=store, progress=silent_steps, cost=Cost())
            pairs += zip([stored[query] for query in queries], fresh.signals(queries), strict=True)
    return pairs, ""


def _made_from_cut_prices(
    study: Study, audited: AuditedVariant, stored: Mapping[Query, Signal]
) -> list[tuple[Signal, Signal]]:
    """(stored, made again) by a study whose prices end on the signal's day: all letters of the universe are new."""
    pairs: list[tuple[Signal, Signal]] = []
    whole = [query for query in stored if len(query.closes) > audited.source.lookback]
    for day in spread_from_last(sorted({query.as_of for query in whole}), DAYS):
        data = study.spec.data.model_copy(update={"end": day})
        cut = Study(study.spec.model_copy(update={"data": data}), history=study.prices)
        for pipeline, queries in cut.pipeline(audited.variant).parts([it for it in whole if it.as_of == day]):
            fresh = replace(pipeline, store=SignalStore(":memory:"), progress=silent_steps, cost=Cost())
            pairs += zip([stored[query] for query in queries], fresh.signals(queries), strict=True)
    return pairs


def differs(stored: Signal, made: Signal, tolerance: float = TOLERANCE) -> bool:
    """Another address, other hits, another reason to abstain, or a probability or rank too far off."""
    same = (stored.key, stored.abstained, _ids(stored.hits)) == (made.key, made.abstained, _ids(made.hits))
    near = abs(stored.probability - made.probability) <= tolerance and abs(stored.rank - made.rank) <= _RANK_TOLERANCE
    return not (same and near)
