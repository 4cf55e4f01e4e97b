"""What each moving part promises. Implementations live in retrieval/, llm/ and signals/."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ragsignal.types import FloatArray, Hit, Prompt, Query, Recipe, Score, Signal


class Retriever(Protocol):
    """Finds the candidates that a query may see: ``available_at <= as_of``, at most k, best first."""

    requires_hits: bool
    """Whether a query without any available candidate has to abstain."""

    @property
    def recipe(self) -> Recipe:
        """Identity of the retriever, its encoder and its options included."""
        ...

    def corpus_digest(self, query: Query) -> str:
        """Digest of the part of the corpus that ``query`` can see."""
        ...

    def abstains(self, query: Query) -> str | None:
        """Why nothing can be retrieved for ``query``, whatever is known; None where something can.

        Raises
        ------
        ConfigError
            If an option cannot be kept for this query.
        """
        ...

    def retrieve(self, queries: Sequence[Query]) -> Sequence[Sequence[Hit]]:
        """Hits of every query, in the queries' order."""
        ...


class Prompter(Protocol):
    """Writes what a scorer reads."""

    def context_digest(self, query: Query) -> str:
        """Digest of what a prompt holds besides query and hits (ranks among other stocks); empty for nothing."""
        ...

    def render(self, query: Query, hits: Sequence[Hit]) -> Prompt:
        """Write the prompt of ``query`` with ``hits``."""
        ...

    def length(self, prompt: Prompt) -> int:
        """Return what batches are sorted by, so that little of them is padding: tokens, or what stands for them."""
        ...


class Scorer(Protocol):
    """Reads prompts and gives P(rise)."""

    is_model: bool
    """True where a call costs model time, so that it is counted."""

    @property
    def recipe(self) -> Recipe:
        """Identity of the scorer, weights, template and numeric type included."""
        ...

    @property
    def batch_size(self) -> int:
        """Prompts that are scored, and therefore stored, together."""
        ...

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        """P(rise) of every prompt, in order."""
        ...


class TextScorer(Protocol):
    """Reads the words of news and says how good they are for whom they name."""

    @property
    def recipe(self) -> Recipe:
        """Identity of the scorer, weights and numeric type included."""
        ...

    def sentiment(self, texts: Sequence[str]) -> FloatArray:
        """(n,) from -1 (bad) to 1 (good), of every text in order."""
        ...


@runtime_checkable
class SignalSource(Protocol):
    """Queries in, signals out: all that the indicator knows of the models behind it."""

    lookback: int

    def signals(self, queries: Sequence[Query]) -> list[Signal]:
        """One signal a query, in order; abstains or raises, never guesses."""
        ...
