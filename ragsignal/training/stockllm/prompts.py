"""Prompts to learn from: the template of use, with random, retrieved or no candidates; one adapter serves all k."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ragsignal.llm import Template
from ragsignal.retrieval import Corpus, CorpusRetriever, DenseRetriever, RandomRetriever, ShapeEncoder
from ragsignal.training.examples import Example
from ragsignal.types import Hit, Prompt

Source = Literal["random", "shape"]


def mixed_prompts(
    examples: Sequence[Example],
    template: Template,
    corpus: Corpus,
    ks: Sequence[int],
    sources: Sequence[Source],
    seed: int,
) -> list[Prompt]:
    """One prompt an example; its number of candidates and where they come from are drawn.

    Parameters
    ----------
    examples : sequence of Example
    template : Template
    corpus : Corpus
        Only what an example's day could see comes out of it.
    ks : sequence of int
        Numbers of candidates, each as likely as it is often in there.
    sources : sequence of {"random", "shape"}
        The paper trains on random candidates; the nearest by shape are what a retriever finds.
    seed : int

    Returns
    -------
    list of Prompt
        In the order of ``examples``.
    """
    rng = np.random.default_rng(seed)
    numbers = rng.choice(np.asarray(ks), size=len(examples))
    places = rng.choice(len(sources), size=len(examples))
    hits: list[tuple[Hit, ...]] = [()] * len(examples)
    for place, source in enumerate(sources):
        rows = np.flatnonzero((places == place) & (numbers > 0)).tolist()
        retriever = _retriever(source, corpus, int(max(ks)), seed)
        for row, nearest in zip(rows, retriever.retrieve([examples[row].query for row in rows]), strict=True):
            hits[row] = nearest[: numbers[row]]
    return [template.render(example.query, shown) for example, shown in zip(examples, hits, strict=True)]


def _retriever(source: Source, corpus: Corpus, k: int, seed: int) -> CorpusRetriever:
    if source == "random":
        return RandomRetriever(corpus, k=max(k, 1), seed=seed)
    return DenseRetriever(corpus, ShapeEncoder(), k=max(k, 1))
