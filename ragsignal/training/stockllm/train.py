"""StockLLM: a peft adapter that teaches a causal LM to answer rise or fall, and the calibration of its answers.

    examples -> prompts (the templates of use) -> Trainer -> best checkpoint -> calibration on validation -> artifact

The loss is the two-class cross-entropy on the label tokens' logits. Validation prompts are scored for the calibration
by the very code that scores them in use.
"""

from __future__ import annotations

import json
import math
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Trainer, TrainerCallback, set_seed
from transformers.trainer_pt_utils import LengthGroupedSampler

import ragsignal.training.loop as loop
from ragsignal.artifacts import Artifact, adapter_config, load_artifact, refuse_foreign, save_artifact
from ragsignal.config import StockLLMTraining
from ragsignal.data import movement_of
from ragsignal.llm import StockLLM, calibrated, checked_device, chosen_dtype, load_stockllm, probability_of, token_ids
from ragsignal.training.calibration import Method, expected_calibration_error, fit_calibration, validation_metrics
from ragsignal.training.examples import Example, check_labels, draw, draw_by_age
from ragsignal.training.run import Learned, TrainingResult, TrainingRun
from ragsignal.training.stockllm.adalora import load_adalora, orthogonality, save_adalora
from ragsignal.training.stockllm.model import TokenRow, TrainableLLM, collate, label_loss, load_trainable, take_up
from ragsignal.training.stockllm.prompts import mixed_prompts
from ragsignal.types import Prompt, Recipe
from ragsignal.utils import Steps, versions_of

_COMPUTING = ("torch", "transformers", "peft")
_MORE_LOSS = {"adalora": ", and orthogonality"}
_WATCHED = 512  # validation prompts that early stopping looks at; the calibration reads all


@dataclass(frozen=True)
class ChosenExamples:
    """Examples that are trained on, those that validate and calibrate, and those that early stopping looks at."""

    train: list[Example]
    valid: list[Example]
    watched: list[Example]


@dataclass(frozen=True)
class FittedStockLLM:
    """What a training wrote, and the processor's seconds that its steps took, those before a kill included."""

    artifact: Artifact
    cpu_seconds: float


def train_stockllm(run: TrainingRun) -> Artifact:
    """Train, calibrate and save ``run.folder("stockllm")``; raises as :func:`fit_stockllm`."""
    return fit_stockllm(run).artifact


def fit_stockllm(run: TrainingRun) -> FittedStockLLM:
    """Train, calibrate and save ``run.folder("stockllm")``, and say what it took.

    Raises
    ------
    LookAheadError
        If an example's answer was not known by the end of its part.
    ModelError
        If the base model, the device or a tracker is missing.
    """
    training = run.spec.stockllm
    refuse_foreign(run.folder("stockllm"))
    loop.check_trackers(training.report_to)
    device = checked_device(run.spec.llm.device)
    examples = choose_examples(run)
    folder = _work_folder(run, examples, device)
    trainer = _trainer(run, examples, folder, device)
    with warnings.catch_warnings():
        # AdaLoRA may take all ranks of a layer away, which peft mistakes for a torn save
        warnings.filterwarnings("ignore", r".* LoRA tensor\(s\) have invalid shape")
        loop.run(trainer, folder)
    if trainer.is_world_process_zero():  # of several under torchrun: one writes, all read
        # the Trainer forgets which was best where the folder was moved between a kill and the rerun
        best = trainer.state.best_model_checkpoint or loop.last_checkpoint(folder)
        assert best is not None  # a run evaluates and saves its last step
        _save(run, examples, Path(best), trainer)
    trainer.accelerator.wait_for_everyone()
    return FittedStockLLM(load_artifact(run.folder("stockllm"), "stockllm"), loop.cpu_seconds(trainer))


def choose_examples(run: TrainingRun) -> ChosenExamples:
    """Draw the examples of a run; each part is checked against its own last day."""
    training = _settings(run)
    check_labels(run.split.train, run.train)
    check_labels(run.split.valid, run.valid)
    train = _without_freeze(run.train, training, run.prices.clock.scale)
    if run.before is None:
        train = draw(train, training.examples, training.seed)
    else:
        last = run.before.artifact.card.train.last
        train = draw_by_age(train, training.examples, run.before.walk, last, training.seed)
    return ChosenExamples(
        train=train,
        valid=draw(run.valid, training.valid_examples, training.seed),
        watched=draw(run.valid, _WATCHED, training.seed + 1),
    )


