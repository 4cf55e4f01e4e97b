"""What a run will cost, before it is paid: counts from the store, minutes from a short calibration on this machine.

How many signals are missing is exact, and so is the number of lines that no encoder has embedded yet. What a signal
takes is measured: for each reader, and each kind of prompt that it gets, one batch of prompts of this run's queries.
Their candidates are drawn at random from those that were visible, so that nothing has to be embedded first. Readers of
ranks and of retrieved days score a whole universe at once: they are measured by days. Where nothing is missing, nothing
is loaded.

Left out are what comes before the first signal (prices, the corpus, loading models), the search of vectors (about a
second for a thousand queries), a shape or numeric encoder's vectors (seconds), Backtrader, and the report.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any, TypeVar, overload

import numpy as np
import pandas as pd

from ragsignal.config import RunSpec, Variant
from ragsignal.data import Bins
from ragsignal.llm import RankScorer
from ragsignal.protocols import Retriever
from ragsignal.retrieval import Corpus, DayRetriever, DenseRetriever, NoRetriever, RandomRetriever, TextEncoder
from ragsignal.signals import Cost, RagPipeline, ReadOnce, SignalStore, queries_of
from ragsignal.study.study import Study
from ragsignal.types import Query, Recipe
from ragsignal.utils import json_digest, silent_steps

_FIRST = 4  # prompts that load the model, and then show about how long one takes
_SECONDS = 1.5  # that a batch of sample prompts may take; a slow model is measured on fewer
_LINES = 128  # lines of an encoder's sample
_DAYS = 16  # days of a sample with retrieved days
_BLOCK = 64  # days whose stocks a language model reads together

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Work:
    """Signals that a run will ask for: under which name, of which variant, for which queries."""

    name: str
    variant: Variant
    queries: Sequence[Query]


Before = Callable[[Study, Sequence[Work]], None]
"""Told what a run is about to do, by the run itself: its study, with what the estimate loads, serves both."""


@dataclass(frozen=True)
class SignalCost:
    """What the work under one name will take.

    Parameters
    ----------
    name : str
    asked, found, to_make : int
        Signals asked for; those that are in the store, or in a file of decisions, or will be when a row above is done;
        those to be made. Windows of too few bars are neither.
    model_calls : int
        At most: a prompt that was read before, or that two signals share, is read once.
    tokens : int
        Of as many calls: an estimate.
    minutes : float
        Estimate of retrieval, prompts and the model together.
    """

    name: str
    asked: int
    found: int
    to_make: int
    model_calls: int
    tokens: int
    minutes: float


@dataclass(frozen=True)
class EmbeddingCost:
    """Lines that one encoder has to embed, once for all ``variants`` that search with it; ``minutes`` an estimate."""

    variants: tuple[str, ...]
    candidates: int
    lines: int
    minutes: float


@dataclass(frozen=True)
class Estimate:
    """What a run will cost: a row for each name of its :class:`Work`, and one for each encoder that lacks lines."""

    signals: tuple[SignalCost, ...]
    embeddings: tuple[EmbeddingCost, ...]
    calibration_seconds: float

    def total(self, what: str) -> Any:
        """Sum of a figure over the signals' rows."""
        return sum(getattr(row, what) for row in self.signals)

    @property
    def minutes(self) -> float:
        """Of signals and embeddings together."""
        return float(self.total("minutes") + sum(row.minutes for row in self.embeddings))

    def record(self) -> dict[str, Any]:
        """The rows and their sums, as JSON-able data; minutes to two decimals."""
        counts = {name: self.total(name) for name in ("asked", "found", "to_make", "model_calls", "tokens")}
        lines = sum(row.lines for row in self.embeddings)
        record = {**asdict(self), "total": {**counts, "embeddings": lines, "minutes": self.minutes}}
        rows = [*record["signals"], *record["embeddings"], record["total"]]
        for row in rows:
            row["minutes"] = round(row["minutes"], 2)
        return {**record, "calibration_seconds": round(self.calibration_seconds, 1)}

    def sentence(self) -> str:
        """One line for people, before the work begins."""
        if not self.total("to_make"):
            return "everything is in the store: no model call"
        made = [f"{self.total('to_make'):,} signals ({_reading(self)}{duration(self.total('minutes'))})"]
        lines = sum(row.lines for row in self.embeddings)
        if lines:
            made.append(f"{lines:,} embeddings ({duration(sum(row.minutes for row in self.embeddings))})")
        return f"to make: {', '.join(made)}; kill it whenever you like, what is done is kept"


