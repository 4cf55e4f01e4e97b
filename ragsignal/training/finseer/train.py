"""FinSeer: an encoder that learns which candidates help the language model, from the model's own answers.

    teacher scores ──► rankings ──► student ──► artifact
                           └─ shuffled ──► control ──► beside it in the card

Beside every encoder stand two others, measured on the same later queries: the untrained one, and one trained with the
same settings on a teacher whose scores were shuffled. What the control reaches is not learned from the teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path

from ragsignal.artifacts import Artifact, Kind, load_artifact, refuse_foreign, save_artifact
from ragsignal.errors import ConfigError
from ragsignal.training.finseer.feedback import Feedback, load_feedback
from ragsignal.training.finseer.ranking import (
    RankedQuery,
    agreement,
    gather,
    hold_out,
    rank_candidates,
    recall_by_chance,
)
from ragsignal.training.finseer.students import (
    KINDS,
    EncoderName,
    Student,
    maker,
    seen_by,
    settings_recipe,
    start_of,
    suffixed,
)
from ragsignal.training.finseer.supervised import train_contrast
from ragsignal.training.run import Learned, TrainingResult, TrainingRun
from ragsignal.types import Recipe


def train_finseer(run: TrainingRun, encoder: EncoderName) -> Artifact:
    """Distil the teacher scores of ``run`` into an encoder; with ``loss = "supcon"`` contrast labelled windows instead.

    Parameters
    ----------
    run : TrainingRun
        Its folder ``feedback`` holds the scores, where a teacher is asked.
    encoder : {"text", "numeric"}
        LoRA over a sentence encoder, or a small network over numbers.

    Returns
    -------
    Artifact
        Of kind ``finseer-text`` or ``finseer-numeric``; its metrics are of validation queries, and have the suffix
        ``_untrained`` and ``_shuffled`` for the encoder before training and for the control.

    Raises
    ------
    StoreError
        If there are no teacher scores, or they are damaged.
    ConfigError
        If they are not this spec's, or too few.
    ModelError
        If the base weights cannot be used.
    """
    kind, settings = KINDS[encoder], run.spec.finseer
    refuse_foreign(run.folder(kind))
    if settings.loss == "supcon":
        return train_contrast(run, encoder)
    start = start_of(run, encoder)
    feedback = load_feedback(run.folder("feedback"))
    refuse_stale(run, feedback)
    train, valid = hold_out(gather(feedback, run.train, run.corpus.digest), settings.valid_share)
    make = maker(run, encoder, start)
    student, control = make(), make()
    metrics = suffixed(agreement(student.similarities(valid), valid, settings), "_untrained")
    recipe = _recipe(run, encoder, start, feedback)
    arms = ((control, True, "_shuffled", ", control"), (student, False, "", ""))
    for learner, shuffled, suffix, word in arms:
        queries = rank_candidates(train, settings.negatives, shuffled)
        folder = _work_folder(run, kind, recipe, learner, queries)
        learner.fit(queries, folder, partial(run.progress, f"FinSeer ({encoder}{word})"))
        metrics |= suffixed(agreement(learner.similarities(valid), valid, settings), suffix)
    metrics["recall_at_5_chance"] = recall_by_chance(valid)
    result = TrainingResult(
        recipe=recipe,
        metrics=metrics,
        base=student.base,
        template=student.template,
        train=Learned.of([query.example for query in train]),
        valid=Learned.of([query.example for query in valid]) if valid else None,
        # the teacher may have learned from later days than the queries it was asked
        seen_through=max(date.fromisoformat(feedback.meta["trained_through"]), seen_by(start)),
    )
    return save_artifact(run.folder(kind), run.card(kind, result), student.write)


def refuse_stale(run: TrainingRun, feedback: Feedback) -> None:
    """Raise ``ConfigError`` if teacher scores are of another StockLLM, template or ``[feedback]`` than this spec's."""
    folder = run.folder("stockllm")
    if not folder.exists():  # the scores may outlive their teacher
        return
    now = {
        "stockllm": load_artifact(folder, "stockllm").digest,
        "template": run.template.recipe,
        "settings": run.spec.feedback.model_dump(mode="json"),
    }
    stale = [key for key, value in now.items() if feedback.meta["recipe"].get(key) != value]
    if stale:
        raise ConfigError(
            f"the teacher scores in {run.folder('feedback')} were made with another {', '.join(stale)} than the "
            "spec has now; type: ragsignal train feedback SPEC"
        )


def _recipe(run: TrainingRun, encoder: EncoderName, start: Artifact | None, feedback: Feedback) -> Recipe:
    return settings_recipe(run, encoder, start) | {"feedback": feedback.meta["digest"]}


def _work_folder(
    run: TrainingRun, kind: Kind, recipe: Recipe, learner: Student, queries: Sequence[RankedQuery]
) -> Path:
    taught = [[it.example.query.symbol, it.example.query.as_of, it.rows.tolist(), it.scores.tolist()] for it in queries]
    return run.work_folder(kind, [recipe, learner.base, learner.template, taught])
