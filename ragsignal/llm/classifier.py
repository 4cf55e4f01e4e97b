"""The baseline that a retrieval-augmented model has to beat: a classifier of the query alone, whatever the hits.

``bert``      a BERT-style encoder with LoRA and a two-label head, on the query's serialised line
``logistic``  logistic regression on the query's log returns

Both are artifacts of ``ragsignal train classifier`` (:mod:`ragsignal.training.classifier`), and read by
:mod:`ragsignal.llm.classifier_models`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from ragsignal.artifacts import Artifact, Weights, resolve
from ragsignal.errors import ModelError
from ragsignal.llm.calibration import calibrated, probability_of
from ragsignal.llm.classifier_models import BertClassifier, ClassifierModel, LogisticClassifier
from ragsignal.llm.prompt import Template
from ragsignal.types import Prompt, Query, Recipe, Score


class ClassifierScorer:
    """A trained classifier as a scorer; ``prompter`` writes what it reads.

    Parameters
    ----------
    artifact : Artifact
        Of kind ``classifier``.
    template : Template
        The spec's; ``bert`` reads its query line.
    weights : Weights, optional
        The base of ``bert``; by default found where the card says it was in training.
    device : {"cpu", "cuda"}
        Of ``bert``.
    threads : int, optional
        Of ``bert``, at most.

    Raises
    ------
    ModelError
        If it was trained on another template, another base or another lookback, or the device is missing.
    """

    is_model = True
    batch_size = 256

    def __init__(
        self,
        artifact: Artifact,
        template: Template,
        weights: Weights | None = None,
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        self._artifact = artifact
        self._model = _model_of(artifact, weights, device, threads)
        self._reads = self._model.reads(template)
        artifact.check_template(self._reads)
        self.prompter = self._model.prompter(template)

    @property
    def recipe(self) -> Recipe:
        """Identity: the artifact (base and calibration are in its card), what it reads, and the libraries."""
        return {
            "scorer": "classifier/1",
            "artifact": self._artifact.digest,
            "batch": f"{self.batch_size} at most",
            **self._model.computed_with,
            **self._reads,
        }

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        """Calibrated P(rise) of every prompt's query."""
        for prompt in prompts:
            self._check_lookback(prompt.query)
        tokens = self._model.count_tokens(prompts)  # first, because it loads the model: not part of the seconds
        began = time.perf_counter()
        odds = calibrated(self._model.log_odds(prompts), self._artifact.card.calibration)
        share = (time.perf_counter() - began) / max(len(prompts), 1)
        chances = probability_of(odds).tolist()
        return [Score(chance, count, share) for chance, count in zip(chances, tokens, strict=True)]

    def _check_lookback(self, query: Query) -> None:
        trained, given = self._artifact.card.recipe["lookback"], len(query.closes) - 1
        if trained != given:
            raise ModelError(
                f"{self._artifact.ref} was trained on windows of {trained} returns, but {query.symbol} as of "
                f"{query.as_of} has {given}; write corpus.lookback = {trained}, or train again"
            )


def _model_of(artifact: Artifact, weights: Weights | None, device: str, threads: int | None) -> ClassifierModel:
    base = artifact.card.base
    if base is None:
        return LogisticClassifier.load(artifact.folder)
    weights = weights or resolve(base["ref"], base["revision"])
    artifact.check_base(weights.digest)
    return BertClassifier(weights, artifact.folder, device, threads)
