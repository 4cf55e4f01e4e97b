"""FinSeer without a teacher: an encoder that learns which windows moved alike in a like market.

    labelled windows ──► contrast ──► student ──► probes on later days ──► artifact
              └─ shuffled labels ──► control ──► probes ──► beside them in the card

As of distillation two others stand beside every encoder: the one before training, and one that was trained with the
same settings on labels in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ragsignal.artifacts import Artifact, save_artifact
from ragsignal.data import StateBuckets
from ragsignal.errors import ModelError
from ragsignal.retrieval import KnownWindows, linear_probe, nearest_probe
from ragsignal.training.examples import Example, draw
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
from ragsignal.training.finseer.windows import (
    MOVEMENTS,
    LabelledWindows,
    hold_out_days,
    known_candidates,
    label_windows,
)
from ragsignal.training.run import Learned, TrainingResult, TrainingRun
from ragsignal.types import FloatArray, IntArray, Recipe
from ragsignal.utils import as_stamps

PROBED = 4000
"""Windows that a probe of the card learns from at most, and as many that judge it."""
NEIGHBOURS = 50


def train_contrast(run: TrainingRun, encoder: EncoderName) -> Artifact:
    """Train an encoder by a supervised contrast of the windows that ``run`` may learn from.

    Parameters
    ----------
    run : TrainingRun
    encoder : {"text", "numeric"}

    Returns
    -------
    Artifact
        Its metrics are balanced accuracy and log-loss of a linear and of a kNN probe, for movement and market state,
        fitted on training queries and judged on those of the last ``valid_share`` of the training days, which the
        encoder has not seen; with the suffixes ``_before``, of the encoder as it began, and ``_shuffled``, of the
        control; ``_base`` is the base rate.

    Raises
    ------
    ConfigError
        If too few days or windows are left.
    DataError
        If the market's state cannot be cut into buckets.
    LookAheadError
        If ``finseer.start`` has seen later days.
    ModelError
        If the base weights, or those to begin from, cannot be used; or if the training ran away.
    """
    kind, settings, start = KINDS[encoder], run.spec.finseer, start_of(run, encoder)
    train, valid = hold_out_days(run.train, settings.valid_share)
    days = as_stamps([example.query.as_of for example in train])
    buckets = StateBuckets.fit(run.materials.states, settings.state, settings.buckets, days)
    windows = label_windows(run, train, known_candidates(run, train), buckets)
    seen = run.corpus.digest_as_of(max(example.available_at for example in train))
    recipe = settings_recipe(run, encoder, start) | _labels_recipe(run, buckets)
    make, probes = maker(run, encoder, start), _Probes(run, buckets, train, valid)
    student, control = make(), make()
    metrics = probes.base_rates() | suffixed(probes.figures(student), "_before")
    arms = ((control, windows.shuffled(settings.seed), "_shuffled", ", control"), (student, windows, "", ""))
    for learner, labelled, suffix, word in arms:
        decides = [recipe, learner.base, learner.template, seen, _digestible(labelled)]
        learner.contrast(labelled, run.work_folder(kind, decides), partial(run.progress, f"FinSeer ({encoder}{word})"))
        metrics |= suffixed(probes.figures(learner), suffix)
    result = TrainingResult(
        recipe=recipe,
        metrics=metrics,
        base=student.base,
        template=student.template,
        train=Learned.of(train),
        valid=Learned.of(valid),
        seen_through=seen_by(start),
        reads_bins=encoder == "text",
    )
    return save_artifact(run.folder(kind), run.card(kind, result), student.write)


def _labels_recipe(run: TrainingRun, buckets: StateBuckets) -> Recipe:
    """What a class is: keys that a spec leaves out where they have their defaults are written all the same."""
    settings = run.spec.finseer
    return {
        "positives": settings.positives,
        "state": buckets.variable,
        "edges": list(buckets.edges),
        "per_class": settings.per_class,
        "windows": settings.windows,
    }


def _digestible(windows: LabelledWindows) -> list[object]:
    """All that a contrast learns from, as JSON."""
    queries = [[query.symbol, query.as_of, query.closes] for query in windows.queries]
    return [queries, windows.rows.tolist(), windows.label.tolist()]


class _Probes:
    """Probes of an encoder on the days that were held out, in single figures; intervals are ``ragsignal probe``'s."""

    def __init__(
        self, run: TrainingRun, buckets: StateBuckets, train: Sequence[Example], valid: Sequence[Example]
    ) -> None:
        seed = run.spec.finseer.seed
        none = np.empty(0, dtype=np.int64)  # candidates: a probe reads queries
        self._known = label_windows(run, draw(train, PROBED, seed), none, buckets)
        self._later = label_windows(run, draw(valid, PROBED, seed), none, buckets)
        self._classes = {"movement": MOVEMENTS, "state": buckets.count}

    def figures(self, student: Student) -> dict[str, float]:
        """Balanced accuracy and log-loss by probe and label."""
        known, later = (_finite(student.query_vectors(it.queries)) for it in (self._known, self._later))
        found: dict[str, float] = {}
        for name, classes in self._classes.items():
            learned = KnownWindows(known, _of_queries(self._known, name), classes)
            answers = {"linear": linear_probe(learned, later), "knn": nearest_probe(learned, later, NEIGHBOURS)}
            for probe, probabilities in answers.items():
                found |= _scores(f"{probe}_{name}", probabilities, _of_queries(self._later, name))
        return found

    def base_rates(self) -> dict[str, float]:
        """The same figures of the shares of the classes alone."""
        found: dict[str, float] = {}
        for name, classes in self._classes.items():
            labels = _of_queries(self._known, name)
            shares = KnownWindows(np.empty((0, 0), dtype=np.float32), labels, classes).shares
            later = _of_queries(self._later, name)
            found[f"{name}_balanced_accuracy_base"] = float(shares[np.unique(later)].mean())  # a guess by the shares
            found[f"{name}_log_loss_base"] = float(-np.log(shares[later]).mean())
        return found


def _finite(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(vectors).all():
        raise ModelError(
            "the contrast has run away: the encoder's vectors are no finite numbers any more; lower finseer."
            "numeric_learning_rate (of text: finseer.learning_rate), or raise finseer.temperature, and train again"
        )
    return vectors


def _of_queries(windows: LabelledWindows, name: str) -> IntArray:
    labels = windows.movement if name == "movement" else windows.state
    return labels[: len(windows.queries)]


def _scores(name: str, probabilities: FloatArray, labels: IntArray) -> dict[str, float]:
    said = probabilities.argmax(axis=1)
    recalls = [float((said[labels == number] == number).mean()) for number in np.unique(labels)]
    losses = -np.log(probabilities[np.arange(len(labels)), labels])
    return {f"{name}_balanced_accuracy": float(np.mean(recalls)), f"{name}_log_loss": float(losses.mean())}
