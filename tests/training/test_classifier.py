"""The classifier baseline: learned, killed and gone on with, saved, and read as it was trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import BertConfig, BertModel, BertTokenizerFast

from ragsignal.artifacts.artifact import Artifact, load_artifact
from ragsignal.artifacts.card import Card
from ragsignal.artifacts.weights import resolve
from ragsignal.config import ClassifierTraining
from ragsignal.data.bins import LETTERS, shipped_bins
from ragsignal.errors import DataError, ModelError
from ragsignal.llm.classifier import ClassifierScorer
from ragsignal.llm.classifier_models import BertClassifier
from ragsignal.llm.prompt import Template
from ragsignal.training.classifier import train_classifier
from ragsignal.training.examples import Example
from ragsignal.training.run import TrainingResult
from ragsignal.types import Query
from ragsignal.utils import Steps, json_digest, silent_steps

pytestmark = pytest.mark.slow

TEMPLATE = Template("compact", True, shipped_bins())
FIRST = date(2010, 1, 1)
QUICK = {"learning_rate": 1e-2, "epochs": 5.0, "eval_steps": 25, "batch_size": 16, "rank": 4, "patience": 9}


def _example(number: int, rng: np.random.Generator) -> Example:
    """A query whose answer is the sign of its last return."""
    returns = rng.normal(scale=0.02, size=5)
    closes = tuple(np.exp(np.cumsum([4.0, *returns])).tolist())
    days = tuple(FIRST + timedelta(days=number + step) for step in range(6))
    return Example(Query("AA", days, closes), float(returns[-1]), days[-1] + timedelta(days=1))


def _examples(count: int, seed: int, start: int = 0) -> list[Example]:
    rng = np.random.default_rng(seed)
    return [_example(start + number, rng) for number in range(count)]


TRAIN, VALID = _examples(400, 0), _examples(100, 1, start=500)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers without a pooler, and a vocabulary of letters: real loading code, no cost."""
    folder = tmp_path_factory.mktemp("base")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "adj", "close", "_", ":", *LETTERS.lower()]
    vocabulary = {word: number for number, word in enumerate(words)}
    BertTokenizerFast(vocab=vocabulary, model_max_length=64).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(words), max_position_embeddings=64, **shape)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def _bench(out: Path, progress: Steps = silent_steps, train: Sequence[Example] = TRAIN, **options: Any) -> Any:
    """What :class:`ragsignal.training.run.TrainingRun` offers, over examples made by hand."""

    def card(kind: str, result: TrainingResult) -> Card:
        spans = {"train": result.train.span, "valid": result.valid.span}
        same = ("recipe", "metrics", "base", "template", "calibration")
        filled = {name: getattr(result, name) for name in same}
        data = {"source": "planted", "symbols": ["AA"], "fingerprint": "0"}
        fixed = {"name": "toy", "target": "movement", "protocol": "time", "data": data, "seed": 0, "versions": {}}
        seen = result.valid.known_through
        return Card.model_validate({"kind": kind, "trained_through": seen, "command": "-", **fixed, **spans, **filled})

    return SimpleNamespace(
        spec=SimpleNamespace(
            classifier=ClassifierTraining(**options),
            llm=SimpleNamespace(device="cpu"),
            corpus=SimpleNamespace(lookback=5),
        ),
        template=TEMPLATE,
        train=list(train),
        valid=VALID,
        folder=lambda kind: out / kind,
        scratch=lambda kind: out / ".work" / kind,
        work_folder=lambda kind, decides: out / ".work" / kind / json_digest(decides)[:16],
        progress=lambda _what, done, total: progress(done, total),
        card=card,
    )


def _bert(base: Path, **options: Any) -> dict[str, Any]:
    return {"kind": "bert", "base": str(base), **QUICK, **options}


