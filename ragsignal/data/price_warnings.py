"""What looks wrong in prices that can be read, and may be right: splits that are not adjusted, holes, odd weeks.

A rule of :mod:`ragsignal.data.rules` refuses a bar; a warning only names symbol and day, because a crash may halve a
price, trading may be halted for a year, and Riyadh trades on Sundays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.data.spacing import usual_gap
from ragsignal.types import BoolArray, FloatArray
from ragsignal.utils import first_names

SPLIT, HOLE, WEEK = "split that is not adjusted", "hole", "odd week"

_SENTENCES = {
    SPLIT: "The prices jump as by a split that is not adjusted, which counts as a return here",
    HOLE: "The prices have holes, whose return counts as that of one bar",
    WEEK: "Bars may be filed under wrong days",
}
_SPLITS = {f"{new}:{old}": new / old for new, old in ((3, 2), (5, 2), *((n, 1) for n in (2, 3, 4, 5, 6, 7, 8, 10)))}
_SPLITS |= {f"{new}:1": float(new) for new in (12, 15, 20, 25, 30, 40, 50, 60, 75, 80, 100)}
_FAR = 10.0  # usual moves: beyond it lies no ordinary day
_NEAR = (0.01, 0.06)  # logarithms that open and close may be off the ratio: three usual moves, within these
_AROUND = 20  # bars whose middle price says that the level stays
_STAYS = (0.1, 0.3)
_RUSH, _RUSH_OF_A_THIRD = 4.0, 2.5  # times the usual trade: of a crash, not of a split; a fall by a third is common
_SURE = 5.0  # a ratio that no news explains
_LONG = 30.0  # usual distances between bars
_WEEKS = 3


@dataclass(frozen=True)
class PriceWarning:
    """What looks wrong of one symbol.

    Parameters
    ----------
    symbol : str
    kind : str
        :data:`SPLIT`, :data:`HOLE` or :data:`WEEK`.
    day : date
        The first day of it.
    short : str
        The figure: ``10:1``, or ``325 bars missing to 2012-06-01``.
    repair : str
        What to do if it is wrong indeed.
    """

    symbol: str
    kind: str
    day: date
    short: str
    repair: str


def price_warnings(frames: Mapping[str, pd.DataFrame]) -> list[PriceWarning]:
    """All warnings, by symbol and day.

    Parameters
    ----------
    frames : mapping of symbol to DataFrame
        Adjusted bars, indexed by day.
    """
    bars = {symbol: frame.index.to_numpy().astype("datetime64[D]") for symbol, frame in frames.items()}
    days = {symbol: np.unique(own) for symbol, own in bars.items()}  # of bars of hours too, one a day
    calendar = np.unique(np.concatenate([*days.values(), np.empty(0, dtype="datetime64[D]")]))
    found: list[PriceWarning] = []
    for symbol, frame in frames.items():
        if len(frame) > 1:
            found += _splits(symbol, bars[symbol], frame)
            found += _holes(symbol, days[symbol], calendar)
            found += _weeks(symbol, days[symbol])
    return sorted(found, key=lambda it: (it.symbol, it.day, it.kind))


def warning_notes(warnings: Sequence[PriceWarning], shown: int = 5) -> list[str]:
    """Say the warnings in a sentence a kind, the first ones of each by symbol and day."""
    notes = []
    for kind, words in _SENTENCES.items():
        named = [f"{it.symbol} {it.day} ({it.short})" for it in warnings if it.kind == kind]
        if named:
            notes.append(f"{words}: {first_names(named, shown)}.")
    return notes


def _splits(symbol: str, days: NDArray[np.datetime64], frame: pd.DataFrame) -> Iterator[PriceWarning]:
    logs = np.log(frame["close"].to_numpy())
    moves = np.diff(logs)
    usual = 1.4826 * float(np.median(np.abs(moves - np.median(moves))))
    gaps = np.log(frame["open"].to_numpy()[1:]) - logs[:-1]
    gaps = np.where(np.isfinite(gaps), gaps, moves)
    near = float(np.clip(3 * usual, *_NEAR))
    far = np.minimum(np.abs(moves), np.abs(gaps)) > max(_FAR * usual, np.log(1.5) - near)
    for bar in np.flatnonzero(far).tolist():
        for name, ratio in _SPLITS.items():
            jump = -np.copysign(np.log(ratio), -moves[bar])
            close_by = max(abs(moves[bar] - jump), abs(gaps[bar] - jump)) <= near
            if close_by and _level_stays(logs, bar, jump, usual) and not _is_rush(frame, bar, ratio):
                reverse = moves[bar] > 0
                shown = ":".join(reversed(name.split(":"))) if reverse else name
                by = f"{'multiplied' if reverse else 'divided'} by {ratio:g}"
                repair = f"If it is one, write an adjusted close, or the prices before that day {by}."
                yield PriceWarning(symbol, SPLIT, days[bar + 1].item(), shown, repair)


def _level_stays(logs: FloatArray, bar: int, jump: float, usual: float) -> bool:
    before, after = logs[max(0, bar + 1 - _AROUND) : bar + 1], logs[bar + 1 : bar + 1 + _AROUND]
    return bool(abs(np.median(after) - np.median(before) - jump) <= np.clip(10 * usual, *_STAYS))


def _is_rush(frame: pd.DataFrame, bar: int, ratio: float) -> bool:
    """Whether as many shares, and as much money, were traded on the day as when there are news."""
    if ratio >= _SURE:
        return False
    part = frame.iloc[max(0, bar + 1 - _AROUND) : bar + 2]
    shares = part["volume"].to_numpy()
    most = _RUSH if ratio >= 2.0 else _RUSH_OF_A_THIRD
    return all(bool(it[-1] > most * np.median(it[:-1]) > 0) for it in (shares, shares * part["close"].to_numpy()))


def _holes(symbol: str, days: NDArray[np.datetime64], calendar: NDArray[np.datetime64]) -> Iterator[PriceWarning]:
    gaps = np.diff(days).astype(np.float64)
    long = gaps > _LONG * max(1.0, usual_gap(days) or 1.0)
    distance = float(gaps[~long].mean())  # never empty: half of the gaps are at most the usual one
    for bar in np.flatnonzero(long).tolist():
        first, last = days[bar].item() + timedelta(days=1), days[bar + 1].item() - timedelta(days=1)
        others = int(np.searchsorted(calendar, days[bar + 1]) - np.searchsorted(calendar, days[bar], side="right"))
        missing = others or round(gaps[bar] / distance) - 1
        short = f"{missing} bars missing to {last}"
        repair = "Fill it from another source, or begin after it: the bars around a hole count as neighbours."
        yield PriceWarning(symbol, HOLE, first, short, repair)


def _weeks(symbol: str, days: NDArray[np.datetime64]) -> Iterator[PriceWarning]:
    numbers = days.astype(np.int64)
    weekdays = (numbers + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    for there, absent, names, shift in ((6, 4, ("Sundays", "Friday"), 1), (5, 0, ("Saturdays", "Monday"), -1)):
        weeks = (numbers + (4 if there == 6 else 3)) // 7  # from Sunday, or from Monday
        with_it = np.unique(weeks[weekdays == there])
        lacking = with_it[~_member(with_it, weeks[weekdays == absent])]
        if len(lacking) >= _WEEKS and len(lacking) >= 0.8 * len(with_it):
            day = days[(weekdays == there) & _member(weeks, lacking)][0].item()
            short = f"bars on {len(lacking)} {names[0]} in weeks without a {names[1]}"
            side = "early" if shift > 0 else "late"
            repair = (
                f"Right for an exchange with such a week; if it trades Monday to Friday, bars are filed a day {side}: "
                f"write its days, dates + pd.Timedelta(days={shift})."
            )
            yield PriceWarning(symbol, WEEK, day, short, repair)


def _member(values: NDArray[np.int64], of: NDArray[np.int64]) -> BoolArray:
    return np.asarray(np.isin(values, of))
