"""Queries to signals: look up, retrieve, prompt, score, store.

The failure contract: a pipeline abstains (0.0, with a reason) for three things only, too few bars, no candidate that
was known yet, and a window that its retriever cannot compare; everything else raises. Work is stored batch by batch,
so that a killed run loses one batch at most.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Protocol

from ragsignal.data import FALL_BELOW, RISE_ABOVE, bars_apart, other_spacing
from ragsignal.errors import ConfigError, LookAheadError
from ragsignal.protocols import Prompter, Retriever, Scorer, SignalSource
from ragsignal.signals.memo import checked
from ragsignal.signals.store import SignalStore
from ragsignal.types import Hit, Prompt, Query, Recipe, Score, Signal, known_through
from ragsignal.utils import (
    DAILY,
    SIGNALS,
    Clock,
    Steps,
    as_stamps,
    is_through,
    json_digest,
    minute_of_day,
    silent_steps,
    stamp_text,
    unit_of,
)

_RECENT = 65  # bars: 64 gaps
TOO_FEW_BARS = "too few bars"
NO_CANDIDATE = "no candidate available yet"


@dataclass
class Cost:
    """What a pipeline has spent since it was made.

    Parameters
    ----------
    model_calls, tokens : int
        Prompts that a model read, and their tokens.
    model_seconds : float
        Seconds in the model.
    seconds : float
        Seconds from the question to the last answer: store, retrieval, embedding, prompts and model.
    asked, found, reused : int
        Signals asked for; those that were in the store; those that needed no model call, because the same prompt had
        been read for another signal.
    """

    model_calls: int = 0
    tokens: int = 0
    model_seconds: float = 0.0
    seconds: float = 0.0
    asked: int = 0
    found: int = 0
    reused: int = 0

    def add(self, scores: Sequence[Score]) -> None:
        """Count a batch."""
        read = [score for score in scores if not score.reused]
        self.model_calls += len(read)
        self.reused += len(scores) - len(read)
        self.tokens += sum(score.tokens for score in read)
        self.model_seconds += sum(score.seconds for score in read)

    def record(self) -> dict[str, float | int | None]:
        """The figures as JSON-able data; all of them may differ in a second run, which the store answers.

        Beside them ``signals_per_second`` (asked for, over all seconds) and ``tokens_per_second`` (in the model); None
        where no time was spent.
        """
        return {
            **asdict(self),
            "seconds": round(self.seconds, 3),
            "model_seconds": round(self.model_seconds, 3),
            "signals_per_second": round(self.asked / self.seconds, 1) if self.seconds else None,
            "tokens_per_second": round(self.tokens / self.model_seconds, 1) if self.model_seconds else None,
        }


class Pipeline(SignalSource, Protocol):
    """A source that makes its signals itself, so that it knows what decides them and what they cost.

    :class:`RagPipeline` is one, and so is a line of several through time (:mod:`ragsignal.study.walk_forward`).
    """

    cost: Cost
    progress: Steps

    @property
    def clock(self) -> Clock:
        """How long the bars are that its queries are cut from."""
        ...

    @property
    def recipe(self) -> Recipe:
        """Everything that decides a signal besides the query and the visible corpus."""
        ...

    def missing(self, queries: Sequence[Query]) -> dict[str, int]:
        """Signals that :meth:`signals` would have to make, by key: a place in ``queries`` of each."""
        ...

    def parts(self, queries: Sequence[Query]) -> Iterator[tuple[RagPipeline, list[Query]]]:
        """Which pipeline answers which of ``queries``."""
        ...


@dataclass
class RagPipeline:
    """A :class:`~ragsignal.protocols.SignalSource` made of a retriever, a prompter, a scorer and a store.

    Parameters
    ----------
    retriever : Retriever
    prompter : Prompter
        Writes what ``scorer`` reads: the two belong together, and the scorer's recipe names both.
    scorer : Scorer
    store : SignalStore
    lookback : int
        Returns a query must have.
    trained_through : date, optional
        Last day that anything fitted in here has seen (bin edges, weights); queries up to it are refused.
    bar_days : float, optional
        Days between the bars that everything in here is made of; a feed at another distance is refused.
    clock : Clock, optional
        How long the bars are that queries are cut from, by which thresholds of a rise and a fall are scaled.
    minutes : frozenset of int, optional
        Minutes of the day at which bars of hours of an exchange end; a feed of other ones has another clock.
    progress : callable, optional
        Called with (signals made, signals to make) before the first batch and after each.
    """

    retriever: Retriever
    prompter: Prompter
    scorer: Scorer
    store: SignalStore
    lookback: int = 5
    trained_through: date | None = None
    bar_days: float | None = None
    clock: Clock = DAILY
    minutes: frozenset[int] | None = None
    progress: Steps = field(default=silent_steps)
    cost: Cost = field(default_factory=Cost)

    @property
    def recipe(self) -> Recipe:
        """Everything that decides a signal besides the query and the visible corpus."""
        recipe = {
            "signal": 1,
            "lookback": self.lookback,
            "retrieval": self.retriever.recipe,
            "scorer": self.scorer.recipe,
        }
        return recipe if self.clock == DAILY else {**recipe, "clock": clock_record(self.clock)}

    def signals(self, queries: Sequence[Query]) -> list[Signal]:
        """One signal a query, in order; of several threads one after the other is answered.

        Raises
        ------
        ConfigError
            If a feed's bars are at another distance than :attr:`bar_days`.
        LookAheadError
            If a query lies in the period that something here was fitted on, or a retriever returns a candidate that
            was not known at a query's ``as_of``.
        ModelError
            If a scorer returns something that is no probability.
        """
        with SIGNALS:
            return self._answered(queries)

    def _answered(self, queries: Sequence[Query]) -> list[Signal]:
        began = time.perf_counter()
        self._refuse_other_bars(queries)
        answers: list[Signal | None] = [self._without_view(query) for query in queries]
        recipe, keys = self._addresses(queries)
        signals = self.store.get(keys.values())
        missing = {key: queries[number] for number, key in keys.items() if key not in signals}
        self.cost.asked += len(queries)
        self.cost.found += sum(key in signals for key in keys.values())
        signals |= self._make(recipe, missing)
        self.cost.seconds += time.perf_counter() - began
        return [answer if answer is not None else signals[keys[number]] for number, answer in enumerate(answers)]

    def missing(self, queries: Sequence[Query]) -> dict[str, int]:
        """Signals that :meth:`signals` would have to make, by key: a place in ``queries`` of each.

        Places and no queries: of a million, which are cut when they are asked for, the queries would fill a gigabyte.

        Raises
        ------
        LookAheadError
            As :meth:`signals` does.
        """
        with SIGNALS:
            _, keys = self._addresses(queries)
        absent = self.store.missing(keys.values())
        return {key: number for number, key in keys.items() if key in absent}

    def parts(self, queries: Sequence[Query]) -> Iterator[tuple[RagPipeline, list[Query]]]:
        """Yield this pipeline with all of ``queries``."""
        yield self, list(queries)

    def __reduce__(self) -> Any:
        """Refuse to pickle: a model and a database do not travel, the path of a spec does.

        Raises
        ------
        ConfigError
        """
        raise ConfigError(
            "a loaded pipeline cannot go to another process, as optstrategy asks; give RagMomentum the path of its "
            'spec: source="shipped:sample"'
        )

    def _refuse_in_sample(self, queries: Sequence[Query]) -> None:
        if self.trained_through is None:
            return
        early = [query for query in queries if is_through(query.as_of, self.trained_through)]
        if early:
            raise LookAheadError(
                f"{early[0].symbol} as of {early[0].as_of}: parts of this source were fitted through "
                f"{self.trained_through}; start the feed later, or use parts that were fitted before it"
            )

    def _refuse_other_bars(self, queries: Sequence[Query]) -> None:
        """Judge the feeds by what they have shown by the last query of each: in streaming modes the last 64 bars."""
        refuse_other_names(queries, self.clock, self.minutes)
        if self.bar_days is None or not queries or queries[0].bars is None:  # a million queries of frames have none
            return
        first = {query.symbol: query.as_of for query in reversed(queries)}
        for symbol, query in {query.symbol: query for query in queries}.items():
            if query.bars is None:
                continue
            begin = 0 if query.as_of > first[symbol] else max(0, query.bars.count - _RECENT)
            days = as_stamps(query.bars.dates[begin : query.bars.count])
            stretch = other_spacing(days, self.bar_days)
            if stretch is not None:
                raise ConfigError(
                    f"{symbol}: the feed has {stretch.words}, but the signal is made of {bars_apart(self.bar_days)}: "
                    "what followed such bars says nothing of the others. Give RagMomentum the feed of these bars, or "
                    "a spec whose prices are as far apart as the feed's (and no weights that were trained on others)"
                )

    def _without_view(self, query: Query) -> Signal | None:
        reason = self._reason(query)
        return None if reason is None else _abstain(query, reason, (), key="")

    def _reason(self, query: Query) -> str | None:
        """Why a query is not worth a look into the store: its signal follows from the window alone."""
        return TOO_FEW_BARS if len(query.closes) <= self.lookback else self.retriever.abstains(query)

    def _addresses(self, queries: Sequence[Query]) -> tuple[str, dict[int, str]]:
        """The recipe's digest, and the keys of the queries that may have a view by their place in ``queries``."""
        self._refuse_in_sample(queries)
        # asked for every time: an option that was changed on a live retriever must not find the old signals
        recipe = self.store.put_recipe(self.recipe)
        possible = [number for number, query in enumerate(queries) if self._reason(query) is None]
        # the latest first: a prompter that lays out a feed's whole past then does so once
        keys = {number: self._key(recipe, queries[number]) for number in reversed(possible)}
        return recipe, {number: keys[number] for number in possible}

    def _key(self, recipe: str, query: Query) -> str:
        corpus = self.retriever.corpus_digest(query)
        # repr of a float is exact, so the window is in the key bit by bit
        address = [recipe, corpus, query.symbol, [day.isoformat() for day in query.dates], query.closes]
        context = self.prompter.context_digest(query)
        return json_digest([*address, context] if context else address)

    def _make(self, recipe: str, missing: dict[str, Query]) -> dict[str, Signal]:
        """Score what the store lacks, prompts of one length together, one transaction a batch."""
        if not missing:
            return {}
        keys, queries = list(missing), list(missing.values())
        self.progress(0, len(keys))  # the cost, before it is paid
        prompts = list(map(self.prompter.render, queries, self._retrieve(queries)))
        order = sorted(range(len(keys)), key=lambda number: self.prompter.length(prompts[number]))
        made: dict[str, Signal] = {}
        for start in range(0, len(order), self.scorer.batch_size):
            batch = order[start : start + self.scorer.batch_size]
            made |= self._score_batch(recipe, [keys[number] for number in batch], [prompts[number] for number in batch])
            self.progress(len(made), len(keys))
        return made

    def _score_batch(self, recipe: str, keys: list[str], prompts: list[Prompt]) -> dict[str, Signal]:
        views = [prompt for prompt in prompts if self.has_view(prompt)]
        scores = checked(views, self.scorer.score(views)) if views else []
        if self.scorer.is_model:
            self.cost.add(scores)
        answers = iter(scores)
        signals = [
            _signal(prompt, next(answers), key) if self.has_view(prompt)
            else _abstain(prompt.query, prompt.abstained or NO_CANDIDATE, prompt.hits, key)
            for key, prompt in zip(keys, prompts, strict=True)
        ]  # fmt: skip
        self.store.put(recipe, signals, prompts)
        return self.store.get(keys)  # what a replay will see: of two processes that score the same, the first one's

    def has_view(self, prompt: Prompt) -> bool:
        """Whether a prompt is scored, and does not make the pipeline abstain."""
        return prompt.abstained is None and (bool(prompt.hits) or not self.retriever.requires_hits)

    def _retrieve(self, queries: Sequence[Query]) -> Sequence[Sequence[Hit]]:
        hits_of = self.retriever.retrieve(queries)
        for query, hits in zip(queries, hits_of, strict=True):
            last = known_through(hits)
            if last is not None and last > query.as_of:
                late = next(hit.candidate for hit in hits if hit.candidate.available_at > query.as_of)
                raise LookAheadError(
                    f"{query.symbol} as of {query.as_of}: the retriever returned {late.id}, whose outcome was only "
                    f"known on {late.available_at}"
                )
        return hits_of