@pytest.fixture(scope="module")
def bert(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return train_classifier(_bench(tmp_path_factory.mktemp("bert"), **_bert(base)))


@pytest.fixture(scope="module")
def logistic(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return train_classifier(_bench(tmp_path_factory.mktemp("logistic"), kind="logistic"))


def _chances(scorer: ClassifierScorer, examples: Sequence[Example]) -> list[float]:
    return [score.probability for score in scorer.score([scorer.prompter.render(it.query, ()) for it in examples])]


def _accuracy(artifact: Artifact) -> float:
    unseen = _examples(200, 2, start=900)
    chances = _chances(ClassifierScorer(artifact, TEMPLATE), unseen)
    return float(np.mean([(chance > 0.5) == it.rise for chance, it in zip(chances, unseen, strict=True)]))


def test_logistic_regression_learns_the_sign_of_the_last_return(logistic: Artifact) -> None:
    assert _accuracy(logistic) > 0.9
    assert set(logistic.card.files) == {"logistic.safetensors"}
    assert logistic.card.base is None


def test_a_bert_learns_the_sign_of_the_last_return_from_letters(bert: Artifact) -> None:
    assert _accuracy(bert) > 0.8
    assert bert.card.metrics["auc"] > 0.9


def test_the_card_says_how_good_it_was_on_validation(logistic: Artifact) -> None:
    figures = logistic.card.metrics
    assert figures["queries"] == len(VALID)
    assert figures["base_rate"] == np.mean([it.rise for it in VALID])
    assert figures["log_loss"] < figures["log_loss_of_base_rate"]
    assert figures["report"]["rise"]["support"] == sum(it.rise for it in VALID)
    chances = _chances(ClassifierScorer(logistic, TEMPLATE), VALID)
    losses = [-np.log(chance if it.rise else 1 - chance) for chance, it in zip(chances, VALID, strict=True)]
    assert figures["log_loss"] == pytest.approx(np.mean(losses))


def test_use_gives_the_probabilities_that_training_reported(bert: Artifact) -> None:
    torch.manual_seed(99)  # what the base lacks is drawn at random before the adapter brings it
    chances = np.array(_chances(ClassifierScorer(bert, TEMPLATE), VALID))
    rise = np.array([it.rise for it in VALID])
    assert bert.card.metrics["brier"] == pytest.approx(np.mean((chances - rise) ** 2), abs=1e-6)


def test_batches_and_their_padding_do_not_move_a_probability(bert: Artifact) -> None:
    scorer = ClassifierScorer(bert, TEMPLATE)
    single = [_chances(scorer, [it])[0] for it in VALID[:5]]
    assert _chances(scorer, VALID[:5]) == pytest.approx(single, abs=1e-5)
    assert scorer.score([]) == []


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("classifier", r"an adapter of .*classifier"),
        ("layer.1", r"does not fit .*it lacks \d+ weights \(.*layer\.1\."),
    ],
)
def test_a_classifier_without_its_head_or_with_some_layers_alone_is_refused(
    lost: str, message: str, base: Path, bert: Artifact, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bert.folder, tmp_path / "copy"))
    tensors = load_file(folder / "adapter_model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if lost not in name}
    save_file(kept, folder / "adapter_model.safetensors")
    reader = BertClassifier(resolve(str(base)), folder, "cpu")
    with pytest.raises(ModelError, match=message):
        reader.log_odds([])


def test_a_classifier_whose_config_names_no_head_is_refused(base: Path, bert: Artifact, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bert.folder, tmp_path / "copy"))
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"modules_to_save": None}))
    with pytest.raises(ModelError, match="does not fit"):
        BertClassifier(resolve(str(base)), folder, "cpu").log_odds([])


def test_the_artifact_holds_the_adapter_and_every_layer_that_the_base_lacks(bert: Artifact) -> None:
    assert set(bert.card.files) == {"adapter_config.json", "adapter_model.safetensors"}
    names = load_file(bert.folder / "adapter_model.safetensors")
    assert any("classifier" in name for name in names)
    assert any("pooler" in name and "lora" not in name for name in names)  # the base has none: it starts at random
    assert not (bert.folder.parent / ".work" / "classifier").exists()


