"""The adapter by which StockLLM reads retrieved days: one for each of its seeds, one artifact.

day examples, boosting's scores ─► targets ─► an adapter a seed upon the frozen trunk ─► calibration ─► artifact
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ragsignal.artifacts import Artifact, load_artifact, refuse_foreign, save_artifact
from ragsignal.errors import ModelError
from ragsignal.llm import (
    DAY_HITS_RECIPE,
    RANKS_RECIPE,
    RankEnsemble,
    save_reader,
    seed_folders,
)
from ragsignal.llm.day_weights import save_adapter
from ragsignal.training.calibration import fit_calibration, validation_metrics
from ragsignal.training.days.adapter import AdapterTraining, TrunkPass
from ragsignal.training.days.examples import DayExamples, day_examples
from ragsignal.training.ranks.examples import RankExamples
from ragsignal.training.ranks.student import distillation_targets
from ragsignal.training.ranks.train import teacher_scores
from ragsignal.training.run import TrainingResult, TrainingRun
from ragsignal.types import FloatArray, Recipe
from ragsignal.utils import versions_of

_COMPUTING = ("torch", "transformers", "peft", "lightgbm")
_DAYS = 64  # that the trunk reads together


def train_day_reader(run: TrainingRun, examples: DayExamples | None = None) -> Artifact:
    """Train, calibrate and save the adapters; a killed run goes on from its last evaluation.

    Checkpoints stay until FinSeer is trained too: the same command makes both, and a rerun begins with this one.

    Returns
    -------
    Artifact
        Of kind ``stockllm-days``, in ``run.folder("stockllm-days")``; of use with the StockLLM of the same ``out``.

    Raises
    ------
    DataError, LookAheadError
        As :func:`~ragsignal.training.ranks.examples.rank_examples`.
    ModelError
        If there is no StockLLM or no teacher of the same days yet.
    """
    refuse_foreign(run.folder("stockllm-days"))
    examples = examples or day_examples(run)
    trunk = of_same_days(run, examples, str(run.folder("stockllm")), "stockllm")
    teacher = of_same_days(run, examples, run.spec.days.teacher or str(run.folder("classifier")), "classifier")
    scores = teacher_scores(teacher, examples.ranks, run.progress)
    targets = distillation_targets(examples.ranks, scores, run.spec.days)
    models = RankEnsemble(seed_folders(trunk.folder))
    folder = run.work_folder(
        "stockllm-days", [_recipe(run, trunk, teacher), run.prices.digest, versions_of(_COMPUTING)]
    )
    trained = [
        _train_seed(run, examples, targets, model, number, folder / f"seed-{number}")
        for number, model in enumerate(models.copies())
    ]
    return _save(run, examples, trunk, teacher, trained)


def of_same_days(run: TrainingRun, examples: DayExamples, ref: str, kind: Any) -> Artifact:
    """An artifact that learned from the same prices and days: another one may know the validation days.

    Raises
    ------
    ModelError
        If it is not there, or learned from others.
    """
    artifact = load_artifact(ref, kind)
    card, ranks = artifact.card, examples.ranks
    theirs = card.target, card.train, card.data["fingerprint"], card.recipe.get("split")
    split = run.spec.split.model_dump(mode="json")
    if theirs != (run.spec.corpus.target, ranks.learned(ranks.train).span, run.prices.digest, split):
        raise ModelError(
            f"{ref} was trained on other prices, days or labels than this spec has, so that days cannot be read upon "
            f"it; train it with this spec: ragsignal train {kind} SPEC"
        )
    return artifact


@dataclass(frozen=True, eq=False)
class _Seed:
    """What one seed leaves: the adapter, its history, and validation tables of the trunk's scores and of changes."""

    adapter: Any
    history: list[float]
    scores: FloatArray
    changes: FloatArray