def _settings(run: TrainingRun) -> StockLLMTraining:
    """The table ``[stockllm]``; of a warm step with as many examples as its steps read, each once."""
    training = run.spec.stockllm
    if run.before is None:
        return training
    walk = run.before.walk
    examples = walk.warm_steps * training.batch_size * training.accumulate
    rate = walk.warm_rate * training.learning_rate
    return training.model_copy(update={"examples": examples, "epochs": 1.0, "learning_rate": rate})


def training_recipe(run: TrainingRun) -> Recipe:
    """All that decides the trained weights."""
    warm = {} if run.before is None else {"warm": run.before.recipe}
    return warm | {
        **_settings(run).model_dump(mode="json", exclude={"report_to", "calibration", "valid_examples"}),
        "loss": "two-class cross-entropy on the label logits" + _MORE_LOSS.get(run.spec.stockllm.method, ""),
        "base": run.weights.digest,
        "dtype": run.spec.llm.dtype,
        "template": run.template.recipe,
        "target": run.spec.corpus.target,
        "lookback": run.spec.corpus.lookback,
        "corpus": run.corpus.digest,
        "data": run.prices.digest,
        "split": run.spec.split.model_dump(mode="json"),
        **(run.news_recipe if run.template.headlines else {}),
    }


def _work_folder(run: TrainingRun, examples: ChosenExamples, device: str) -> Path:
    answers = [
        [[it.query.symbol, it.query.as_of, it.query.closes, it.rise] for it in part]
        for part in (examples.train, examples.watched)
    ]
    return run.work_folder("stockllm", [training_recipe(run), device, versions_of(_COMPUTING), answers])


def _trainer(run: TrainingRun, examples: ChosenExamples, folder: Path, device: str) -> _StockLLMTrainer:
    training, dtype = _settings(run), chosen_dtype(run.spec.llm.dtype, device)
    steps = math.ceil(math.ceil(len(examples.train) / (training.batch_size * training.accumulate)) * training.epochs)
    set_seed(training.seed)  # before the adapter is made: it starts at random
    llm = load_trainable(run.weights, run.template.labels, dtype, training, steps)
    if run.before is not None:
        take_up(llm, run.before.artifact.folder)
    return _StockLLMTrainer(
        llm,
        training,
        train_dataset=_rows(llm, run, examples.train, training.seed),
        eval_dataset=_rows(llm, run, examples.watched, training.seed + 1),
        folder=folder,
        device=device,
        progress=partial(run.progress, "training StockLLM"),
    )


