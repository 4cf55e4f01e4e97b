"""Small markets, and parts whose answers are known: what the tests of store, pipeline and indicator are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.config import CorpusSpec, ExternalSpec, LLMSpec, RetrievalSpec, StrategySpec, Variant
from ragsignal.data.bins import shipped_bins
from ragsignal.data.synthetic import planted_market
from ragsignal.data.windows import cut_query
from ragsignal.protocols import SignalSource
from ragsignal.retrieval.corpus import Corpus, build_corpus
from ragsignal.retrieval.embeddings import EmbeddingCache
from ragsignal.retrieval.encoders import ShapeEncoder, TextEncoder
from ragsignal.retrieval.retrievers import DenseRetriever
from ragsignal.signals.pipeline import RagPipeline
from ragsignal.signals.store import SignalStore
from ragsignal.types import Hit, Prompt, Query, Recipe, Score, Signal

Frames = Mapping[str, pd.DataFrame]

LOOKBACK = 5


def market(symbols: Sequence[str] = ("AA", "BB"), start: str = "2020-01-01", end: str = "2020-03-31") -> Frames:
    """Frames of a planted market."""
    return planted_market(symbols, start, end, seed=3).frames


def variant(name: str, signal: Any = "llm", **retrieval: Any) -> Variant:
    """A resolved variant, with ``retrieval``'s keys over the defaults."""
    strategy = StrategySpec.model_validate({"class": "ragsignal.strategies:BuyAndHold"})
    return Variant(
        name, signal, RetrievalSpec(**retrieval), LLMSpec(), strategy, "shipped:classifier-text", False, ExternalSpec()
    )


def corpus_of(frames: Frames, **options: Any) -> Corpus:
    """A corpus of closes and volumes: small, and with two sequences that compete."""
    return build_corpus(frames, CorpusSpec(**{"indicators": ("adj_close", "volume"), "lookback": LOOKBACK, **options}))


def every_query(frames: Frames, lookback: int = LOOKBACK) -> list[Query]:
    """One query a symbol and bar, the short ones of the beginning included."""
    queries = []
    for symbol, frame in frames.items():
        days, closes = [stamp.date() for stamp in frame.index], frame["close"].tolist()
        queries += [cut_query(symbol, days[: bar + 1], closes[: bar + 1], lookback) for bar in range(len(frame))]
    return queries


@dataclass
class HashScorer:
    """Prompter and scorer: P(rise) from a hash of all that a prompt holds, so that any change shows; keeps prompts."""

    batch_size: int = 8
    salt: str = ""
    is_model: bool = True
    seen: list[Prompt] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    @property
    def recipe(self) -> Recipe:
        return {"scorer": "hash", "salt": self.salt}

    def context_digest(self, _: Query) -> str:
        return ""

    def render(self, query: Query, hits: tuple[Hit, ...]) -> Prompt:
        return Prompt(query, hits, text=f"{query} {hits} {self.salt}")

    def length(self, prompt: Prompt) -> int:
        return len(prompt.text)

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        self.seen += prompts
        self.batches.append(len(prompts))
        return [Score(_fraction(prompt.text), tokens=len(prompt.text), seconds=0.25) for prompt in prompts]


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2.0**48


def pipeline_of(
    corpus: Corpus, scorer: Any = None, store: SignalStore | None = None, lookback: int = LOOKBACK, **options: Any
) -> RagPipeline:
    """Shape retrieval and a hash, so that every bit of the input shows in the output."""
    scorer = HashScorer() if scorer is None else scorer
    return RagPipeline(
        retriever=DenseRetriever(corpus, ShapeEncoder(), **{"k": 3, **options}),
        prompter=scorer if isinstance(scorer, HashScorer) else HashScorer(),
        scorer=scorer,
        store=SignalStore(":memory:") if store is None else store,  # an empty store is false
        lookback=lookback,
    )


@dataclass
class CountingSource:
    """Passes on to another source; keeps the size of every call."""

    inner: SignalSource
    calls: list[int] = field(default_factory=list)

    @property
    def lookback(self) -> int:
        return self.inner.lookback

    def signals(self, queries: Sequence[Query]) -> list[Signal]:
        self.calls.append(len(queries))
        return self.inner.signals(queries)


class FakeModel:
    """Stands in for a model: a vector that the text alone decides, and a count of what it was asked."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.batches: list[list[str]] = []
        self.fail_after = fail_after

    @property
    def asked(self) -> list[str]:
        return [text for batch in self.batches for text in batch]

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if len(self.batches) == self.fail_after:
            raise RuntimeError("out of memory")
        self.batches.append(list(texts))
        rows = np.array([np.random.default_rng(list(text.encode())).normal(size=8) for text in texts])
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


class FakeTextEncoder(TextEncoder):
    """The real encoder around a fake model."""

    def __init__(self, cache: EmbeddingCache, digest: str = "weights", **options: Any) -> None:
        super().__init__(Path("/nowhere"), digest, shipped_bins(), cache, **options)
        self.fake = FakeModel()

    def encode_lines(self, lines: Sequence[str]) -> NDArray[np.float32]:
        return self.fake(lines)
