"""Formulas with what they say, found by the words of an idea."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ragsignal.alpha.ideas.words import phrase
from ragsignal.artifacts import Weights
from ragsignal.data import BAR_FIELDS, Call, Formula, Kind, depth, digest_of, fields_of, parse, parts
from ragsignal.errors import ConfigError, ModelError
from ragsignal.retrieval import EmbeddingCache, load_sentence_model
from ragsignal.utils import Steps, silent_steps

FLOOR = 0.4
"""Cosine below which a formula does not fit an idea; what was measured: docs/alpha-ideas.md."""
_ROWS = 64
_MOST_LINES = 10_000


@dataclass(frozen=True)
class Known:
    """A formula, or a part of one, in words; ``origin`` says where it stands."""

    formula: Formula
    words: str
    origin: str


@dataclass(frozen=True)
class Found:
    """What was found for an idea, and how like it is: a cosine."""

    known: Known
    similarity: float


class SentenceEncoder(Protocol):
    """Sentences to unit vectors."""

    @property
    def digest(self) -> str:
        """What the vectors depend on besides the sentences."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n_texts, dim) float32 unit rows."""
        ...


class SentenceModel:
    """A sentence-transformers model, loaded when something is encoded that the cache lacks.

    Parameters
    ----------
    weights : Weights
        Verified.
    """

    def __init__(self, weights: Weights) -> None:
        self.digest = weights.digest
        self._folder = weights.folder

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n_texts, dim) float32 unit rows."""
        encoded = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(encoded, dtype=np.float32)

    @cached_property
    def _model(self) -> Any:
        return load_sentence_model(self._folder)


class Knowledge:
    """Formulas that can be found by words.

    Parameters
    ----------
    known : sequence of Known
        Of equal formulas the first stays.
    encoder : SentenceEncoder
    cache : Path
        A file of vectors, made on first use: each sentence is encoded once.
    floor : float
        What is less like an idea than this, by cosine, does not fit it.
    progress : callable, optional
        Called with (sentences encoded, sentences to encode) where some were never encoded.
    """

    def __init__(
        self,
        known: Sequence[Known],
        encoder: SentenceEncoder,
        cache: Path,
        floor: float = FLOOR,
        progress: Steps = silent_steps,
    ) -> None:
        if not -1.0 <= floor <= 1.0:
            raise ConfigError(f"floor = {floor:g}: a cosine of -1 to 1 was expected, such as {FLOOR}")
        self.known = tuple({digest_of(it.formula): it for it in reversed(known)}.values())[::-1]
        self.floor = floor
        self._encoder, self._cache, self._progress = encoder, EmbeddingCache(cache), progress

    def search(self, idea: str, count: int, fields: Mapping[str, Kind] = BAR_FIELDS) -> list[Found]:
        """The formulas of some fields that say what is most like an idea, at most ``count``, likest first."""
        fitting = [it for it in self.known if fields_of(it.formula) <= fields.keys()]
        near = self.nearest(idea, [it.words for it in fitting], count)
        return [Found(fitting[place], cosine) for place, cosine in near if cosine >= self.floor]

    def nearest(self, idea: str, sentences: Sequence[str], count: int) -> list[tuple[int, float]]:
        """Places of the sentences that are most like an idea, at most ``count``, each with its cosine."""
        import faiss

        if not sentences:
            return []
        distinct = sorted({idea, *sentences})
        place = {text: number for number, text in enumerate(distinct)}
        vectors = self._cache.vectors(self._encoder.digest, distinct, self._encoder.encode, _ROWS, self._progress)
        if not np.isfinite(vectors).all():
            raise ModelError("the encoder makes vectors that are no numbers; name another one in ideas.encoder")
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors[[place[text] for text in sentences]]))
        cosines, rows = index.search(vectors[place[idea]][None], min(count, len(sentences)))
        return [(int(row), float(cosine)) for row, cosine in zip(rows[0], cosines[0], strict=True)]


def explained(named: Mapping[str, Formula], deepest: int = 3) -> list[Known]:
    """Formulas and operators within them in words, each formula once; wholes come before parts.

    Parameters
    ----------
    named : mapping of str to Formula
    deepest : int
        Operators within each other in what is explained: the words of deeper ones are too long to be like an idea's.
    """
    of = {name: [part for part in parts(it) if isinstance(part, Call)] for name, it in named.items()}
    wholes = [Known(named[name], phrase(named[name]), name) for name in named]
    inner = [Known(part, phrase(part), f"a part of {name}") for name, calls in of.items() for part in calls]
    known = [it for it in wholes + inner if depth(it.formula) <= deepest]
    return list({digest_of(it.formula): it for it in reversed(known)}.values())[::-1]


def read_own(path: Path, fields: Mapping[str, Kind] = BAR_FIELDS) -> list[Known]:
    """Read a list of formulas: one a line, ``rank(volume)`` or ``busy stocks: rank(volume)``; ``#`` begins a comment.

    Raises
    ------
    ConfigError
        If the file or a formula cannot be read, with file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the formulas of {path}: {error}; expected a text file with a formula a line"
        ) from error
    if len(lines) > _MOST_LINES:
        raise ConfigError(f"{path} has {len(lines):,} lines; at most {_MOST_LINES:,} formulas are searched")
    known = []
    for number, line in enumerate(lines, start=1):
        words, _, text = line.split("#")[0].rpartition(":")
        if text.strip():
            try:
                formula = parse(text, fields)
            except ConfigError as error:
                raise ConfigError(f"{path}, line {number}: {error}") from error
            known.append(Known(formula, words.strip() or phrase(formula), path.name))
    if not known:
        raise ConfigError(f"{path} holds no formula; write one a line, such as busy stocks: rank(volume)")
    return known
