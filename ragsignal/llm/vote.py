"""A scorer without a model: the baseline that an LLM has to beat."""

from __future__ import annotations

from collections.abc import Sequence

from ragsignal.types import Movement, Prompt, Recipe, Score


class VoteScorer:
    """Share of the hits that rose, among those that rose or fell; one vote for each side is added.

    What retrieval says without any language model: (rises + 1) / (rises + falls + 2), Laplace's rule of succession.
    """

    is_model = False
    batch_size = 1024

    @property
    def recipe(self) -> Recipe:
        """Identity: there is nothing to choose."""
        return {"scorer": "vote/1"}

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        """Laplace-smoothed share of rises of every prompt's hits."""
        return [Score(_share([hit.sequence.movement for hit in prompt.hits])) for prompt in prompts]


def _share(movements: Sequence[Movement]) -> float:
    rises, falls = movements.count(Movement.RISE), movements.count(Movement.FALL)
    return (rises + 1) / (rises + falls + 2)
