"""All candidates of a study as columns, sorted by ``(available_at, id)``.

What a query may see is therefore a *prefix* of the corpus, and what a prefix holds never changes when later bars are
added: :meth:`Corpus.digest_as_of` is a running hash, so that a signal of 2012 keeps its address when 2013 arrives,
and loses it when a bar of 2011 is revised.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.config import CorpusSpec
from ragsignal.data import (
    NEWS_FACTORS,
    CandidateColumns,
    CandidateCutter,
    History,
    clock_of,
    days_of,
    forward_returns,
    movement_of,
)
from ragsignal.errors import DataError, StoreError
from ragsignal.retrieval.digest import DayDigests, RunningDigest, last_rows
from ragsignal.retrieval.sequences import NOTHING, Beside, known_sequences, values_of
from ragsignal.types import Candidate, FloatArray, Movement
from ragsignal.utils import DAILY, Clock, as_stamps, is_intraday, json_digest, stamp_text, unit_of, write_folder

FORMAT = 1
"""Raised when the same prices and spec would give another corpus."""

_COLUMNS = {
    "available_at": "<M8[D]",  # of bars of a few hours, here and below: <M8[m]
    "symbol_id": "<i4",
    "sequence_id": "<i4",
    "dates": "<M8[D]",
    "values": "<f8",
    "scaled": "<f8",
    "outcome": "<f8",
    "movement": "<i1",
}
_WINDOWS = ("dates", "values", "scaled")
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Corpus:
    """Candidates in columns of n rows; see :class:`ragsignal.types.Candidate` for their meaning.

    Parameters
    ----------
    symbols, sequences : tuple of str
        Names in the order of ids; ``symbol_id`` and ``sequence_id`` index them.
    calendar : (n_days,) datetime64[D]
        Every day on which any symbol traded; an embargo counts these. Of bars of a few hours this and the other dates
        are moments, datetime64[m].
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
    values: FloatArray
    scaled: FloatArray
    outcome: FloatArray
    movement: NDArray[np.int8]
    _kept: ClassVar[DayDigests | None] = None  # of the instance that was loaded; no field, or `replace` would carry it

    def __len__(self) -> int:
        return len(self.available_at)

    def visible(self, as_of: date, embargo: int = 0) -> int:
        """Length of the prefix known at the close of ``as_of``, ``embargo`` trading days held back."""
        days = self._days_seen(as_of, embargo)
        return self._days[1][days - 1] if days else 0

    def candidate(self, row: int) -> Candidate:
        """The candidate in row ``row`` as a record."""
        column = self._plain
        symbol = self.symbols[column["symbol_id"][row]]
        sequence = self.sequences[column["sequence_id"][row]]
        days = tuple(column["dates"][row].tolist())
        return Candidate(
            id=f"{symbol}/{sequence}/{stamp_text(days[-1])}",
            symbol=symbol,
            sequence=sequence,
            dates=days,
            values=tuple(column["values"][row].tolist()),
            scaled=tuple(column["scaled"][row].tolist()),
            movement=Movement(column["movement"].item(row)),
            outcome=column["outcome"].item(row),
            available_at=column["available_at"].item(row),
        )

    @cached_property
    def _plain(self) -> Columns:
        """The columns without what ``np.memmap`` adds to a row's slice: 2 microseconds each, three a hit."""
        return {name: np.asarray(getattr(self, name)) for name in _COLUMNS}

    @cached_property
    def number_of(self) -> dict[str, int]:
        """The ``symbol_id`` of each symbol."""
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    def digest_as_of(self, as_of: date, embargo: int = 0) -> str:
        """Digest of the prefix that is visible as of a day, whatever comes after it."""
        days = self._days_seen(as_of, embargo)
        return self._digests[days - 1] if days else ""

    @property
    def digest(self) -> str:
        """Digest of the whole corpus; empty for an empty one."""
        return self._digests[-1] if self._digests else ""

    def _days_seen(self, as_of: date, embargo: int) -> int:
        """How many of the days on which something became known lie in the past: plain bisection, once a query."""
        if is_intraday(self.calendar) != (unit_of(as_of) == "m"):
            raise ValueError(f"as of {as_of}: a corpus of bars of a few hours is asked for moments, any other for days")
        (day,) = _ordinals(as_stamps([as_of])) if unit_of(as_of) == "m" else (as_of.toordinal(),)
        if embargo:
            seen = bisect_right(self._calendar, day)
            if seen <= embargo:
                return 0
            day = self._calendar[seen - 1 - embargo]
        return bisect_right(self._days[0], day)

    @cached_property
    def _calendar(self) -> list[int]:
        return _ordinals(self.calendar)

    @cached_property
    def _days(self) -> tuple[list[int], list[int]]:
        """Ordinals of the days on which something became known, and the length of the prefix known by each."""
        if self._kept is not None:
            return _ordinals(self._kept.table["day"]), self._kept.table["end"].tolist()
        ends = last_rows(self.available_at)
        return _ordinals(self.available_at[ends - 1]), ends.tolist()

    @cached_property
    def _digests(self) -> list[str]:
        """The digest of all rows known by each of these days."""
        kept = self._kept
        if kept is None:
            running = RunningDigest(self.symbols, self.sequences)
            running.add(self._plain)
            kept = running.result()
        return [digest.decode() for digest in kept.table["digest"].tolist()]

    def save(self, folder: Path) -> None:
        """Write one ``.npy`` a column; a reader never sees a half-written folder."""
        whole = _Draft(self.symbols, self.sequences, self.calendar, len(self), self.dates.shape[1], [self._plain])
        write_folder(folder, whole.write)

    @classmethod
    def load(cls, folder: Path) -> Corpus:
        """Memory-map the columns that :meth:`save` wrote.

        Raises
        ------
        StoreError
            If a column is missing, or a file damaged. Without the file of digests they are computed when asked for.
        """
        try:
            names = json.loads((folder / "names.json").read_text())
            arrays = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                for name in ("calendar", *_COLUMNS)
            }
        except (OSError, EOFError, ValueError) as error:
            raise StoreError(f"cannot read the corpus in {folder}: {error}; delete the folder and run again") from error
        corpus = cls(symbols=tuple(names["symbols"]), sequences=tuple(names["sequences"]), **arrays)
        # Not an argument: a corpus that is made of other columns has other digests.
        object.__setattr__(corpus, "_kept", DayDigests.load(folder, len(corpus)))
        return corpus