def _train_seed(
    run: TrainingRun, examples: DayExamples, targets: FloatArray, model: Any, number: int, folder: Path
) -> _Seed:
    trunk, ranks = _trunk_pass(examples, model), examples.ranks
    valid = np.where(ranks.valid, trunk.scores, np.nan)

    def score(changes: FloatArray) -> float:
        return _mean_ic(ranks, valid + changes)

    training = AdapterTraining(examples, trunk, targets, run.spec.days, run.spec.days.seed + number, score)
    words = f"reader of days, seed {number + 1}"
    adapter, history = training.train(folder, partial(run.progress, words))
    return _Seed(adapter, history, valid, training.changes(adapter, examples.valid_rows))


def _trunk_pass(examples: DayExamples, model: Any) -> TrunkPass:
    """Scores and states of all days that are learned from, by passes over 64 days and 256 stocks."""
    letters = examples.ranks.letters.letters
    ensemble = RankEnsemble.of([model])
    scores = np.full(letters.shape[:2], np.nan)
    states = torch.zeros(*letters.shape[:2], model.config.hidden_size, dtype=torch.float16)
    for first in range(int(examples.train_rows[0]), len(letters), _DAYS):
        start = max(0, first - ensemble.memory + 1)
        block, (seen,) = ensemble.scores_and_states(letters[start : first + _DAYS])
        scores[first : first + _DAYS] = block[first - start :]
        states[first : first + _DAYS] = seen[first - start :].half()
    return TrunkPass(model, scores, states)


def _save(
    run: TrainingRun, examples: DayExamples, trunk: Artifact, teacher: Artifact, seeds: Sequence[_Seed]
) -> Artifact:
    ranks, spec = examples.ranks, run.spec.days
    products = examples.products(examples.nearest(spec.k, spec.opposite))
    scores = np.mean([seed.scores for seed in seeds], axis=0)
    changes = np.mean([seed.changes for seed in seeds], axis=0)
    read = ranks.valid & np.isfinite(changes)
    product = spec.product * float(scores[read].std() / products[read].std())
    tables = {weight: np.where(read, scores + weight * changes + product * products, np.nan) for weight in spec.weights}
    by_weight = {weight: _mean_ic(ranks, table) for weight, table in tables.items()}
    weight = max(by_weight, key=lambda it: (by_weight[it], -it))
    final = tables[weight]
    calibration = fit_calibration(final[read], ranks.outcomes[read] > 0.0, "platt")
    coefficients = {
        "ic_without_days": np.where(read, scores, np.nan),
        "ic_without_product": np.where(read, scores + changes, np.nan),
        "ic_of_product": np.where(read, products, np.nan),
    }
    result = TrainingResult(
        recipe=_recipe(run, trunk, teacher) | {"weight": weight, "multiplier": product},
        metrics={
            "ic": by_weight[weight],
            "ic_by_weight": {f"{it:g}": value for it, value in by_weight.items()},
            **{name: _mean_ic(ranks, table) for name, table in coefficients.items()},
            "parameters": sum(it.numel() for it in seeds[0].adapter.parameters() if it.requires_grad),
            "evaluations": {f"seed-{number}": seed.history for number, seed in enumerate(seeds)},
            **validation_metrics(final[read], ranks.outcomes[read] > 0.0, calibration),
        },
        base=None,
        template=RANKS_RECIPE | DAY_HITS_RECIPE,
        train=ranks.learned(ranks.train),
        valid=ranks.learned(ranks.valid),
        reads_bins=False,
        calibration=calibration,
    )

    def write(folder: Path) -> None:
        save_reader(folder, weight, product, examples.scales)
        for number, seed in enumerate(seeds if weight else ()):
            save_adapter(folder / f"seed-{number}", seed.adapter)

    return save_artifact(run.folder("stockllm-days"), run.card("stockllm-days", result), write)


def _mean_ic(ranks: RankExamples, scores: FloatArray) -> float:
    return float(np.mean(ranks.information_coefficients(scores)))


def _recipe(run: TrainingRun, trunk: Artifact, teacher: Artifact) -> Recipe:
    """All that decides the weights, besides prices and split."""
    spec = run.spec.days.model_dump(mode="json", exclude={"teacher"})
    return {"reader": "days", **spec, "trunk": trunk.digest, "teacher": teacher.digest}
