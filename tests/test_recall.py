"""Recall in a run: as a spec names it, through backtest, cost, explanation and audit; and specs that are refused."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragsignal.artifacts.artifact import Artifact
from ragsignal.audit.models.training import audit_training
from ragsignal.audit.signals.retrieval import audit_retrieval
from ragsignal.audit.signals.signals import audit_signals
from ragsignal.config import RetrievalSpec, RunSpec, TrainSpec, load_spec, load_train_spec
from ragsignal.errors import ConfigError, LookAheadError, ModelError
from ragsignal.evaluation import evaluate_spec
from ragsignal.explanation import explain
from ragsignal.report import record_of
from ragsignal.retrieval.recall.trie import Level
from ragsignal.study import Study, estimate, work_of
from ragsignal.study.walk_forward.address import address, training_order
from ragsignal.trading import run_spec
from ragsignal.trading.sweep.grid import spec_at
from ragsignal.utils import silent
from tests.specs import HOLD, RANDOM, SMALL, spec, train_spec, write_spec, write_train_spec
from tests.tiny import tiny_finseer, tiny_recall

MARKET = {"symbols": ["AAA", "BBB", "CCC"], "start": date(2015, 1, 5), "end": date(2015, 2, 13)}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return tiny_recall(tmp_path / "recall")


def recall(artifact: Artifact, **changes: Any) -> dict[str, Any]:
    table = {"retriever": "recall", "encoder": str(artifact.folder), "k": 3, **changes}
    return {"name": "recall", "signal": "vote", "retrieval": table}


def run_of(artifact: Artifact, **changes: Any) -> RunSpec:
    corpus = {"indicators": ["adj_close", "volume"], "stride": 2, "start": date(2014, 10, 1)}
    return spec(data=MARKET, corpus=corpus, variant=[recall(artifact, **changes), RANDOM, HOLD])


def traded(study: Study) -> Any:
    data = study.spec.data
    return dict(study.prices.select(data.symbols).between(data.start, data.end).frames)


def test_a_backtest_is_replayed_to_the_byte_and_counts_its_cost_before(artifact: Artifact) -> None:
    run = run_of(artifact)
    study = Study(run)
    cost = estimate(study, work_of(run, traded(study)))
    assert cost.signals[0].to_make == 75  # of 90 queries the first five of each symbol see too few bars
    first, again = (record_of(run_spec(run)) for _ in range(2))
    for record in (first, again):  # what may differ, and the ledger, which has counted once
        record.pop("times")
        record.pop("trials", None)
    assert json.dumps(first) == json.dumps(again)
    assert estimate(Study(run), work_of(run, traded(study))).total("to_make") == 0


def test_it_is_evaluated_and_explained(artifact: Artifact) -> None:
    run = run_of(artifact)
    assert evaluate_spec(run) is not None
    study = Study(run)
    (explanation,) = explain(study, study.spec.find_variant("recall"), ["AAA"], date(2015, 2, 4))
    assert len(explanation.hits) == 3


def test_addresses_follow_what_decides(artifact: Artifact, tmp_path: Path) -> None:
    def recipe(**changes: Any) -> Any:
        run = run_of(artifact, **changes)
        return Study(run).pipeline(run.variants[0]).recipe

    other = recipe(encoder=str(tiny_recall(tmp_path / "other", seed=1).folder))
    options = [{}, {"titles": 3}, {"beam": 2}, {"title_weight": 0.5}, {"exclude_own_symbol": True}, {"embargo": 2}]
    recipes = [*(recipe(**changes) for changes in options), other]
    assert all(recipes.count(it) == 1 for it in recipes)


def test_what_was_trained_inside_the_window_is_refused(tmp_path: Path) -> None:
    run = run_of(tiny_recall(tmp_path / "late", trained_through=date(2015, 1, 5)))
    with pytest.raises(
        LookAheadError, match=r"retriever .*late \(fitted through 2015-01-05\), but the backtest starts"
    ):
        Study(run).pipeline(run.variants[0])
    study = Study(run)
    (finding, *_) = audit_training(study, traded(study), silent)
    assert finding.verdict == "failed"


def test_letters_count_for_what_was_fitted(artifact: Artifact) -> None:
    run = run_of(artifact)
    study = Study(run)
    assert [what for what, _ in study.parts.fitted(run.variants[0])] == [f"retriever {artifact.folder}", "letter bins"]


def test_the_audit_proves_its_signals_and_its_hits(artifact: Artifact) -> None:
    study = Study(run_of(artifact, exclude_own_symbol=True, embargo=1))
    findings = [*audit_retrieval(study, traded(study), silent), *audit_signals(study, traded(study), silent)]
    verdicts = {(it.test, it.verdict) for it in findings if it.subject == "recall"}
    assert {verdict for _, verdict in verdicts} == {"passed"}, findings


def test_a_trie_that_forgets_its_days_is_caught_by_the_audit(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the leak: all nodes may be named, and the latest candidates below them are returned
    monkeypatch.setattr(Level, "allowed", lambda _, nodes, __, ___: np.ones(len(nodes), dtype=bool))
    monkeypatch.setattr("ragsignal.retrieval.recall.retriever.RecallRetriever._visible", lambda it, _: len(it.corpus))
    monkeypatch.setattr("ragsignal.retrieval.recall.retriever.RecallRetriever._check_known", lambda *_: None)
    study = Study(run_of(artifact))
    (finding,) = [it for it in audit_retrieval(study, traded(study), silent) if it.subject == "recall"]
    assert finding.verdict == "failed"
    assert "looked ahead" in finding.words


# --- specs


def test_keys_at_their_defaults_are_written_nowhere() -> None:
    assert {"titles", "beam", "title_weight"}.isdisjoint(RetrievalSpec().model_dump())
    table = RetrievalSpec(retriever="recall", encoder="x", titles=3, title_weight=1.0)
    assert table.model_dump()["titles"] == 3
    assert RetrievalSpec(**table.model_dump()) == table
    assert "recall" not in train_spec().model_dump(mode="json")
    changed = train_spec(recall={"letters": 2})
    assert TrainSpec.model_validate(changed.model_dump()) == changed


def test_keys_of_a_recall_may_stand_for_all_variants_beside_it(artifact: Artifact) -> None:
    table = recall(artifact, titles=7)["retrieval"]
    run = spec(retrieval=table, variant=[{"name": "recall", "signal": "vote"}, RANDOM, HOLD])
    assert [it.retrieval.titles for it in run.variants] == [7, 7, 7]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"retriever": "recall"}, 'needs encoder = "FOLDER", an artifact of `ragsignal train recall SPEC`'),
        ({"retriever": "recall", "encoder": "walk:finseer-text"}, 'is read by retriever = "finseer"; write encoder ='),
        ({"retriever": "finseer", "encoder": "walk:recall"}, 'is read by retriever = "recall"; write it'),
        (
            {"retriever": "recall", "encoder": "x", "title_weight": 1.5},
            "title_weight: Input should be less than or equal",
        ),
        (
            {"retriever": "recall", "encoder": "x", "title_weight": -0.1},
            "title_weight: Input should be greater than or",
        ),
        ({"retriever": "recall", "encoder": "x", "titles": 0}, "titles: Input should be greater than or equal to 1"),
        ({"retriever": "recall", "encoder": "x", "beam": 2000}, "beam: Input should be less than or equal to 1000"),
        ({"retriever": "recall", "encoder": "x", "k": 101}, "k = 101: of sequences at most 100 can be read"),
        ({"retriever": "recall", "encoder": "x", "candidates": "days"}, "'recall' does not find days; take one of"),
        ({"retriever": "shape", "beam": 3}, 'retrieval.beam is read by retriever = "recall" alone, which no variant'),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused(tmp_path: Path, table: dict[str, Any], words: str) -> None:
    variants = [{"name": "one", "signal": "vote", "retrieval": table}, HOLD]
    path = write_spec(tmp_path, **{**SMALL, "variant": variants})
    with pytest.raises(ConfigError) as caught:
        load_spec(path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"hidden": 20}, "hidden 20 must be an even multiple of heads 4"),
        ({"letters": 0}, "recall.letters: Input should be greater than or equal to 1"),
        ({"seed": -1}, "recall.seed: Input should be greater than or equal to 0"),
        ({"lettres": 2}, "recall.lettres: unknown key. Did you mean 'letters'?"),
    ],
)
def test_a_training_spec_that_cannot_be_meant_is_refused(tmp_path: Path, table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_train_spec(write_train_spec(tmp_path, recall=table))
    assert words in str(caught.value)


def test_an_artifact_of_another_kind_is_refused_by_either_retriever(artifact: Artifact, tmp_path: Path) -> None:
    wrong = run_of(tiny_finseer(tmp_path / "numeric"))
    with pytest.raises(ModelError, match=r"is a finseer-numeric, but recall is needed here; type: ragsignal train rec"):
        Study(wrong).pipeline(wrong.variants[0])
    other = run_of(artifact, retriever="finseer")
    with pytest.raises(ModelError, match=r"is a recall, but finseer-text or finseer-numeric is needed here"):
        Study(other).pipeline(other.variants[0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"lookback": 8}, r'"corpus.lookback": 5.*"corpus.lookback": 8'), ({"horizon": 5}, r'"corpus.horizon": 1')],
)
def test_an_artifact_of_other_windows_or_outcomes_is_refused(
    artifact: Artifact, changes: dict[str, Any], words: str
) -> None:
    run = run_of(artifact)
    run = run.model_copy(update={"corpus": run.corpus.model_copy(update=changes)})
    with pytest.raises(ModelError, match=words):
        Study(run).pipeline(run.variants[0])


def test_a_sweep_of_its_keys_says_how_to_leave_the_control_out(artifact: Artifact) -> None:
    run = run_of(artifact)
    assert [it.retrieval.titles for it in spec_at(run, {"retrieval.titles": 3}, ["recall"]).variants] == [3, 2]
    with pytest.raises(ConfigError, match=r"'random': retrieval\.titles is read by .*in a sweep .*--variant NAME"):
        spec_at(run, {"retrieval.titles": 3}, ["random"])


# --- step by step


def test_a_walk_forward_trains_it_from_the_same_feedback_at_an_address_of_its_own() -> None:
    plain, changed = train_spec(), train_spec(recall={"letters": 2})
    assert training_order(plain, ("recall",)) == ("stockllm", "feedback", "recall")

    def of(which: TrainSpec, kind: Any = "recall") -> str:
        return address(which, kind, "prices", lambda _: "base")

    assert of(plain) != of(changed)
    assert of(plain) != of(plain, "finseer-numeric") == of(changed, "finseer-numeric")
