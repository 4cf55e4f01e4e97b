"""All candidates of a study as columns, sorted by ``(available_at, id)``.

What a query may see is therefore a *prefix* of the corpus, and what a prefix holds never changes when later bars are
added: :meth:`Corpus.digest_as_of` is a running hash, so that a signal of 2012 keeps its address when 2013 arrives,
and loses it when a bar of 2011 is revised.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal import fingerprint
from ragsignal.cache import write_folder
from ragsignal.config import CorpusSpec
from ragsignal.data import factors, labels
from ragsignal.data.windows import CandidateColumns, cut_candidates
from ragsignal.errors import ConfigError, DataError, StoreError
from ragsignal.types import Candidate, Movement

FORMAT = 1
"""Raised when the same prices and spec would give another corpus."""


@dataclass(frozen=True)
class Corpus:
    """Candidates in columns of n rows; see :class:`ragsignal.types.Candidate` for their meaning.

    Parameters
    ----------
    symbols, sequences : tuple of str
        Names in the order of ids; ``symbol_id`` and ``sequence_id`` index them.
    calendar : (n_days,) datetime64[D]
        Every day on which any symbol traded; an embargo counts these.
    available_at : (n,) datetime64[D], ascending
    symbol_id, sequence_id : (n,) int32
    dates : (n, lookback) datetime64[D]
    values, scaled : (n, lookback) float64
    outcome : (n,) float64
    movement : (n,) int8
    """

    symbols: tuple[str, ...]
    sequences: tuple[str, ...]
    calendar: NDArray[np.datetime64]
    available_at: NDArray[np.datetime64]
    symbol_id: NDArray[np.int32]
    sequence_id: NDArray[np.int32]
    dates: NDArray[np.datetime64]
    values: NDArray[np.float64]
    scaled: NDArray[np.float64]
    outcome: NDArray[np.float64]
    movement: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.available_at)

    def visible(self, as_of: date, embargo: int = 0) -> int:
        """Length of the prefix known at the close of ``as_of``, ``embargo`` trading days held back."""
        day = np.datetime64(as_of, "D")
        if embargo:
            seen = int(np.searchsorted(self.calendar, day, side="right"))
            if seen <= embargo:
                return 0
            day = self.calendar[seen - 1 - embargo]
        return int(np.searchsorted(self.available_at, day, side="right"))

    def candidate(self, row: int) -> Candidate:
        """The candidate in row ``row`` as a record."""
        symbol, sequence = self.symbols[self.symbol_id[row]], self.sequences[self.sequence_id[row]]
        days = tuple(self.dates[row].tolist())
        return Candidate(
            id=f"{symbol}/{sequence}/{days[-1]}",
            symbol=symbol,
            sequence=sequence,
            dates=days,
            values=tuple(self.values[row].tolist()),
            scaled=tuple(self.scaled[row].tolist()),
            movement=Movement(int(self.movement[row])),
            outcome=float(self.outcome[row]),
            available_at=self.available_at[row].item(),
        )

    def digest_as_of(self, as_of: date, embargo: int = 0) -> str:
        """Fingerprint of the prefix that is visible as of a day, whatever comes after it."""
        ends, digests = self._running_digests
        block = int(np.searchsorted(ends, self.visible(as_of, embargo), side="right"))
        return digests[block - 1] if block else ""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the whole corpus; empty for an empty one."""
        _, digests = self._running_digests
        return digests[-1] if digests else ""

    @cached_property
    def _running_digests(self) -> tuple[NDArray[np.int64], list[str]]:
        """Row after each day's block, and the digest of all rows before it."""
        ends = np.flatnonzero(np.r_[self.available_at[1:] != self.available_at[:-1], True][: len(self)]) + 1
        starts = np.r_[0, ends][: len(ends)]
        columns = [
            _name_hashes(self.symbols)[self.symbol_id],
            _name_hashes(self.sequences)[self.sequence_id],
            *(self.dates.astype(np.int64), self.available_at.astype(np.int64)),
            *(np.asarray(self.values), np.asarray(self.scaled), np.asarray(self.outcome)),
        ]
        running, digests = hashlib.sha256(), []
        for start, end in zip(starts, ends, strict=True):
            for column in columns:
                running.update(np.ascontiguousarray(column[start:end]).tobytes())
            digests.append(running.hexdigest())
        return ends, digests

    def save(self, folder: Path) -> None:
        """Write one ``.npy`` a column; a reader never sees a half-written folder."""
        write_folder(folder, self._write)

    def _write(self, folder: Path) -> None:
        (folder / "names.json").write_text(json.dumps({"symbols": self.symbols, "sequences": self.sequences}))
        for name in _array_fields():
            np.save(folder / f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Corpus:
        """Memory-map the columns that :meth:`save` wrote.

        Raises
        ------
        StoreError
            If a file is missing or damaged.
        """
        try:
            names: dict[str, Any] = json.loads((folder / "names.json").read_text())
            arrays = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _array_fields()
            }
        except (OSError, EOFError, ValueError) as error:
            raise StoreError(f"cannot read the corpus in {folder}: {error}; delete the folder and run again") from error
        return cls(symbols=tuple(names["symbols"]), sequences=tuple(names["sequences"]), **arrays)


