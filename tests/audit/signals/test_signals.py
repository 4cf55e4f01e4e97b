"""The audit of signals, retrieval and training: clean sources pass, and each planted leak is found by its test."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragsignal.audit.models.memory import audit_memory
from ragsignal.audit.models.recall import cutoff_of
from ragsignal.audit.models.training import FittedPart, audit_training, planted_verdict
from ragsignal.audit.signals import signals, visibility
from ragsignal.audit.signals.planted import BEST_OUTCOME, last_visible, planted_candidate, with_candidates
from ragsignal.audit.signals.retrieval import audit_retrieval
from ragsignal.audit.signals.signals import audit_signals, differs
from ragsignal.audit.signals.starts import feed_bars
from ragsignal.audit.signals.variants import late_hits, spread_from_last
from ragsignal.audit.verdict import Finding
from ragsignal.config import DataSpec, RetrievalSpec, RunSpec
from ragsignal.data import Prices, labels, load_prices
from ragsignal.data.rank_letters import RankLetters, build_rank_letters
from ragsignal.errors import DataError
from ragsignal.llm.boosting import Boosting
from ragsignal.retrieval import corpus as corpora
from ragsignal.retrieval import sequences
from ragsignal.retrieval.retrievers import CorpusRetriever, RandomRetriever
from ragsignal.signals import recorded as prefetch
from ragsignal.signals.pipeline import RagPipeline
from ragsignal.signals.recorded import queries_of
from ragsignal.study import materials
from ragsignal.study.study import Study
from ragsignal.types import Query, Signal
from ragsignal.utils import silent
from tests.tiny import tiny_boosting, tiny_finseer, tiny_rank_llm

pytestmark = pytest.mark.slow

Audit = Callable[[Study, dict[str, pd.DataFrame], Any], list[Finding]]

SHAPE = {"name": "shape", "signal": "vote"}
RANDOM = {"name": "random", "signal": "vote", "retrieval": {"retriever": "random", "embargo": 2}}
HOLD = {"name": "hold", "signal": "none"}


def spec_of(*variants: dict[str, Any], **changes: Any) -> RunSpec:
    """A quarter of a made-up market of two stocks, three sequences, rule scorers."""
    values: dict[str, Any] = {
        "name": "small",
        "benchmark": "hold",
        "data": {"source": "noise", "symbols": ["AA", "BB"], "start": "2020-01-02", "end": "2020-03-06"},
        "corpus": {"indicators": ["adj_close", "volume", "alpha006"], "stride": 3},
        "retrieval": {"retriever": "shape", "k": 3},
        "strategy": {"class": "ragsignal.strategies:LongShort"},
        "variant": [HOLD, *variants],
    }
    return RunSpec.model_validate(values | changes)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test: a planted leak must not stay for the next one."""
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def audit(what: Audit, *variants: dict[str, Any], **changes: Any) -> list[Finding]:
    spec = spec_of(*variants, **changes)
    return what(study := Study(spec), traded(study), silent)


def traded(study: Study) -> dict[str, pd.DataFrame]:
    data = study.spec.data
    return dict(study.prices.select(data.symbols).between(data.start, data.end).frames)


def verdicts(findings: Sequence[Finding]) -> dict[tuple[str, str], str]:
    return {(it.test, it.subject): it.verdict for it in findings}


# ------------------------------------------------------------------------------------------------------ signals


def test_every_bar_of_a_clean_source_is_proved() -> None:
    told: list[tuple[str, int, int]] = []
    spec = spec_of(SHAPE, RANDOM)
    study = Study(spec)
    findings = audit_signals(study, traded(study), lambda *it: told.append(it))
    assert set(verdicts(findings).values()) == {"passed"}
    assert {(it.test, it.subject) for it in findings} == {
        (test, name)
        for test in ("signal-prefix", "signal-poison", "signal-start", "signal-replay")
        for name in ("shape", "random")
    }
    (cut,) = (it for it in findings if (it.test, it.subject) == ("signal-prefix", "random"))
    bars = len(traded(study)["AA"])
    assert cut.evidence["cut_points"] == cut.evidence["bars"] == bars
    assert ("signal-prefix", bars, bars) in told
    (start,) = (it for it in findings if (it.test, it.subject) == ("signal-start", "shape"))
    assert start.evidence["feed_bars"] == 6
    (replayed,) = (it for it in findings if (it.test, it.subject) == ("signal-replay", "shape"))
    assert replayed.evidence["made_again"] == 2 * signals.DAYS


