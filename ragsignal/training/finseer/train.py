"""FinSeer: an encoder that learns which candidates help the language model, from the model's own answers.

    teacher scores ──► lessons ──► student ──► artifact
                          └─ shuffled ──► control ──► beside it in the card

Beside every encoder stand two others, measured on the same later queries: the untrained one, and one trained with the
same settings on a teacher whose scores were shuffled. What the control reaches is not learned from the teacher.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ragsignal.artifacts import Artifact, Card, Kind, load_artifact, refuse_foreign, resolve, save_artifact
from ragsignal.errors import ConfigError
from ragsignal.training.finseer.feedback import Feedback, load_feedback
from ragsignal.training.finseer.lessons import Group, Lesson, agreement, gather, hold_out, ranked, recall_by_chance
from ragsignal.types import Recipe
from ragsignal.utils import Steps, json_digest

if TYPE_CHECKING:
    from ragsignal.training.run import Bench

EncoderName = Literal["text", "numeric"]
_KINDS: dict[str, Kind] = {"text": "finseer-text", "numeric": "finseer-numeric"}
_NOT_IN_RECIPE = {
    "text": {"dim", "hidden", "numeric_epochs", "numeric_learning_rate", "numeric_batch_size"},
    "numeric": {"base", "revision", "rank", "alpha", "epochs", "learning_rate", "batch_size"},
}


class Student(Protocol):
    """An encoder that can be taught."""

    @property
    def base(self) -> dict[str, Any] | None:
        """The weights it begins from, as the card says them."""
        ...

    @property
    def template(self) -> Recipe:
        """What it reads of a window."""
        ...

    def fit(self, lessons: Sequence[Lesson], scratch: Path, progress: Steps) -> None:
        """Learn; go on from what an interrupted run left in ``scratch``."""
        ...

    def similarities(self, groups: Sequence[Group]) -> list[NDArray[np.float64]]:
        """Cosines of each query with its candidates."""
        ...

    def write(self, folder: Path) -> None:
        """Save the model into an empty folder."""
        ...


def train_finseer(bench: Bench, encoder: EncoderName) -> Artifact:
    """Distil the teacher scores of ``bench`` into an encoder.

    Parameters
    ----------
    bench : Bench
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
    kind, settings = _KINDS[encoder], bench.spec.finseer
    refuse_foreign(bench.folder(kind))
    feedback = load_feedback(bench.folder("feedback"))
    _refuse_stale(bench, feedback)
    train, valid = hold_out(gather(feedback, bench.train, bench.corpus.digest), settings.valid_share)
    make = _maker(bench, encoder)
    student, control = make(), make()
    metrics = _suffixed(agreement(student.similarities(valid), valid, settings), "_untrained")
    recipe = _recipe(bench, encoder, feedback)
    arms = ((control, True, "_shuffled", ", control"), (student, False, "", ""))
    for learner, shuffled, suffix, word in arms:
        lessons = ranked(train, settings.negatives, shuffled)
        scratch = bench.scratch(kind) / _scratch_name(recipe, learner, lessons)
        learner.fit(lessons, scratch, partial(bench.progress, f"FinSeer ({encoder}{word})"))
        metrics |= _suffixed(agreement(learner.similarities(valid), valid, settings), suffix)
    metrics["recall_at_5_chance"] = recall_by_chance(valid)
    card = _card(bench, kind, recipe, metrics, student, train, valid, feedback)
    return save_artifact(bench.folder(kind), card, student.write)


def _refuse_stale(bench: Bench, feedback: Feedback) -> None:
    """Teacher scores of another StockLLM, template or ``[feedback]`` are not those of this spec."""
    folder = bench.folder("stockllm")
    if not folder.exists():  # the scores may outlive their teacher
        return
    now = {
        "stockllm": load_artifact(folder, "stockllm").digest,
        "template": bench.template.recipe,
        "settings": bench.spec.feedback.model_dump(mode="json"),
    }
    stale = [key for key, value in now.items() if feedback.meta["recipe"][key] != value]
    if stale:
        raise ConfigError(
            f"the teacher scores in {bench.folder('feedback')} were made with another {', '.join(stale)} than the "
            "spec has now; type: ragsignal train feedback SPEC"
        )


def _maker(bench: Bench, encoder: EncoderName) -> Callable[[], Student]:
    """A way to get the same untrained student twice; torch is imported here and not before."""
    settings = bench.spec.finseer
    if encoder == "numeric":
        from ragsignal.training.finseer.numeric import NumericStudent

        return lambda: NumericStudent(bench.corpus, settings)
    from ragsignal.training.finseer.text import TextStudent

    weights = resolve(settings.base, settings.revision)
    return lambda: TextStudent(weights, bench.bins, bench.corpus, settings)


def _recipe(bench: Bench, encoder: EncoderName, feedback: Feedback) -> Recipe:
    settings = bench.spec.finseer.model_dump(mode="json", exclude=_NOT_IN_RECIPE[encoder])
    return settings | {"encoder": encoder, "feedback": feedback.meta["digest"]}


def _scratch_name(recipe: Recipe, learner: Student, lessons: Sequence[Lesson]) -> str:
    """A folder for what decides the weights, so that no run goes on from another one's checkpoint."""
    taught = [[it.example.query.symbol, it.example.query.as_of, it.rows.tolist(), it.scores.tolist()] for it in lessons]
    return json_digest([recipe, learner.base, learner.template, taught])[:16]


def _card(
    bench: Bench,
    kind: Kind,
    recipe: Recipe,
    metrics: dict[str, Any],
    student: Student,
    train: Sequence[Group],
    valid: Sequence[Group],
    feedback: Feedback,
) -> Card:
    """The teacher may have learned from later days than the queries it was asked: its date counts too."""
    card = bench.card(
        kind,
        recipe,
        metrics,
        base=student.base,
        template=student.template,
        train=[group.example for group in train],
        valid=[group.example for group in valid],
    )
    taught_through = date.fromisoformat(str(feedback.meta["trained_through"]))
    return card.model_copy(update={"trained_through": max(card.trained_through, taught_through)})


def _suffixed(metrics: dict[str, float], suffix: str) -> dict[str, float]:
    return {f"{name}{suffix}": value for name, value in metrics.items()}
