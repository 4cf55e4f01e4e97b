"""Training StockLLM: what is written, that a killed run ends the same, what is learned from, and what may not be."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from ragsignal.artifacts.artifact import Artifact, load_artifact
from ragsignal.artifacts.weights import resolve
from ragsignal.config import CorpusSpec, DataSpec, LLMSpec, SplitSpec, StockLLMTraining, TrainSpec, load_train_spec
from ragsignal.data.bins import shipped_bins
from ragsignal.errors import LookAheadError, ModelError
from ragsignal.llm.prompt import Template
from ragsignal.llm.stockllm import StockLLM
from ragsignal.retrieval.corpus import build_corpus
from ragsignal.training.examples import Example, draw
from ragsignal.training.run import TrainingRun
from ragsignal.training.stockllm import train as stockllm
from ragsignal.training.stockllm.model import load_trainable
from ragsignal.training.stockllm.prompts import mixed_prompts
from ragsignal.training.stockllm.train import choose_examples, train_stockllm
from ragsignal.types import Candidate, Hit, Movement, Prompt
from tests.markets import Frames, markets, queries_of
from tests.specs import write_train_spec
from tests.tiny import tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
TEMPLATE = Template("compact", True, shipped_bins())
QUICK: dict[str, Any] = {
    **{"rank": 4, "alpha": 8, "examples": 64, "valid_examples": 48, "k": (0, 1, 2), "batch_size": 8},
    **{"epochs": 2.0, "learning_rate": 1e-2, "eval_steps": 4, "patience": 99},  # 16 steps, 4 checkpoints
}
Report = Callable[[str, int, int], None]


class Killed(Exception):  # noqa: N818 - not an error, an event
    """Stands in for a process that ends."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base"), tiny_tokenizer(), context=1024)


def spec_of(base: Path, out: Path, **training: Any) -> TrainSpec:
    return TrainSpec(
        name="tiny",
        out=out,
        data=DataSpec(
            source="planted", symbols=("AA", "BB", "CC"), start=date(2014, 1, 2), end=date(2015, 12, 31), seed=1
        ),
        split=SplitSpec(valid_from=date(2015, 11, 2)),
        corpus=CorpusSpec(indicators=("adj_close",), stride=5),
        llm=LLMSpec(model=str(base), dtype="float32"),
        stockllm=StockLLMTraining(**{**QUICK, **training}),
    )


def bench_of(base: Path, out: Path, report: Report = lambda *_: None, **training: Any) -> TrainingRun:
    return TrainingRun(spec_of(base, out, **training), report, "ragsignal train stockllm tiny.toml")


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """What a run that nobody interrupts writes."""
    return train_stockllm(bench_of(base, tmp_path_factory.mktemp("whole")))


def adapter_of(artifact: Artifact) -> dict[str, torch.Tensor]:
    return load_file(artifact.folder / "adapter_model.safetensors")


def last_of(artifact: Artifact) -> dict[str, torch.Tensor]:
    """The adapter after the last step, which need not be the best one."""
    found = artifact.folder.parent.glob(".work/stockllm/*/checkpoint-*/adapter_model.safetensors")
    return load_file(max(found, key=lambda path: int(path.parent.name.split("-")[1])))


def same_adapters(left: Artifact, right: Artifact) -> None:
    for one, two in ((adapter_of(left), adapter_of(right)), (last_of(left), last_of(right))):
        assert one.keys() == two.keys()
        for name, tensor in one.items():
            torch.testing.assert_close(two[name], tensor, atol=1e-6, rtol=0)
    for name, value in (left.card.calibration or {}).items():
        assert (right.card.calibration or {})[name] == (pytest.approx(value) if isinstance(value, float) else value)


def read(base: Path, adapter: Artifact | None, prompts: Sequence[Prompt]) -> Any:
    return StockLLM(resolve(str(base)), TEMPLATE, adapter, dtype="float32").log_odds(prompts)


# --- what is written