def _ahead(values: np.ndarray, _: list[int]) -> np.ndarray:
    """Two bars ahead: the sequence of one symbol, or of several end to end."""
    return np.concatenate([values[:, 2:], values[:, -2:]], axis=1)


def _full_sample(values: np.ndarray, lengths: list[int]) -> np.ndarray:
    """In units of the whole history's mean, as a z-score of the full sample is."""
    parts = np.split(values, np.cumsum(lengths)[:-1], axis=1)
    return np.concatenate([part / np.nanmean(part, axis=1, keepdims=True) for part in parts], axis=1)


@pytest.mark.parametrize("leak", [_ahead, _full_sample])
def test_a_sequence_that_reads_later_bars_is_caught_by_cut_and_poison(
    monkeypatch: pytest.MonkeyPatch, leak: Callable[[np.ndarray, list[int]], np.ndarray]
) -> None:
    honest = sequences.compute_stacked

    def leaky(frames: Sequence[pd.DataFrame], names: Any) -> tuple[np.ndarray, np.ndarray]:
        values, scaled = honest(frames, names)
        return values, leak(scaled, [len(frame) for frame in frames])

    monkeypatch.setattr(sequences, "compute_stacked", leaky)
    found = verdicts(audit(audit_signals, SHAPE))
    assert found["signal-prefix", "shape"] == found["signal-poison", "shape"] == "failed"


def test_an_outcome_that_is_known_a_bar_too_early_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = labels.forward_returns

    def early(frames: Any, target: Any, horizon: int) -> Any:
        found = honest(frames, target, horizon)
        return {name: it.assign(available_at=it.index.where(it["available_at"].notna())) for name, it in found.items()}

    monkeypatch.setattr(corpora, "forward_returns", early)
    findings = audit(audit_signals, SHAPE)
    assert verdicts(findings)["signal-prefix", "shape"] == "failed"
    assert "what is visible as of" in next(it.words for it in findings if it.test == "signal-prefix")


def test_a_window_that_holds_the_next_close_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = prefetch.cut_queries
    monkeypatch.setattr(
        prefetch,
        "cut_queries",
        lambda symbol, days, closes, lookback: honest(symbol, days, [*closes[1:], *closes[-1:]], lookback),
    )
    findings = audit(audit_signals, RANDOM)
    assert verdicts(findings)["signal-prefix", "random"] == "failed"
    assert "the window of AA" in next(it.words for it in findings if it.test == "signal-prefix")


def test_a_test_that_does_not_see_the_planted_leak_calls_itself_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visibility, "read_early", lambda frames, _: dict(frames))
    found = verdicts(audit(audit_signals, SHAPE))
    assert found["signal-prefix", "shape"] == found["signal-poison", "shape"] == "broken"


def test_candidates_that_end_before_the_window_leave_the_control_to_the_queries() -> None:
    corpus = {"indicators": ["adj_close"], "end": date(2019, 12, 2)}
    assert verdicts(audit(audit_signals, SHAPE, corpus=corpus))["signal-prefix", "shape"] == "passed"


def test_a_signal_that_was_changed_in_the_store_is_not_what_its_recipe_makes(own_cache: Path) -> None:
    study = Study(spec_of(SHAPE))
    frames = traded(study)
    study.pipeline(study.spec.variants[1]).signals(queries_of(frames, 5))
    with sqlite3.connect(own_cache / "signals.sqlite") as store:
        store.execute("UPDATE signals SET probability = 1.0 - probability + 0.07")
    findings = audit_signals(study, frames, silent)
    assert verdicts(findings)["signal-replay", "shape"] == "failed"


def test_a_signal_differs_by_its_hits_or_by_more_than_bf16_allows() -> None:
    study = Study(spec_of(SHAPE))
    (signal,) = study.pipeline(study.spec.variants[1]).signals(queries_of(traded(study), 5)[-1:])
    assert not differs(signal, replace(signal, probability=signal.probability + 0.01))
    assert differs(signal, replace(signal, probability=signal.probability + 0.03))
    assert differs(signal, replace(signal, hits=signal.hits[1:]))


