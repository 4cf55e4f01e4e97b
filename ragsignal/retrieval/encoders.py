"""Windows to unit vectors. Encoders see scale-free values only, and never what came after a window.

``TextEncoder`` embeds the serialised line (``adj_close: C F H B A``) with a sentence-transformers model, as the paper
does with price JSON; on raw prices such a model retrieves the price level instead of the shape. With the adapter that
``ragsignal train finseer`` writes, it is FinSeer.
``ShapeEncoder`` is the z-scored window itself: no model, and the inner product is Pearson's correlation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.artifacts import Artifact, check_encoder, check_tensors, reading
from ragsignal.data import LETTERS, QUERY_SEQUENCE, Bins, log_returns, spell
from ragsignal.retrieval.corpus import Corpus
from ragsignal.retrieval.embeddings import EmbeddingCache
from ragsignal.types import FloatArray, IntArray, Query, Recipe
from ragsignal.utils import Steps, json_digest, quiet_loading, silent_steps

_FLAT = 1e-12
_SURELY_MOVED = 1e-9
_NO_CODES = np.empty(0, dtype=np.int64)
_BLOCK = 16_384
_PACKED = 8  # letters of 4 bits that are packed at once; beside them 31 bits count what was packed before


def zscore_rows(windows: FloatArray) -> FloatArray:
    """Centre each row and scale it to length 1; a flat row becomes zeros (it resembles nothing).

    Parameters
    ----------
    windows : (n, lookback) float64

    Returns
    -------
    (n, lookback) float64, rows of norm 1 or 0
    """
    centred = windows - windows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    flat = norm <= _FLAT * np.abs(windows).max(axis=1, keepdims=True)
    unit: FloatArray = np.where(flat, 0.0, centred / np.where(flat, 1.0, norm))
    return unit


def is_flat(window: Sequence[float]) -> bool:
    """Whether :func:`zscore_rows` makes zeros of one window."""
    if max(window) - min(window) > _SURELY_MOVED * max(window):  # nearly all: no array for a million queries
        return False
    return not zscore_rows(np.array([window])).any()


class ShapeEncoder:
    """The z-scored window of the last ``lookback`` values; needs no model and no fitting."""

    @property
    def recipe(self) -> Recipe:
        """Identity: there is nothing to choose."""
        return {"encoder": "shape/1"}

    def encode_queries(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """Return (n_queries, lookback) float32 unit rows."""
        return zscore_rows(np.array([query.closes[1:] for query in queries])).astype(np.float32)

    def encode_corpus(self, corpus: Corpus) -> NDArray[np.float32]:
        """Return (n, lookback) float32 unit rows."""
        return zscore_rows(np.asarray(corpus.values)).astype(np.float32)

    def is_blank(self, query: Query) -> bool:
        """Whether the window is flat."""
        return is_flat(query.closes[1:])


class TextEncoder:
    """A sentence-transformers model over the serialised line.

    Parameters
    ----------
    folder : Path
        The model, safetensors, already verified.
    digest : str
        SHA-256 of its weights; part of the recipe.
    bins : Bins
        Letters of the serialisation.
    cache : EmbeddingCache
        Every distinct line is embedded once, ever.
    progress : callable, optional
        Called with (lines done, lines to do).
    adapter : Artifact, optional
        Of kind ``finseer-text``: what training added to the model.

    Raises
    ------
    ModelError
        If the adapter was trained on another model or on other letters.
    """

    batch_size = 256

    def __init__(
        self,
        folder: Path,
        digest: str,
        bins: Bins,
        cache: EmbeddingCache,
        progress: Steps = silent_steps,
        adapter: Artifact | None = None,
    ) -> None:
        if adapter is not None:
            adapter.check_base(digest)
            adapter.check_template(line_recipe(bins))
        self._folder = folder
        self._digest = digest
        self._bins = bins
        self._cache = cache
        self._progress = progress
        self._adapter = adapter
        self._model: Any = None

    @property
    def recipe(self) -> Recipe:
        """Identity: weights, letters, the version of the serialisation, and the adapter where there is one."""
        recipe = {**line_recipe(self._bins), "weights": self._digest}
        return recipe if self._adapter is None else {**recipe, "adapter": self._adapter.digest}

    @property
    def _cache_key(self) -> str:
        """What a vector depends on besides its line."""
        if self._adapter is None:
            return self._digest
        return json_digest({"weights": self._digest, "adapter": self._adapter.digest})

    def encode_queries(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """Return (n_queries, dim) float32 unit rows."""
        lines = [query_line(query, self._bins) for query in queries]
        distinct = sorted(set(lines))
        place = {line: number for number, line in enumerate(distinct)}
        return self._embed(distinct)[[place[line] for line in lines]]

    def encode_corpus(self, corpus: Corpus) -> NDArray[np.float32]:
        """Return (n, dim) float32 unit rows."""
        return np.concatenate(list(self.corpus_blocks(corpus)))

    def is_blank(self, query: Query) -> bool:  # noqa: ARG002 - the protocol's signature
        """Return False: the line of a flat window is a text like others, and near those of flat windows."""
        return False

    def corpus_blocks(self, corpus: Corpus) -> Iterator[NDArray[np.float32]]:
        """The rows of :meth:`encode_corpus` in blocks; in memory at once are the vectors of the distinct lines."""
        lines, line_of = corpus_lines(corpus, self._bins)
        vectors = self._embed(lines)
        for start in range(0, len(line_of), _BLOCK):
            yield vectors[line_of[start : start + _BLOCK]]

    def missing_lines(self, corpus: Corpus, queries: Sequence[Query] = ()) -> int:
        """How many distinct lines of ``corpus`` and ``queries`` were never embedded; loads no model.

        Raises
        ------
        StoreError
            If the cache cannot be read.
        """
        lines, _ = corpus_lines(corpus, self._bins)
        others = {query_line(query, self._bins) for query in queries}.difference(lines)
        return self._cache.missing(self._cache_key, [*lines, *sorted(others)])

    def _embed(self, lines: Sequence[str]) -> NDArray[np.float32]:
        return self._cache.vectors(self._cache_key, lines, self.encode_lines, self.batch_size, self._progress)

    def encode_lines(self, lines: Sequence[str]) -> NDArray[np.float32]:
        """Return (n_lines, dim) float32 unit rows, made now and not kept: what a calibration times."""
        encoded = self._loaded().encode(
            list(lines), batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(encoded, dtype=np.float32)

    def _loaded(self) -> Any:
        if self._model is None:
            model = load_sentence_model(self._folder)
            if self._adapter is not None:
                _lay_over(model, self._adapter)
            self._model = model
        return self._model


def load_sentence_model(folder: Path) -> Any:
    """A sentence-transformers model from verified safetensors, on the CPU; nothing is fetched and no code is run."""
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel

    load: Any = AutoModel.from_pretrained
    make: Any = SentenceTransformer
    local = {"local_files_only": True, "trust_remote_code": False}
    options = {"use_safetensors": True}
    with quiet_loading(), reading(folder, "a sentence-transformers model", "copy it again, or name another encoder"):
        _, loaded = load(str(folder), output_loading_info=True, **options, **local)  # which the next line does not tell
        model = make(str(folder), device="cpu", model_kwargs=options, **local)
    check_encoder(folder, loaded)
    return model


def _lay_over(model: Any, adapter: Artifact) -> None:
    """Lay an adapter over a sentence-transformers model, unmerged: merged weights would be rounded once more."""
    repair = "train it again: ragsignal train finseer SPEC --encoder text"
    with quiet_loading(), reading(adapter.folder, "an adapter of this encoder", repair):
        model.load_adapter(str(adapter.folder), use_safetensors=True)
        wanted = {f"base_model.model.{name}" for name in model.transformers_model.get_adapter_state_dict()}
    check_tensors(adapter.folder, "this encoder", wanted, repair)


def line_recipe(bins: Bins) -> Recipe:
    """Identity of the serialised line: an encoder trained on one is not to be fed another."""
    return {"encoder": "text/1", "bins": bins.recipe}


def query_line(query: Query, bins: Bins) -> str:
    """The serialised line of a query: its returns, as those of a candidate of ``adj_close``."""
    return bins.line(QUERY_SEQUENCE, log_returns(query).tolist())


def corpus_lines(corpus: Corpus, bins: Bins) -> tuple[list[str], IntArray]:
    """The distinct serialised lines of a corpus, and which of them each candidate has.

    Windows are compared by their letters' numbers, and only distinct ones are spelled: of 433,000 candidates two in
    five repeat a line.

    Returns
    -------
    lines : list of str
        Ascending.
    line_of : (n,) int64
        Positions in ``lines``.
    """
    # numbered as lines begin ("close_up: " after "close: "), so that numbers ascend as lines do
    by_beginning = sorted(range(len(corpus.sequences)), key=lambda number: spell(corpus.sequences[number], _NO_CODES))
    letters = np.empty(corpus.scaled.shape, dtype=np.int8)
    rank = np.empty(len(corpus), dtype=np.int64)
    for place, number in enumerate(by_beginning):
        rows = np.flatnonzero(corpus.sequence_id == number)
        letters[rows] = bins.codes(corpus.sequences[number], np.asarray(corpus.scaled[rows]))
        rank[rows] = place
    first, line_of = _distinct(rank, letters)
    names = [corpus.sequences[by_beginning[place]] for place in rank[first].tolist()]
    return [spell(name, codes) for name, codes in zip(names, letters[first].tolist(), strict=True)], line_of


def _distinct(rank: IntArray, letters: NDArray[np.int8]) -> tuple[IntArray, IntArray]:
    """First row of each distinct (rank, letters), in ascending order, and each row's position among them."""
    packed = rank
    for start in range(0, letters.shape[1], _PACKED):
        for column in letters[:, start : start + _PACKED].T:
            packed = packed * len(LETTERS) + column
        _, first, packed = np.unique(packed, return_index=True, return_inverse=True)  # small again, in the same order
    return first, packed
