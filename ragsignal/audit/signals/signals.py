"""Signals under a future that is cut off or poisoned, under a later start, and made again.

A signal's address in the store is a digest of its recipe, of all that was visible as of its day, and of its window. So
nothing has to be scored to prove the first (:mod:`ragsignal.audit.signals.sight`): where the address made of prices
that end at t is the address made of all prices, the signal is the same. That the signal behind an address is the one
that would be made again is tested on some days, with candidates of prices that end there; texts that were read before
are not read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.signals.retrieval import LARGEST, Audited, affordable, audited, cut_corpus, over, spread
from ragsignal.audit.signals.sight import Frames, Moved, Prover, Sight, Treat
from ragsignal.audit.verdict import Finding
from ragsignal.config import Variant
from ragsignal.data import cut_query
from ragsignal.errors import DataError
from ragsignal.retrieval import Corpus, DenseRetriever, DTWRetriever, TextEncoder, build_corpus
from ragsignal.signals import Cost, RagPipeline, SignalStore, queries_of
from ragsignal.study import Study
from ragsignal.types import Query, Signal
from ragsignal.utils import Progress, silent_steps

POISONS = 40
MADE = 4
"""Days on which signals are made again."""
TOLERANCE = 0.02
"""Of a probability that a model computes again in bf16, in a batch of another shape."""
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
    subjects, findings = audited(study, "signal-prefix")
    if not subjects:
        return findings
    sights = {subject.variant.name: _sight(subject.variant) for subject in subjects}
    prover, late = _prover(study, frames, frozenset(sights.values()), progress), LateStart(study, frames)
    for test, treat, wanted in _treatments(len(prover.days)):
        moved = prover.scan(test, treat, wanted)
        caught = {sight: prover.catches(treat, sight) for sight in prover.sights}
        findings += [_judged(test, name, moved, sight, prover, caught[sight]) for name, sight in sights.items()]
    for it in subjects:
        findings += [late.finding(it), _replay(study, frames, it)]
    return findings


def _treatments(n_bars: int) -> list[tuple[str, Treat, int]]:
    """Tests with what they do to the future, and how many cut points they want."""
    return [
        ("signal-prefix", lambda market, point: market.span(0, point), n_bars),
        ("signal-poison", lambda market, point: market.poisoned(point), POISONS),
    ]


def _sight(variant: Variant) -> Sight:
    return Sight(variant.retrieval.embargo if variant.reads_corpus else None, variant.reads_ranks)


def _prover(study: Study, frames: Frames, sights: frozenset[Sight], progress: Progress) -> Prover:
    """Over all prices; of a corpus that is too large to be built again and again, over as many symbols as fit."""
    spec, prices = study.spec, dict(study.prices.frames)
    symbols = list(spec.corpus.symbols or spec.data.symbols)
    reads = any(sight.embargo is not None for sight in sights)
    if reads and len(study.corpus) > LARGEST:
        symbols = spread(symbols, max(2, len(symbols) * LARGEST // len(study.corpus)))
        prices = {name: prices[name] for name in symbols}
    return Prover(Market(prices), Market(frames), spec.corpus, symbols, sights, progress)


def _judged(test: str, name: str, moved: Moved, sight: Sight, prover: Prover, caught: bool) -> Finding:
    found, bars = moved.of(sight), len(prover.days)
    read = [what for what, is_read in (("candidates", sight.embargo is not None), ("ranks", sight.wide)) if is_read]
    evidence: dict[str, Any] = {
        "bars": bars,
        "cut_points": moved.points,
        "cut_points_of_all_history": moved.whole,
        "rebuilt": read,
        "moved": found[:5],
    }
    evidence |= {"symbols_rebuilt": len(prover.symbols)} if read else {}
    if not caught:
        words = "The planted leak, prices that are read some bars early, was not caught: this test is blind here."
        return Finding(test, name, "broken", words, evidence)
    how = "cut off" if test == "signal-prefix" else "replaced by garbage"
    if found:
        words = f"It changes when later bars are {how}: first {found[0]}. Find what reads past its own bar."
        return Finding(test, name, "failed", words, evidence)
    anew = f", {' and '.join(read)} of {len(prover.symbols)} symbols built anew at each" if read else ""
    words = f"The same signal when the bars after it are {how}, at {moved.points} of {bars} bars{anew}."
    return Finding(test, name, "passed", words, evidence)


@dataclass
class LateStart:
    """What changes where the past begins later: the window, candidates' sequences, hits."""

    study: Study
    frames: Frames

    def finding(self, it: Audited) -> Finding:
        """``signal-start`` of one variant."""
        needed, name = feed_bars(self.frames, lambda feed: queries_of(feed, it.source.lookback)[-1]), it.variant.name
        if feed_bars(self.frames, _normalised) is not None:
            words = "The planted window, which is scaled by the feed's first bar, seemed to settle: this test is blind."
            return Finding("signal-start", name, "broken", words)
        if needed is None:
            words = "The window of the last bar depends on where the feed begins, however early that is."
            return Finding("signal-start", name, "failed", words)
        evidence: dict[str, Any] = {"feed_bars": needed}
        words = f"A feed has to begin {needed} bars before its first signal."
        if it.variant.reads_corpus and len(self.study.corpus) <= LARGEST:
            evidence |= self.candidates | self._hits(it)
            words += _about_candidates(evidence)
        return Finding("signal-start", name, "passed", words, evidence)

    @cached_property
    def corpus(self) -> Corpus | None:
        """Of prices that begin halfway between their first day and the window; None where there is too little."""
        spec, start = self.study.spec, pd.Timestamp(self.study.spec.data.start)
        prices = self.study.prices.select(spec.corpus.symbols or spec.data.symbols)
        late = {name: frame.iloc[self._offset(frame, start) :] for name, frame in prices.frames.items()}
        try:
            return build_corpus(late, spec.corpus)
        except DataError:
            return None

    def _offset(self, frame: pd.DataFrame, start: pd.Timestamp) -> int:
        """A multiple of the stride, so that windows end on the same bars."""
        stride = self.study.spec.corpus.stride
        return int(frame.index.searchsorted(start)) // 2 // stride * stride

    @cached_property
    def candidates(self) -> dict[str, Any]:
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

    def _hits(self, it: Audited) -> dict[str, Any]:
        """Share of queries whose hits change; left out where texts would have to be embedded for it, and for DTW."""
        if self.corpus is None:
            return {}
        queries = [
            query for query in queries_of(self.frames, it.source.lookback) if len(query.closes) > it.source.lookback
        ]
        changed, asked = 0, 0
        for pipeline, part in it.source.parts(spread(queries, _LATE)):
            if _is_dear(pipeline):
                return {"hits_left_out": "its candidates are texts to embed, or are compared one by one"}
            found = over(pipeline.retriever, it.variant.retrieval, self.corpus).retrieve(part)
            pairs = zip(pipeline.retriever.retrieve(part), found, strict=True)
            changed += sum([_ids(full) != _ids(late) for full, late in pairs])
            asked += len(part)
        return {"hits_asked": asked, "hits_changed": changed}


