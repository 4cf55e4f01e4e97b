"""FinSeer: an encoder that learns which candidates help the language model, from the model's own answers.

    teacher scores ──► rankings ──► student ──► artifact
                           └─ shuffled ──► control ──► beside it in the card

Beside every encoder stand two others, measured on the same later queries: the untrained one, and one trained with the
same settings on a teacher whose scores were shuffled. What the control reaches is not learned from the teacher.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from ragsignal.artifacts import Artifact, Kind, load_artifact, refuse_foreign, resolve, save_artifact
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
from ragsignal.training.run import Learned, TrainingResult, TrainingRun
from ragsignal.types import Recipe

if TYPE_CHECKING:
    from ragsignal.training.finseer.numeric import NumericStudent
    from ragsignal.training.finseer.text import TextStudent

EncoderName = Literal["text", "numeric"]
Student: TypeAlias = "TextStudent | NumericStudent"
_KINDS: dict[EncoderName, Kind] = {"text": "finseer-text", "numeric": "finseer-numeric"}
_NOT_IN_RECIPE = {
    "text": {"dim", "hidden", "numeric_epochs", "numeric_learning_rate", "numeric_batch_size"},
    "numeric": {"base", "revision", "rank", "alpha", "epochs", "learning_rate", "batch_size"},
}


def train_finseer(run: TrainingRun, encoder: EncoderName) -> Artifact:
    """Distil the teacher scores of ``run`` into an encoder.

    Parameters
    ----------
    run : TrainingRun
        Its folder ``feedback`` holds the scores.
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
    kind, settings = _KINDS[encoder], run.spec.finseer
    refuse_foreign(run.folder(kind))
    feedback = load_feedback(run.folder("feedback"))
    refuse_stale(run, feedback)
    train, valid = hold_out(gather(feedback, run.train, run.corpus.digest), settings.valid_share)
    make = _maker(run, encoder)
    student, control = make(), make()
    metrics = _suffixed(agreement(student.similarities(valid), valid, settings), "_untrained")
    recipe = _recipe(run, encoder, feedback)
    arms = ((control, True, "_shuffled", ", control"), (student, False, "", ""))
    for learner, shuffled, suffix, word in arms:
        queries = rank_candidates(train, settings.negatives, shuffled)
        folder = _work_folder(run, kind, recipe, learner, queries)
        learner.fit(queries, folder, partial(run.progress, f"FinSeer ({encoder}{word})"))
        metrics |= _suffixed(agreement(learner.similarities(valid), valid, settings), suffix)
    metrics["recall_at_5_chance"] = recall_by_chance(valid)
    result = TrainingResult(
        recipe=recipe,
        metrics=metrics,
        base=student.base,
        template=student.template,
        train=Learned.of([query.example for query in train]),
        valid=Learned.of([query.example for query in valid]) if valid else None,
        # the teacher may have learned from later days than the queries it was asked
        seen_through=date.fromisoformat(feedback.meta["trained_through"]),
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


def _maker(run: TrainingRun, encoder: EncoderName) -> Callable[[], Student]:
    """Return a way to get the same untrained student twice; torch is imported here and not before."""
    settings = run.spec.finseer
    if encoder == "numeric":
        from ragsignal.training.finseer.numeric import NumericStudent

        return lambda: NumericStudent(run.corpus, settings)
    from ragsignal.training.finseer.text import TextStudent

    weights = resolve(settings.base, settings.revision)
    return lambda: TextStudent(weights, run.bins, run.corpus, settings)


def _recipe(run: TrainingRun, encoder: EncoderName, feedback: Feedback) -> Recipe:
    settings = run.spec.finseer.model_dump(mode="json", exclude=_NOT_IN_RECIPE[encoder])
    return settings | {"encoder": encoder, "feedback": feedback.meta["digest"]}


def _work_folder(
    run: TrainingRun, kind: Kind, recipe: Recipe, learner: Student, queries: Sequence[RankedQuery]
) -> Path:
    taught = [[it.example.query.symbol, it.example.query.as_of, it.rows.tolist(), it.scores.tolist()] for it in queries]
    return run.work_folder(kind, [recipe, learner.base, learner.template, taught])


def _suffixed(metrics: dict[str, float], suffix: str) -> dict[str, float]:
    return {f"{name}{suffix}": value for name, value in metrics.items()}
