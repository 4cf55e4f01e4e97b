"""Sentiment by a lexicon: VADER's compound (Hutto and Gilbert 2014), which ships in a wheel and needs no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ragsignal.errors import ModelError
from ragsignal.types import FloatArray, Recipe
from ragsignal.utils import libraries_of


class Lexicon:
    """Scores texts by the words of VADER's lexicon, their negations, intensifiers, capitals and marks.

    Raises
    ------
    ModelError
        If the wheel is missing.
    """

    def __init__(self) -> None:
        try:
            from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
        except ImportError:
            raise ModelError(
                'news.scorer = "lexicon" needs vaderSentiment; type: pip install vaderSentiment (or ragsignal[news])'
            ) from None
        self._analyser: Any = SentimentIntensityAnalyzer()

    @property
    def recipe(self) -> Recipe:
        """Identity: the wheel brings its words with it."""
        return {"scorer": "vader-compound/1", "libraries": libraries_of("vaderSentiment")}

    def sentiment(self, texts: Sequence[str]) -> FloatArray:
        """(n,) compound of each text, from -1 (bad) to 1 (good)."""
        return np.array([self._analyser.polarity_scores(text)["compound"] for text in texts], dtype=np.float64)
