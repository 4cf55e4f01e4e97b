"""Values of formulas on a panel; what several of them share is computed once."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from ragsignal.data.formulas.formula import Call, Field, Formula, Kind, Number, Window
from ragsignal.data.formulas.panel import FieldPanel
from ragsignal.data.formulas.registry import OPERATORS
from ragsignal.types import FloatArray


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
        found = self._part(formula)
        return found if isinstance(found, np.ndarray) else np.broadcast_to(np.float64(found), self.panel.shape)

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
        with np.errstate(all="ignore"):  # what is no number is NaN, and stays so
            made = operator.compute(*arguments)
        values = np.array(np.broadcast_to(made, self.panel.shape)) if np.shape(made) != self.panel.shape else made
        np.copyto(values, np.nan, where=np.isinf(values))
        return np.asarray(values, dtype=np.float64)
