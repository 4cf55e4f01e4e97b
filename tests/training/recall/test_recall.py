"""Training of a recall: what it learns from a teacher and what from none, and what it leaves behind."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from ragsignal.artifacts.artifact import Artifact, load_artifact
from ragsignal.config import CorpusSpec, RecallTraining
from ragsignal.data.bins import shipped_bins
from ragsignal.errors import ConfigError, ModelError, StoreError
from ragsignal.retrieval.corpus import Corpus, build_corpus
from ragsignal.retrieval.recall.reader import RecallReader
from ragsignal.retrieval.recall.retriever import RecallRetriever
from ragsignal.retrieval.recall.titles import CorpusTokens, fit_vocabulary
from ragsignal.training.examples import Example
from ragsignal.training.finseer.feedback import Feedback
from ragsignal.training.finseer.ranking import ScoredQuery
from ragsignal.training.recall import train as recall
from ragsignal.training.recall.student import Lessons, RecallStudent, lessons_of
from ragsignal.training.run import TrainingRun
from tests.markets import bars, queries_of
from tests.specs import train_spec

pytestmark = pytest.mark.slow

SEQUENCES = ("adj_close", "close", "volume")
WIDTH = 6
QUICK = {"hidden": 16, "heads": 2, "layers": 1, "steps": 80, "eval_steps": 20, "learning_rate": 1e-2, "states": 2}
QUICK |= {"best": 3, "letters": 1}


class Killed(Exception):  # noqa: N818 - not an error, an event
    """Stands in for a process that ends."""


def nothing(done: int, total: int) -> None:
    """Hear of progress."""


def kill_at(step: int) -> Callable[[int, int], None]:
    def told(done: int, total: int) -> None:
        if done == step:
            raise Killed

    return told


def taught(corpus: Corpus, examples: list[Example]) -> list[ScoredQuery]:
    """Volume helps after a rise over the window, the rest after a fall; six candidates a query, eight a block."""
    rng = np.random.default_rng(0)
    names = np.array(corpus.sequences)[corpus.sequence_id]
    groups = []
    for number, example in enumerate(examples):
        rows = rng.choice(corpus.visible(example.query.as_of), WIDTH, replace=False)
        rose = example.query.closes[-1] > example.query.closes[0]
        scores = np.where((names[rows] == "volume") == rose, 0.2, -0.2) + rng.normal(0, 0.01, WIDTH)
        groups.append(ScoredQuery(number // 8, example, rows, scores, rng.permutation(scores)))
    return groups


@pytest.fixture(scope="module")
def tokens() -> CorpusTokens:
    corpus = build_corpus({"A": bars(200), "B": bars(200, seed=1)}, CorpusSpec(indicators=SEQUENCES))
    return CorpusTokens(corpus, fit_vocabulary(corpus, SEQUENCES, 1, 2, len(corpus) // 2), shipped_bins())


@pytest.fixture(scope="module")
def lessons(tokens: CorpusTokens) -> tuple[Lessons, Lessons]:
    frames = {"A": bars(200), "B": bars(200, seed=1)}
    queries = sorted((it for name in frames for it in queries_of(frames, name)[20:]), key=lambda it: it.as_of)
    groups = taught(tokens.corpus, [Example(query, 0.01, query.as_of) for query in queries])
    settings = RecallTraining(**QUICK)
    parts = [lessons_of(tokens, part, settings) for part in (groups[:240], groups[240:])]
    assert parts[0] is not None
    assert parts[1] is not None
    return parts[0], parts[1]


# --- the student


def test_a_lesson_is_the_best_candidates_by_the_softmax_of_their_scores(tokens: CorpusTokens) -> None:
    example = Example(queries_of({"A": bars(200)}, "A")[50], 0.01, date(2020, 6, 1))
    scores = np.array([0.1, 0.3, -0.2, 0.2])
    tied = ScoredQuery(0, example, np.array([3, 4, 5, 6]), np.zeros(4), np.zeros(4))
    query = dataclasses.replace(tied, scores=scores)
    found = lessons_of(tokens, [query, tied], RecallTraining(best=2, teacher_temperature=0.5))
    assert found is not None
    assert len(found) == 1
    np.testing.assert_array_equal(found.names[0].numpy(), tokens.of_rows(np.array([4, 6])))
    ratio = np.exp((0.3 - 0.2) / 0.5)
    np.testing.assert_allclose(found.weights.numpy(), [[ratio / (1 + ratio), 1 / (1 + ratio)]], rtol=1e-6)
    assert lessons_of(tokens, [tied], RecallTraining()) is None


def test_a_stopped_training_goes_on_to_the_same_bits(
    tokens: CorpusTokens, lessons: tuple[Lessons, Lessons], tmp_path: Path
) -> None:
    settings = RecallTraining(**QUICK | {"steps": 12, "eval_steps": 4})
    whole, stopped, resumed = (RecallStudent(tokens, settings) for _ in range(3))
    history = whole.fit(*lessons, tmp_path / "whole", nothing)
    with pytest.raises(Killed):
        stopped.fit(*lessons, tmp_path / "cut", kill_at(10))
    assert resumed.fit(*lessons, tmp_path / "cut", nothing) == history
    for name, tensor in whole.model.state_dict().items():
        assert (resumed.model.state_dict()[name] == tensor).all(), name


# --- the whole


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    spec = train_spec(
        out=str(tmp_path_factory.mktemp("out")),
        data={"symbols": ["A", "B"], "start": date(2012, 1, 1), "end": date(2012, 12, 31)},
        split={"valid_from": date(2012, 9, 1)},
        corpus={"indicators": list(SEQUENCES)},
        recall=QUICK,
    )
    return TrainingRun(spec, command="ragsignal train recall test.toml")


def scored(bench: TrainingRun, **changes: Any) -> Feedback:
    """Teacher scores by a rule, as they are stored."""
    examples = [it for it in bench.train if bench.corpus.visible(it.query.as_of) >= WIDTH]
    columns = ["block", "symbol", "as_of", "row", "score", "shuffled"]
    rows = [
        (group.block, group.example.query.symbol, group.example.query.as_of, *triple)
        for group in taught(bench.corpus, examples)
        for triple in zip(group.rows, group.scores, group.shuffled, strict=True)
    ]
    table = pd.DataFrame(rows, columns=columns).assign(**changes)
    meta: Any = {"recipe": {"corpus": bench.corpus.digest}, "digest": "d" * 64, "trained_through": "2012-09-15"}
    return Feedback(table, meta)


def trained(bench: TrainingRun, **changes: Any) -> Artifact:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recall, "load_feedback", lambda _: scored(bench, **changes))
        return recall.train_recall(bench)


@pytest.fixture(scope="module")
def artifact(bench: TrainingRun) -> Artifact:
    return trained(bench)


def test_it_learns_which_titles_helped_and_not_from_a_shuffled_teacher(artifact: Artifact) -> None:
    card = artifact.card
    assert card.metrics["spearman"] > 0.3
    assert card.metrics["spearman"] > card.metrics["spearman_shuffled"] + 0.2
    assert card.metrics["spearman"] > card.metrics["spearman_untrained"] + 0.2
    assert card.base is None
    assert 1_000 < card.metrics["parameters"] < 20_000


def test_it_says_through_which_day_anything_knew(artifact: Artifact, bench: TrainingRun) -> None:
    assert artifact.card.kind == "recall"
    assert artifact.card.trained_through >= max(date(2012, 9, 15), artifact.card.train.last)
    assert artifact.card.trained_through < date(2012, 12, 31)
    assert artifact.card.recipe["lookback"] == 5


def test_it_retrieves_as_it_was_trained(artifact: Artifact, bench: TrainingRun) -> None:
    retriever = RecallRetriever(bench.corpus, RecallReader(artifact, bench.bins), k=5)
    rose = [it.query for it in bench.valid if it.query.closes[-1] > 1.02 * it.query.closes[0]]
    fell = [it.query for it in bench.valid if it.query.closes[-1] < 0.98 * it.query.closes[0]]
    assert len(rose) > 10
    assert len(fell) > 10
    share = [
        np.mean([hit.sequence.sequence == "volume" for hits in retriever.retrieve(asked) for hit in hits])
        for asked in (rose, fell)
    ]
    assert share[0] > 0.8
    assert share[1] < 0.2


def test_a_killed_run_leaves_nothing_half_and_goes_on(bench: TrainingRun, artifact: Artifact) -> None:
    before = load_file(artifact.folder / "model.safetensors")
    shutil.rmtree(artifact.folder)
    again = trained(bench)  # from the checkpoint of the last step
    assert again.digest == artifact.digest
    assert all((load_file(again.folder / "model.safetensors")[name] == it).all() for name, it in before.items())
    assert load_artifact(again.folder, "recall").digest == again.digest


# --- wrong inputs


def test_without_teacher_scores_the_command_that_makes_them_is_named(bench: TrainingRun) -> None:
    with pytest.raises(StoreError, match=r"no teacher scores in .*; type: ragsignal train feedback SPEC"):
        recall.train_recall(bench)


def test_scores_of_another_corpus_are_refused(bench: TrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    other: Any = {"recipe": {"corpus": "another"}, "digest": "", "trained_through": "2012-09-15"}
    monkeypatch.setattr(recall, "load_feedback", lambda _: dataclasses.replace(scored(bench), meta=other))
    with pytest.raises(ConfigError, match="made on another corpus than this spec's; type: ragsignal train feedback"):
        recall.train_recall(bench)


def test_a_teacher_without_a_preference_teaches_nothing(bench: TrainingRun) -> None:
    with pytest.raises(ConfigError, match=r"no preference in any of \d+ queries: there is nothing to name; train"):
        trained(bench, score=0.0)


def test_more_letters_than_a_window_has_are_refused(bench: TrainingRun) -> None:
    spec = bench.spec.model_copy(update={"recall": RecallTraining(letters=6)})
    with pytest.raises(ConfigError, match=r"recall.letters is 6, but a window has corpus.lookback = 5 letters; write"):
        recall.train_recall(dataclasses.replace(bench, spec=spec))


def test_a_folder_of_somebody_else_is_not_replaced(bench: TrainingRun, tmp_path: Path) -> None:
    spec = bench.spec.model_copy(update={"out": tmp_path})
    (tmp_path / "recall").mkdir()
    (tmp_path / "recall" / "mine.txt").write_text("mine")
    with pytest.raises(ModelError, match=r"holds no card.json, so it is not ours to replace; name another folder"):
        recall.train_recall(dataclasses.replace(bench, spec=spec))


def test_a_training_that_runs_away_says_so_in_one_line(bench: TrainingRun, tmp_path: Path) -> None:
    table = bench.spec.recall.model_copy(update={"learning_rate": 1e12, "steps": 20})
    run = TrainingRun(bench.spec.model_copy(update={"recall": table, "out": tmp_path}))
    with pytest.raises(ModelError, match=r"training of recall has come to no finite number of .*loss.*learning_rate"):
        trained(run)


def test_a_share_that_leaves_nothing_is_named_by_its_own_key(bench: TrainingRun, tmp_path: Path) -> None:
    table = bench.spec.recall.model_copy(update={"valid_share": 0.999})
    run = TrainingRun(bench.spec.model_copy(update={"recall": table, "out": tmp_path}))
    with pytest.raises(ConfigError, match=r"the last 0\.999 of them are held out; .*lower recall\.valid_share"):
        trained(run)
