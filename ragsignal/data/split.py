"""What may be learned from, and what may be judged on: the one place that decides it.

A :class:`SplitPart` bounds queries by symbol and by day, and labels by the day on which they became known. In protocol
``time`` the parts are apart by an embargo::

    data.start ......... known_by |<-- embargo bars -->| valid_from ......... data.end
    training queries, and their labels, end here        validation queries, and their labels

In protocol ``paper`` symbols are split and days are not, as in arXiv 2502.05878. That leaks: stocks move together, so
the training symbols tell what the validation symbols did on the same day (`benchmarks/paper.py` measures it).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ragsignal.config import DataSpec, SplitSpec, did_you_mean
from ragsignal.errors import ConfigError, LookAheadError
from ragsignal.utils import day_of, is_through, lower, upper


@dataclass(frozen=True)
class SplitPart:
    """Bounds of one side of a split; all days are inclusive.

    Parameters
    ----------
    name : str
        For messages.
    symbols : tuple of str
    first, last : date
        Of ``as_of``; a day with all its bars, or the moment of a bar.
    known_by : date
        No label that became known later belongs to the part.
    """

    name: str
    symbols: tuple[str, ...]
    first: date
    last: date
    known_by: date

    def holds(self, symbol: str, as_of: date, available_at: date) -> bool:
        """Whether a query of ``symbol`` as of a day, its label known at ``available_at``, belongs here."""
        inside = self.first <= day_of(as_of) and is_through(as_of, self.last)
        return symbol in self.symbols and inside and is_through(available_at, self.known_by)

    def check(self, available_at: NDArray[np.datetime64]) -> None:
        """Make sure once more, before anything is fitted, that no label is known too late.

        Parameters
        ----------
        available_at : (n,) datetime64
            Days on which the labels of this part became known.

        Raises
        ------
        LookAheadError
            Naming the first label that is known after ``known_by``, or never (NaT).
        """
        # not "available_at > known_by": NaT compares as false, and a label that is never known must not pass
        late = np.flatnonzero(~(available_at <= upper(self.known_by, available_at)))
        if len(late):
            day = available_at[late[0]]
            raise LookAheadError(
                f"the {self.name} part ends with what was known by {self.known_by}, but {len(late)} of its "
                f"{len(available_at)} labels are known later, the first (number {late[0]}) on {day}; "
                "keep only what SplitPart.holds() accepts"
            )


@dataclass(frozen=True)
class Split:
    """A training part and a validation part."""

    protocol: Literal["time", "paper"]
    train: SplitPart
    valid: SplitPart

    @property
    def leaks(self) -> bool:
        """Whether validation days were trained on, on other symbols."""
        return self.protocol == "paper"


def make_split(spec: SplitSpec, data: DataSpec, calendar: NDArray[np.datetime64], known_after: int) -> Split:
    """Lay a split over the days and symbols of ``data``.

    Parameters
    ----------
    spec, data
        Tables of a training spec.
    calendar : (n_days,) datetime64[D]
        Every trading day, ascending and unique; bars are counted on it.
    known_after : int
        Bars until a label is known, see :func:`ragsignal.data.labels.bars_until_known`.

    Raises
    ------
    ConfigError
        If a symbol is not one of ``data``, a part would be empty, the embargo is shorter than ``known_after``
        (``time``), or the symbols of the parts are not given or not apart (``paper``).
    """
    train = _checked_symbols(spec.train_symbols, "train_symbols", data)
    valid = _checked_symbols(spec.valid_symbols, "valid_symbols", data)
    if spec.protocol == "paper":
        _require_apart(train, valid)
        whole = (data.start, data.end, data.end)
        return Split("paper", SplitPart("train", train, *whole), SplitPart("valid", valid, *whole))
    known_by = _last_day_of_training(spec, data, calendar, known_after)
    return Split(
        "time",
        SplitPart("train", train or data.symbols, data.start, known_by, known_by),
        SplitPart("valid", valid or data.symbols, spec.valid_from, data.end, data.end),
    )


def _last_day_of_training(spec: SplitSpec, data: DataSpec, calendar: NDArray[np.datetime64], known_after: int) -> date:
    if spec.embargo < known_after:
        raise ConfigError(
            f"split.embargo is {spec.embargo} bar(s), but a label of this target is known {known_after} bars later: "
            f"write embargo = {known_after} or more"
        )
    days = calendar[calendar <= upper(data.end, calendar)]
    first_valid = int(np.searchsorted(days, lower(spec.valid_from, days)))
    if first_valid == len(days):
        raise ConfigError(
            f"split.valid_from {spec.valid_from}: no bar from then through data.end {data.end}; "
            "the validation part would be empty, choose an earlier day"
        )
    last_train = first_valid - spec.embargo
    if last_train < 0 or days[last_train] <= lower(data.start, days):
        raise ConfigError(
            f"split.valid_from {spec.valid_from} less {spec.embargo} bars leaves no training day after data.start "
            f"{data.start}; choose a later valid_from or an earlier start"
        )
    known_by: date = days[last_train].item()
    return known_by


def _checked_symbols(symbols: tuple[str, ...], key: str, data: DataSpec) -> tuple[str, ...]:
    for symbol in symbols:
        if symbol not in data.symbols:
            near = did_you_mean(symbol, list(data.symbols))
            raise ConfigError(f"split.{key}: {symbol!r} is not one of data.symbols.{near}")
    return symbols


def _require_apart(train: tuple[str, ...], valid: tuple[str, ...]) -> None:
    if not (train and valid):
        raise ConfigError('split.protocol = "paper" splits symbols: write train_symbols and valid_symbols')
    both = sorted({*train} & {*valid})
    if both:
        raise ConfigError(f"split: {', '.join(both)} in both train_symbols and valid_symbols; keep each in one")
