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
from ragsignal.llm.classifier_models import BertReader, LogisticReader, Reader
from ragsignal.llm.prompt import Template
from ragsignal.protocols import Recipe
from ragsignal.types import Hit, Prompt, Query, Score


class ClassifierScorer:
    """A trained classifier as a scorer.

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

    Raises
    ------
    ModelError
        If it was trained on another template, another base or another lookback, or the device is missing.
    """

    is_model = True
    batch_size = 256

    def __init__(
        self, artifact: Artifact, template: Template, weights: Weights | None = None, device: str = "cpu"
    ) -> None:
        self.template = template
        self._artifact = artifact
        self._reader = _reader_of(artifact, weights, device)
        artifact.check_template(self._reader.reads(template))

    @property
    def recipe(self) -> Recipe:
        """Identity: the artifact (base and calibration are in its card), what it reads, and the libraries."""
        return {
            "scorer": "classifier/1",
            "artifact": self._artifact.digest,
            "batch": f"{self.batch_size} at most",
            **self._reader.computed_with,
            **self._reader.reads(self.template),
        }

    def context_digest(self, query: Query) -> str:
        """What the template reads besides the query; nothing where numbers are read."""
        return self._reader.context_digest(self.template, query)

    def render(self, query: Query, hits: tuple[Hit, ...]) -> Prompt:
        """The query's line, or no text where numbers are read."""
        return self._reader.prompt(self.template, query, hits)

    def length(self, prompt: Prompt) -> int:
        """Letters of the query's line."""
        return len(prompt.text)

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        """Calibrated P(rise) of every prompt's query."""
        for prompt in prompts:
            self._check_lookback(prompt.query)
        tokens = self._reader.count_tokens(prompts)  # first, because it loads the model: not part of the seconds
        began = time.perf_counter()
        odds = calibrated(self._reader.log_odds(prompts), self._artifact.card.calibration)
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


def _reader_of(artifact: Artifact, weights: Weights | None, device: str) -> Reader:
    base = artifact.card.base
    if base is None:
        return LogisticReader.load(artifact.folder)
    weights = weights or resolve(base["ref"], base["revision"])
    artifact.check_base(weights.digest)
    return BertReader(weights, artifact.folder, device)
