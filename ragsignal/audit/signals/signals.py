"""Signals under a future that is cut off or poisoned, under a later start, and made again.

A signal's address in the store is a digest of its recipe, of all that was visible as of its day, and of its window. So
nothing has to be scored to prove the first (:mod:`ragsignal.audit.signals.visibility`): where the address made of
prices that end at t is the address made of all prices, the signal is the same. That the signal behind an address is the
one that would be made again is tested on some days, with candidates of prices that end there; texts that were read
before are not read again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.signals.decisions import audit_decisions
from ragsignal.audit.signals.future import ChangeFuture, Frames
from ragsignal.audit.signals.news import audited_news, known_news, poisoned_news
from ragsignal.audit.signals.retrieval import LARGEST, cut_corpus, is_embedded, with_corpus
from ragsignal.audit.signals.starts import LateStart
from ragsignal.audit.signals.variants import AuditedVariant, audited_variants, spread_from_last
from ragsignal.audit.signals.visibility import (
    Changes,
    DayView,
    FutureTest,
    NewsView,
    Visibility,
)
from ragsignal.audit.verdict import Finding
from ragsignal.config import Variant
from ragsignal.errors import DataError
from ragsignal.llm import day_scorer, reads_alphas, reads_news
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
    external = [variant for variant in audited if variant.variant.is_external]
    findings += [
        it for own in external for it in audit_decisions(own.name, study.parts.decisions(own.variant.external))
    ]
    findings += _under_other_futures(study, frames, [it for it in audited if it not in external], progress)
    late = LateStart(study, frames)
    for variant in audited:
        findings += [late.finding(variant), _replay(study, frames, variant)]
    return findings


def _under_other_futures(
    study: Study, frames: Frames, audited: Sequence[AuditedVariant], progress: Progress
) -> list[Finding]:
    """``signal-prefix`` and ``signal-poison`` of variants whose signals are made of bars."""
    if not audited:
        return []
    visibilities = {variant.name: _visibility(study, variant.variant) for variant in audited}
    future, findings = _future_test(study, frames, frozenset(visibilities.values()), progress), list[Finding]()
    for test, change in _CHANGES.items():
        changes = future.scan(test, change, len(future.days) if test == "signal-prefix" else POISONS)
        planted, early = future.planted(change), future.planted_news(change)
        for name, seen in visibilities.items():
            finding = _judged(test, name, changes, seen, future)
            if not future.catches(planted, seen):
                finding = replace(finding, verdict="broken", words=_BLIND)
            elif not future.catches_news(early, seen):
                finding = replace(finding, verdict="broken", words=_BLIND_TO_NEWS)
            findings.append(finding)
    return findings


_CHANGES: dict[str, ChangeFuture] = {
    "signal-prefix": ChangeFuture(lambda market, point: market.span(0, point), known_news),
    "signal-poison": ChangeFuture(lambda market, point: market.poisoned(point), poisoned_news),
}
_DAY_SCORERS = ("stockllm", "classifier")
_BLIND = "The planted leak, prices that are read some bars early, was not caught: this test is blind here."
_BLIND_TO_NEWS = (
    "The planted leak, news that count before they were published, was not caught: this test is blind here."
)


def _visibility(study: Study, variant: Variant) -> Visibility:
    embargo = variant.retrieval.embargo if variant.reads_sequences else None
    return Visibility(
        embargo=embargo,
        ranks=variant.reads_ranks,
        memory=_memory(study, variant),
        days=_day_view(study, variant),
        news=_news_view(study, variant),
        alphas=any(reads_alphas(artifact) for artifact in study.artifacts(variant).values()),
    )


def _news_view(study: Study, variant: Variant) -> NewsView | None:
    if study.reads_universe(variant):
        return "letters" if any(reads_news(artifact) for artifact in study.artifacts(variant).values()) else None
    return "headlines" if variant.quotes_headlines else None


def _day_view(study: Study, variant: Variant) -> DayView | None:
    if not variant.reads_days:
        return None
    parts, last_step = study.steps(variant)[-1]  # the same code joins the days of every step
    return DayView(last_step.retrieval.embargo, parts.brought_days(last_step.retrieval))


def _memory(study: Study, variant: Variant) -> int:
    """Days of rank letters that a signal depends on, the most of all steps; 0 of a reader of one stock alone."""
    if not study.reads_universe(variant):
        return 0
    models = [artifact for artifact in study.artifacts(variant).values() if artifact.card.kind in _DAY_SCORERS]
    return max((day_scorer(artifact).memory for artifact in models if artifact.card.reads_ranks), default=1)


def _future_test(study: Study, frames: Frames, visibilities: frozenset[Visibility], progress: Progress) -> FutureTest:
    """Over all prices; of a corpus that is too large to be built again and again, over as many symbols as fit."""
    spec, prices = study.spec, dict(study.prices.frames)
    symbols = list(spec.corpus.symbols or spec.data.symbols)
    if any(seen.candidates for seen in visibilities) and len(study.corpus) > LARGEST:
        symbols = spread_from_last(symbols, max(2, len(symbols) * LARGEST // len(study.corpus)))
        if not any(seen.memory for seen in visibilities):  # which need every stock, and are built in seconds
            prices = {name: prices[name] for name in symbols}
    return FutureTest(Market(prices), Market(frames), spec.corpus, symbols, visibilities, progress, audited_news(study))


def _judged(test: str, name: str, changes: Changes, seen: Visibility, future: FutureTest) -> Finding:
    changed, bars = changes.seen_by(seen), len(future.days)
    looks = {
        "candidates": seen.candidates,
        "ranks": seen.ranks,
        "rank letters": seen.memory > 0,
        "days": seen.days is not None,
        "news": seen.news is not None,
        "formulas": seen.alphas,
    }
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
    if variant.reads_sequences and len(study.corpus) > LARGEST:
        return [], "the corpus is too large to be built again"
    pairs: list[tuple[Signal, Signal]] = []
    whole = [query for query in stored if len(query.closes) > audited.source.lookback]
    for day in spread_from_last(sorted({query.as_of for query in whole}), DAYS):
        corpus = None
        if variant.reads_sequences:
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
