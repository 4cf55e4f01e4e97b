"""Values of formulas on a panel; what several of them share is computed once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np

from ragsignal.data.formulas.formula import Call, Field, Formula, Kind, Number, Window
from ragsignal.data.formulas.panel import FieldPanel
from ragsignal.data.formulas.registry import OPERATORS, Operator
from ragsignal.types import FloatArray

PIECE = 1 << 14
"""Values of an array that operators are computed on at once: 128 kB, so that all that they make meanwhile stays in the
cache of one core."""


class Evaluator:
    """Evaluates formulas on one panel.

    Parameters
    ----------
    panel : FieldPanel
    memory : int
        Bytes of values of parts that are kept for the next formula; those that were not needed for longest go first.
    """

    def __init__(self, panel: FieldPanel, memory: int = 1 << 28) -> None:
        self.panel = panel
        days, symbols = panel.shape
        self._most = max(1, memory // max(1, 8 * days * symbols))
        self._kept: OrderedDict[Formula, FloatArray] = OrderedDict()

    def values(self, formula: Formula) -> FloatArray:
        """Values of a formula, read-only; NaN where a symbol has none, be it for want of history.

        Returns
        -------
        array of shape (n_days, n_symbols), float64
            Of a condition 1.0, 0.0 and NaN.
        """
        return np.broadcast_to(np.asarray(self._part(formula), dtype=np.float64), self.panel.shape)  # a view to read

    def _part(self, formula: Formula) -> FloatArray | float | int:
        if isinstance(formula, Number):
            return formula.value
        if isinstance(formula, Window):
            return formula.bars
        if isinstance(formula, Field):
            return self.panel.fields[formula.name]
        if formula in self._kept:
            self._kept.move_to_end(formula)
            return self._kept[formula]
        values = self._computed(formula)
        values.flags.writeable = False
        self._kept[formula] = values
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return values

    def _computed(self, formula: Call) -> FloatArray:
        operator = OPERATORS[formula.operator]
        arguments = [self._part(part) for part in formula.arguments]
        if operator.family != "element":  # these read other days or symbols, so a number has to be on all of them
            for place, kind in enumerate(operator.takes):
                if kind not in (Kind.WINDOW, Kind.NUMBER) and not isinstance(arguments[place], np.ndarray):
                    arguments[place] = np.full(self.panel.shape, arguments[place])
        values = np.empty(self.panel.shape)
        with np.errstate(all="ignore"):  # what is no number is NaN, and stays so
            for piece in self._pieces(operator):
                values[piece] = operator.compute(*(_cut(it, piece) for it in arguments))
        # one NaN for all: its sign depends on the lane of the processor that made it, and digests read bits
        np.copyto(values, np.nan, where=~np.isfinite(values))
        return values

    def _pieces(self, operator: Operator) -> Iterator[tuple[slice, slice]]:
        """Parts of the panel that an operator may be computed on one by one: symbols over time, else days."""
        days, symbols = self.panel.shape
        over_time = operator.family == "time"
        whole, across = (symbols, days) if over_time else (days, symbols)
        step = max(1, PIECE // max(1, across))
        for start in range(0, whole, step):
            cut = slice(start, start + step)
            yield (slice(None), cut) if over_time else (cut, slice(None))


def _cut(argument: FloatArray | float, piece: tuple[slice, slice]) -> FloatArray | float:
    return np.ascontiguousarray(argument[piece]) if isinstance(argument, np.ndarray) else argument