def refuse_other_names(queries: Sequence[Query], clock: Clock, minutes: frozenset[int] | None) -> None:
    """Refuse days where bars are named by moments, and moments where they are named by days.

    Raises
    ------
    ConfigError
        Also if a moment is at no minute of the day at which a bar ends, where these are known.
    """
    odd = next((query for query in queries if unit_of(query.as_of) != clock.unit), None)
    if odd is not None:
        raise ConfigError(
            f"{odd.symbol} as of {odd.as_of}: the signal is made of {clock.words}; give RagMomentum a feed of "
            f"them, or name the feed's bars in the spec (data.bar, see docs/clocks.md)"
        )
    if minutes is None:
        return
    shifted = next((query for query in queries if minute_of_day(query.as_of) not in minutes), None)
    if shifted is not None:
        raise ConfigError(
            f"{shifted.symbol}: a bar of the feed is named {stamp_text(shifted.as_of)}, but no bar of the source "
            "ends at this time of day: the feed stamps the start of its bars, or has another zone's clock. Shift "
            "its index to the ends of the bars, by the source's clock (docs/clocks.md)"
        )


def clock_record(clock: Clock) -> Recipe:
    """What a recipe says of bars that are not daily: their name, and the moves that are a rise and a fall."""
    return {"bar": clock.name, "rise_above": RISE_ABOVE * clock.scale, "fall_below": FALL_BELOW * clock.scale}


def _signal(prompt: Prompt, score: Score, key: str) -> Signal:
    query = prompt.query
    probability = float(score.probability)  # a numpy.float32 would lose digits in the value, and SQLite refuses it
    return Signal(
        symbol=query.symbol,
        as_of=query.as_of,
        value=2.0 * probability - 1.0,
        probability=probability,
        abstained=None,
        hits=prompt.hits,
        key=key,
        tokens=int(score.tokens),
        seconds=float(score.seconds),
        rank=float(score.rank),
    )


def _abstain(query: Query, reason: str, hits: Sequence[Hit], key: str) -> Signal:
    # 0.0, not NaN: Backtrader's SIGNAL_*_ANY takes NaN for true (backtrader/strategy.py:1648).
    return Signal(query.symbol, query.as_of, value=0.0, probability=0.5, abstained=reason, hits=hits, key=key)