def feed_bars(frames: Frames, asked: Callable[[Frames], Query], most: int = 100) -> int | None:
    """Bars that a feed must hold for the query of its last bar to be that of the whole feed; None if it never is."""
    whole = {name: frame for name, frame in frames.items() if len(frame) > 1}
    needed = 1
    for name, frame in whole.items():
        target, reach = asked({name: frame}), min(most, len(frame) - 1)
        moved = [bars for bars in range(1, reach + 1) if asked({name: frame.iloc[-bars:]}) != target]
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


def _about_candidates(evidence: Mapping[str, Any]) -> str:
    if "candidates_compared" not in evidence:
        return ""
    days, inside = evidence["settled_after_days"], evidence["candidates_moved_in_window"]
    words = f" Sequences forget where prices begin within {days} days"
    words += f"; {inside} candidates of the traded window still show it: begin the prices earlier." if inside else "."
    if "hits_asked" in evidence:
        changed, asked = evidence["hits_changed"], evidence["hits_asked"]
        words += f" With half the history {changed} of {asked} queries get other hits: fewer candidates are there."
    return words


def _is_dear(pipeline: RagPipeline) -> bool:
    it = pipeline.retriever
    return isinstance(it, DTWRetriever) or (isinstance(it, DenseRetriever) and isinstance(it.encoder, TextEncoder))


