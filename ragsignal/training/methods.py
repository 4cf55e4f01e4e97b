"""Teach one text reader by several methods, each at several learning rates, on the same examples.

    [methods] -> a training run a method and rate -> least log-loss on validation days -> METHOD/stockllm

What is trained is not trained again, and a run that was killed goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ragsignal.artifacts import Artifact, load_artifact, refuse_foreign
from ragsignal.config import MethodName, MethodsSpec, RunSpec, TrainSpec
from ragsignal.errors import ConfigError, ModelError
from ragsignal.study import with_symbols
from ragsignal.training.examples import Example
from ragsignal.training.run import TrainingRun
from ragsignal.utils import Progress, json_digest, silent, write_folder, write_json

_TOLD = "trained.json"


@dataclass(frozen=True, kw_only=True)
class TrainedMethod:
    """One method at one learning rate.

    ``artifact`` is the digest of what it wrote, ``log_loss`` its calibrated one on validation days, by which rates are
    chosen; ``trainable_parameters`` are those that the optimizer moved, ``kept_parameters`` those that the adapter
    holds (AdaLoRA takes some away); ``cpu_seconds`` are the processor's, of the training steps alone.
    """

    method: MethodName
    learning_rate: float
    artifact: str
    log_loss: float
    trainable_parameters: int
    kept_parameters: int
    examples: int
    steps: int
    best_step: int
    cpu_seconds: float
    chosen: bool = False


def train_methods(spec: RunSpec, progress: Progress = silent, command: str = "") -> list[TrainedMethod]:
    """Train what ``[methods]`` of a run spec asks for and what is not there yet, and keep the best rate of each.

    Parameters
    ----------
    spec : RunSpec
    progress : callable, optional
        Told how far long work is: ``progress(what, done, total)``.
    command : str
        What was typed; it goes into every card.

    Returns
    -------
    list of TrainedMethod
        All rates of all methods; ``chosen`` is set of one a method.

    Raises
    ------
    ConfigError
        If the spec has no table ``[methods]``.
    DataError, LookAheadError, ModelError
        As the training of one model raises them.
    """
    methods = methods_of(spec)
    for method in methods.rates:
        refuse_foreign(methods.folder(method) / "stockllm")
    return [row for method in methods.rates for row in _rates_of(spec, method, progress, command)]


def method_examples(spec: RunSpec) -> tuple[list[Example], list[Example]]:
    """The examples that all methods of a run spec learn from, and those that calibrate them."""
    from ragsignal.training.stockllm.train import choose_examples

    methods = methods_of(spec)
    name, rates = next(iter(methods.rates.items()))
    chosen = choose_examples(TrainingRun(methods.training(name, rates[0], spec.llm)))
    return chosen.train, chosen.valid


def methods_of(spec: RunSpec) -> MethodsSpec:
    """Return ``[methods]`` of a run spec; raises ``ConfigError`` where there is none."""
    if spec.methods is None:
        raise ConfigError(
            f'spec {spec.name!r} has no table [methods]; write one, such as train = "my.train.toml" and '
            "lora = [0.0003, 0.001]; an example: backtests/text_methods.toml"
        )
    return with_symbols(spec)[0].methods or spec.methods


def _rates_of(spec: RunSpec, method: MethodName, progress: Progress, command: str) -> Iterator[TrainedMethod]:
    methods = methods_of(spec)
    rows = []
    for rate in methods.rates[method]:
        told = partial(_under, progress, f"{method}, learning rate {rate:g}")
        rows.append(_trained(methods.training(method, rate, spec.llm), told, command))
    best = min(rows, key=lambda row: (row.log_loss, row.learning_rate))
    source = methods.training(method, best.learning_rate, spec.llm).out / "stockllm"
    _copy(source, methods.folder(method) / "stockllm")
    yield from (replace(row, chosen=row is best) for row in rows)


def _under(progress: Progress, name: str, what: str, done: int, total: int) -> None:
    progress(f"{name}: {what}", done, total)


def _trained(spec: TrainSpec, progress: Progress, command: str) -> TrainedMethod:
    """Train one, unless it is there."""
    from ragsignal.training.stockllm.train import fit_stockllm, training_recipe

    run = TrainingRun(spec, progress, command)
    days = spec.data.model_dump(mode="json", include={"symbols", "start", "end"})
    decides = json_digest([training_recipe(run), spec.stockllm.model_dump(mode="json"), days])
    with run.alone():
        there = _told(spec.out, decides)
        if there is not None:
            return there
        fitted = fit_stockllm(run)
        row = _row(spec, fitted.artifact, fitted.cpu_seconds)
        write_json(spec.out / _TOLD, {"training": decides, **asdict(row)})
        shutil.rmtree(run.scratch("stockllm"), ignore_errors=True)
    return row


def _told(out: Path, decides: str) -> TrainedMethod | None:
    """What was written of a finished training; None where there is none, of another one, or its artifact is gone."""
    try:
        told: dict[str, Any] = json.loads((out / _TOLD).read_text(encoding="utf-8"))
        if told.pop("training") != decides:
            return None
        row = TrainedMethod(**told)
        return row if load_artifact(out / "stockllm", "stockllm").digest == row.artifact else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ModelError):
        return None


def _row(spec: TrainSpec, artifact: Artifact, cpu_seconds: float) -> TrainedMethod:
    figures = artifact.card.metrics
    return TrainedMethod(
        method=spec.stockllm.method,
        learning_rate=spec.stockllm.learning_rate,
        artifact=artifact.digest,
        log_loss=figures["log_loss"],
        trainable_parameters=figures["trainable_parameters"],
        kept_parameters=_numbers_in(artifact.folder / "adapter_model.safetensors"),
        examples=artifact.card.train.queries,
        steps=figures["steps"],
        best_step=figures["best_step"],
        cpu_seconds=round(cpu_seconds, 3),
    )


def _numbers_in(file: Path) -> int:
    from safetensors.numpy import load_file

    return sum(tensor.size for tensor in load_file(file).values())


def _copy(source: Path, folder: Path) -> None:
    if folder.is_dir() and load_artifact(source).digest == _digest_of(folder):
        return
    write_folder(folder, partial(_fill, source), replace=True)


def _digest_of(folder: Path) -> str | None:
    try:
        return load_artifact(folder).digest
    except ModelError:  # of an earlier version, or changed: it is written anew
        return None


def _fill(source: Path, scratch: Path) -> None:
    shutil.copytree(source, scratch, dirs_exist_ok=True)