def work_of(spec: RunSpec, frames: Mapping[str, pd.DataFrame]) -> list[Work]:
    """The signals of a backtest: every variant that has some, on every bar of ``frames`` (the bars that are traded)."""
    queries = queries_of(frames, spec.corpus.lookback)
    return [Work(variant.name, variant, queries) for variant in spec.variants if variant.has_signal]


def estimate(study: Study, work: Sequence[Work]) -> Estimate:
    """Count what the store lacks, and measure what making it takes.

    Keeps no signal, no answer and no embedding. What it loads stays in ``study``, for the run that follows.

    Parameters
    ----------
    study : Study
    work : sequence of Work
        In the order of the run: a signal that two of them need is counted with the first.

    Raises
    ------
    ConfigError, DataError, ModelError, LookAheadError
        As the run would.
    """
    began = time.perf_counter()
    needs = _needs(study, work)
    rates: dict[str, _Rate] = {}
    read = [_of_a_file(part) for part in work if part.variant.is_external]
    signals = _by_name([*read, *(_signal_cost(need, rates) for need in needs)])
    encodings = _encodings(needs).values()
    embeddings = tuple(
        cost for encoding in encodings if (cost := _embedding_cost(encoding, study.materials.bins)).lines
    )
    return Estimate(signals, embeddings, time.perf_counter() - began)


@dataclass(frozen=True)
class _Need:
    """Queries of a :class:`Work` that one pipeline answers, and the places of those whose signals nobody will have."""

    work: Work
    pipeline: RagPipeline
    queries: Sequence[Query]
    missing: Sequence[int]

    def to_make(self) -> Iterator[Query]:
        """Cut the queries whose signals are to be made, one after the other."""
        return (self.queries[place] for place in self.missing)


def _needs(study: Study, work: Iterable[Work]) -> list[_Need]:
    """One for each :class:`Work`; of a walk-forward one for each step."""
    needs: list[_Need] = []
    promised: set[str] = set()
    for part in work:
        for pipeline, queries in study.pipeline(part.variant).parts(part.queries):
            missing = {key: place for key, place in pipeline.missing(queries).items() if key not in promised}
            promised.update(missing)
            needs.append(_Need(part, pipeline, queries, list(missing.values())))
    return needs


def _signal_cost(need: _Need, rates: dict[str, _Rate]) -> SignalCost:
    pipeline = need.pipeline
    retriever = pipeline.retriever
    read = need.missing
    if retriever.requires_hits:
        read = [place for place in need.missing if retriever.corpus_digest(need.queries[place])]
    rate = _rate(pipeline, _Chosen(need.queries, read), rates) if read else _Rate(0.0, 0.0)
    return SignalCost(
        name=need.work.name,
        asked=len(need.queries),
        found=sum(len(query.closes) > pipeline.lookback for query in need.queries) - len(need.missing),
        to_make=len(need.missing),
        model_calls=len(read) if pipeline.scorer.is_model else 0,
        tokens=round(rate.tokens * len(read)),
        minutes=rate.seconds * len(read) / 60,
    )


def _of_a_file(work: Work) -> SignalCost:
    """Decisions from outside are there already."""
    asked = len(work.queries)
    return SignalCost(work.name, asked=asked, found=asked, to_make=0, model_calls=0, tokens=0, minutes=0.0)


def _by_name(rows: Sequence[SignalCost]) -> tuple[SignalCost, ...]:
    merged: dict[str, SignalCost] = {}
    for row in rows:
        seen = merged.get(row.name)
        figures = {name: figure + getattr(seen, name, 0) for name, figure in asdict(row).items() if name != "name"}
        merged[row.name] = SignalCost(row.name, **figures)
    return tuple(merged.values())


