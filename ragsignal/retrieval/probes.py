"""Probes of a frozen encoder: what a simple reader can tell from its vectors, without the encoder being changed.

    vectors of earlier windows, their classes ─┬► logistic regression ──► class probabilities of later windows
                                               └► k nearest, by cosine ─┘

What a linear probe reads is there along some direction; what the nearest neighbours tell is what a retriever by this
metric can find. Both are shrunk towards the share of the classes, by as much as the last fifth of the earlier windows
asks for: else a probe of pure noise would look worse than no probe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ragsignal.types import FloatArray, IntArray

_STRENGTHS = (
    1e-4,
    1e-2,
    1.0,
)  # inverse penalties of standardised vectors: 384 free slopes on 10,000 labels cost .04 nats
_WEIGHTS = (0.03, 0.1, 0.3, 1.0)  # of the neighbours, beside the shares of the classes
_CHOOSING = 0.2
_LEAST = 1e-3  # of the shares is in every answer: no class is ruled out

Fit = Callable[["KnownWindows", NDArray[np.float32], float], FloatArray]


@dataclass(frozen=True, eq=False)
class KnownWindows:
    """What a probe learns from, in the order of time.

    Parameters
    ----------
    vectors : (n, dim) float32
    labels : (n,) int64
        From 0 to ``classes`` - 1.
    classes : int
    """

    vectors: NDArray[np.float32]
    labels: IntArray
    classes: int

    @property
    def shares(self) -> FloatArray:
        """Share of each class, (classes,), as if each had been seen once more: the base rate."""
        counts = np.bincount(self.labels, minlength=self.classes) + 1.0
        shares: FloatArray = counts / counts.sum()
        return shares

    def halves(self) -> tuple[KnownWindows, KnownWindows]:
        """Split off the last fifth."""
        cut = len(self.labels) - max(1, int(_CHOOSING * len(self.labels)))
        first = KnownWindows(self.vectors[:cut], self.labels[:cut], self.classes)
        return first, KnownWindows(self.vectors[cut:], self.labels[cut:], self.classes)


def linear_probe(known: KnownWindows, vectors: NDArray[np.float32]) -> FloatArray:
    """Class probabilities by multinomial logistic regression on standardised vectors.

    Parameters
    ----------
    known : KnownWindows
    vectors : (n, dim) float32
        Later windows.

    Returns
    -------
    (n, classes) float64, rows that sum to 1
    """
    return _chosen(known, vectors, _STRENGTHS, _linear)


def nearest_probe(known: KnownWindows, vectors: NDArray[np.float32], k: int, cosine: bool = True) -> FloatArray:
    """Class probabilities by the ``k`` nearest windows; parameters and result as of :func:`linear_probe`.

    Parameters
    ----------
    cosine : bool
        Near by the inner product of unit vectors; else by the Euclidean distance.
    """
    return _chosen(known, vectors, _WEIGHTS, partial(_nearest, k=k, cosine=cosine))


def _chosen(known: KnownWindows, vectors: NDArray[np.float32], options: tuple[float, ...], fit: Fit) -> FloatArray:
    """Answer with the option that answers best on the last fifth of what is known."""
    first, last = known.halves()
    own = np.arange(len(last.labels)), last.labels
    losses = [-np.log(_floored(fit(first, last.vectors, option), first.shares)[own]).mean() for option in options]
    return _floored(fit(known, vectors, options[int(np.argmin(losses))]), known.shares)


def _floored(probabilities: FloatArray, shares: FloatArray) -> FloatArray:
    mixed: FloatArray = (1.0 - _LEAST) * probabilities + _LEAST * shares
    return mixed


def _linear(known: KnownWindows, vectors: NDArray[np.float32], strength: float) -> FloatArray:
    from sklearn.linear_model import LogisticRegression

    seen = np.unique(known.labels)
    answers = np.zeros((len(vectors), known.classes))
    if len(seen) == 1:
        answers[:, seen] = 1.0
        return answers
    mean, spread = known.vectors.mean(axis=0), known.vectors.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    model = LogisticRegression(C=strength, max_iter=1000)
    model.fit((known.vectors - mean) / scale, known.labels)
    answers[:, seen] = model.predict_proba((vectors - mean) / scale)
    return answers


def _nearest(known: KnownWindows, vectors: NDArray[np.float32], weight: float, *, k: int, cosine: bool) -> FloatArray:
    import faiss

    dim = known.vectors.shape[1]
    index = faiss.IndexFlatIP(dim) if cosine else faiss.IndexFlatL2(dim)
    index.add(np.ascontiguousarray(known.vectors, dtype=np.float32))
    _, found = index.search(np.ascontiguousarray(vectors, dtype=np.float32), min(k, len(known.labels)))
    counts = np.stack([(known.labels[found] == number).mean(axis=1) for number in range(known.classes)], axis=1)
    mixed: FloatArray = weight * counts + (1.0 - weight) * known.shares
    return mixed
