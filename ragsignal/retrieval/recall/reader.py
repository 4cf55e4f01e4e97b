"""A trained recall as it is used: its tokens, and its language model once somebody asks."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ragsignal.artifacts import Artifact, reading
from ragsignal.data import Bins
from ragsignal.errors import ModelError
from ragsignal.retrieval.corpus import Corpus
from ragsignal.retrieval.recall.titles import REPAIR, VOCABULARY_FILE, CorpusTokens, TitleVocabulary, letters_recipe
from ragsignal.types import Recipe

if TYPE_CHECKING:
    from ragsignal.retrieval.recall.search import TokenScorer


class RecallReader:
    """The language model that names titles and prefixes.

    Parameters
    ----------
    artifact : Artifact
        Of kind ``recall``.
    bins : Bins
        Letters of the run.

    Raises
    ------
    ModelError
        If it was trained on other letters.
    """

    def __init__(self, artifact: Artifact, bins: Bins) -> None:
        artifact.check_template(letters_recipe(bins))
        self._artifact = artifact
        self._bins = bins

    @property
    def recipe(self) -> Recipe:
        """Identity: tokens and trained weights."""
        return {**letters_recipe(self._bins), "artifact": self._artifact.digest}

    @cached_property
    def vocabulary(self) -> TitleVocabulary:
        """The tokens."""
        path = self._artifact.folder / VOCABULARY_FILE
        with reading(path, "the tokens of a recall", REPAIR):
            raw = json.loads(path.read_text(encoding="utf-8"))
            edges = {name: tuple(raw[name]) for name in ("sequences", "trends", "movements")}
            return TitleVocabulary(**raw | edges)

    def tokens(self, corpus: Corpus) -> CorpusTokens:
        """Tokens of a corpus.

        Raises
        ------
        ModelError
            If the model knows no title for an indicator, or reads windows of another length.
        """
        vocabulary = self.vocabulary
        unknown = sorted(set(corpus.sequences) - set(vocabulary.sequences))
        if unknown:
            raise ModelError(
                f"{self._artifact.ref} knows no title for {', '.join(unknown)}; leave them out of corpus.indicators, "
                f"or train it on them: {self._artifact.card.command}"
            )
        lookback = corpus.scaled.shape[1]
        if lookback != vocabulary.lookback:
            raise ModelError(
                f"{self._artifact.ref} reads windows of {vocabulary.lookback} letters, but these have {lookback}; set "
                "corpus.lookback to what it was trained on, or train it again"
            )
        return CorpusTokens(corpus, vocabulary, self._bins)

    @cached_property
    def scorer(self) -> TokenScorer:
        """The language model; its weights are read with the first question."""
        from ragsignal.retrieval.recall.model import CachedScorer, load_model

        return CachedScorer(load_model(Path(self._artifact.folder)))
