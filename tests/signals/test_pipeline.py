"""The pipeline's laws: as-of, replay, a killed run loses one batch, and two reasons to abstain."""

from __future__ import annotations

import functools
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.errors import ConfigError, LookAheadError, ModelError
from ragsignal.llm.prompt import TextlessPrompter
from ragsignal.llm.vote import VoteScorer
from ragsignal.protocols import Retriever, SignalSource
from ragsignal.retrieval.corpus import Corpus
from ragsignal.retrieval.encoders import ShapeEncoder
from ragsignal.retrieval.retrievers import FLAT_WINDOW, DenseRetriever, DTWRetriever, NoRetriever, RandomRetriever
from ragsignal.signals.pipeline import NO_CANDIDATE, TOO_FEW_BARS, RagPipeline
from ragsignal.signals.store import SignalStore
from ragsignal.types import Hit, Prompt, Query, Score, Signal
from tests.fakes import LOOKBACK, HashScorer, corpus_of, every_query, market, pipeline_of
from tests.markets import poisoned

FRAMES = market()
CORPUS = corpus_of(FRAMES)
QUERIES = every_query(FRAMES)
LAST = QUERIES[-1]
DAYS = [query.as_of for query in QUERIES if query.symbol == "AA"]
BARS = len(DAYS)


def full(queries: Sequence[Query]) -> list[Query]:
    return [query for query in queries if len(query.closes) > LOOKBACK]


def keyed(signals: Sequence[Signal]) -> dict[tuple[str, date], Signal]:
    return {(it.symbol, it.as_of): it for it in signals}


# ---------------------------------------------------------------------------------------------------- law 1: as-of

MAKERS: dict[str, Callable[[Corpus, SignalStore], RagPipeline]] = {
    "shape": lambda corpus, store: pipeline_of(corpus, store=store),
    "shape, embargo": lambda corpus, store: pipeline_of(corpus, store=store, embargo=3),
    "shape, others": lambda corpus, store: pipeline_of(corpus, store=store, exclude_own_symbol=True),
    "dtw": lambda corpus, store: RagPipeline(DTWRetriever(corpus, k=3), HashScorer(), HashScorer(), store),
    "random": lambda corpus, store: RagPipeline(
        RandomRetriever(corpus, k=3, seed=1), HashScorer(), HashScorer(), store
    ),
    "none": lambda _, store: RagPipeline(NoRetriever(), HashScorer(), HashScorer(), store),
    "vote": lambda corpus, store: RagPipeline(
        DenseRetriever(corpus, ShapeEncoder(), k=25), TextlessPrompter(), VoteScorer(), store
    ),
}


@functools.cache
def clean(name: str = "shape") -> list[Signal]:
    """All signals of the market as it is."""
    return MAKERS[name](CORPUS, SignalStore(":memory:")).signals(QUERIES)


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=8, deadline=None)
@given(cut=st.sampled_from(DAYS))
def test_poisoning_every_bar_after_t_moves_no_signal_at_or_before_t(name: str, cut: date) -> None:
    lies = poisoned(FRAMES, cut)
    moved = MAKERS[name](corpus_of(lies), SignalStore(":memory:")).signals(every_query(lies))
    truth = keyed(clean(name))
    past = [it for it in moved if it.as_of <= cut]
    assert past == [truth[it.symbol, it.as_of] for it in past]  # hits, keys and all
    later = [it for it in moved if it.as_of > cut and it.key]
    assert all(it.key != truth[it.symbol, it.as_of].key for it in later)


@settings(max_examples=8, deadline=None)
@given(cut=st.integers(0, BARS - 1))
def test_a_feed_and_a_corpus_that_end_at_t_give_the_signals_of_the_whole_history(cut: int) -> None:
    short = {symbol: frame.iloc[: cut + 1] for symbol, frame in FRAMES.items()}
    corpus = corpus_of(short) if cut > LOOKBACK + 1 else corpus_of(FRAMES, end=DAYS[LOOKBACK + 2])
    made = pipeline_of(corpus).signals(every_query(short))
    truth = keyed(clean())
    assert made == [truth[it.symbol, it.as_of] for it in made]


def test_no_hit_of_any_signal_was_known_later_than_the_signal() -> None:
    hits = [(it, hit) for name in MAKERS for it in clean(name) for hit in it.hits]
    assert len(hits) > 1_000
    assert all(hit.candidate.available_at <= it.as_of for it, hit in hits)


