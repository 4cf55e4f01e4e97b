"""Which function trains which kind of artifact."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ragsignal.artifacts import Artifact, Kind
from ragsignal.training.classifier import train_classifier
from ragsignal.training.finseer.train import train_finseer
from ragsignal.training.run import TrainingRun


def _train_stockllm(run: TrainingRun) -> Artifact:
    # here, because they import torch
    if run.spec.stockllm.reader == "ranks":
        from ragsignal.training.ranks.train import train_on_ranks

        return train_on_ranks(run)
    from ragsignal.training.stockllm.train import train_stockllm

    return train_stockllm(run)


def _train_day_reader(run: TrainingRun) -> Artifact:
    from ragsignal.training.days.train import train_day_reader

    return train_day_reader(run)


def _train_day_finseer(run: TrainingRun) -> Artifact:
    from ragsignal.training.days.finseer import train_day_finseer

    return train_day_finseer(run)


def _train_recall(run: TrainingRun) -> Artifact:
    from ragsignal.training.recall.train import train_recall

    return train_recall(run)


TRAINERS: dict[Kind, Callable[[TrainingRun], Artifact]] = {
    "stockllm": _train_stockllm,
    "finseer-text": partial(train_finseer, encoder="text"),
    "finseer-numeric": partial(train_finseer, encoder="numeric"),
    "recall": _train_recall,
    "classifier": train_classifier,
    "stockllm-days": _train_day_reader,
    "finseer-days": _train_day_finseer,
}
"""In the order of training; between the first two come the teacher scores, which are no artifact."""