def test_a_feed_must_hold_the_window_and_no_more() -> None:
    frames = traded(Study(spec_of(SHAPE)))
    assert feed_bars(frames, lambda feed: queries_of(feed, 7)[-1]) == 8


def test_a_spec_without_signals_has_nothing_to_test() -> None:
    for test in (audit_signals, audit_retrieval, audit_training):
        assert {it.verdict for it in audit(test)} == {"unknown"}


# ------------------------------------------------------------------------------------------------- rank letters


@pytest.fixture
def ranked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunSpec:
    """22 stocks, and two variants that rank them: decoders that remember five days, and boosting that remembers one."""
    monkeypatch.setattr(visibility, "SECONDS", 1.0)  # the fewest cut points: letters of all stocks at each
    readers = [
        {"name": "stockllm", "signal": "llm", "llm": {"model": str(tiny_rank_llm(tmp_path / "stockllm").folder)}},
        {"name": "boosted", "signal": "classifier", "classifier": str(tiny_boosting(tmp_path / "boosting").folder)},
    ]
    data = {"source": "noise", "symbols": [f"S{number:02d}" for number in range(22)], "start": "2012-01-02"}
    return spec_of(
        *readers,
        data=data | {"end": "2012-02-03"},
        corpus={"indicators": ["adj_close"], "target": "relative"},
        retrieval={"retriever": "none"},
    )


def audit_ranked(spec: RunSpec, history: Prices | None = None) -> list[Finding]:
    study = Study(spec, history=history)
    return audit_signals(study, traded(study), silent)


@functools.cache
def two_years(data: DataSpec) -> Prices:
    """Prices of the two years before the window alone: no letter needs more."""
    return load_prices(data).between(date(2010, 1, 1), None)