@dataclass(frozen=True)
class _Draft:
    """A corpus before its columns exist: how large they are, and their rows, a few days at a time."""

    symbols: tuple[str, ...]
    sequences: tuple[str, ...]
    calendar: NDArray[np.datetime64]
    rows: int
    lookback: int
    blocks: Iterable[Columns]

    def fill(self) -> Corpus:
        """Build the columns in memory."""
        columns = {name: np.empty(self._shape(name), self._dtype(name)) for name in _COLUMNS}
        start = 0
        for block in self.blocks:
            stop = start + len(block["outcome"])
            for name, column in columns.items():
                column[start:stop] = block[name]
            start = stop
        return Corpus(self.symbols, self.sequences, self.calendar, **columns)

    def write(self, folder: Path) -> None:
        """Write the columns to disk; in memory is one block at a time."""
        (folder / "names.json").write_text(json.dumps({"symbols": self.symbols, "sequences": self.sequences}))
        np.save(folder / "calendar.npy", self.calendar)
        running = RunningDigest(self.symbols, self.sequences)
        with ExitStack() as stack:
            files = {name: stack.enter_context((folder / f"{name}.npy").open("wb")) for name in _COLUMNS}
            for name, file in files.items():
                header = {"descr": self._dtype(name).str, "fortran_order": False, "shape": self._shape(name)}
                np.lib.format.write_array_header_1_0(file, header)
            for block in self.blocks:
                for name, file in files.items():
                    block[name].astype(self._dtype(name), copy=False).tofile(file)
                running.add(block)
        running.result().save(folder)

    def _dtype(self, name: str) -> np.dtype[Any]:
        moments = is_intraday(self.calendar) and name in ("available_at", "dates")
        return np.dtype("<M8[m]" if moments else _COLUMNS[name])

    def _shape(self, name: str) -> tuple[int, ...]:
        return (self.rows, self.lookback) if name in _WINDOWS else (self.rows,)


