"""Kept formulas as data: their place among the stocks of the day, for readers of ranks and as sequences.

    frames, formulas ─► AlphaDays (formulas x days x symbols) ─┬► factors beside those of bars ─► rank letters
                                                               └► sequences (a symbol's bars) ─► candidates

What a formula gives has a unit that nobody knows, and means something among other stocks only: so a sequence is its
rank among the stocks of the day, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.config import KeptAlpha
from ragsignal.data.formulas.evaluate import Evaluator
from ragsignal.data.formulas.panel import FieldPanel, field_panel
from ragsignal.data.formulas.parse import parse
from ragsignal.data.formulas.write import digest_of, text_of
from ragsignal.data.prices import days_of
from ragsignal.data.ranks import daily_ranks
from ragsignal.errors import ConfigError, DataError
from ragsignal.types import FloatArray
from ragsignal.utils import array_digest, json_digest

ALPHA = "alpha."
"""Begins the name of a sequence, and of a factor, that is a kept formula."""
LEAST_STOCKS = 5
"""Stocks that a formula is ranked among: fewer have no ranks worth the name."""


def is_alpha(name: str) -> bool:
    """Whether a sequence or a factor is a kept formula."""
    return name.startswith(ALPHA)


@dataclass(frozen=True, eq=False)
class AlphaDays:
    """What formulas give on the days of some stocks.

    Parameters
    ----------
    formulas : mapping of str to str
        Name (``alpha.fade``) and canonical text of each.
    days : (n_days,) datetime64
    symbols : tuple of str
    values : (n_formulas, n_days, n_symbols) float64
        In the formulas' own units, NaN where unknown.
    """

    formulas: Mapping[str, str]
    days: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    values: FloatArray

    @property
    def digest(self) -> str:
        """SHA-256 of the formulas and of all that they give."""
        return json_digest(
            [dict(self.formulas), list(self.symbols), array_digest(self.days), array_digest(self.values)]
        )

    def on(self, symbols: Sequence[str], days: NDArray[np.datetime64]) -> FloatArray:
        """What they give on other days and of other stocks, which have to be among these.

        Returns
        -------
        (n_formulas, n_days, n_symbols) float64
        """
        rows = np.searchsorted(self.days, days.astype(self.days.dtype))
        columns = [self.symbols.index(symbol) for symbol in symbols]
        return np.asarray(self.values[:, rows][:, :, columns])

    def sequences(self, frames: Mapping[str, pd.DataFrame], names: Sequence[str]) -> FloatArray:
        """Ranks among the stocks of the day, 0 to 1, on the bars of some symbols end to end.

        Returns
        -------
        (n_names, n_bars of all frames) float64
        """
        known = list(self.formulas)
        tables = [daily_ranks(self.values[known.index(name)]) for name in names]
        columns = []
        for symbol, frame in frames.items():
            rows = np.searchsorted(self.days, days_of(frame).astype(self.days.dtype))
            columns.append(np.stack([table[rows, self.symbols.index(symbol)] for table in tables]))
        return np.concatenate(columns, axis=1)


def alpha_days(alphas: Sequence[KeptAlpha], frames: Mapping[str, pd.DataFrame]) -> AlphaDays:
    """Evaluate kept formulas on the bars of a universe, among whose stocks they rank.

    Raises
    ------
    ConfigError
        If a formula cannot be read, or is another one than was tested.
    DataError
        If there are fewer than five stocks, or a formula gives nothing anywhere.
    """
    if len(frames) < LEAST_STOCKS:
        raise DataError(
            f"corpus.alphas rank stocks among each other, and the spec has {len(frames)}; name at least "
            f"{LEAST_STOCKS} in data.symbols or corpus.symbols, or take corpus.alphas out"
        )
    panel = field_panel(frames)
    evaluator, texts, values = Evaluator(panel), {}, []
    for alpha in alphas:
        text, table = _values(alpha, panel, evaluator)
        texts[ALPHA + alpha.name] = text
        values.append(table)
    return AlphaDays(texts, panel.days, panel.symbols, np.stack(values))


def _values(alpha: KeptAlpha, panel: FieldPanel, evaluator: Evaluator) -> tuple[str, FloatArray]:
    """Text and values of a formula."""
    try:
        formula = parse(alpha.formula, panel.known)
    except ConfigError as error:
        raise ConfigError(f"corpus.alphas: {alpha.name}: {error}") from error
    if alpha.digest is not None and alpha.digest != digest_of(formula):
        raise ConfigError(
            f"corpus.alphas: {alpha.name} is not the formula that was tested (its digest is another one); take back "
            "the change, or delete its digest and write known_through = the last day that you have looked at"
        )
    values = evaluator.values(formula)
    if np.isnan(values).all():
        raise DataError(
            f"corpus.alphas: {alpha.name} gives no value on any of {len(panel.days)} days; name more history "
            f"(corpus.start, data.start), or shorten the windows of {alpha.formula!r}"
        )
    return text_of(formula), values