def test_the_artifact_is_read_by_the_scorer_and_says_what_it_was_trained_on(base: Path, whole: Artifact) -> None:
    bench = bench_of(base, whole.folder.parent)
    chosen = choose_examples(bench)
    train, valid = chosen.train, chosen.valid
    card = load_artifact(whole.folder, "stockllm").card
    assert (card.train.queries, card.valid and card.valid.queries) == (len(train), len(valid)) == (64, 48)
    assert card.trained_through >= max(it.available_at for it in train + valid)
    assert card.template == json.loads(json.dumps(bench.template.recipe))
    assert (card.target, card.protocol, card.seed) == ("movement", "time", 0)
    llm = StockLLM(bench.weights, bench.template, whole, dtype="float32")
    chances = [it.probability for it in llm.score([llm.render(it.query, ()) for it in valid])]
    assert len(set(chances)) > 10
    assert all(0 < chance < 1 for chance in chances)


def test_the_adapters_configuration_names_the_base_as_the_spec_does(base: Path, tmp_path: Path) -> None:
    bench = bench_of(base, tmp_path, epochs=0.1, eval_steps=1)
    bench.weights = replace(resolve(str(base)), ref="owner/name")
    artifact = train_stockllm(bench)
    written = (artifact.folder / "adapter_config.json").read_text()
    assert json.loads(written)["base_model_name_or_path"] == "owner/name"
    assert str(base) not in written
    assert "/tmp" not in written
    modules = json.loads(written)["target_modules"]
    assert modules == sorted(modules)
    assert set(artifact.card.files) == {"adapter_config.json", "adapter_model.safetensors"}


def test_the_card_holds_finite_figures_of_validation(whole: Artifact) -> None:
    figures = whole.card.metrics
    names = ("auc", "brier", "ece", "ece_second_half", "log_loss", "log_loss_of_base_rate", "watched_log_loss")
    assert all(math.isfinite(figures[name]) for name in names)
    assert figures["queries"] == 48
    assert figures["steps"] == 16
    assert figures["best_step"] in (4, 8, 12, 16)


def test_a_run_shorter_than_the_steps_between_evaluations_gives_its_last_step(base: Path, tmp_path: Path) -> None:
    artifact = train_stockllm(bench_of(base, tmp_path, epochs=0.25, eval_steps=50))
    assert (artifact.card.metrics["steps"], artifact.card.metrics["best_step"]) == (2, 2)
    assert max(float(it.abs().max()) for name, it in adapter_of(artifact).items() if "lora_B" in name) > 0


@pytest.mark.parametrize("method", ["lora", "adalora", "prefix"])
def test_use_reads_every_kind_of_adapter_as_training_did(base: Path, tmp_path: Path, method: str) -> None:
    bench = bench_of(base, tmp_path, method=method, epochs=1.0, examples=48, eval_steps=2)
    artifact = train_stockllm(bench)
    watched = draw(bench.valid, stockllm._WATCHED, bench.spec.stockllm.seed + 1)  # by early stopping
    prompts = stockllm._prompts(bench, watched, bench.spec.stockllm.seed + 1)
    odds = read(base, artifact, prompts)
    towards = np.where([it.rise for it in watched], odds, -odds)
    assert artifact.card.metrics["watched_log_loss"] == pytest.approx(np.logaddexp(0, -towards).mean(), abs=1e-4)
    assert np.abs(odds - read(base, None, prompts)).max() > 1e-5  # AdaLoRA begins slowly


# --- interrupted