def build_corpus(frames: Mapping[str, pd.DataFrame], spec: CorpusSpec) -> Corpus:
    """Cut, label and sort the candidates of ``frames`` (per symbol, adjusted OHLCV).

    Raises
    ------
    ConfigError
        If the spec names an indicator that does not exist.
    DataError
        If no candidate is left.
    """
    sequences = tuple(sorted(_known_sequences(spec.indicators)))
    labelled = labels.forward_returns(frames, spec.target)
    symbols = tuple(sorted(frames, key=lambda symbol: f"{symbol}/"))  # as ids compare: BRK-B/... before BRK/...
    parts = [_candidates_of(frames[symbol], labelled[symbol], sequences, spec) for symbol in symbols]
    symbol_id = np.repeat(np.arange(len(symbols), dtype=np.int32), [len(part.outcome) for part in parts])
    column = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(parts[0])}
    keep = np.ones(len(symbol_id), dtype=bool)
    if spec.start is not None:
        keep &= column["dates"][:, 0] >= np.datetime64(spec.start, "D")
    if spec.end is not None:
        keep &= column["available_at"] <= np.datetime64(spec.end, "D")
    if not keep.any():
        raise DataError(
            f"the corpus is empty: {len(symbols)} symbols, {len(sequences)} indicators, {spec.start} .. {spec.end}; "
            "type `ragsignal data check` on the prices, or widen [corpus]"
        )
    # ids ascend as (symbol, sequence, last date) because both name tables are sorted
    by_id = (column["dates"][:, -1], column["sequence_id"], symbol_id)
    order = np.lexsort((*by_id, column["available_at"]))
    order = order[keep[order]]
    return Corpus(
        symbols=symbols,
        sequences=sequences,
        calendar=np.unique(np.concatenate([_days(frame) for frame in frames.values()])),
        available_at=column["available_at"][order],
        symbol_id=symbol_id[order],
        sequence_id=column["sequence_id"][order].astype(np.int32),
        dates=column["dates"][order],
        values=column["values"][order],
        scaled=column["scaled"][order],
        outcome=column["outcome"][order],
        movement=labels.movement_of(column["outcome"][order]),
    )


def load_or_build(frames: Mapping[str, pd.DataFrame], prices_digest: str, spec: CorpusSpec, cache: Path) -> Corpus:
    """The corpus of these prices and this spec, from ``cache`` where it was built before."""
    key = fingerprint.of_json([FORMAT, prices_digest, spec.model_dump(mode="json", exclude={"bins_through"})])
    folder = cache / "corpora" / key[:32]
    if not folder.exists():
        build_corpus(frames, spec).save(folder)
    return Corpus.load(folder)


def _candidates_of(
    frame: pd.DataFrame, label: pd.DataFrame, sequences: tuple[str, ...], spec: CorpusSpec
) -> CandidateColumns:
    values = factors.compute(frame)
    scaled = factors.scale_free(frame, values)
    names = list(sequences)
    return cut_candidates(values[names], scaled[names], label, spec.lookback, spec.stride)


def _known_sequences(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = sorted(set(names) - set(factors.SEQUENCES))
    if unknown:
        raise ConfigError(f"corpus.indicators: unknown {unknown}; known are {', '.join(factors.SEQUENCES)}")
    return names or tuple(factors.SEQUENCES)


def _days(frame: pd.DataFrame) -> NDArray[np.datetime64]:
    return frame.index.to_numpy().astype("datetime64[D]")


def _name_hashes(names: tuple[str, ...]) -> NDArray[np.uint64]:
    """64 bits a name, so that a digest does not depend on which other names the corpus holds."""
    return np.array([int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) for name in names], dtype=np.uint64)


def _array_fields() -> list[str]:
    return [field.name for field in fields(Corpus) if field.name not in ("symbols", "sequences")]
