"""FinSeer without text: windows as numbers, through a small trained network, to unit vectors.

What it reads of a window is scale-free: its z-scored values, how much they move, where they lie, and which indicator
they are of. It sees no price level, no date, no symbol, and nothing that came after the window.
A million candidates take seconds, where the text encoder takes minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ragsignal.artifacts import Artifact
from ragsignal.data import log_returns
from ragsignal.errors import ModelError
from ragsignal.retrieval.corpus import Corpus
from ragsignal.retrieval.encoders import is_flat
from ragsignal.types import FloatArray, IntArray, Query, Recipe

if TYPE_CHECKING:
    from ragsignal.retrieval.tower import Tower

READS: Recipe = {"encoder": "numeric/2"}
"""Version of :func:`features`; an artifact that was trained on another one is refused."""

EXTRA = 2
"""Features of a window besides its values: scale and centre."""

# Half a basis point: below it a return, or a difference of letters' values, is rounding. As a soft floor it lets a
# flat window be zeros without a threshold that noise could cross.
_FLOOR = 5e-5
_CENTRE_LIMIT = 5.0
_BATCH = 65_536


def features(scaled: FloatArray) -> NDArray[np.float32]:
    """What the network reads of scale-free windows.

    Parameters
    ----------
    scaled : (n, lookback) float64
        Returns, ratios or bounded values, as in :attr:`Corpus.scaled`.

    Returns
    -------
    (n, lookback + 2) float32
        The z-scored values (zeros for a flat window); the logarithm of their standard deviation, from -1.65 for a flat
        window to 1; their mean in standard deviations, at most 5, which z-scores alone forget: five rises look
        like five falls.
    """
    mean = scaled.mean(axis=1, keepdims=True)
    spread = np.hypot(scaled.std(axis=1, keepdims=True), _FLOOR)
    scale = np.minimum(np.log(spread) / 6.0, 1.0)
    centre = np.clip(mean / spread, -_CENTRE_LIMIT, _CENTRE_LIMIT)
    return np.hstack([(scaled - mean) / spread, scale, centre]).astype(np.float32)


def query_features(queries: Sequence[Query]) -> NDArray[np.float32]:
    """(n_queries, lookback + 2) float32: the same numbers as of a window of ``adj_close``."""
    return features(np.array([log_returns(query) for query in queries]))


class NumericEncoder:
    """A trained tower over both sides.

    Parameters
    ----------
    artifact : Artifact
        Of kind ``finseer-numeric``.

    Raises
    ------
    ModelError
        If the artifact was trained on other features.
    """

    def __init__(self, artifact: Artifact) -> None:
        artifact.check_template(READS)
        self._artifact = artifact
        self._loaded: Tower | None = None

    @property
    def recipe(self) -> Recipe:
        """Identity: the features and the trained weights."""
        return {**READS, "artifact": self._artifact.digest}

    def encode_queries(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """Return (n_queries, dim) float32 unit rows."""
        return self._encode(query_features(queries), np.full(len(queries), self._tower().config.query_name))

    def encode_corpus(self, corpus: Corpus) -> NDArray[np.float32]:
        """Return (n, dim) float32 unit rows."""
        empty = np.empty((0, self._tower().config.dim), dtype=np.float32)
        return np.concatenate([empty, *self.corpus_blocks(corpus)])

    def is_blank(self, query: Query) -> bool:
        """Whether the window is flat, and the network, as an untrained one does, makes zeros of it."""
        return is_flat(query.closes) and self._flat_is_blank

    @cached_property
    def _flat_is_blank(self) -> bool:
        tower = self._tower().config
        flat = features(np.zeros((1, tower.features - EXTRA)))
        return not self._encode(flat, np.array([tower.query_name])).any()

    def corpus_blocks(self, corpus: Corpus) -> Iterator[NDArray[np.float32]]:
        """The rows of :meth:`encode_corpus`, 65,536 at a time."""
        names = self._name_ids(corpus.sequences)
        for start in range(0, len(corpus), _BATCH):
            rows = slice(start, start + _BATCH)
            yield self._encode(features(np.asarray(corpus.scaled[rows])), names[corpus.sequence_id[rows]])

    def _encode(self, inputs: NDArray[np.float32], names: IntArray) -> NDArray[np.float32]:
        import torch

        tower = self._tower()
        if inputs.shape[1] != tower.config.features:
            raise ModelError(
                f"{self._artifact.ref} reads windows of {tower.config.features - EXTRA} values, but these have "
                f"{inputs.shape[1] - EXTRA}; set corpus.lookback to what it was trained on, or train again"
            )
        with torch.inference_mode():
            vectors: NDArray[np.float32] = tower(torch.from_numpy(inputs), torch.from_numpy(names)).numpy()
        return vectors

    def _name_ids(self, sequences: Sequence[str]) -> IntArray:
        trained_on = self._tower().config.sequences
        unknown = sorted(set(sequences) - set(trained_on))
        if unknown:
            raise ModelError(f"{self._artifact.ref} was not trained on {', '.join(unknown)}; train it again")
        return np.array([trained_on.index(name) for name in sequences], dtype=np.int64)

    def _tower(self) -> Tower:
        if self._loaded is None:
            from ragsignal.retrieval.tower import load_tower

            self._loaded = load_tower(self._artifact.folder)
        return self._loaded
