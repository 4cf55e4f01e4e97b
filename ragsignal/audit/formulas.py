"""Formulas under a future that is cut off or poisoned: what they give up to a day may not move by a bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ragsignal.data import Evaluator, FieldPanel, Formula
from ragsignal.types import FloatArray

POINTS = 24
"""Days, spread over the panel, after which bars are cut off and poisoned."""
Evaluate = Callable[[FieldPanel, Formula], FloatArray]


def audit_formula(formula: Formula, panel: FieldPanel, evaluate: Evaluate | None = None, points: int = POINTS) -> str:
    """Compare a formula's values with those on panels whose later bars are gone, or garbage.

    Parameters
    ----------
    formula : Formula
    panel : FieldPanel
    evaluate : callable, optional
        What computes values (n_days, n_symbols); by default an :class:`~ragsignal.data.Evaluator` of its own for each
        panel.
    points : int
        Days that are compared; the last bars but one are always among them.

    Returns
    -------
    str
        ``passed``, or ``failed`` with the first day and symbol whose value a later bar moves.
    """
    values_on = evaluate or _values
    whole = values_on(panel, formula)
    rng = np.random.default_rng(0)
    for row in _spread(len(panel.days), points):
        for what, other in (("cut off", panel.head(row + 1)), ("poisoned", _poisoned(panel, row, rng))):
            moved = _first_difference(whole, values_on(other, formula), row)
            if moved is not None:
                day, symbol = panel.days[moved[0]].astype("datetime64[D]"), panel.symbols[moved[1]]
                return f"failed: its value of {symbol} on {day} moves when the bars after row {row} are {what}"
    return "passed"


def _values(panel: FieldPanel, formula: Formula) -> FloatArray:
    return Evaluator(panel).values(formula)


def _spread(days: int, points: int) -> Sequence[int]:
    rows = np.unique(np.linspace(min(1, days - 1), max(0, days - 2), points).astype(int))
    return [int(row) for row in rows]


def _poisoned(panel: FieldPanel, row: int, rng: np.random.Generator) -> FieldPanel:
    fields = {}
    for name, values in panel.fields.items():
        other = values.copy()
        other[row + 1 :] = values[row + 1 :][:, rng.permutation(values.shape[1])] * rng.uniform(0.2, 5.0)
        fields[name] = other
    return FieldPanel(panel.days, panel.symbols, fields, panel.kinds)


def _first_difference(whole: FloatArray, other: FloatArray, row: int) -> tuple[int, int] | None:
    left, right = whole[: row + 1], other[: row + 1]
    differs = ~((left == right) | (np.isnan(left) & np.isnan(right)))
    return None if not differs.any() else (int(np.argwhere(differs)[0][0]), int(np.argwhere(differs)[0][1]))
