"""Whether a formula's order of stocks depends on the level of their prices.

Adjusted prices hold a stock's later splits and dividends: one that is to rise and split has a low adjusted price years
before. A formula that ranks stocks by price levels, such as ``close`` or ``ts_delta(close, 5)``, can see that; one of
ratios cannot. What a formula does is tried out: on made-up bars, and on the same with each stock's prices and volume
multiplied by powers of two, which leave every ratio as it was to the last bit: once by a few, and once by so many that
prices and volumes lie on either side of whatever number they are compared with.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ragsignal.alpha.scoring import centred_ranks
from ragsignal.data import Evaluator, Formula, field_panel
from ragsignal.types import BoolArray, FloatArray

_SYMBOLS = 8
_COMPARED = 40  # days
_MOVED = 0.02  # share of ranks that rounding may move: a logarithm of a ratio is not exact
_NEAR = ((0, 3, -2, 6, 1, -1, 4, 2), (4, -1, 2, 0, 6, 3, -2, 1))  # powers of two, of prices and of volumes
_FAR = ((-20, 20, -10, 0, 10, 14, -14, 5), (20, -8, 0, -4, 12, 8, 16, -6))  # a volume above all small numbers


class LevelProbe:
    """Tries formulas out; ``history`` is how many bars they may look back."""

    def __init__(self, history: int) -> None:
        frames = {f"S{number}": _bars(number, history + _COMPARED) for number in range(_SYMBOLS)}
        self._plain = Evaluator(field_panel(frames))
        self._near, self._far = (
            Evaluator(
                field_panel({name: _scaled(it, number, powers) for number, (name, it) in enumerate(frames.items())})
            )
            for powers in (_NEAR, _FAR)
        )

    def reads_levels(self, formula: Formula) -> bool:
        """Whether other price levels give another order; True as well where the made-up bars show no value at all."""
        return self._differs(formula, self._near)

    def compares_levels(self, formula: Formula) -> bool:
        """Whether levels far off do, on the other side of the numbers that they are compared with: ``close < 0.25``."""
        return self._differs(formula, self._far)

    def _differs(self, formula: Formula, scaled: Evaluator) -> bool:
        plain = self._plain.values(formula)[-_COMPARED:]
        known = np.isfinite(plain)
        return not known.any() or _moved(plain, scaled.values(formula)[-_COMPARED:], known)


def _moved(plain: FloatArray, scaled: FloatArray, known: BoolArray) -> bool:
    """Whether more of the ranks moved than rounding explains."""
    if not np.array_equal(known, np.isfinite(scaled)):
        return True
    moved = np.abs(centred_ranks(plain, known) - centred_ranks(scaled, known)) > 1e-9
    return bool(moved.sum() > _MOVED * known.sum())


def _bars(number: int, bars: int) -> pd.DataFrame:
    rng = np.random.default_rng([7, number])
    moves = 0.01 * rng.standard_normal((bars, 4))
    close = 64.0 * np.exp(np.cumsum(moves[:, 0]))
    opened = close * np.exp(moves[:, 1])
    return pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * np.exp(np.abs(moves[:, 2])),
            "low": np.minimum(opened, close) * np.exp(-np.abs(moves[:, 3])),
            "close": close,
            "volume": 65536.0 * np.exp(30.0 * 0.01 * rng.standard_normal(bars)),
        },
        index=pd.bdate_range("2000-01-03", periods=bars),
    )


def _scaled(frame: pd.DataFrame, number: int, powers: tuple[tuple[int, ...], tuple[int, ...]]) -> pd.DataFrame:
    price, volume = (2.0 ** each[number % len(each)] for each in powers)
    return frame * pd.Series({name: volume if name == "volume" else price for name in frame.columns})