@dataclass
class Leaking:
    """A retriever that returns one planted candidate to all."""

    hit: Hit
    requires_hits: bool = True
    recipe: Any = "leak"

    def corpus_digest(self, _: Query) -> str:
        return ""

    def abstains(self, _: Query) -> None:
        return None

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Hit, ...]]:
        return [(self.hit,) for _ in queries]


def test_a_retriever_that_returns_tomorrows_outcome_is_refused() -> None:
    planted = Hit(replace(CORPUS.candidate(0), available_at=LAST.as_of + timedelta(days=1)), 1.0, 0)
    store, scorer = SignalStore(":memory:"), HashScorer()
    pipeline = RagPipeline(Leaking(planted), scorer, scorer, store)
    with pytest.raises(LookAheadError, match=rf"BB as of {LAST.as_of}.*{planted.candidate.id}.*only known on"):
        pipeline.signals([LAST])
    assert len(store) == 0
    assert scorer.seen == []
    today = Hit(replace(planted.candidate, available_at=LAST.as_of), 1.0, 0)
    assert RagPipeline(Leaking(today), scorer, scorer, store).signals([LAST])[0].hits == (today,)


def test_queries_up_to_trained_through_are_refused_and_the_day_after_is_not() -> None:
    scorer, store = HashScorer(), SignalStore(":memory:")
    pipeline = pipeline_of(CORPUS, scorer, store)
    pipeline.trained_through = DAYS[30]
    with pytest.raises(
        LookAheadError, match=rf"AA as of {DAYS[30]}: .* fitted through {DAYS[30]}; start the feed later"
    ):
        pipeline.signals([QUERIES[40], QUERIES[30]])
    with pytest.raises(LookAheadError, match="fitted through"):  # a bar of the warm-up is a bar
        pipeline.signals([QUERIES[0]])
    assert scorer.seen == []
    assert [it.as_of for it in pipeline.signals([QUERIES[31]])] == [DAYS[31]]


# ---------------------------------------------------------------------------------------------------- law 3: replay


def test_replay_makes_no_model_call_and_gives_equal_signals(tmp_path: Path) -> None:
    first, second = HashScorer(), HashScorer()
    path = tmp_path / "signals.sqlite"
    one = pipeline_of(CORPUS, first, SignalStore(path))
    made = one.signals(QUERIES)
    # as in a new process: corpus, retriever and store are made again
    two = pipeline_of(corpus_of(market()), second, SignalStore(path))
    assert two.signals(QUERIES) == made
    assert second.seen == []
    scored = [it for it in made if it.abstained is None]
    assert (one.cost.model_calls, two.cost.model_calls) == (len(scored), 0)
    assert one.cost.tokens == sum(it.tokens for it in scored) > 0
    assert one.cost.model_seconds == 0.25 * len(scored)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from(QUERIES), max_size=30), st.integers(1, 9))