@dataclass(frozen=True)
class _Chosen(Sequence[Query]):
    """Some of many queries, by their places: each is cut when it is asked for."""

    queries: Sequence[Query]
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, number: int) -> Query: ...

    @overload
    def __getitem__(self, number: slice) -> list[Query]: ...

    def __getitem__(self, number: int | slice) -> Query | list[Query]:
        if isinstance(number, slice):
            return [self.queries[place] for place in self.places[number]]
        return self.queries[self.places[number]]


@dataclass(frozen=True)
class _Rate:
    """What a signal takes: seconds of retrieval, prompt and model, and tokens that are read."""

    seconds: float
    tokens: float


def _rate(pipeline: RagPipeline, queries: Sequence[Query], rates: dict[str, _Rate]) -> _Rate:
    """Measured once for each reader and kind of prompt; two random draws of candidates are one kind."""
    # not through what remembers texts: a sample that is kept would be one batch of another shape
    scorer = pipeline.scorer.inner if isinstance(pipeline.scorer, ReadOnce) else pipeline.scorer
    bare = replace(pipeline, scorer=scorer, retriever=_without_vectors(pipeline.retriever))
    kind = json_digest([_without_weights(scorer.recipe), bare.retriever.recipe])
    if kind not in rates:
        rates[kind] = _measured(bare, queries)
    return rates[kind]


def _without_weights(recipe: Recipe) -> Recipe:
    """A reader's kind: two adapters of one base take the same time, and a walk-forward has one a step."""
    kept = {key: value for key, value in recipe.items() if key not in ("adapter", "calibration", "artifact")}
    return {**kept, "adapted": bool(recipe.get("adapter"))}


def _without_vectors(retriever: Retriever) -> Retriever:
    """A retriever of as many hits from the same candidates, which embeds nothing."""
    if not isinstance(retriever, DenseRetriever | RandomRetriever):
        return retriever
    bare = RandomRetriever(retriever.corpus, retriever.k, retriever.exclude_own_symbol, retriever.embargo)
    bare.others = retriever.others
    return bare


def _measured(pipeline: RagPipeline, queries: Sequence[Query]) -> _Rate:
    if isinstance(pipeline.retriever, DayRetriever):
        return _measured_with_days(pipeline, pipeline.retriever, queries)
    if isinstance(pipeline.scorer, RankScorer) and isinstance(pipeline.retriever, NoRetriever):
        return _measured_by_days(pipeline, pipeline.scorer, queries)
    sample = spread(queries, _FIRST)
    _ask(pipeline, sample)  # loads the model
    seconds, tokens = _ask(pipeline, sample)
    count = min(pipeline.scorer.batch_size, len(queries), int(_SECONDS * len(sample) / max(seconds, 1e-6)))
    if count > len(sample):
        sample = spread(queries, count)
        seconds, tokens = _ask(pipeline, sample)
    return _Rate(seconds / len(sample), tokens / len(sample))


def _measured_by_days(pipeline: RagPipeline, scorer: RankScorer, queries: Sequence[Query]) -> _Rate:
    """A reader of ranks scores a universe some days at a time, whoever asks: what it takes goes by the days."""
    middle = len(queries) // 2
    sample = [queries[place] for place in range(middle, min(middle + _LINES, len(queries)))]  # of few days
    _ask(pipeline, sample)  # loads the model and scores their days, so that the next one looks them up
    lookup, _ = _ask(pipeline, sample)
    blocks = scorer.count_blocks(query.as_of for query in queries)
    return _Rate(blocks * scorer.time_block(sample[0].as_of) / len(queries) + lookup / len(sample), 0.0)


