"""The comparisons as a forest plot: a row a pair, its interval on the axis of its measure, a mark on each claim.

Drawn by the template as plain elements at places in per cent of the plot's width: it needs no script.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragsignal.report.answers import UNITS, line_of, question_of
from ragsignal.report.words import MINUS, number
from ragsignal.trading import PairedDifference, RunFindings

_MARGIN = 0.04  # of the axis beyond the widest interval
_TICKS = 6  # at most


@dataclass(frozen=True)
class ForestRow:
    """One paired difference.

    Parameters
    ----------
    variant : str
        The left side, which is highlighted with its curves.
    label, figures, words : str
        Both sides or the left one; size and interval; the whole sentence.
    at, low, high : float
        Places on the axis, in per cent of its width.
    claimed : bool
        Whether it survives the correction for the number of all comparisons.
    side : {"better", "worse", ""}
        What the left side is by its point estimate.
    """

    variant: str
    label: str
    figures: str
    words: str
    at: float
    low: float
    high: float
    claimed: bool
    side: str


@dataclass(frozen=True)
class Forest:
    """The comparisons of one question and measure, on one axis.

    ``ticks`` are places and labels; ``better`` says at which end of the axis the left side is the better one;
    ``without`` are the sentences of pairs that have no interval.
    """

    question: str
    measure: str
    better: str
    zero: float
    ticks: list[tuple[float, str]]
    rows: list[ForestRow]
    without: list[str]


@dataclass(frozen=True)
class _Axis:
    """From ``low`` to ``high`` in the measure's unit: ``digits`` after the point."""

    low: float
    high: float
    factor: float
    digits: int

    def place(self, value: float) -> float:
        return round(100 * (self.factor * value - self.low) / (self.high - self.low), 2)

    def ticks(self) -> list[tuple[float, str]]:
        step = _nice((self.high - self.low) / _TICKS)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        values = [step * it for it in range(first, last + 1)]
        return [(self.place(value / self.factor), number(value, digits)) for value in values]


def forests_of(findings: RunFindings) -> list[Forest]:
    """Group the comparisons by question and measure, in the order of the answers."""
    groups: dict[tuple[str, str], list[PairedDifference]] = {}
    for row in findings.comparisons:
        groups.setdefault((row.question, row.measure), []).append(row)
    return [_forest(rows, findings) for rows in groups.values()]


def _forest(rows: Sequence[PairedDifference], findings: RunFindings) -> Forest:
    question, measure, comparisons = rows[0].question, rows[0].measure, findings.answers.certainty.comparisons
    drawn = [row for row in rows if None not in (row.difference, row.low, row.high)]
    rights = {row.right for row in rows}
    title = UNITS[measure][2]
    if len(rights) == 1:
        title = f"{title}, less that of {rows[0].right}"
    axis = _axis(drawn, measure)
    return Forest(
        question=question_of(question, findings.benchmark),
        measure=title[0].upper() + title[1:],
        better="left" if measure == "log loss" else "right",
        zero=axis.place(0.0),
        ticks=axis.ticks(),
        rows=[_row(row, axis, len(rights) == 1, comparisons) for row in drawn],
        without=[str(line_of(row, comparisons, findings.ruined)) for row in rows if row not in drawn],
    )


def _axis(rows: Sequence[PairedDifference], measure: str) -> _Axis:
    factor, digits, _ = UNITS[measure]
    values = [0.0, *(factor * value for row in rows for value in _known(row))]
    low, high = min(values), max(values)
    margin = _MARGIN * (high - low) or 1.0
    return _Axis(low - margin, high + margin, factor, digits)


def _row(row: PairedDifference, axis: _Axis, one_rival: bool, comparisons: int) -> ForestRow:
    at, low, high = _known(row)
    size, *ends = (number(axis.factor * it, axis.digits, signed=True) for it in (at, low, high))
    return ForestRow(
        variant=row.left,
        label=row.left if one_rival else f"{row.left} {MINUS} {row.right}",
        figures=f"{size} [{ends[0]}, {ends[1]}]",
        words=str(line_of(row, comparisons)),
        at=axis.place(at),
        low=axis.place(low),
        high=axis.place(high),
        claimed=row.distinguishable,
        side="" if row.better is None else "better" if row.better else "worse",
    )


def _known(row: PairedDifference) -> Iterator[float]:
    """Difference and interval of a row that has them."""
    return (value for value in (row.difference, row.low, row.high) if value is not None)


def _nice(step: float) -> float:
    """The next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * it for it in (1, 2, 5, 10) if power * it >= step * (1 - 1e-9))
