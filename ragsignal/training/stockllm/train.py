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
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Trainer, TrainerCallback, set_seed
from transformers.trainer_pt_utils import LengthGroupedSampler

from ragsignal.artifacts import Artifact, load_artifact, refuse_foreign, save_artifact
from ragsignal.config import StockLLMTraining
from ragsignal.data import movement_of
from ragsignal.llm import StockLLM, calibrated, checked_device, chosen_dtype, probability_of, token_ids
from ragsignal.training import loop
from ragsignal.training.calibration import expected_calibration_error, fit_calibration, validation_metrics
from ragsignal.training.examples import Example, draw
from ragsignal.training.run import Bench
from ragsignal.training.stockllm.model import Reader, Row, collate, label_loss, load_reader
from ragsignal.training.stockllm.prompts import mixed_prompts
from ragsignal.types import Prompt
from ragsignal.utils import Steps, versions_of

_COMPUTING = ("torch", "transformers", "peft")
_WATCHED = 512  # validation prompts that early stopping looks at; the calibration reads all


def train_stockllm(bench: Bench) -> Artifact:
    """Train, calibrate and save ``bench.folder("stockllm")``.

    Raises
    ------
    LookAheadError
        If an example's answer was not known by the end of its part.
    ModelError
        If the base model, the device or a tracker is missing.
    """
    training = bench.spec.stockllm
    refuse_foreign(bench.folder("stockllm"))
    loop.checked_trackers(training.report_to)
    device = checked_device(bench.spec.llm.device)
    train, valid = chosen_examples(bench)
    recipe = training_recipe(bench)
    prompts = _prompts(bench, train, training.seed)
    watched = draw(bench.valid, _WATCHED, training.seed + 1)
    folder = loop.run_folder(
        bench.scratch("stockllm"), [recipe, device, versions_of(_COMPUTING), _asked(train, watched)]
    )
    steps = math.ceil(math.ceil(len(train) / (training.batch_size * training.accumulate)) * training.epochs)
    set_seed(training.seed)  # before the adapter is made: it starts at random
    reader = load_reader(
        bench.weights, bench.template.labels, chosen_dtype(bench.spec.llm.dtype, device), training, steps
    )
    trainer = _Trainer(
        reader,
        training,
        train_dataset=_rows(reader, bench, prompts, train),
        eval_dataset=_rows(reader, bench, _prompts(bench, watched, training.seed + 1), watched),
        folder=folder,
        device=device,
        progress=partial(bench.progress, "training StockLLM"),
    )
    with warnings.catch_warnings():
        # AdaLoRA may take all ranks of a layer away, which peft mistakes for a torn save
        warnings.filterwarnings("ignore", r".* LoRA tensor\(s\) have invalid shape")
        loop.run(trainer, folder, resumed=training.method != "adalora")
    if trainer.is_world_process_zero():  # of several under torchrun: one writes, all read
        # the Trainer forgets which was best where the folder was moved between a kill and the rerun
        best = trainer.state.best_model_checkpoint or loop.last_checkpoint(folder)
        assert best is not None  # a run evaluates and saves its last step
        _save(bench, Path(best), recipe, train, valid, watched, trainer)
    trainer.accelerator.wait_for_everyone()
    return load_artifact(bench.folder("stockllm"), "stockllm")


def chosen_examples(bench: Bench) -> tuple[list[Example], list[Example]]:
    """The examples that are trained on, and those that validate; each part checked against its own last day."""
    training = bench.spec.stockllm
    for part, found in ((bench.split.train, bench.train), (bench.split.valid, bench.valid)):
        part.check(np.array([it.available_at for it in found], dtype="datetime64[D]"))
    train = draw(_without_freeze(bench.train, training), training.examples, training.seed)
    return train, draw(bench.valid, training.valid_examples, training.seed)


def _asked(*parts: Sequence[Example]) -> list[Any]:
    """Queries and answers that decide the weights: other days or symbols never go on from an old checkpoint."""
    return [[[it.query.symbol, it.query.as_of, it.query.closes, it.rise] for it in part] for part in parts]


def training_recipe(bench: Bench) -> dict[str, Any]:
    """All that decides the trained weights."""
    return {
        **bench.spec.stockllm.model_dump(mode="json", exclude={"report_to", "calibration", "valid_examples"}),
        "loss": "two-class cross-entropy on the label logits",
        "base": bench.weights.digest,
        "dtype": bench.spec.llm.dtype,
        "template": bench.template.recipe,
        "target": bench.spec.corpus.target,
        "lookback": bench.spec.corpus.lookback,
        "corpus": bench.corpus.digest,
        "data": bench.prices.digest,
        "split": bench.spec.split.model_dump(mode="json"),
    }


