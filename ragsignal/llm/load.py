"""From ``[llm]`` of a spec to the language model, and from ``[news]`` to what scores the words of news."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ragsignal.artifacts import CARD, Artifact, Kind, Weights, load_artifact, resolve
from ragsignal.config import LLMSpec, NewsSpec
from ragsignal.llm.lexicon import Lexicon
from ragsignal.llm.prompt import Template
from ragsignal.llm.stockllm import StockLLM
from ragsignal.llm.text_classifier import TextClassifier
from ragsignal.protocols import TextScorer


def adapter_of(llm: LLMSpec, load: Callable[[str, Kind], Artifact] = load_artifact) -> Artifact | Path | None:
    """Return an artifact where the folder has a card, else the bare peft folder, whose training is unknown."""
    if llm.adapter is None:
        return None
    bare = not llm.adapter.startswith("shipped:") and not (Path(llm.adapter) / CARD).is_file()
    return Path(llm.adapter) if bare else load(llm.adapter, "stockllm")


def load_stockllm(
    llm: LLMSpec, template: Template, adapter: Artifact | Path | None, weights: Weights | None = None
) -> StockLLM:
    """The language model of a spec; its weights are verified here (if they were not yet), and read on first use.

    Raises
    ------
    ModelError
        If they are missing or altered, or do not fit each other.
    """
    return StockLLM(
        weights=weights or resolve(llm.model, llm.revision, llm.sha256),
        template=template,
        adapter=adapter,
        dtype=llm.dtype,
        device=llm.device,
        batch_size=llm.batch_size,
        threads=llm.threads,
    )


def load_text_scorer(news: NewsSpec) -> TextScorer:
    """What ``[news]`` names; weights are verified here, and read on first use.

    Raises
    ------
    ModelError
        If the wheel or the weights are missing or altered, or the model's labels cannot be told.
    """
    if news.model is None:
        return Lexicon()
    weights = resolve(news.model, news.revision)
    return TextClassifier(weights, news.device, news.batch_size, news.threads)