@pytest.fixture
def few_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of them, for leaks that every cut shows."""
    monkeypatch.setattr(visibility, "_FEWEST", 3)
    monkeypatch.setattr(visibility, "SECONDS", 0.0)


def _a_day_early(frames: Any) -> RankLetters:
    letters = build_rank_letters(frames)
    early = [np.concatenate([table[1:], table[-1:]]) for table in (letters.letters, letters.ranked)]
    return replace(letters, letters=early[0], ranked=early[1])


def test_readers_of_rank_letters_are_proved_with_the_letters_of_all_stocks(ranked: RunSpec) -> None:
    findings = audit_ranked(ranked)
    assert set(verdicts(findings).values()) == {"passed"}
    evidence = {(it.test, it.subject): it.evidence for it in findings}
    cut = evidence["signal-prefix", "boosted"]
    assert (cut["rebuilt"], cut["symbols_rebuilt"]) == (["rank letters"], 22)
    assert cut["cut_points"] >= 8
    start = evidence["signal-start", "stockllm"]
    assert start["letters_compared"] > start["letters_moved"] > 0  # those of the first year of a later start
    assert start["letters_moved_in_window"] == 0
    assert evidence["signal-replay", "stockllm"]["made_again"] == 22 * signals.DAYS


@pytest.mark.usefixtures("few_cuts")
def test_letters_that_are_read_one_day_early_are_caught(ranked: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visibility, "build_rank_letters", _a_day_early)
    found = verdicts(audit_ranked(ranked, two_years(ranked.data)))
    for name in ("stockllm", "boosted"):
        assert found["signal-prefix", name] == found["signal-poison", name] == "failed"


@pytest.mark.usefixtures("few_cuts")
def test_a_study_whose_letters_are_a_day_early_makes_other_signals_from_prices_that_end(
    ranked: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(materials, "build_rank_letters", _a_day_early)
    found = verdicts(audit_ranked(ranked, two_years(ranked.data)))
    assert found["signal-replay", "stockllm"] == found["signal-replay", "boosted"] == "failed"


@pytest.mark.usefixtures("few_cuts")
def test_a_model_that_scores_a_day_by_the_next_ones_letters_is_caught_though_its_address_is_right(
    ranked: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Boosting.scores
    monkeypatch.setattr(Boosting, "scores", lambda self, *read: np.roll(honest(self, *read), -1, axis=0))
    found = verdicts(audit_ranked(ranked, two_years(ranked.data)))
    assert found["signal-prefix", "boosted"] == "passed"
    assert (found["signal-replay", "boosted"], found["signal-replay", "stockllm"]) == ("failed", "passed")


@pytest.mark.usefixtures("few_cuts")
def test_too_few_stocks_for_letters_leave_the_control_blind(ranked: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> RankLetters:
        raise DataError("too few")

    monkeypatch.setattr(visibility, "build_rank_letters", refuse)
    assert verdicts(audit_ranked(ranked, two_years(ranked.data)))["signal-prefix", "boosted"] == "broken"


def test_a_difference_of_a_thousandth_is_one_to_a_reader_of_letters() -> None:
    signal = Signal("A", date(2020, 1, 2), 0.02, 0.51, None, (), "key", rank=0.5)
    assert not differs(signal, replace(signal, probability=0.51005), signals.LETTERS_TOLERANCE)
    assert differs(signal, replace(signal, probability=0.511), signals.LETTERS_TOLERANCE)
    assert differs(signal, replace(signal, rank=0.6), signals.LETTERS_TOLERANCE)


def test_readers_of_letters_are_judged_by_their_cards_and_have_no_text_to_remember(ranked: RunSpec) -> None:
    study = Study(ranked)
    trained = audit_training(study, traded(study), silent)
    assert [(it.subject, it.verdict) for it in trained] == [("stockllm", "passed"), ("boosted", "passed")]
    assert trained[0].evidence["fitted"][0]["trained_through"] == "2010-02-02"
    assert trained[0].evidence["fitted"][0]["bars_between"] > 400
    (memory,) = audit_memory(study, traded(study), silent)
    assert memory.verdict == "unknown"
    assert {it.verdict for it in audit_retrieval(study, traded(study), silent)} == {"unknown"}


def test_a_model_of_ranks_that_was_trained_on_the_window_fails(ranked: RunSpec, tmp_path: Path) -> None:
    tiny_boosting(tmp_path / "boosting", trained_through=date(2012, 1, 2))
    study = Study(ranked)
    found = {it.subject: it.verdict for it in audit_training(study, traded(study), silent)}
    assert found == {"stockllm": "passed", "boosted": "failed"}


# ---------------------------------------------------------------------------------------------------- retrieval


def test_clean_retrieval_passes_and_says_how_much_was_compared() -> None:
    findings = audit(
        audit_retrieval, SHAPE, RANDOM, {"name": "dtw", "signal": "vote", "retrieval": {"retriever": "dtw"}}
    )
    assert set(verdicts(findings).values()) == {"passed"}
    shape, random, _ = findings
    assert shape.evidence["baits_found_when_known"] == shape.evidence["baits"] == 4
    assert shape.evidence["truncated_queries"] > 0
    assert random.evidence["baits_found_when_known"] is None


def test_planted_candidates_are_found_behind_an_embargo_and_without_the_own_symbol() -> None:
    other = {"retriever": "shape", "embargo": 3, "exclude_own_symbol": True}
    (finding,) = audit(audit_retrieval, {"name": "far", "signal": "vote", "retrieval": other})
    assert finding.verdict == "passed"
    assert finding.evidence["baits_found_when_known"] == 4


def test_a_retriever_that_sees_the_whole_corpus_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CorpusRetriever, "_visible", lambda self, _: len(self.corpus))
    found = verdicts(audit(audit_retrieval, SHAPE, RANDOM))
    assert set(found.values()) == {"failed"}


def test_a_choice_that_depends_on_later_candidates_is_caught_by_the_truncated_corpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = RandomRetriever._draw

    def sly(self: RandomRetriever, query: Query) -> Any:
        self.seed = len(self.corpus)  # all hits are known in time, but the future chose among them
        return honest(self, query)

    monkeypatch.setattr(RandomRetriever, "_draw", sly)
    findings = audit(audit_retrieval, RANDOM)
    assert verdicts(findings)["retrieval", "random"] == "failed"
    assert "when the corpus ends at the query's day" in findings[0].words


def test_a_pipeline_that_accepts_what_a_leaky_retriever_returns_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RagPipeline, "_retrieve", lambda self, queries: self.retriever.retrieve(queries))
    findings = audit(audit_retrieval, SHAPE)
    assert findings[0].verdict == "failed"
    assert "the pipeline accepted 4 hits" in findings[0].words


def test_a_stored_hit_that_was_not_known_is_counted() -> None:
    study = Study(spec_of(SHAPE))
    made = study.pipeline(study.spec.variants[1]).signals(queries_of(traded(study), 5)[-4:])
    tomorrow = made[0].as_of + timedelta(days=1)
    late = replace(made[0].hits[0], candidate=replace(made[0].hits[0].candidate, available_at=tomorrow))
    assert late_hits(made)[1] == []
    count, found = late_hits([replace(made[0], hits=(late,)), *made[1:]])
    assert (count, len(found)) == (sum(len(it.hits) for it in made) - 2, 1)


def test_a_corpus_with_planted_candidates_is_sorted_and_holds_them() -> None:
    study = Study(spec_of(SHAPE))
    queries = spread_from_last([it for it in queries_of(traded(study), 5) if len(it.closes) > 5], 5)
    spec = RetrievalSpec(retriever="shape")
    planted = [planted_candidate(it, study.corpus, spec, last_visible(study.corpus, it, 0)) for it in queries]
    corpus = with_candidates(study.corpus, planted)
    assert len(corpus) == len(study.corpus) + 5
    assert (corpus.available_at[1:] >= corpus.available_at[:-1]).all()
    assert sum(it.outcome == BEST_OUTCOME for it in map(corpus.candidate, range(len(corpus)))) == 5
    assert [it.available_at for it in planted] == [it.as_of for it in queries]


def test_spread_from_last_takes_the_last_and_no_item_twice() -> None:
    assert spread_from_last(list(range(10)), 4)[-1] == 9
    assert spread_from_last([1, 2], 5) == [1, 2]
    assert spread_from_last([1, 2, 3], 1) == [3]


# ----------------------------------------------------------------------------------------------------- training


def _finseer(folder: Path) -> dict[str, Any]:
    return {"name": "trained", "signal": "vote", "retrieval": {"retriever": "finseer", "encoder": str(folder)}}


def test_what_was_trained_before_the_window_passes_with_the_bars_between(tmp_path: Path) -> None:
    artifact = tiny_finseer(tmp_path / "numeric", trained_through=date(2019, 12, 27))
    (finding,) = audit(audit_training, _finseer(artifact.folder))
    assert finding.verdict == "passed"
    (fitted,) = finding.evidence["fitted"]
    assert fitted["trained_through"] == "2019-12-27"
    assert fitted["bars_between"] == len(pd.bdate_range("2019-12-30", "2020-01-02"))


@pytest.mark.parametrize("allowed", [False, True])
def test_what_was_trained_into_the_window_fails_whether_the_spec_allows_it_or_not(
    tmp_path: Path, allowed: bool
) -> None:
    artifact = tiny_finseer(tmp_path / "numeric", trained_through=date(2020, 1, 2))  # the first traded day
    (finding,) = audit(audit_training, _finseer(artifact.folder), allow_in_sample=allowed)
    assert finding.verdict == "failed"
    assert "2020-01-02" in finding.words


def test_a_variant_that_refuses_to_make_signals_is_left_to_the_test_of_training(tmp_path: Path) -> None:
    artifact = tiny_finseer(tmp_path / "numeric", trained_through=date(2020, 1, 2))
    (finding,) = audit(audit_signals, _finseer(artifact.folder))
    assert (finding.verdict, finding.subject) == ("unknown", "trained")


def test_the_papers_protocol_fails_wherever_its_days_lie(tmp_path: Path) -> None:
    artifact = tiny_finseer(tmp_path / "numeric", protocol="paper")
    (finding,) = audit(audit_training, _finseer(artifact.folder))
    assert finding.verdict == "failed"
    assert "the paper's protocol" in finding.words


def test_base_models_are_named_with_what_is_known_of_their_text() -> None:
    llm = {
        "name": "llm",
        "signal": "llm",
        "llm": {"adapter": "shipped:stockllm-text"},
        "retrieval": {"retriever": "none"},
    }
    variant, base = audit(audit_training, llm)
    assert variant.verdict == "passed"
    assert (base.subject, base.verdict) == ("embedded:SmolLM2-135M-Instruct", "unknown")
    assert base.evidence["cutoff"] == str(cutoff_of("embedded:SmolLM2-135M-Instruct")[0])  # type: ignore[index]


def test_the_control_of_training_is_a_card_of_the_first_day() -> None:
    assert planted_verdict() == "failed"
    assert FittedPart("x", date(2020, 1, 1), date(2020, 1, 2)).verdict() == "passed"