def _measured_with_days(pipeline: RagPipeline, retriever: DayRetriever, queries: Sequence[Query]) -> _Rate:
    """What retrieved days take goes by the query's day, whose stocks share hits and reading; the store's share counts.

    A day is timed when the days around it have been read, and once when they have not.
    """
    places: dict[date, list[int]] = {}
    for place, query in enumerate(queries):
        places.setdefault(query.as_of, []).append(place)
    days = sorted(places)
    middle = days[len(days) // 2 :]

    def seconds(sample: Sequence[date]) -> float:
        asked = [queries[place] for day in sample for place in places[day]]
        bare = replace(pipeline, retriever=retriever.over(retriever.days), progress=silent_steps)
        fresh = replace(bare, store=SignalStore(":memory:"), cost=Cost())
        began = time.perf_counter()
        fresh.signals(asked)
        return time.perf_counter() - began

    seconds(days[:1])  # loads the model
    first, again = seconds(middle[:1]), seconds(middle[:1])
    sample = middle[: max(1, min(_DAYS, int(_SECONDS / max(again, 1e-6))))]
    blocks = set((np.searchsorted(retriever.days.days, np.array(days, dtype="datetime64[D]")) // _BLOCK).tolist())
    whole = len(days) * seconds(sample) / len(sample) + len(blocks) * max(0.0, first - again)
    return _Rate(whole / len(queries), 0.0)


def _ask(pipeline: RagPipeline, queries: Sequence[Query]) -> tuple[float, int]:
    """Seconds that signals of ``queries`` take, and tokens that are read for them; nothing is kept."""
    began = time.perf_counter()
    prompts = map(pipeline.prompter.render, queries, pipeline.retriever.retrieve(queries))
    scores = pipeline.scorer.score([prompt for prompt in prompts if pipeline.has_view(prompt)])
    return time.perf_counter() - began, sum(score.tokens for score in scores)


@dataclass
class _Encoding:
    """One encoder over one corpus, and what it will be asked besides."""

    encoder: TextEncoder
    corpus: Corpus
    variants: list[str] = field(default_factory=list)
    queries: set[Query] = field(default_factory=set)


def _encodings(needs: Sequence[_Need]) -> dict[str, _Encoding]:
    """By recipe: variants that differ in k or in their reader search with the same encoder."""
    encodings: dict[str, _Encoding] = {}
    for need in needs:
        retriever = need.pipeline.retriever
        if need.missing and isinstance(retriever, DenseRetriever) and isinstance(retriever.encoder, TextEncoder):
            recipe = json_digest(retriever.encoder.recipe)
            encoding = encodings.setdefault(recipe, _Encoding(retriever.encoder, retriever.corpus))
            encoding.variants.append(need.work.name)
            encoding.queries.update(need.to_make())
    return encodings


def _embedding_cost(encoding: _Encoding, bins: Bins) -> EmbeddingCost:
    lines = encoding.encoder.missing_lines(encoding.corpus, list(encoding.queries))
    seconds = lines * _seconds_a_line(encoding, bins) if lines else 0.0
    return EmbeddingCost(tuple(encoding.variants), len(encoding.corpus), lines, seconds / 60)


def _seconds_a_line(encoding: _Encoding, bins: Bins) -> float:
    chosen = [encoding.corpus.candidate(row) for row in spread(range(len(encoding.corpus)), 8 * _LINES)]
    by_length = sorted((bins.line(candidate.sequence, candidate.scaled) for candidate in chosen), key=len)
    # the middle ones: a run's batches are of one length, and a batch of mixed lengths is mostly padding
    lines = by_length[7 * len(by_length) // 16 :][:_LINES]
    encoding.encoder.encode_lines(lines[:_FIRST])  # loads the model
    began = time.perf_counter()
    encoding.encoder.encode_lines(lines)
    return (time.perf_counter() - began) / len(lines)


def spread(items: Sequence[_Item], count: int) -> list[_Item]:
    """At most ``count`` of them, evenly apart."""
    return [items[place] for place in np.linspace(0, len(items) - 1, min(count, len(items))).astype(int)]


def _reading(estimated: Estimate) -> str:
    return f"{_short(estimated.total('tokens'))} tokens, " if estimated.total("model_calls") else "no model call, "


def _short(number: int) -> str:
    """1.0 M, 12 k, 900."""
    if number < 1_000:
        return str(number)
    return f"{number / 1_000:,.0f} k" if number < 999_500 else f"{number / 1e6:,.1f} M"


def duration(minutes: float) -> str:
    """An estimate as a person says it: about 40 s, about 8 min, about 2.5 h."""
    if minutes < 1.5:
        return f"about {max(1, round(60 * minutes))} s"
    return f"about {minutes:.0f} min" if minutes < 90 else f"about {minutes / 60:.1f} h"
