"""Random formulas, and small panels with gaps, ties and constants in them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from ragsignal.data.formulas import (
    BAR_FIELDS,
    OPERATORS,
    Call,
    Field,
    FieldPanel,
    Formula,
    Kind,
    Number,
    Operator,
    Window,
    fits,
)

LEAVES: dict[Kind, str] = {
    Kind.SERIES: "close",
    Kind.TRUTH: "less(open, close)",
    Kind.GROUP: "bucket(volume, 3)",
    Kind.NUMBER: "0.3",
}


@st.composite
def formulas(draw: st.DrawFn, kind: Kind = Kind.SERIES, levels: int = 4) -> Formula:
    """Formulas of a kind, with at most as many operators within each other, and two more for conditions and groups."""
    if kind is Kind.SERIES and not (levels and draw(st.integers(0, 4))):
        numbers = st.floats(-100, 100).map(Number)
        return draw(st.one_of(st.sampled_from([Field(name) for name in BAR_FIELDS]), numbers))
    names = [it.name for it in OPERATORS.values() if fits(it.gives, kind) and (levels or _is_flat(it))]
    operator = OPERATORS[draw(st.sampled_from(names))]
    return Call(operator.name, tuple(draw(_argument(operator, taken, levels - 1)) for taken in operator.takes))


def _is_flat(operator: Operator) -> bool:
    """Whether it takes no conditions and no groups: the last level."""
    return not {Kind.TRUTH, Kind.GROUP} & {*operator.takes}


def _argument(operator: Operator, kind: Kind, levels: int) -> st.SearchStrategy[Formula]:
    if kind is Kind.WINDOW:
        return st.integers(operator.shortest, 30).map(Window)
    if kind is Kind.NUMBER:
        return st.floats(*operator.numbers).map(Number)
    return formulas(kind, max(0, levels))


def sample_of(operator: Operator, window: int) -> str:
    """A call of an operator as text, on fields that are as unlike as can be."""
    series = iter(("close", "volume", "open"))
    texts = [
        str(window) if kind is Kind.WINDOW else next(series) if kind is Kind.SERIES else LEAVES[kind]
        for kind in operator.takes
    ]
    return f"{operator.name}({', '.join(texts)})"


def panel(days: int = 40, symbols: int = 6, seed: int = 0) -> FieldPanel:
    """Prices with a symbol that begins late, one that never moves, days without a bar, and equal prices."""
    rng = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.02, (days, symbols)), axis=0)), 1)
    close[:, -1] = 50.0
    close[: days // 4, 0] = np.nan
    close[rng.random(close.shape) < 0.01] = np.nan
    close[days // 2] = np.nan if seed % 2 else 70.0
    fields = {
        "close": close,
        "open": close * np.round(np.exp(rng.normal(0, 0.01, close.shape)), 2),
        "high": close * 1.01,
        "low": close * 0.99,
        "volume": np.where(np.isnan(close), np.nan, np.round(np.exp(rng.normal(9, 1, close.shape)))),
        "vwap": close,
        "returns": np.vstack([np.full((1, symbols), np.nan), close[1:] / close[:-1] - 1]),
    }
    names = tuple(f"S{number}" for number in range(symbols))
    return FieldPanel(np.datetime64("2010-01-01") + np.arange(days), names, fields, {})
