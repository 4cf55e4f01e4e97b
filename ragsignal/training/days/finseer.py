"""FinSeer for days: StockLLM's opinion of single days, a metric from it, and the better one of the two metrics.

reader of days ─► opinions ─► learned metric, Euclidean metric ─► the better vote on validation ─► artifact
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from ragsignal.artifacts import Artifact, refuse_foreign, save_artifact
from ragsignal.data import build_market_days
from ragsignal.llm import DayEnsemble, RankEnsemble, seed_folders
from ragsignal.retrieval import DAYS_RECIPE, NearestDays, StateMetric, save_finseer_days
from ragsignal.training.days.examples import DayExamples, day_examples
from ragsignal.training.days.feedback import DayBlock, Reader, draw_blocks, log_likelihoods
from ragsignal.training.days.metric import fit_metric, opinions_of
from ragsignal.training.days.train import of_same_days
from ragsignal.training.run import TrainingResult, TrainingRun
from ragsignal.types import FloatArray, Recipe

HORIZONS = (1, 5)
"""Bars over which an artifact holds what factors paid, beside the spec's own."""


def train_day_finseer(run: TrainingRun, examples: DayExamples | None = None) -> Artifact:
    """Learn the metric from the reader's opinions, and save it with the days of the universe.

    The metric that retrieves for the better vote on validation days ships; the card says which one that was.

    Returns
    -------
    Artifact
        Of kind ``finseer-days``, in ``run.folder("finseer-days")``.

    Raises
    ------
    DataError, LookAheadError
        As :func:`~ragsignal.training.ranks.examples.rank_examples`.
    ModelError
        If there is no reader of days yet.
    """
    refuse_foreign(run.folder("finseer-days"))
    examples = examples or day_examples(run)
    trunk = of_same_days(run, examples, str(run.folder("stockllm")), "stockllm")
    reader = of_same_days(run, examples, str(run.folder("stockllm-days")), "stockllm-days")
    learned, report = fit_metric(examples, opinions_of(*_opinions(run, examples, trunk, reader)), run.spec.finseer)
    metrics = {"learned": learned, "euclidean": examples.metric}
    votes = {name: _vote(run, examples, metric) for name, metric in metrics.items()}
    better = max(votes, key=lambda name: (votes[name], name == "euclidean"))
    artifact = _save(run, examples, reader, metrics[better], {**report, "vote_ic": votes, "shipped": better})
    shutil.rmtree(run.scratch("stockllm-days"), ignore_errors=True)  # a rerun needs the reader's checkpoints no more
    return artifact


def _opinions(
    run: TrainingRun, examples: DayExamples, trunk: Artifact, reader: Artifact
) -> tuple[list[DayBlock], list[FloatArray]]:
    models = RankEnsemble(seed_folders(trunk.folder))
    assert reader.card.calibration is not None
    asked = Reader(models, DayEnsemble(reader.folder, models), reader.card.calibration)
    blocks = draw_blocks(examples, run.spec.feedback)
    answers = []
    for number, block in enumerate(blocks, 1):
        answers.append(log_likelihoods(examples, block, asked))
        run.progress("opinions of days", number, len(blocks))
    return blocks, answers


def _vote(run: TrainingRun, examples: DayExamples, metric: StateMetric) -> float:
    """Validation IC of the product of factors and pooled payoffs of the days that a metric retrieves."""
    retriever = NearestDays(examples.days, metric, k=run.spec.days.k, opposite=run.spec.days.opposite)
    return float(np.mean(examples.ranks.information_coefficients(examples.products(retriever))))


def _save(
    run: TrainingRun, examples: DayExamples, reader: Artifact, metric: StateMetric, metrics: dict[str, object]
) -> Artifact:
    letters, corpus, ranks = examples.ranks.letters, run.spec.corpus, examples.ranks
    frames = run.materials.prices.between(letters.days[0].item(), None).frames
    tables = {
        horizon: build_market_days(letters, frames, corpus.target, horizon)
        for horizon in sorted({*HORIZONS, corpus.horizon})
    }
    recipe: Recipe = {
        "horizons": sorted(tables),
        "reader": reader.digest,
        "feedback": run.spec.feedback.model_dump(mode="json"),
        "finseer": run.spec.finseer.model_dump(mode="json"),
    }
    result = TrainingResult(
        recipe=recipe,
        metrics=metrics,
        base=None,
        template=DAYS_RECIPE,
        train=ranks.learned(ranks.train),
        valid=ranks.learned(ranks.valid),
        reads_bins=False,
    )

    def write(folder: Path) -> None:
        save_finseer_days(folder, metric, tables)

    return save_artifact(run.folder("finseer-days"), run.card("finseer-days", result), write)