def test_answers_come_in_the_order_of_the_queries_whatever_is_stored_and_however_batched(
    asked: list[Query], batch_size: int
) -> None:
    truth = keyed(clean())
    pipeline = pipeline_of(CORPUS, HashScorer(batch_size))
    pipeline.signals(asked[: len(asked) // 2])
    assert pipeline.signals(asked) == [truth[query.symbol, query.as_of] for query in asked]
    assert all(size <= batch_size for size in pipeline.scorer.batches)  # type: ignore[attr-defined]
    assert len(pipeline.scorer.seen) == len({prompt.query for prompt in pipeline.scorer.seen})  # type: ignore[attr-defined]


def _dense(**options: Any) -> Retriever:
    return DenseRetriever(CORPUS, ShapeEncoder(), **{"k": 3, "embargo": 1, **options})


def _random(**options: Any) -> Retriever:
    return RandomRetriever(CORPUS, **{"k": 3, "seed": 1, **options})


RECIPES: dict[str, tuple[Retriever, HashScorer]] = {
    "base": (_dense(), HashScorer()),
    "k": (_dense(k=4), HashScorer()),
    "exclude_own_symbol": (_dense(exclude_own_symbol=True), HashScorer()),
    "embargo": (_dense(embargo=2), HashScorer()),
    "dtw": (DTWRetriever(CORPUS, k=3, embargo=1), HashScorer()),
    "none": (NoRetriever(), HashScorer()),
    "random": (_random(), HashScorer()),
    "random k": (_random(k=4), HashScorer()),
    "random seed": (_random(seed=2), HashScorer()),
    "random exclude": (_random(exclude_own_symbol=True), HashScorer()),
    "random embargo": (_random(embargo=1), HashScorer()),
    "scorer": (_dense(), HashScorer(salt="other weights")),
}


def test_any_change_of_the_recipe_is_a_miss() -> None:
    store = SignalStore(":memory:")
    for retriever, scorer in RECIPES.values():
        RagPipeline(retriever, scorer, scorer, store).signals([LAST])
        assert len(scorer.seen) == 1, f"{retriever.recipe} {scorer.recipe} found a signal of another recipe"
    assert len(store) == len(RECIPES)
    for retriever, _ in RECIPES.values():
        again = HashScorer()
        RagPipeline(retriever, again, again, store).signals([LAST])
        assert again.seen == []


def test_another_lookback_is_a_miss_even_for_the_same_window() -> None:
    store, scorer = SignalStore(":memory:"), HashScorer()
    RagPipeline(NoRetriever(), scorer, scorer, store, lookback=5).signals([LAST])
    RagPipeline(NoRetriever(), scorer, scorer, store, lookback=4).signals([LAST])
    assert len(scorer.seen) == 2


def test_an_option_changed_on_a_live_pipeline_is_a_miss_too() -> None:
    scorer = HashScorer()
    retriever = DenseRetriever(CORPUS, ShapeEncoder(), k=3)
    pipeline = RagPipeline(retriever, scorer, scorer, SignalStore(":memory:"))
    three = pipeline.signals([LAST])[0]
    retriever.k = 4
    four = pipeline.signals([LAST])[0]
    assert (len(three.hits), len(four.hits), len(scorer.seen)) == (3, 4, 2)
    retriever.k = 3
    assert pipeline.signals([LAST])[0] == three
    assert len(scorer.seen) == 2


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_bit_of_the_window_is_in_the_key(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, LOOKBACK))
    upward = data.draw(st.booleans())
    closes, dates = list(LAST.closes), list(LAST.dates)
    closes[place] = float(np.nextafter(closes[place], np.inf if upward else 0.0))
    dates[0] -= timedelta(days=data.draw(st.integers(1, 9)))
    changed = [
        replace(LAST, closes=tuple(closes)),
        replace(LAST, dates=tuple(dates)),
        replace(LAST, symbol=data.draw(st.text(min_size=1).filter(lambda name: name != LAST.symbol))),
    ]
    scorer = HashScorer()
    pipeline = pipeline_of(CORPUS, scorer)
    keys = {it.key for it in pipeline.signals([LAST, *changed])}
    assert len(keys) == len(scorer.seen) == 4


@settings(max_examples=15, deadline=None)
@given(at=st.integers(8, BARS - 1), revised=st.integers(0, BARS - 1))
def test_a_revised_bar_is_a_miss_from_the_day_it_was_known_and_a_hit_before(at: int, revised: int) -> None:
    query = QUERIES[at]  # of AA; the bar that is revised is one of BB
    factor = np.where(np.arange(BARS) == revised, 1.0001, 1.0)
    frames = {"AA": FRAMES["AA"], "BB": FRAMES["BB"].assign(close=FRAMES["BB"]["close"] * factor)}
    store, scorer = SignalStore(":memory:"), HashScorer()
    before = pipeline_of(CORPUS, scorer, store).signals([query])
    after = pipeline_of(corpus_of(frames), scorer, store).signals([query])
    # the last bar that is in a candidate of day `at` is the outcome's, that is the bar of `at` itself
    hit = revised > at
    assert (len(scorer.seen) == 1) == hit
    assert (before == after) == hit


def test_what_is_returned_is_what_is_stored_even_if_another_process_was_first(tmp_path: Path) -> None:
    path = tmp_path / "signals.sqlite"

    class Slow(HashScorer):
        """While it thinks, another process stores its own view of the same query."""

        def score(self, prompts: Sequence[Prompt]) -> list[Score]:
            pipeline_of(CORPUS, store=SignalStore(path)).signals([prompt.query for prompt in prompts])
            return [Score(0.125) for _ in prompts]

    (made,) = pipeline_of(CORPUS, Slow(), SignalStore(path)).signals([LAST])
    assert made.probability != 0.125
    assert [made] == pipeline_of(CORPUS, store=SignalStore(path)).signals([LAST])


# ----------------------------------------------------------------------------------------------- the failure contract


def test_only_two_things_abstain_and_they_are_exactly_zero_and_a_half() -> None:
    for name in MAKERS:
        for it in clean(name):
            if it.abstained is not None:
                assert (it.value, it.probability, it.hits) == (0.0, 0.5, ())
                assert str(it.value) == "0.0"  # not -0.0
            assert -1.0 <= it.value <= 1.0
            assert it.value == 2 * it.probability - 1
    reasons = {name: {it.abstained for it in clean(name)} for name in MAKERS}
    assert reasons.pop("none") == {None, TOO_FEW_BARS}  # needs no candidate
    assert all(those == {None, TOO_FEW_BARS, NO_CANDIDATE} for those in reasons.values())


def test_the_reasons_stand_where_they_belong() -> None:
    first = min(candidate_day(row) for row in range(len(CORPUS)))
    for query, it in zip(QUERIES, clean(), strict=True):
        too_few = len(query.closes) <= LOOKBACK
        expected = TOO_FEW_BARS if too_few else NO_CANDIDATE if query.as_of < first else None
        assert it.abstained == expected


@pytest.mark.parametrize("name", ["shape", "dtw", "vote"])
def test_a_flat_window_abstains_for_that_reason_and_costs_nothing(name: str) -> None:
    pipeline = MAKERS[name](CORPUS, SignalStore(":memory:"))
    flat = replace(LAST, closes=(50.0, *(51.0,) * LOOKBACK))
    (signal,) = pipeline.signals([flat])
    assert (signal.value, signal.probability, signal.hits, signal.key) == (0.0, 0.5, (), "")
    assert signal.abstained == FLAT_WINDOW
    assert pipeline.missing([flat]) == {}
    assert len(pipeline.store) == 0
    (moved,) = MAKERS["random"](CORPUS, SignalStore(":memory:")).signals([flat])
    assert moved.abstained is None


def test_a_feed_under_another_name_is_refused_even_where_the_store_knows_its_signals() -> None:
    store = SignalStore(":memory:")
    renamed = replace(LAST, symbol="bb")
    pipeline_of(CORPUS, store=store, exclude_own_symbol=False).signals([renamed])
    pipeline = pipeline_of(CORPUS, store=store, exclude_own_symbol=True)
    for ask in (pipeline.signals, pipeline.missing):
        with pytest.raises(ConfigError, match=r"no symbol 'bb'.*Did you mean 'BB'\?"):
            ask([renamed])


def candidate_day(row: int) -> date:
    return CORPUS.candidate(row).available_at


def test_an_abstention_costs_no_model_call() -> None:
    scorer = HashScorer()
    pipeline = pipeline_of(CORPUS, scorer)
    pipeline.signals(QUERIES[: LOOKBACK + 1])
    assert (scorer.batches, pipeline.cost.model_calls) == ([], 0)


def test_a_scorer_without_a_model_costs_nothing() -> None:
    pipeline = pipeline_of(CORPUS, VoteScorer())
    pipeline.signals(QUERIES)
    assert (pipeline.cost.model_calls, pipeline.cost.tokens, pipeline.cost.model_seconds) == (0, 0, 0.0)


class BreaksAt(HashScorer):
    """Raises in its n-th batch."""

    n: int = 3

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        if len(self.batches) == self.n - 1:
            raise RuntimeError("out of memory")
        return super().score(prompts)


def test_a_scorers_exception_propagates_and_leaves_whole_batches_only() -> None:
    store = SignalStore(":memory:")
    with pytest.raises(RuntimeError, match="out of memory"):
        pipeline_of(CORPUS, BreaksAt(), store).signals(full(QUERIES))
    assert len(store) == 16
    rest = HashScorer()
    done = pipeline_of(CORPUS, rest, store).signals(QUERIES)
    assert done == clean()
    assert len(rest.seen) + 16 == len(full(QUERIES))


class Fixed(HashScorer):
    """Answers every batch with the same."""

    answer: Any = None

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        return [Score(self.answer)] * len(prompts) if not callable(self.answer) else self.answer(prompts)


def fixed(answer: Any) -> Fixed:
    scorer = Fixed()
    scorer.answer = answer
    return scorer


@pytest.mark.parametrize("answer", [float("nan"), 1.2, -1e-9, float("inf"), np.float32("nan")])
def test_what_is_no_probability_is_a_model_error_and_is_not_stored(answer: float) -> None:
    store = SignalStore(":memory:")
    with pytest.raises(ModelError, match=r"BB as of 2020-03-31: the scorer returned P\(rise\) = .*weights verify"):
        pipeline_of(CORPUS, fixed(answer), store).signals([LAST])
    assert len(store) == 0


@pytest.mark.parametrize("answer", [0.0, 1.0, 0.5, 1, np.float64(0.1), np.float32(0.1)])
def test_any_number_from_0_to_1_is_a_probability(answer: float) -> None:
    (it,) = pipeline_of(CORPUS, fixed(answer)).signals([LAST])
    assert (it.probability, it.value, it.abstained) == (float(answer), 2 * float(answer) - 1, None)
    assert (type(it.probability), type(it.value)) == (float, float)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_scorer_that_answers_too_little_or_too_much_is_a_model_error(count: int) -> None:
    store = SignalStore(":memory:")
    with pytest.raises(ModelError, match=f"{count} scores for 2 prompts"):
        pipeline_of(CORPUS, fixed(lambda _: [Score(0.5)] * count), store).signals(QUERIES[-2:])
    assert len(store) == 0


def test_the_prompt_of_every_stored_signal_can_be_read_again() -> None:
    store = SignalStore(":memory:")
    pipeline = pipeline_of(CORPUS, HashScorer(), store)
    (made,) = pipeline.signals([LAST])
    assert store.prompts([made.key])[made.key] == pipeline.prompter.render(LAST, tuple(made.hits)).text


def test_progress_counts_to_the_end_of_what_had_to_be_made() -> None:
    told: list[tuple[int, int]] = []
    pipeline = pipeline_of(CORPUS)
    pipeline.signals(full(QUERIES)[:3])
    pipeline.progress = lambda done, total: told.append((done, total))
    asked = full(QUERIES)[:20]
    pipeline.signals(asked)
    pipeline.signals(asked)
    assert told == [(0, 17), (8, 17), (16, 17), (17, 17)]


def test_a_loaded_pipeline_refuses_to_travel_and_names_the_way_that_works() -> None:
    with pytest.raises(ConfigError, match="give RagMomentum the path of its spec"):
        pickle.dumps(pipeline_of(CORPUS))


def test_a_pipeline_is_a_signal_source() -> None:
    assert isinstance(pipeline_of(CORPUS), SignalSource)
    assert not isinstance(HashScorer(), SignalSource)


# ------------------------------------------------------------------------------------------------------------ kill -9

KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.fakes import HashScorer, corpus_of, every_query, market, pipeline_of
from ragsignal.signals.store import SignalStore

class Slow(HashScorer):
    def score(self, prompts):
        time.sleep(0.02)
        if len(self.batches) == 3:
            print("in the middle", flush=True)
            time.sleep(60)
        return super().score(prompts)

frames = market()
pipeline_of(corpus_of(frames), Slow(), SignalStore(Path({path!r}))).signals(every_query(frames))
"""


def test_a_killed_run_loses_its_last_batch_only_and_the_next_run_scores_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "signals.sqlite"
    program = KILLED.format(root=str(Path(__file__).parents[2]), path=str(path))
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "in the middle\n"
        os.kill(run.pid, signal.SIGKILL)
        assert run.wait(30) == -signal.SIGKILL
    store = SignalStore(path)
    assert len(store) == 3 * 8
    rest = HashScorer()
    began = time.perf_counter()
    made = pipeline_of(CORPUS, rest, store).signals(QUERIES)
    assert time.perf_counter() - began < 30  # no lock was left behind, which would be waited for 60 seconds
    assert made == clean()
    assert len(rest.seen) == len(full(QUERIES)) - 24


def test_what_is_missing_is_what_a_run_then_makes() -> None:
    scorer = HashScorer()
    pipeline = pipeline_of(CORPUS, scorer)
    pipeline.signals(QUERIES[::3])
    missing = [QUERIES[place % len(QUERIES)] for place in sorted(pipeline.missing([*QUERIES, *QUERIES]).values())]
    assert missing == [query for number, query in enumerate(QUERIES) if number % 3 and len(query.closes) > LOOKBACK]
    before = len(scorer.seen)
    blind = [it for it in pipeline.signals(missing) if it.abstained == NO_CANDIDATE]
    assert len(scorer.seen) - before == len(missing) - len(blind)
    assert pipeline.missing(QUERIES) == {}


def test_the_cost_tells_what_was_asked_what_was_there_and_what_was_made() -> None:
    pipeline = pipeline_of(CORPUS)
    views = sum(it.abstained is None for it in pipeline.signals(QUERIES))
    first = replace(pipeline.cost)
    assert (first.asked, first.found, first.model_calls) == (len(QUERIES), 0, views)
    pipeline.signals(QUERIES)
    long_enough = sum(len(query.closes) > LOOKBACK for query in QUERIES)
    assert (pipeline.cost.found, pipeline.cost.model_calls) == (long_enough, first.model_calls)
