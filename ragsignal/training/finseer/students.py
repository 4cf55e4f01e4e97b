"""The two encoders that learn, and what each may begin from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Literal, TypeAlias

from ragsignal.artifacts import Artifact, Kind, load_artifact, resolve
from ragsignal.errors import LookAheadError
from ragsignal.retrieval import READS, line_recipe
from ragsignal.training.run import TrainingRun
from ragsignal.types import Recipe

if TYPE_CHECKING:
    from ragsignal.training.finseer.numeric import NumericStudent
    from ragsignal.training.finseer.text import TextStudent

EncoderName = Literal["text", "numeric"]
Student: TypeAlias = "TextStudent | NumericStudent"
KINDS: dict[EncoderName, Kind] = {"text": "finseer-text", "numeric": "finseer-numeric"}

_OF_TEACHER = {"mix", "teacher_temperature", "negatives", "batch_size", "numeric_batch_size"}
_OF_CONTRAST = {"positives", "state", "buckets", "per_class", "windows"}
_NOT_IN_RECIPE = {
    "text": {"dim", "hidden", "numeric_epochs", "numeric_learning_rate", "numeric_batch_size"},
    "numeric": {"base", "revision", "rank", "alpha", "epochs", "learning_rate", "batch_size"},
}


def start_of(run: TrainingRun, encoder: EncoderName) -> Artifact | None:
    """Return the artifact that ``finseer.start`` names; None where the encoder begins untrained.

    Raises
    ------
    LookAheadError
        If it has seen days that this training must not.
    ModelError
        If it is missing, altered, of the other encoder, or of another study.
    """
    ref, corpus = run.spec.finseer.start, run.spec.corpus
    if ref is None:
        return None
    start = load_artifact(ref, KINDS[encoder])
    if start.card.trained_through > run.split.train.known_by:
        raise LookAheadError(
            f"finseer.start = {ref!r} has seen days through {start.card.trained_through}, but this training ends on "
            f"{run.split.train.known_by}: train the first one on the same split, or on an earlier one"
        )
    if corpus.reads_alphas:
        start.check_formulas(run.materials.alpha_days.formulas)
    start.check_study(corpus.target, corpus.lookback, corpus.horizon)
    start.check_template(READS if encoder == "numeric" else line_recipe(run.bins))
    return start


def maker(run: TrainingRun, encoder: EncoderName, start: Artifact | None) -> Callable[[], Student]:
    """Return a way to get the same student twice, as it is before training; torch is imported here and not before."""
    settings = run.spec.finseer
    if encoder == "numeric":
        from ragsignal.training.finseer.numeric import NumericStudent

        return lambda: NumericStudent(run.corpus, settings, start)
    from ragsignal.training.finseer.text import TextStudent

    weights = resolve(settings.base, settings.revision)
    if start is not None:
        start.check_base(weights.digest)
    return lambda: TextStudent(weights, run.bins, run.corpus, settings, start)


def settings_recipe(run: TrainingRun, encoder: EncoderName, start: Artifact | None) -> Recipe:
    """Those of ``[finseer]`` that decide the weights, and what they began from."""
    settings = run.spec.finseer
    idle = _OF_TEACHER if settings.loss == "supcon" else _OF_CONTRAST
    recipe = settings.model_dump(mode="json", exclude=_NOT_IN_RECIPE[encoder] | idle)
    return recipe | {"encoder": encoder} | ({} if start is None else {"start": start.digest})


def seen_by(start: Artifact | None) -> date:
    """Return the last day that what a training began from has seen; the first of all days where it began untrained."""
    return date.min if start is None else start.card.trained_through


def suffixed(metrics: dict[str, float], suffix: str) -> dict[str, float]:
    """Return metrics under names that end so."""
    return {f"{name}{suffix}": value for name, value in metrics.items()}