class _Trainer(Trainer):
    """transformers' Trainer with the label loss."""

    def __init__(
        self, reader: Reader, training: StockLLMTraining, *, folder: Path, device: str, progress: Steps, **data: Any
    ) -> None:
        self._reader = reader
        self._full = training.full_vocabulary
        self._seed = training.seed
        options = loop.arguments(
            folder,
            device=device,
            every=training.eval_steps,
            report_to=list(training.report_to) or "none",
            num_train_epochs=training.epochs,
            learning_rate=training.learning_rate,
            warmup_steps=loop.WARMUP,
            per_device_train_batch_size=training.batch_size,
            per_device_eval_batch_size=training.batch_size,
            gradient_accumulation_steps=training.accumulate,
            seed=training.seed,
        )
        super().__init__(
            model=reader.model,
            args=options,
            data_collator=partial(collate, pad=reader.tokenizer.pad_token_id or 0),
            callbacks=[*loop.callbacks(progress, training.patience), *_extra_callbacks(training)],
            **data,
        )
        self.model_accepts_loss_kwargs = False  # else accumulated losses are summed instead of averaged

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return _Grouped(train_dataset, self.args.train_batch_size * self.args.gradient_accumulation_steps, self._seed)

    def _load_best_model(self) -> None:
        """Nothing: the artifact is copied from the best checkpoint, as peft cannot go back to AdaLoRA's old ranks."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, *_: Any, **__: Any) -> Any:
        """Loss of a batch, with the logits where they are asked for."""
        loss, logits = label_loss(self._reader, model, inputs, self._full if model.training else 0.0)
        return (loss, logits) if return_outputs else loss

    def prediction_step(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
        """Validation log-loss of a batch."""
        with torch.no_grad():
            inputs = self._prepare_inputs(inputs)
            loss, logits = self.compute_loss(model, inputs, return_outputs=True)
        return loss.detach(), logits.detach(), inputs["target"]


class _Grouped(LengthGroupedSampler):
    """Batches of prompts that are alike in length, in an order that the seed and the epoch's number decide.

    The Trainer's own draws it from the state of the process, which a rerun in a later epoch does not have.
    """

    def __init__(self, rows: Sequence[Row], batch_size: int, seed: int) -> None:
        super().__init__(batch_size, lengths=[len(row["input_ids"]) for row in rows])
        self._seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Hear which epoch begins."""
        self.generator = torch.Generator().manual_seed(self._seed + epoch)


class _Budget(TrainerCallback):
    """AdaLoRA moves its ranks between layers before each step's gradients are cleared."""

    def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:  # noqa: ARG002
        model.base_model.update_and_allocate(state.global_step)


def _extra_callbacks(training: StockLLMTraining) -> list[TrainerCallback]:
    return [_Budget()] if training.method == "adalora" else []


def _without_freeze(examples: Sequence[Example], training: StockLLMTraining) -> list[Example]:
    """Drop small moves from what is learned, as the paper does, where the spec asks for it; all of them are traded."""
    if training.freeze == "keep":
        return list(examples)
    moves = movement_of([it.outcome for it in examples])
    return [it for it, move in zip(examples, moves, strict=True) if move]


def _prompts(bench: Bench, examples: Sequence[Example], seed: int) -> list[Prompt]:
    training = bench.spec.stockllm
    return mixed_prompts(examples, bench.template, bench.corpus, training.k, training.candidates, seed)


def _rows(reader: Reader, bench: Bench, prompts: Sequence[Prompt], examples: Sequence[Example]) -> list[Row]:
    limit = reader.model.config.get_text_config().max_position_embeddings
    return [
        {"input_ids": token_ids(prompt, bench.template, reader.tokenizer, limit), "target": int(not it.rise)}
        for prompt, it in zip(prompts, examples, strict=True)
    ]


def _save(
    bench: Bench,
    best: Path,
    recipe: dict[str, Any],
    train: list[Example],
    valid: list[Example],
    watched: list[Example],
    trainer: Any,
) -> Artifact:
    """Calibrate the best adapter on validation, and write the artifact."""
    llm, seed = bench.spec.llm, bench.spec.stockllm.seed
    scorer = StockLLM(bench.weights, bench.template, best, llm.dtype, llm.device, llm.batch_size)
    odds = _log_odds(scorer, _prompts(bench, valid, seed + 2), partial(bench.progress, "calibrating StockLLM"))
    rise = np.array([it.rise for it in valid])
    calibration = fit_calibration(odds, rise, bench.spec.stockllm.calibration)
    metrics = {
        **validation_metrics(odds, rise, calibration),
        **_split_ece(odds, rise, bench.spec.stockllm.calibration),
        "steps": int(trainer.state.global_step),
        "best_step": int(trainer.state.best_global_step or 0),
        "watched_log_loss": float(trainer.state.best_metric or float("nan")),
    }
    card = bench.card(
        "stockllm",
        recipe,
        metrics,
        base={"ref": bench.weights.ref, "revision": llm.revision, "sha256": bench.weights.digest},
        template=bench.template.recipe,
        train=train,
        valid=valid,
        watched=watched,
        calibration=calibration,
    )
    return save_artifact(bench.folder("stockllm"), card, partial(_copy_adapter, best, bench.weights.ref))


def _split_ece(odds: NDArray[np.float64], rise: NDArray[np.bool_], method: Any) -> dict[str, float]:
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
    config = json.loads((source / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = ref
    if isinstance(config.get("target_modules"), list):
        config["target_modules"].sort()  # peft writes a set, in another order in each process
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True), encoding="utf-8")
    shutil.copyfile(source / "adapter_model.safetensors", folder / "adapter_model.safetensors")
