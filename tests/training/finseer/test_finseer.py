"""Distillation: what is learned from a teacher, what from none, and that a stopped run goes on to the same weights."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from ragsignal.artifacts.artifact import Artifact, load_artifact
from ragsignal.artifacts.weights import Weights, resolve
from ragsignal.config import CorpusSpec, DataSpec, FinseerTraining, SplitSpec, TrainSpec
from ragsignal.data.bins import shipped_bins
from ragsignal.errors import ConfigError, ModelError
from ragsignal.retrieval.corpus import Corpus, build_corpus
from ragsignal.retrieval.embeddings import EmbeddingCache
from ragsignal.retrieval.encoders import TextEncoder
from ragsignal.retrieval.numeric import NumericEncoder
from ragsignal.training.examples import Example
from ragsignal.training.finseer import train as finseer
from ragsignal.training.finseer.distill import Distillation
from ragsignal.training.finseer.feedback import Feedback
from ragsignal.training.finseer.numeric import NumericStudent
from ragsignal.training.finseer.ranking import (
    ScoredQuery,
    agreement,
    gather,
    hold_out,
    rank_candidates,
    recall_by_chance,
)
from ragsignal.training.finseer.text import TextStudent
from ragsignal.training.run import TrainingRun
from tests.markets import bars, queries_of
from tests.tiny_text import tiny_sentences

pytestmark = pytest.mark.slow

SEQUENCES = ("adj_close", "close", "volume")
WIDTH = 6
MARKET = {"A": bars(200), "B": bars(200, seed=1)}
Told = Callable[[int, int], None]


class Killed(Exception):  # noqa: N818 - not an error, an event
    """Stands in for a process that ends."""


def nothing(done: int, total: int) -> None:
    """Hear of progress."""


def kill_at(step: int) -> Told:
    def told(done: int, total: int) -> None:
        if done == step:
            raise Killed

    return told


# --- a teacher with a rule


Rule = Callable[[Example, NDArray[np.str_]], NDArray[np.float64]]


def together(example: Example, sequences: NDArray[np.str_]) -> NDArray[np.float64]:
    """Volume helps after a rise over the window, the rest after a fall: a rule about query and candidate together."""
    rose = example.query.closes[-1] > example.query.closes[0]
    return np.where((sequences == "volume") == rose, 0.2, -0.2)


def volume(example: Example, sequences: NDArray[np.str_]) -> NDArray[np.float64]:
    """Volume always helps: easy enough for a random BERT of two layers."""
    return np.where(sequences == "volume", 0.2, -0.2)


def taught(corpus: Corpus, examples: list[Example], rule: Rule = together) -> list[ScoredQuery]:
    """Groups of six candidates, eight queries a block, with a little noise in the scores."""
    rng = np.random.default_rng(0)
    names = np.array(corpus.sequences)[corpus.sequence_id]
    groups = []
    for number, example in enumerate(examples):
        rows = rng.choice(corpus.visible(example.query.as_of), WIDTH, replace=False)
        scores = rule(example, names[rows]) + rng.normal(0, 0.01, WIDTH)
        groups.append(ScoredQuery(number // 8, example, rows, scores, rng.permutation(scores)))
    return groups


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return build_corpus(MARKET, CorpusSpec(indicators=SEQUENCES))


@pytest.fixture(scope="module")
def groups(corpus: Corpus) -> list[ScoredQuery]:
    queries = [query for symbol in MARKET for query in queries_of(MARKET, symbol)[20:]]
    queries.sort(key=lambda query: query.as_of)
    return taught(corpus, [Example(query, 0.01, query.as_of) for query in queries])


# --- the loss


def losses(settings: FinseerTraining) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    embeddings = [torch.randn(3, 4, generator=generator) for _ in range(4)]
    scores = torch.randn(3, 3, generator=generator)
    unit = [torch.nn.functional.normalize(each, dim=1) for each in embeddings]
    near = torch.stack([(unit[0] * each).sum(1) for each in unit[1:]], 1) / settings.temperature
    weights = torch.softmax(scores / settings.teacher_temperature, 1)
    kl = (weights * (weights.log() - torch.log_softmax(near, 1))).sum(1).mean()
    nce = -torch.log_softmax(near, 1)[:, 0].mean()
    return Distillation(None, settings).compute_loss_from_embeddings(embeddings, scores), kl, nce


def test_the_loss_is_the_kl_divergence_from_the_teacher_in_nats_whatever_the_temperature() -> None:
    for temperature in (0.02, 0.5):
        found, kl, _ = losses(FinseerTraining(temperature=temperature, teacher_temperature=0.7))
        torch.testing.assert_close(found, kl)


def test_infonce_is_the_cross_entropy_of_the_positive_among_its_own_negatives() -> None:
    found, _, nce = losses(FinseerTraining(loss="infonce"))
    torch.testing.assert_close(found, nce)


def test_a_mix_weighs_the_two() -> None:
    found, kl, nce = losses(FinseerTraining(loss="mix", mix=0.25))
    torch.testing.assert_close(found, 0.25 * kl + 0.75 * nce)


# --- lessons


def test_the_last_blocks_validate_and_no_training_outcome_is_younger_than_they_are(groups: list[ScoredQuery]) -> None:
    late = [
        dataclasses.replace(it, example=dataclasses.replace(it.example, available_at=date(2030, 1, 1)))
        for it in groups[:3]
    ]
    train, valid = hold_out(late + groups[3:], 0.2)
    first = min(it.example.query.as_of for it in valid)
    assert {it.block for it in train}.isdisjoint(it.block for it in valid)
    assert len({it.block for it in valid}) == round(0.2 * len({it.block for it in groups}))
    assert max(it.example.query.as_of for it in train) < first
    assert all(it.example.available_at <= first for it in train)
    assert len(train) + len(valid) == len(groups) - 3


def test_one_block_alone_cannot_be_split(groups: list[ScoredQuery]) -> None:
    with pytest.raises(ConfigError, match=r"leave none to train on .* raise feedback\.queries"):
        hold_out(groups[:8], 0.2)


def test_a_lesson_is_the_best_candidate_and_distinct_worst_ones(groups: list[ScoredQuery]) -> None:
    for lesson, group in zip(rank_candidates(groups, negatives=3), groups, strict=True):
        order = np.argsort(-group.scores, kind="stable")
        np.testing.assert_array_equal(lesson.rows, group.rows[order[[0, -1, -2, -3]]])
        np.testing.assert_array_equal(lesson.scores, group.scores[order[[0, -1, -2, -3]]])
    shuffled = rank_candidates(groups, negatives=3, shuffled=True)
    assert any(a.rows[0] != b.rows[0] for a, b in zip(shuffled, rank_candidates(groups, 3), strict=True))


def test_queries_without_a_preference_teach_nothing_and_the_smallest_group_sets_the_width(
    groups: list[ScoredQuery],
) -> None:
    tied = dataclasses.replace(groups[0], scores=np.full(WIDTH, 0.25))
    small = dataclasses.replace(groups[1], rows=groups[1].rows[:4], scores=groups[1].scores[:4])
    lessons = rank_candidates([tied, small, *groups[2:4]], negatives=15)
    assert [len(lesson.rows) for lesson in lessons] == [4, 4, 4]
    with pytest.raises(ConfigError, match="no preference in any of 1 queries"):
        rank_candidates([tied], negatives=15)


def test_agreement_knows_a_perfect_a_reversed_and_a_blind_encoder(groups: list[ScoredQuery]) -> None:
    settings = FinseerTraining(temperature=0.1, teacher_temperature=0.1)
    perfect = agreement([it.scores for it in groups], groups, settings)
    assert perfect["spearman"] == pytest.approx(1.0)
    assert perfect["kl"] == pytest.approx(0.0, abs=1e-12)
    assert perfect["recall_at_5"] == 1.0
    reversed_ = agreement([-it.scores for it in groups], groups, settings)
    assert reversed_["spearman"] == pytest.approx(-1.0)
    assert reversed_["recall_at_5"] == 0.0
    blind = agreement([np.zeros(WIDTH) for _ in groups], groups, settings)
    assert blind["spearman"] == 0.0
    # all candidates alike: found where the best one stands among the first five
    assert blind["recall_at_5"] == np.mean([np.argmax(it.scores) < 5 for it in groups])
    assert recall_by_chance(groups) == pytest.approx(5 / 6)


# --- the numeric student

SETTINGS = FinseerTraining(
    negatives=WIDTH - 1,
    learning_rate=5e-3,
    batch_size=16,
    dim=8,
    hidden=16,
    numeric_epochs=12,
    numeric_learning_rate=2e-2,
    numeric_batch_size=16,
    save_steps=3,
)


def quick(**changes: Any) -> FinseerTraining:
    return SETTINGS.model_copy(update=changes)


@pytest.mark.parametrize("loss", ["kl", "infonce", "mix"])
def test_a_numeric_student_learns_the_rule_and_not_from_a_shuffled_teacher(
    corpus: Corpus, groups: list[ScoredQuery], tmp_path: Path, loss: str
) -> None:
    train, valid = hold_out(groups, 0.25)
    settings = quick(loss=loss, save_steps=1000)
    found = {}
    for shuffled in (False, True):
        student = NumericStudent(corpus, settings)
        student.fit(rank_candidates(train, 5, shuffled), tmp_path / str(shuffled), nothing)
        found[shuffled] = agreement(student.similarities(valid), valid, settings)
    assert found[False]["spearman"] > 0.5
    assert abs(found[True]["spearman"]) < 0.2
    if loss == "kl":  # below what a query reaches that cannot be far from candidates that look like itself
        assert found[False]["kl"] < 0.25 < found[True]["kl"]


def test_a_stopped_numeric_training_goes_on_to_the_same_bits(
    corpus: Corpus, groups: list[ScoredQuery], tmp_path: Path
) -> None:
    lessons, settings = rank_candidates(groups[:48], 5), quick(numeric_epochs=4)
    whole, stopped, resumed = (NumericStudent(corpus, settings) for _ in range(3))
    whole.fit(lessons, tmp_path / "whole", nothing)
    with pytest.raises(Killed):
        stopped.fit(lessons, tmp_path / "stopped", kill_at(8))
    heard: list[tuple[int, int]] = []
    resumed.fit(lessons, tmp_path / "stopped", lambda done, total: heard.append((done, total)))
    assert heard == [(step, 12) for step in range(7, 13)]  # from the checkpoint of step 6
    for name, student in {"one": whole, "two": resumed}.items():
        (tmp_path / name).mkdir()
        student.write(tmp_path / name)
    assert (tmp_path / "one/model.safetensors").read_bytes() == (tmp_path / "two/model.safetensors").read_bytes()


# --- the text student


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """A random BERT of two layers as a sentence-transformers folder."""
    return resolve(str(tiny_sentences(tmp_path_factory.mktemp("tiny"))))


def text_student(tiny: Weights, corpus: Corpus, settings: FinseerTraining) -> TextStudent:
    return TextStudent(tiny, shipped_bins(), corpus, settings)


def adapter_of(student: TextStudent, folder: Path) -> dict[str, torch.Tensor]:
    folder.mkdir(parents=True)
    student.write(folder)
    return load_file(folder / "adapter_model.safetensors")


def test_a_stopped_text_training_goes_on_to_the_same_weights(
    tiny: Weights, corpus: Corpus, groups: list[ScoredQuery], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lessons, settings = rank_candidates(groups[:80], 5), quick()
    heard: list[tuple[int, int]] = []
    whole, stopped, resumed = (text_student(tiny, corpus, settings) for _ in range(3))
    whole.fit(lessons, tmp_path / "whole", lambda done, total: heard.append((done, total)))
    assert heard == [(step, 10) for step in range(11)]
    with pytest.raises(Killed):
        stopped.fit(lessons, tmp_path / "stopped", kill_at(8))
    (tmp_path / "stopped/checkpoint-9").mkdir()  # as a kill during a save leaves it
    heard.clear()
    resumed.fit(lessons, tmp_path / "stopped", lambda done, total: heard.append((done, total)))
    assert heard == [(step, 10) for step in range(6, 11)]
    one, two = adapter_of(whole, tmp_path / "one"), adapter_of(resumed, tmp_path / "two")
    untrained = adapter_of(text_student(tiny, corpus, settings), tmp_path / "three")
    assert one.keys() == two.keys() == untrained.keys()
    for key in one:
        torch.testing.assert_close(two[key], one[key], atol=1e-5, rtol=0)
    assert max(float((one[key] - untrained[key]).abs().max()) for key in one) > 1e-3
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "%|" not in shown.err


def test_a_text_adapter_has_the_same_bytes_from_every_process(tiny: Weights, corpus: Corpus, tmp_path: Path) -> None:
    student = text_student(tiny, corpus, quick())
    peft = student._model.transformers_model.peft_config["default"]
    written = []
    for number, names in enumerate((["query", "key", "value", "dense"], ["dense", "value", "query", "key"])):
        peft.target_modules = names  # a set, which each process orders otherwise
        adapter_of(student, tmp_path / str(number))
        written.append((tmp_path / str(number) / "adapter_config.json").read_bytes())
    assert written[0] == written[1]


# --- the whole


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, tiny: Weights) -> TrainingRun:
    spec = TrainSpec(
        name="test",
        out=tmp_path_factory.mktemp("out"),
        data=DataSpec(source="planted", symbols=("A", "B"), start=date(2012, 1, 1), end=date(2012, 12, 31)),
        split=SplitSpec(valid_from=date(2012, 9, 1)),
        corpus=CorpusSpec(indicators=SEQUENCES),
        finseer=quick(base=str(tiny.folder)),
    )
    return TrainingRun(spec, command="ragsignal train finseer test.toml")


def scored(bench: TrainingRun, rule: Rule) -> Feedback:
    """Teacher scores by a rule, as they are stored."""
    rows = []
    examples = [it for it in bench.train if bench.corpus.visible(it.query.as_of) >= WIDTH]
    for group in taught(bench.corpus, examples, rule):
        query = group.example.query
        for row, score, shuffled in zip(group.rows, group.scores, group.shuffled, strict=True):
            rows.append((group.block, query.symbol, query.as_of, row, score, shuffled))
    table = pd.DataFrame(rows, columns=["block", "symbol", "as_of", "row", "score", "shuffled"])
    recipe = {"corpus": bench.corpus.digest}
    return Feedback(table, {"recipe": recipe, "digest": "d" * 64, "trained_through": "2012-09-15"})


def trained(bench: TrainingRun, encoder: finseer.EncoderName, rule: Rule) -> Artifact:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finseer, "load_feedback", lambda _: scored(bench, rule))
        return finseer.train_finseer(bench, encoder)


@pytest.fixture(scope="module")
def text(bench: TrainingRun) -> Artifact:
    return trained(bench, "text", volume)


def test_the_numeric_artifact_is_used_as_it_was_trained_and_shows_its_control(bench: TrainingRun) -> None:
    artifact = trained(bench, "numeric", together)
    card = load_artifact(bench.folder("finseer-numeric"), "finseer-numeric").card
    assert artifact.card == card
    names = {f"{name}{arm}" for name in ("spearman", "recall_at_5", "kl") for arm in ("", "_untrained", "_shuffled")}
    assert names <= set(card.metrics)
    assert card.metrics["spearman"] > 0.5 > abs(card.metrics["spearman_shuffled"]) + 0.2
    assert card.trained_through == date(2012, 9, 15)  # the teacher's, later than the queries
    assert card.valid is not None
    assert card.train.last < card.valid.first
    encoder = NumericEncoder(artifact)
    vectors = encoder.encode_corpus(bench.corpus)
    is_volume = np.array(bench.corpus.sequences)[bench.corpus.sequence_id] == "volume"
    for example in bench.train[-40:]:
        near = vectors @ encoder.encode_queries([example.query])[0]
        moved = example.query.closes[-1] / example.query.closes[0] - 1
        if abs(moved) > 0.02:
            assert (near[is_volume].mean() > near[~is_volume].mean()) == (moved > 0)


def test_the_text_artifact_learned_names_its_base_and_holds_no_path_of_its_own(text: Artifact, tiny: Weights) -> None:
    assert text.card.base == {"ref": tiny.ref, "revision": None, "sha256": tiny.digest}
    assert sorted(text.card.files) == ["adapter_config.json", "adapter_model.safetensors"]
    metrics = text.card.metrics
    assert metrics["spearman"] > max(metrics["spearman_shuffled"], metrics["spearman_untrained"]) + 0.3
    assert metrics["kl"] < min(metrics["kl_shuffled"], metrics["kl_untrained"])


def test_the_base_is_written_as_the_spec_names_it_and_not_where_it_lies(
    tiny: Weights, corpus: Corpus, tmp_path: Path
) -> None:
    student = TextStudent(dataclasses.replace(tiny, ref="embedded:tiny"), shipped_bins(), corpus, SETTINGS)
    adapter_of(student, tmp_path / "adapter")
    for path in (tmp_path / "adapter").iterdir():
        assert str(tiny.folder).encode() not in path.read_bytes()
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "embedded:tiny"


def test_an_encoder_with_the_adapter_is_another_one_in_recipe_cache_and_vectors(
    text: Artifact, bench: TrainingRun, tiny: Weights, tmp_path: Path
) -> None:
    cache = EmbeddingCache(tmp_path / "embeddings.sqlite")
    plain = TextEncoder(tiny.folder, tiny.digest, shipped_bins(), cache)
    tuned = TextEncoder(tiny.folder, tiny.digest, shipped_bins(), cache, adapter=text)
    assert plain.recipe == {"encoder": "text/1", "weights": tiny.digest, "bins": shipped_bins().recipe}
    assert tuned.recipe == {**plain.recipe, "adapter": text.digest}
    queries = [example.query for example in bench.train[:5]]
    before, after = plain.encode_queries(queries), tuned.encode_queries(queries)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_array_equal(plain.encode_queries(queries), before)  # the cache keeps the two apart
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1.0, atol=1e-5)


def test_use_gives_the_similarities_that_training_reported(
    text: Artifact, bench: TrainingRun, tiny: Weights, tmp_path: Path
) -> None:
    tuned = TextEncoder(tiny.folder, tiny.digest, shipped_bins(), EmbeddingCache(tmp_path / "e.sqlite"), adapter=text)
    groups = gather(scored(bench, volume), bench.train, bench.corpus.digest)
    _, valid = hold_out(groups, bench.spec.finseer.valid_share)
    vectors = tuned.encode_corpus(bench.corpus)
    near = [vectors[it.rows] @ tuned.encode_queries([it.example.query])[0] for it in valid]
    found = agreement([each.astype(np.float64) for each in near], valid, bench.spec.finseer)
    assert found["kl"] == pytest.approx(text.card.metrics["kl"], abs=1e-4)


def test_a_text_adapter_that_fits_some_layers_is_refused(tiny: Weights, text: Artifact, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(text.folder, tmp_path / "copy"))
    tensors = load_file(folder / "adapter_model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "layer.1." not in name}
    save_file(kept, folder / "adapter_model.safetensors")
    cache = EmbeddingCache(tmp_path / "e.sqlite")
    encoder = TextEncoder(tiny.folder, tiny.digest, shipped_bins(), cache, adapter=replace(text, folder=folder))
    with pytest.raises(ModelError, match=r"does not fit this encoder: it lacks \d+ weights \(.*layer\.1\."):
        encoder.encode_lines(["adj_close: A B C D E"])


def test_an_adapter_of_another_base_or_of_other_letters_is_refused(
    text: Artifact, tiny: Weights, tmp_path: Path
) -> None:
    cache = EmbeddingCache(tmp_path / "embeddings.sqlite")
    with pytest.raises(ModelError, match="SHA-256"):
        TextEncoder(tiny.folder, "0" * 64, shipped_bins(), cache, adapter=text)
    letters = dataclasses.replace(shipped_bins(), edges={**shipped_bins().edges, "open": (0.0,) * 15})
    with pytest.raises(ModelError, match="bins"):
        TextEncoder(tiny.folder, tiny.digest, letters, cache, adapter=text)


def test_only_the_same_recipe_goes_on_from_a_checkpoint(bench: TrainingRun, tmp_path: Path) -> None:
    def with_settings(**changes: Any) -> TrainingRun:
        settings = quick(numeric_epochs=1, **changes)
        spec = bench.spec.model_copy(update={"out": tmp_path / "out", "finseer": settings})
        return TrainingRun(spec, progress=lambda what, *_: steps.append(what))

    steps: list[str] = []
    work = tmp_path / "out/.work/finseer-numeric"
    trained(with_settings(), "numeric", together)
    assert len(list(work.iterdir())) == 2  # the encoder and its control
    assert set(steps) == {"FinSeer (numeric)", "FinSeer (numeric, control)"}
    steps.clear()
    trained(with_settings(), "numeric", together)
    assert steps == []
    trained(with_settings(epochs=9.0), "numeric", together)  # the text encoder's
    assert steps == []
    trained(with_settings(seed=1), "numeric", together)
    trained(with_settings(), "numeric", volume)
    assert len(list(work.iterdir())) == 6


def test_teacher_scores_of_another_corpus_or_of_other_queries_are_refused(bench: TrainingRun) -> None:
    feedback = scored(bench, together)
    with pytest.raises(ConfigError, match="made on another corpus"):
        gather(feedback, bench.train, "another")
    with pytest.raises(ConfigError, match=r"no training query of this spec; type: ragsignal train feedback SPEC"):
        gather(feedback, bench.train[:5], bench.corpus.digest)