def test_a_stopped_run_goes_on_in_a_later_epoch_and_ends_the_same(base: Path, whole: Artifact, tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if (what, done) == ("training StockLLM", 14):
            raise Killed

    with pytest.raises(Killed):
        train_stockllm(bench_of(base, tmp_path, stop))
    heard: list[int] = []

    def hear(what: str, done: int, total: int) -> None:
        if what == "training StockLLM":
            heard.append(done)

    resumed = train_stockllm(bench_of(base, tmp_path, hear))
    assert heard == [12, 13, 14, 15, 16]
    same_adapters(whole, resumed)
    assert resumed.card.metrics["auc"] == pytest.approx(whole.card.metrics["auc"])


@pytest.mark.parametrize(("method", "kill"), [("adalora", 3), ("adalora", 7), ("prefix", 5)])
def test_a_stopped_run_of_another_method_goes_on_and_ends_the_same(
    base: Path, tmp_path: Path, method: str, kill: int
) -> None:
    """Of eight steps AdaLoRA takes ranks away after the first ones, and none after the sixth."""

    def stop(what: str, done: int, total: int) -> None:
        if (what, done) == ("training StockLLM", kill):
            raise Killed

    options = {"method": method, "epochs": 1.0, "eval_steps": 2}
    with pytest.raises(Killed):
        train_stockllm(bench_of(base, tmp_path / "stopped", stop, **options))
    heard: list[int] = []
    again = train_stockllm(bench_of(base, tmp_path / "stopped", lambda _, done, __: heard.append(done), **options))
    assert heard[0] == kill - 1
    same_adapters(train_stockllm(bench_of(base, tmp_path / "whole", **options)), again)


def test_the_same_seed_gives_the_same_adapter_whatever_was_drawn_before(
    base: Path, whole: Artifact, tmp_path: Path
) -> None:
    torch.manual_seed(99)
    same_adapters(whole, train_stockllm(bench_of(base, tmp_path)))


def is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def test_a_process_that_was_killed_is_gone_on_with_and_ends_the_same(base: Path, tmp_path: Path) -> None:
    path = write_train_spec(
        tmp_path,
        out="killed",
        data={"symbols": ["AA", "BB", "CC"]},
        split={"valid_from": date(2015, 11, 2)},
        corpus={"stride": 5},
        llm={"model": base, "dtype": "float32"},
        stockllm=QUICK | {"alpha": None, "epochs": 4.0, "learning_rate": 1e-3, "eval_steps": 8},
        classifier=None,
    )
    command = [sys.executable, "-m", "ragsignal.cli", "train", "stockllm", str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    # a state that is there but not whole is begun anew: the kill has to come after one that can be read
    while not any(map(is_json, (tmp_path / "killed").glob(".work/stockllm/*/checkpoint-*/trainer_state.json"))):
        assert process.poll() is None, "it ended before its first checkpoint"
        assert time.monotonic() < until
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed/stockllm").exists()
    heard: list[int] = []
    spec = load_train_spec(path)
    resumed = train_stockllm(TrainingRun(spec, lambda _, done, __: heard.append(done)))
    assert 8 <= heard[0] < 32
    whole = train_stockllm(TrainingRun(spec.model_copy(update={"out": tmp_path / "whole"})))
    same_adapters(whole, resumed)


# --- the adapter


def reader_of(base: Path, dtype: str = "float32", **training: Any) -> Any:
    return load_trainable(
        resolve(str(base)), TEMPLATE.labels, dtype, StockLLMTraining(**{**QUICK, **training}), 10
    ).model


def test_modules_and_upper_say_which_layers_of_which_blocks_learn(base: Path) -> None:
    def learning(**training: Any) -> set[str]:
        model = reader_of(base, **training)
        names = [name for name, it in model.named_parameters() if it.requires_grad]
        return {".".join(name.partition("layers.")[2].split(".")[:3]) for name in names}

    assert learning(modules=("q_proj",), upper=0.5) == {"1.self_attn.q_proj"}
    assert learning(modules=("q_proj", "up_proj")) == {
        f"{block}.{it}" for block in (0, 1) for it in ("self_attn.q_proj", "mlp.up_proj")
    }
    assert len(learning()) == 2 * 7


@pytest.mark.parametrize("method", ["lora", "adalora", "prefix"])
def test_an_adapter_is_float32_over_bfloat16_weights(base: Path, method: str) -> None:
    kinds = {(it.requires_grad, it.dtype) for it in reader_of(base, "bfloat16", method=method).parameters()}
    assert (True, torch.float32) in kinds
    assert (True, torch.bfloat16) not in kinds
    assert (False, torch.bfloat16) in kinds


def test_the_full_vocabulary_adds_to_what_is_learned(base: Path, whole: Artifact, tmp_path: Path) -> None:
    other = train_stockllm(bench_of(base, tmp_path, full_vocabulary=0.5))
    gaps = [float((adapter_of(other)[name] - it).abs().max()) for name, it in adapter_of(whole).items()]
    assert max(gaps) > 1e-3


def leaking(examples: Sequence[Example], template: Template, *_: Any) -> list[Prompt]:
    """Prompts whose one candidate tells the answer."""

    def candidate(it: Example) -> Candidate:
        query, word = it.query, Movement.RISE if it.rise else Movement.FALL
        return Candidate("x", "X", "adj_close", query.dates[1:], (1.0,) * 5, (0.0,) * 5, word, 0.0, query.as_of)

    return [template.render(it.query, (Hit(candidate(it), 1.0, 0),)) for it in examples]


def test_what_a_prompt_gives_away_is_learned(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stockllm, "mixed_prompts", leaking)
    options = {"examples": 400, "batch_size": 16, "eval_steps": 25, "epochs": 3.0, "rank": 8, "alpha": 16}
    figures = train_stockllm(bench_of(base, tmp_path, **options)).card.metrics
    assert figures["auc"] > 0.9
    assert figures["log_loss"] < 0.75 * figures["log_loss_of_base_rate"]


def test_a_tracker_that_is_not_there_is_missed_before_any_work(base: Path, tmp_path: Path) -> None:
    for tracker in ("codecarbon", "nonsense"):
        bench = bench_of(base, tmp_path, report_to=(tracker,))
        with pytest.raises(ModelError, match=f"cannot report to {tracker}: "):
            train_stockllm(bench)
        assert "prices" not in vars(bench)


# --- what is learned from


def test_an_answer_that_was_not_known_by_the_end_of_its_part_stops_the_training(base: Path, tmp_path: Path) -> None:
    for name in ("train", "valid"):
        bench = bench_of(base, tmp_path)
        part = getattr(bench.split, name)
        late = replace(getattr(bench, name)[0], available_at=part.known_by + timedelta(days=1))
        setattr(bench, name, [*getattr(bench, name), late])
        with pytest.raises(LookAheadError, match=f"the {name} part ends with what was known by {part.known_by}"):
            train_stockllm(bench)


def test_dropping_freezes_drops_small_moves_of_training_and_nothing_else(base: Path, tmp_path: Path) -> None:
    everything = {"examples": 10**6, "valid_examples": 10**6}
    kept = choose_examples(bench_of(base, tmp_path, freeze="keep", **everything))
    moved = choose_examples(bench_of(base, tmp_path, freeze="drop", **everything))
    every, left = kept.train, moved.train
    assert all(it.outcome > 0.0055 or it.outcome < -0.005 for it in left)
    small = [it for it in every if it not in left]
    assert small
    assert all(-0.005 <= it.outcome <= 0.0055 for it in small)
    assert len(left) + len(small) == len(every)
    assert moved.valid == kept.valid  # the calibration is for all days: they are all traded


KS = (0, 1, 3)


@settings(max_examples=25, deadline=None)
@given(markets(), st.integers(0, 9))
def test_prompts_hold_only_what_their_day_could_see_and_one_of_the_numbers_of_candidates(
    frames: Frames, seed: int
) -> None:
    corpus = build_corpus(frames, CorpusSpec(indicators=("adj_close", "volume")))
    queries = [query for symbol in frames for query in queries_of(frames, symbol, every=3)]
    examples = [Example(query, 0.0, query.as_of) for query in queries]
    prompts = mixed_prompts(examples, TEMPLATE, corpus, KS, ("random", "shape"), seed)
    assert [prompt.query for prompt in prompts] == queries
    for prompt in prompts:
        as_of, n = prompt.query.as_of, len(prompt.hits)
        assert all(hit.candidate.available_at <= as_of for hit in prompt.hits)
        assert n in KS or n == corpus.visible(as_of) < max(KS)
        assert prompt == TEMPLATE.render(prompt.query, prompt.hits)
    assert mixed_prompts(examples, TEMPLATE, corpus, KS, ("random", "shape"), seed) == prompts


def test_every_number_of_candidates_and_both_sources_come_about(base: Path, tmp_path: Path) -> None:
    bench = bench_of(base, tmp_path)
    late = [it for it in bench.train if it.query.as_of > date(2015, 1, 1)][:60]
    make = {name: mixed_prompts(late, TEMPLATE, bench.corpus, KS, (name,), 0) for name in ("random", "shape")}
    assert {len(it.hits) for it in make["random"]} == set(KS)
    both = mixed_prompts(late, TEMPLATE, bench.corpus, KS, ("random", "shape"), 0)
    alike = {name: sum(one == two for one, two in zip(both, found, strict=True)) for name, found in make.items()}
    assert min(alike.values()) < len(late)
    assert [len(it.hits) for it in both] == [len(it.hits) for it in make["shape"]]