def _ids(hits: Sequence[Any]) -> list[str]:
    return [hit.candidate.id for hit in hits]


def _replay(study: Study, frames: Frames, it: Audited) -> Finding:
    """Read twice, the same; made again on some days from what was known then, the same."""
    queries, name = queries_of(frames, it.source.lookback), it.variant.name
    first, second = it.source.signals(queries), it.source.signals(queries)
    known = dict(zip(queries, first, strict=True))
    pairs, left_out = _made_again(study, it, known)
    moved = [signal for stored, signal in pairs if differs(stored, signal)]
    evidence: dict[str, Any] = {"signals": len(queries), "read_twice_equal": first == second, "made_again": len(pairs)}
    evidence |= {"made_again_differs": len(moved)} | ({"left_out": left_out} if left_out else {})
    example = first[-1]
    if not differs(example, replace(example, probability=(example.probability + 0.5) % 1.0)):
        return Finding("signal-replay", name, "broken", "A planted change of probability was not seen.", evidence)
    if first != second or moved:
        what = (
            f"made again as of {moved[0].as_of}, {moved[0].symbol} has another signal" if moved else "two reads differ"
        )
        words = f"The store does not hold what its recipe makes: {what}. Delete its signals and run the backtest again."
        return Finding("signal-replay", name, "failed", words, evidence)
    words = f"Read twice, all {len(queries)} signals are equal"
    words += f"; {len(pairs)} made again from what was known on their day are the stored ones." if pairs else "."
    return Finding("signal-replay", name, "passed", words + (f" Left out: {left_out}." if left_out else ""), evidence)


def _made_again(study: Study, it: Audited, known: Mapping[Query, Signal]) -> tuple[list[tuple[Signal, Signal]], str]:
    """(stored, made again) with candidates of prices that end on the signal's day; and what was not made, in words."""
    if it.variant.reads_corpus and len(study.corpus) > LARGEST:
        return [], "the corpus is too large to be built again"
    pairs: list[tuple[Signal, Signal]] = []
    whole = [query for query in known if len(query.closes) > it.source.lookback]
    days = spread(sorted({query.as_of for query in whole}), MADE)
    for day in days:
        corpus = _known_by(study, day) if it.variant.reads_corpus else None
        due = [query for query in whole if query.as_of == day]
        for pipeline, asked in it.source.parts(due):
            if corpus is not None and not affordable(pipeline.retriever, corpus, asked):
                return pairs, "lines that were never embedded"
            retriever = pipeline.retriever if corpus is None else over(pipeline.retriever, it.variant.retrieval, corpus)
            fresh = replace(
                pipeline, retriever=retriever, store=SignalStore(":memory:"), progress=silent_steps, cost=Cost()
            )
            pairs += zip([known[query] for query in asked], fresh.signals(asked), strict=True)
    return pairs, ""


def _known_by(study: Study, day: date) -> Corpus | None:
    try:
        return cut_corpus(study, day)
    except DataError:  # no candidate was known yet: the stored signal abstained too
        return None


def differs(stored: Signal, made: Signal) -> bool:
    """Another address, other hits, another reason to abstain, or a probability further off than bf16 allows."""
    same = (stored.key, stored.abstained, _ids(stored.hits)) == (made.key, made.abstained, _ids(made.hits))
    return not same or abs(stored.probability - made.probability) > TOLERANCE
