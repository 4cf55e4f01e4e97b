"""Formulas as a good pandas user would compute them: the rival of :mod:`benchmarks.formulas`.

A field is one long series, sorted by symbol and day; over time it is ``groupby("symbol").rolling``, of a day
``groupby("date")``. Results of parts are kept. Left out: ties within nine digits, and what pandas has no word for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ragsignal.data import Call, Field, FieldPanel, Formula, Number, Window
from ragsignal.types import FloatArray


def _rolled(values: pd.Series, window: int, name: str) -> pd.Series:
    rolling = values.groupby(level="symbol", sort=False).rolling(window)
    return getattr(rolling, name)().droplevel(0)


def _paired(left: pd.Series, right: pd.Series, window: int, name: str) -> pd.Series:
    frame = pd.DataFrame({"left": left, "right": right})
    parts = [
        getattr(group["left"].rolling(window), name)(group["right"])
        for _, group in frame.groupby(level="symbol", sort=False)
    ]
    return pd.concat(parts)


def _shifted(values: pd.Series, window: int) -> pd.Series:
    return values.groupby(level="symbol", sort=False).shift(window)


def _decayed(values: pd.Series, window: int) -> pd.Series:
    weights = np.arange(1, window + 1) / (window * (window + 1) / 2)
    terms = (weights[window - 1 - lag] * _shifted(values, lag) for lag in range(window))
    return sum(terms, start=pd.Series(0.0, index=values.index))


def _of_day(values: pd.Series) -> Any:
    return values.groupby(level="date", sort=False)


def _compare(left: pd.Series, right: pd.Series, name: str) -> pd.Series:
    return getattr(left, name)(right).astype(float).where(left.notna() & right.notna())


COMPUTED: dict[str, Callable[..., pd.Series]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "abs": lambda a: a.abs(),
    "log": lambda a: np.log(a),
    "sign": lambda a: np.sign(a),
    "sqrt": lambda a: np.sqrt(a),
    "min": lambda a, b: np.minimum(a, b),
    "max": lambda a, b: np.maximum(a, b),
    "where": lambda truth, a, b: a.where(truth > 0, b).where(truth.notna()),
    "less": partial(_compare, name="lt"),
    "greater": partial(_compare, name="gt"),
    "rank": lambda a: _of_day(a).rank(pct=True),
    "demean": lambda a: a - _of_day(a).transform("mean"),
    "zscore": lambda a: (a - _of_day(a).transform("mean")) / _of_day(a).transform("std"),
    "scale": lambda a: a / _of_day(a.abs()).transform("sum"),
    "ts_delay": _shifted,
    "ts_delta": lambda a, window: a - _shifted(a, window),
    "ts_returns": lambda a, window: a / _shifted(a, window) - 1,
    "ts_mean": partial(_rolled, name="mean"),
    "ts_sum": partial(_rolled, name="sum"),
    "ts_std": partial(_rolled, name="std"),
    "ts_var": partial(_rolled, name="var"),
    "ts_min": partial(_rolled, name="min"),
    "ts_max": partial(_rolled, name="max"),
    "ts_median": partial(_rolled, name="median"),
    "ts_skew": partial(_rolled, name="skew"),
    "ts_kurt": partial(_rolled, name="kurt"),
    "ts_rank": lambda a, window: _rolled(a, window, "rank") / window,
    "ts_zscore": lambda a, window: (a - _rolled(a, window, "mean")) / _rolled(a, window, "std"),
    "ts_corr": partial(_paired, name="corr"),
    "ts_cov": partial(_paired, name="cov"),
    "ts_decay_linear": _decayed,
}
"""What pandas has words for."""


class PandasEvaluator:
    """Evaluates formulas on a panel, with what they share computed once."""

    def __init__(self, panel: FieldPanel) -> None:
        index = pd.MultiIndex.from_product([panel.symbols, panel.days], names=["symbol", "date"])
        self.fields = {name: pd.Series(it.T.ravel(), index=index) for name, it in panel.fields.items()}
        self.shape = panel.shape
        self._kept: dict[Formula, pd.Series] = {}

    def values(self, formula: Formula) -> FloatArray:
        """Values as an array of shape (n_days, n_symbols)."""
        return np.asarray(self._part(formula).to_numpy().reshape(self.shape[::-1]).T)

    def _part(self, formula: Formula) -> Any:
        if isinstance(formula, Field):
            return self.fields[formula.name]
        if isinstance(formula, Number | Window):
            return formula.value if isinstance(formula, Number) else formula.bars
        if formula not in self._kept:
            assert isinstance(formula, Call)
            with np.errstate(all="ignore"):
                made = COMPUTED[formula.operator](*map(self._part, formula.arguments))
            self._kept[formula] = made.replace([np.inf, -np.inf], np.nan)
        return self._kept[formula]