def test_the_artifact_names_its_base_as_the_spec_does_and_no_folder_of_this_machine(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = replace(resolve(str(base)), ref="owner/name")
    monkeypatch.setattr("ragsignal.training.classifier.resolve", lambda *_: weights)
    artifact = train_classifier(_bench(tmp_path, **_bert(base, epochs=0.1)))
    written = (artifact.folder / "adapter_config.json").read_text()
    assert json.loads(written)["base_model_name_or_path"] == "owner/name"
    assert str(base) not in written + artifact.card.model_dump_json()
    assert json.loads(written)["target_modules"] == sorted(json.loads(written)["target_modules"])
    assert len(_chances(ClassifierScorer(artifact, TEMPLATE, weights), VALID)) == len(VALID)


def test_a_killed_training_goes_on_from_its_last_checkpoint_and_ends_the_same(
    bert: Artifact, base: Path, tmp_path: Path
) -> None:
    def kill(done: int, total: int) -> None:
        if done == 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_classifier(_bench(tmp_path, kill, **_bert(base)))
    (scratch,) = (tmp_path / ".work" / "classifier").iterdir()
    torn = scratch / "checkpoint-75"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"best_')
    steps: list[int] = []
    resumed = train_classifier(_bench(tmp_path, lambda done, _: steps.append(done), **_bert(base)))
    assert steps[0] == 50
    assert steps[-1] == 125
    assert resumed.card.files == bert.card.files
    assert resumed.card.metrics == bert.card.metrics


def test_a_checkpoint_of_another_recipe_or_of_other_examples_is_left_alone(base: Path, tmp_path: Path) -> None:
    def kill(done: int, total: int) -> None:
        if done == 26:
            raise KeyboardInterrupt

    def first_step(**changes: Any) -> int:
        steps: list[int] = []

        def stop(done: int, total: int) -> None:
            steps.append(done)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train_classifier(_bench(tmp_path, stop, **{**_bert(base), **changes}))
        return steps[0]

    with pytest.raises(KeyboardInterrupt):
        train_classifier(_bench(tmp_path, kill, **_bert(base)))
    assert first_step() == 25
    assert first_step(learning_rate=2e-2) == 0
    assert first_step(train=[replace(TRAIN[0], outcome=-TRAIN[0].outcome), *TRAIN[1:]]) == 0


def test_training_stops_when_validation_gets_no_better_and_a_kill_does_not_reset_the_patience(
    base: Path, tmp_path: Path
) -> None:
    noise = [replace(it, outcome=(-1.0) ** number) for number, it in enumerate(TRAIN)]
    options = _bert(base, epochs=40.0, eval_steps=5, patience=2)
    steps: list[int] = []
    train_classifier(_bench(tmp_path, lambda done, _: steps.append(done), train=noise, **options))
    assert steps[-1] < 200 < 40 * 25

    def kill(done: int, total: int) -> None:
        if done == steps[-1] - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_classifier(_bench(tmp_path, kill, train=noise, **options))
    again: list[int] = []
    train_classifier(_bench(tmp_path, lambda done, _: again.append(done), train=noise, **options))
    assert again == list(range(steps[-1] - 5, steps[-1] + 1))


def test_the_scorer_sees_neither_symbol_nor_date_nor_hits(bert: Artifact) -> None:
    query = VALID[0].query
    later = tuple(day + timedelta(days=700) for day in query.dates)
    scorer = ClassifierScorer(bert, replace(TEMPLATE))
    assert scorer.prompter.render(query, ()).text == TEMPLATE.query_line(query)
    assert scorer.prompter.render(replace(query, symbol="ZZ", dates=later), ()).text == TEMPLATE.query_line(query)
    assert scorer.prompter.context_digest(query) == ""
    assert scorer.is_model
    assert scorer.score([scorer.prompter.render(query, ())])[0].tokens == 11  # [CLS] adj _ close : five letters [SEP]


def test_logistic_reads_numbers_under_any_template(logistic: Artifact) -> None:
    percent = ClassifierScorer(logistic, Template("percent", True, shipped_bins()))
    assert percent.prompter.render(VALID[0].query, ()).text == ""
    assert _chances(percent, VALID[:3]) == _chances(ClassifierScorer(logistic, TEMPLATE), VALID[:3])


def test_what_it_was_not_trained_on_is_refused(bert: Artifact, base: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="was trained on template"):
        ClassifierScorer(bert, Template("percent", True, shipped_bins()))
    torch.manual_seed(1)
    config = BertConfig(vocab_size=30, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="the spec's base has"):
        ClassifierScorer(bert, TEMPLATE, resolve(str(tmp_path)))
    query = replace(VALID[0].query, closes=VALID[0].query.closes[1:], dates=VALID[0].query.dates[1:])
    scorer = ClassifierScorer(bert, TEMPLATE, resolve(str(base)))
    with pytest.raises(ModelError, match=r"trained on windows of 5 returns, but AA as of .* has 4"):
        scorer.score([scorer.prompter.render(query, ())])


def test_the_recipe_names_the_artifact_and_what_it_reads(bert: Artifact, logistic: Artifact) -> None:
    recipe = ClassifierScorer(bert, TEMPLATE).recipe
    assert recipe["artifact"] == load_artifact(bert.folder).digest
    assert recipe["template"] == "compact/1"
    assert set(recipe["libraries"]) == {"torch", "transformers", "peft"}
    numeric = ClassifierScorer(logistic, TEMPLATE).recipe
    assert numeric["artifact"] == logistic.digest
    assert "bins" not in numeric


def test_a_line_that_the_encoder_cannot_read_in_full_is_refused(bert: Artifact) -> None:
    scorer = ClassifierScorer(bert, TEMPLATE)
    prompt = scorer.prompter.render(VALID[0].query, ())
    with pytest.raises(ModelError, match=r"the line of AA as of .* has 76 tokens, but the encoder reads 64"):
        scorer.score([replace(prompt, text=prompt.text + " A" * 65)])
    with pytest.raises(ModelError, match=r"does not know all of 'adj_close: \+1\.0'"):
        scorer.score([replace(prompt, text="adj_close: +1.0")])


@pytest.mark.parametrize("kind", ["logistic", "bert"])
def test_training_without_both_outcomes_raises(kind: str, base: Path, tmp_path: Path) -> None:
    only = [it for it in TRAIN if it.rise]
    with pytest.raises(DataError, match=r"\d+ of \d+ training queries rose: a classifier needs rises and falls"):
        train_classifier(_bench(tmp_path, train=only, **_bert(base) | {"kind": kind}))


@pytest.mark.skipif(torch.cuda.is_available(), reason="the error of a missing GPU")
def test_a_gpu_that_was_asked_for_and_is_missing_raises(bert: Artifact, base: Path, tmp_path: Path) -> None:
    scorer = ClassifierScorer(bert, TEMPLATE, device="cuda")
    with pytest.raises(ModelError, match="torch sees no GPU"):
        scorer.score([scorer.prompter.render(VALID[0].query, ())])
    bench = _bench(tmp_path, **_bert(base))
    bench.spec.llm.device = "cuda"
    with pytest.raises(ModelError, match="torch sees no GPU"):
        train_classifier(bench)