def build_corpus(frames: Mapping[str, pd.DataFrame], spec: CorpusSpec, beside: Beside = NOTHING) -> Corpus:
    """Cut, label and sort the candidates of ``frames`` (per symbol, adjusted OHLCV), in memory.

    Raises
    ------
    ConfigError
        If the spec names an indicator that does not exist, or one of news or formulas where there are none.
    DataError
        If no candidate is left.
    """
    return _draft(frames, spec, beside).fill()


def load_or_build(
    frames: Mapping[str, pd.DataFrame], prices_digest: str, spec: CorpusSpec, cache: Path, beside: Beside = NOTHING
) -> Corpus:
    """The corpus of these prices, what is beside them, and this spec, from ``cache`` if it was built; memory-mapped.

    It is written as it is cut: what a build holds is the bars of all symbols, 16 bytes a bar and sequence, and not the
    candidates, 145 bytes each.

    Raises
    ------
    ConfigError, DataError
        As :func:`build_corpus`.
    StoreError
        If what is in the cache is damaged.
    """
    clock = _clock_of(frames)
    decides = [FORMAT, prices_digest, spec.model_dump(mode="json", exclude={"bins_through"})]
    if clock != DAILY:
        decides.append(clock.name)
    if beside.news is not None and set(spec.indicators) & set(NEWS_FACTORS):
        decides.append(beside.news.digest)
    if beside.alphas is not None:
        decides.append(beside.alphas.digest)
    folder = cache / "corpora" / json_digest(decides)[:32]
    if not folder.exists():
        write_folder(folder, _draft(frames, spec, beside).write)
    return Corpus.load(folder)


def _draft(frames: Mapping[str, pd.DataFrame], spec: CorpusSpec, beside: Beside) -> _Draft:
    # ids ascend as (symbol, sequence, last date) if both name tables are sorted as ids compare: BRK-B/ before BRK/
    sequences = tuple(sorted(known_sequences(spec.indicators, beside)))
    symbols = tuple(sorted(frames, key=lambda symbol: f"{symbol}/"))
    ordered = {symbol: frames[symbol] for symbol in symbols}
    history = _history(ordered, spec, values_of(ordered, sequences, beside))
    cutter = CandidateCutter(history, spec.lookback, spec.stride, spec.start, spec.end)
    if not len(cutter):
        raise DataError(
            f"the corpus is empty: {len(symbols)} symbols, {len(sequences)} indicators, {spec.start} .. {spec.end}; "
            "type `ragsignal data check` on the prices, or widen [corpus]"
        )
    scale = _clock_of(frames).scale
    blocks = (_columns(block, scale) for block in cutter.blocks())
    return _Draft(symbols, sequences, np.unique(history.days), len(cutter), spec.lookback, blocks)


def _clock_of(frames: Mapping[str, pd.DataFrame]) -> Clock:
    return clock_of(next(iter(frames.values())))


def _history(frames: Mapping[str, pd.DataFrame], spec: CorpusSpec, values: tuple[FloatArray, FloatArray]) -> History:
    labelled = forward_returns(frames, spec.target, spec.horizon)
    lengths = [len(frame) for frame in frames.values()]
    return History(
        values=values[0],
        scaled=values[1],
        symbol_id=np.repeat(np.arange(len(frames), dtype=np.int32), lengths),
        days=np.concatenate([days_of(frame) for frame in frames.values()]),
        outcome=np.concatenate([labelled[symbol]["outcome"].to_numpy(dtype=np.float64) for symbol in frames]),
        available_at=np.concatenate([_known(labelled[symbol]) for symbol in frames]),
    )


def _columns(block: CandidateColumns, scale: float) -> Columns:
    return {**vars(block), "movement": movement_of(block.outcome, scale)}


def _known(labels: pd.DataFrame) -> NDArray[np.datetime64]:
    return labels["available_at"].to_numpy().astype(f"datetime64[{clock_of(labels).unit}]")


def _ordinals(days: NDArray[np.datetime64]) -> list[int]:
    """As :meth:`datetime.date.toordinal`, of moments minutes: integers compare several times faster than dates."""
    if is_intraday(days):
        minutes: list[int] = days.astype("datetime64[m]").astype(np.int64).tolist()
        return minutes
    ordinals: list[int] = (days.astype("datetime64[D]").astype(np.int64) + date(1970, 1, 1).toordinal()).tolist()
    return ordinals
