"""Cost before it is paid: counts that are exact, minutes that are measured, and a store that stays as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragsignal.config import RunSpec, Variant
from ragsignal.data.bins import shipped_bins
from ragsignal.evaluation import run as evaluation
from ragsignal.llm.prompt import TextlessPrompter
from ragsignal.llm.vote import VoteScorer
from ragsignal.retrieval.embeddings import EmbeddingCache
from ragsignal.retrieval.retrievers import DenseRetriever, DTWRetriever, NoRetriever, RandomRetriever
from ragsignal.signals.memo import ReadOnce
from ragsignal.signals.pipeline import RagPipeline
from ragsignal.signals.store import SignalStore
from ragsignal.study import cost as module
from ragsignal.study.cost import Estimate, SignalCost, Work, duration, estimate, work_of
from ragsignal.study.parts import Parts
from ragsignal.trading.engine import prepare, run_spec
from ragsignal.types import Hit, Prompt, Query, Score
from tests.fakes import LOOKBACK, FakeTextEncoder, HashScorer, corpus_of, every_query, market, pipeline_of, variant
from tests.specs import HOLD, MOMENTUM, RANDOM, spec

FRAMES = market(end="2020-02-29")
CORPUS = corpus_of(FRAMES)
QUERIES = every_query(FRAMES)
LONG = [query for query in QUERIES if len(query.closes) > LOOKBACK]

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class FakeStudy:
    """Stands in for a study whose variants are ready-made pipelines."""

    materials = SimpleNamespace(bins=shipped_bins())

    def __init__(self, **pipelines: RagPipeline) -> None:
        self.pipelines = pipelines

    def pipeline(self, variant: Variant) -> RagPipeline:
        return self.pipelines[variant.name]

    def work(self, queries: Sequence[Any] = QUERIES) -> list[Work]:
        return [Work(name, variant(name), queries) for name in self.pipelines]

    def estimate(self, queries: Sequence[Any] = QUERIES) -> Estimate:
        return estimate(self, self.work(queries))  # type: ignore[arg-type]


def answered(queries: Sequence[Any]) -> list[Any]:
    """Those for which some candidate was known."""
    return [query for query in queries if CORPUS.visible(query.as_of)]


# ------------------------------------------------------------------------------------------------- counts are exact


@few
@given(st.data())
def test_what_is_missing_is_what_a_run_then_makes(data: st.DataObject) -> None:
    stored = data.draw(st.sets(st.sampled_from(QUERIES), max_size=30))
    pipeline = pipeline_of(CORPUS)
    pipeline.signals(sorted(stored, key=lambda it: (it.symbol, it.as_of)))
    before, calls = len(pipeline.store), pipeline.cost.model_calls
    (row,) = FakeStudy(one=pipeline).estimate().signals
    assert len(pipeline.store) == before
    pipeline.signals(QUERIES)
    assert row.asked == len(QUERIES)
    assert row.found == before
    assert row.to_make == len(pipeline.store) - before
    assert row.model_calls == pipeline.cost.model_calls - calls  # no two prompts of a HashScorer are equal


@pytest.mark.parametrize("kind", ["backtest", "evaluate"])
def test_every_signal_that_a_run_stores_was_announced(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path))
    monkeypatch.setattr(Parts, "_language_model", lambda *_: (HashScorer(), HashScorer()))
    for slow in ("free_baselines", "best_baselines", "compare"):  # they ask no variant
        monkeypatch.setattr(evaluation, slow, lambda *_: [])
    small = spec(
        data={"end": "2015-02-27"},
        retrieval={"k": 3},
        evaluation={"every": 2, "perturbed": 4},
        variant=[{"name": "rag", "signal": "llm"}, RANDOM, MOMENTUM, HOLD],
    )
    expected = _estimate(small, kind)
    store = SignalStore(tmp_path / "signals.sqlite")
    assert len(store) == 0
    told: list[Estimate] = []
    run = run_spec if kind == "backtest" else evaluation.evaluate_spec
    run(small, before=lambda study, work: told.append(estimate(study, work)))
    assert len(store) == expected.total("to_make") == told[0].total("to_make") > 0
    assert _estimate(small, kind).sentence() == "everything is in the store: no model call"


def _estimate(spec: RunSpec, kind: str) -> Estimate:
    if kind == "backtest":
        study, frames = prepare(spec)
        return estimate(study, work_of(spec, frames))
    study, questions, _ = evaluation.prepare(spec)
    return estimate(study, evaluation.work_of(spec, questions))


def test_signals_of_two_variants_with_one_recipe_are_counted_once() -> None:
    store = SignalStore(":memory:")
    study = FakeStudy(first=pipeline_of(CORPUS, store=store), second=pipeline_of(CORPUS, store=store))
    first, second = study.estimate().signals
    assert (first.to_make, second.to_make) == (len(LONG), 0)
    assert (second.asked, second.found, second.minutes) == (len(QUERIES), len(LONG), 0.0)


def test_work_under_one_name_is_one_row() -> None:
    study = FakeStudy(one=pipeline_of(CORPUS))
    half = len(LONG) // 2
    work = [Work("both", variant("one"), part) for part in (LONG[:half], LONG[half:])]
    (row,) = estimate(study, work).signals  # type: ignore[arg-type]
    (whole,) = study.estimate(LONG).signals
    assert (row.name, row.asked, row.to_make) == ("both", whole.asked, whole.to_make)


def test_a_query_before_the_first_known_candidate_is_no_model_call() -> None:
    late = corpus_of({symbol: frame.iloc[15:] for symbol, frame in FRAMES.items()})
    (row,) = FakeStudy(one=pipeline_of(late)).estimate().signals
    assert row.to_make == len(LONG)
    assert row.model_calls == sum(late.visible(query.as_of) > 0 for query in LONG) < len(LONG)


# ------------------------------------------------------------------------------------------- nothing else is touched


class Untouchable(HashScorer):
    """A scorer that must not be used."""

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        raise AssertionError(f"a model was asked {len(prompts)} prompts")


def test_a_prompt_that_abstains_is_not_measured() -> None:
    class Half(HashScorer):
        def render(self, query: Query, hits: tuple[Hit, ...]) -> Prompt:
            return replace(super().render(query, hits), abstained=None if query.symbol == "AA" else "unknown")

    scorer = Half()
    assert FakeStudy(half=pipeline_of(CORPUS, scorer)).estimate(LONG).total("to_make") == len(LONG)
    assert {prompt.query.symbol for prompt in scorer.seen} == {"AA"}


def test_where_nothing_is_missing_no_model_is_asked_and_no_line_is_spelled(tmp_path: Path) -> None:
    store = SignalStore(":memory:")
    encoder = FakeTextEncoder(EmbeddingCache(tmp_path / "embeddings.sqlite"))
    retriever = DenseRetriever(CORPUS, encoder, k=3)
    RagPipeline(retriever, HashScorer(), HashScorer(), store, LOOKBACK).signals(QUERIES)
    encoder.missing_lines = None  # type: ignore[method-assign, assignment]
    encoder.fake = None  # type: ignore[assignment]
    found = FakeStudy(one=RagPipeline(retriever, Untouchable(), Untouchable(), store, LOOKBACK)).estimate()
    assert found.sentence() == "everything is in the store: no model call"
    assert (found.embeddings, found.minutes) == ((), 0.0)


@pytest.mark.parametrize("calibrate", [False, True])
def test_a_calibration_keeps_no_answer_and_moves_no_signal(calibrate: bool) -> None:
    """Kept answers would be those of batches of another shape."""
    store, scorer = SignalStore(":memory:"), HashScorer()
    pipeline = RagPipeline(
        NoRetriever(), scorer, ReadOnce(scorer, store), store, LOOKBACK
    )  # whose samples are real prompts
    if calibrate:
        FakeStudy(one=pipeline).estimate()
        assert scorer.seen
        assert len(store) == 0
    signals = pipeline.signals(QUERIES)
    assert pipeline.cost.reused == 0
    assert pipeline.cost.model_calls == len(LONG)
    plain = RagPipeline(NoRetriever(), HashScorer(), HashScorer(), SignalStore(":memory:"), LOOKBACK)
    assert [it.value for it in signals] == [it.value for it in plain.signals(QUERIES)]


# ---------------------------------------------------------------------------------------------- minutes are measured


@dataclass
class Clock:
    """Stands still but for what is put in."""

    now: float = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(1000.0)
    monkeypatch.setattr(module, "time", clock)
    return clock


@dataclass
class SlowScorer(HashScorer):
    """Takes ``wait`` seconds a prompt, and a minute to load."""

    clock: Clock = field(default_factory=Clock)
    wait: float = 0.1

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        self.clock.now += self.wait * len(prompts) + (0.0 if self.seen else 60.0)
        self.seen += prompts
        return [Score(0.5, tokens=40) for _ in prompts]


@pytest.mark.parametrize("wait", [0.001, 0.1, 5.0])
def test_minutes_are_the_measured_seconds_of_a_prompt_times_the_calls_without_the_loading(
    wait: float, clock: Clock
) -> None:
    scorer = SlowScorer(clock=clock, wait=wait)
    (row,) = FakeStudy(one=pipeline_of(CORPUS, scorer)).estimate().signals
    assert row.minutes == pytest.approx(row.model_calls * wait / 60)
    assert row.tokens == 40 * row.model_calls
    assert len(scorer.seen) <= max(8, 8 + 1.5 / wait)  # a slow model is measured on few prompts


def test_a_reader_is_measured_once_for_each_kind_of_prompt(clock: Clock) -> None:
    def pipeline(retriever: Any) -> RagPipeline:
        return RagPipeline(retriever, scorer, scorer, SignalStore(":memory:"), LOOKBACK)

    scorer = SlowScorer(clock=clock, batch_size=4)
    FakeStudy(one=pipeline_of(CORPUS, scorer), two=pipeline(RandomRetriever(CORPUS, k=3, seed=7))).estimate()
    assert len(scorer.seen) == 8  # vectors and draws give prompts of one kind
    FakeStudy(one=pipeline(NoRetriever()), two=pipeline(RandomRetriever(CORPUS, k=2))).estimate()
    assert len(scorer.seen) == 8 + 2 * 8


def test_the_own_search_of_a_retriever_without_vectors_is_part_of_the_minutes(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = DTWRetriever.retrieve

    def slow(self: DTWRetriever, queries: Any) -> Any:
        clock.now += 2.0 * len(queries)
        return search(self, queries)

    monkeypatch.setattr(DTWRetriever, "retrieve", slow)
    vote = RagPipeline(DTWRetriever(CORPUS, k=3), TextlessPrompter(), VoteScorer(), SignalStore(":memory:"), LOOKBACK)
    found = FakeStudy(one=vote).estimate()
    assert found.minutes == pytest.approx(2.0 * len(answered(LONG)) / 60)
    assert (found.total("model_calls"), found.total("tokens")) == (0, 0)
    assert "no model call" in found.sentence()


# -------------------------------------------------------------------------------------------------------- embeddings


class SlowEncoder(FakeTextEncoder):
    """Takes half a second a line, and a minute to load."""

    clock: Clock

    def encode_lines(self, lines: Sequence[str]) -> Any:
        self.clock.now += 0.5 * len(lines) + (0.0 if self.fake.batches else 60.0)
        return super().encode_lines(lines)


def test_the_lines_of_one_encoder_are_counted_once_and_as_many_as_are_then_embedded(
    tmp_path: Path, clock: Clock
) -> None:
    cache, store = EmbeddingCache(tmp_path / "embeddings.sqlite"), SignalStore(":memory:")
    encoders = [SlowEncoder(cache), SlowEncoder(cache)]
    pipelines = {}
    for k, encoder in enumerate(encoders, 1):
        encoder.clock = clock
        pipelines[f"k{k}"] = RagPipeline(
            DenseRetriever(CORPUS, encoder, k=k), HashScorer(), HashScorer(), store, LOOKBACK
        )
    study = FakeStudy(**pipelines)
    (row,) = study.estimate().embeddings
    assert (row.variants, row.candidates) == (("k1", "k2"), len(CORPUS))
    assert row.minutes == pytest.approx(0.5 * row.lines / 60)
    for encoder in encoders:
        encoder.fake.batches.clear()
    for pipeline in pipelines.values():
        pipeline.signals(QUERIES)
    assert sum(len(encoder.fake.asked) for encoder in encoders) == row.lines
    assert study.estimate().embeddings == ()


# ------------------------------------------------------------------------------------------------------------- words


def _of(minutes: float, **figures: Any) -> Estimate:
    row = {"name": "rag", "asked": 20_000, "found": 0, "to_make": 15_064, "model_calls": 15_064, "tokens": 1_012_345}
    return Estimate((SignalCost(**{**row, **figures}, minutes=minutes),), (), 4.0)


def test_the_sentence_tells_counts_tokens_and_time_and_that_a_kill_loses_nothing() -> None:
    assert _of(8.2).sentence() == (
        "to make: 15,064 signals (1.0 M tokens, about 8 min); kill it whenever you like, what is done is kept"
    )
    assert "(no model call, about 3 s)" in _of(0.05, model_calls=0, tokens=0).sentence()


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0.0, "about 1 s"), (0.5, "about 30 s"), (8.4, "about 8 min"), (89.0, "about 89 min"), (150.0, "about 2.5 h")],
)
def test_a_duration_reads_as_a_person_says_it(minutes: float, words: str) -> None:
    assert duration(minutes) == words


def test_the_record_of_an_estimate_adds_up() -> None:
    record = _of(8.256).record()
    assert record["total"]["to_make"] == record["signals"][0]["to_make"]
    assert record["total"]["minutes"] == record["signals"][0]["minutes"] == 8.26
