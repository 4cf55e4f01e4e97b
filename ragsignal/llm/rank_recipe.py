"""What readers of rank letters say of themselves in cards and recipes: letters, states, kept formulas, news."""

from __future__ import annotations

from collections.abc import Mapping

from ragsignal.artifacts import Artifact
from ragsignal.data import NEWS_FACTORS, RANK_FACTORS, RANK_LETTERS, STATE_FORMULAS, RankLetters
from ragsignal.types import Recipe
from ragsignal.utils import json_digest

RANKS_RECIPE: Recipe = {"reader": "ranks/1", "letters": RANK_LETTERS, "factors": json_digest(list(RANK_FACTORS))}
"""What a reader of ranks reads; in its card and in every signal's recipe."""

STATES_RECIPE: Recipe = {"states": json_digest(STATE_FORMULAS)}
"""Of a reader that was trained with the market's state beside the letters; in its card and its signals."""


def news_recipe(news: Recipe | None) -> Recipe:
    """Of a reader of letters with the day's news among them; ``news`` says what scored them, None: it reads none."""
    return {} if news is None else {"news": {"factors": list(NEWS_FACTORS), **news}}


def alphas_recipe(alphas: Mapping[str, str] | None) -> Recipe:
    """Of a reader of letters with kept formulas among them, by name and text; None: it reads none."""
    return {} if alphas is None else {"alphas": dict(alphas)}


def beside_bars(letters: RankLetters) -> Recipe:
    """What stands in these letters beside the factors of bars: formulas, news, or nothing."""
    return alphas_recipe(letters.alphas) | news_recipe(letters.news)


def reads_states(artifact: Artifact) -> bool:
    """Whether a reader of rank letters was trained with the market's state beside them (``boosting.state``)."""
    return "states" in artifact.card.template


def reads_news(artifact: Artifact) -> bool:
    """Whether a reader of rank letters was trained with the day's news among them (a table ``[news]``)."""
    return "news" in artifact.card.template


def reads_alphas(artifact: Artifact) -> bool:
    """Whether a reader of rank letters was trained with kept formulas among them (``corpus.alphas``)."""
    return "alphas" in artifact.card.template