class _StockLLMTrainer(Trainer):
    """transformers' Trainer with the label loss."""

    def __init__(
        self, llm: TrainableLLM, training: StockLLMTraining, *, folder: Path, device: str, progress: Steps, **data: Any
    ) -> None:
        self._llm = llm
        self._full = training.full_vocabulary
        self._seed = training.seed
        options = loop.arguments(
            training,
            folder,
            device,
            report_to=list(training.report_to) or "none",
            warmup_steps=loop.WARMUP,
            per_device_eval_batch_size=training.batch_size,
            gradient_accumulation_steps=training.accumulate,
        )
        callbacks = loop.callbacks(progress, training.patience)
        self._allocates = training.method == "adalora"
        if self._allocates:
            callbacks.append(_RankAllocation())
        super().__init__(
            model=llm.model,
            args=options,
            data_collator=partial(collate, pad=llm.tokenizer.pad_token_id or 0),
            callbacks=callbacks,
            **data,
        )
        self.model_accepts_loss_kwargs = False  # else accumulated losses are summed instead of averaged

    def learned(self) -> list[torch.Tensor]:
        """What is trained."""
        return [it for it in self._llm.model.parameters() if it.requires_grad]

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return _SeededLengths(
            train_dataset, self.args.train_batch_size * self.args.gradient_accumulation_steps, self._seed
        )

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        if self._allocates and output_dir is not None:
            save_adalora(self._llm.model, Path(output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self._allocates:  # peft cannot take the ranks up that it cut away
            load_adalora(self._llm.model, Path(resume_from_checkpoint))
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_best_model(self) -> None:
        """Nothing: the artifact is copied from the best checkpoint, as peft cannot go back to AdaLoRA's old ranks."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, *_: Any, **__: Any) -> Any:
        """Loss of a batch, with the logits where they are asked for."""
        loss, logits = label_loss(self._llm, model, inputs, self._full if model.training else 0.0)
        if self._allocates and model.training:
            loss = loss + orthogonality(self._llm.model)
        return (loss, logits) if return_outputs else loss

    def prediction_step(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
        """Validation log-loss of a batch."""
        with torch.no_grad():
            inputs = self._prepare_inputs(inputs)
            loss, logits = self.compute_loss(model, inputs, return_outputs=True)
        return loss.detach(), logits.detach(), inputs["target"]


class _SeededLengths(LengthGroupedSampler):
    """Batches of prompts that are alike in length, in an order that the seed and the epoch's number decide.

    The Trainer's own draws it from the state of the process, which a rerun in a later epoch does not have.
    """

    def __init__(self, rows: Sequence[TokenRow], batch_size: int, seed: int) -> None:
        super().__init__(batch_size, lengths=[len(row["input_ids"]) for row in rows])
        self._seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch."""
        self.generator = torch.Generator().manual_seed(self._seed + epoch)


class _RankAllocation(TrainerCallback):
    """AdaLoRA moves its ranks between layers before each step's gradients are cleared."""

    def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:  # noqa: ARG002
        model.base_model.update_and_allocate(state.global_step)


def _without_freeze(examples: Sequence[Example], training: StockLLMTraining, scale: float) -> list[Example]:
    """Drop small moves from what is learned, as the paper does, where the spec asks for it; all of them are traded."""
    if training.freeze == "keep":
        return list(examples)
    moves = movement_of([example.outcome for example in examples], scale)
    return [example for example, move in zip(examples, moves, strict=True) if move]


def _prompts(run: TrainingRun, examples: Sequence[Example], seed: int) -> list[Prompt]:
    training = run.spec.stockllm
    return mixed_prompts(examples, run.template, run.corpus, training.k, training.candidates, seed)


def _rows(llm: TrainableLLM, run: TrainingRun, examples: Sequence[Example], seed: int) -> list[TokenRow]:
    limit = llm.model.config.get_text_config().max_position_embeddings
    return [
        {"input_ids": token_ids(prompt, run.template, llm.tokenizer, limit), "target": int(not example.rise)}
        for prompt, example in zip(_prompts(run, examples, seed), examples, strict=True)
    ]


def _save(run: TrainingRun, examples: ChosenExamples, best: Path, trainer: _StockLLMTrainer) -> None:
    """Calibrate the best adapter on validation, and write the artifact."""
    spec, state = run.spec, trainer.state
    scorer = load_stockllm(spec.llm, run.template, best, run.weights)
    prompts = _prompts(run, examples.valid, spec.stockllm.seed + 2)
    odds = _log_odds(scorer, prompts, partial(run.progress, "calibrating StockLLM"))
    rise = np.array([example.rise for example in examples.valid])
    calibration = fit_calibration(odds, rise, spec.stockllm.calibration)
    known = [example.available_at for example in examples.watched]
    known += [] if run.before is None else [run.before.artifact.card.trained_through]
    result = TrainingResult(
        recipe=training_recipe(run),
        metrics={
            **validation_metrics(odds, rise, calibration),
            **_split_ece(odds, rise, spec.stockllm.calibration),
            "trainable_parameters": sum(it.numel() for it in trainer.learned()),
            "steps": int(state.global_step),
            "best_step": int(state.best_global_step or 0),
            "watched_log_loss": float(state.best_metric or float("nan")),
        },
        base={"ref": run.weights.ref, "revision": spec.llm.revision, "sha256": run.weights.digest},
        template=run.template.recipe,
        train=Learned.of(examples.train),
        valid=Learned.of(examples.valid),
        seen_through=max(known),
        calibration=calibration,
    )
    card = run.card("stockllm", result)
    save_artifact(run.folder("stockllm"), card, partial(_copy_adapter, best, run.weights.ref))


def _split_ece(odds: NDArray[np.float64], rise: NDArray[np.bool_], method: Method) -> dict[str, float]:
    """ECE of the later half of validation under a calibration fitted on the earlier; none where that is one-sided."""
    half = len(odds) // 2
    if rise[:half].all() or not rise[:half].any():
        return {}
    earlier = fit_calibration(odds[:half], rise[:half], method)
    later = expected_calibration_error(probability_of(calibrated(odds[half:], earlier)), rise[half:])
    return {"ece_second_half": later}


def _log_odds(scorer: StockLLM, prompts: Sequence[Prompt], progress: Steps) -> NDArray[np.float64]:
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number].text))
    odds, size = np.zeros(len(prompts)), 8 * scorer.batch_size
    for start in range(0, len(order), size):
        progress(start, len(order))
        rows = order[start : start + size]
        odds[rows] = scorer.log_odds([prompts[row] for row in rows])
    progress(len(order), len(order))
    return odds


def _copy_adapter(source: Path, ref: str, folder: Path) -> None:
    """Copy weights and configuration; the base by its reference, as a path of this machine means nothing elsewhere."""
    config = adapter_config(source, ref)
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True), encoding="utf-8")
    shutil.copyfile(source / "adapter_model.safetensors", folder / "adapter_model.safetensors")
