"""A formula on the prices of a spec: where it has a value, how it ranked what followed, and how fast it turns over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ragsignal.data import (
    Call,
    Evaluator,
    FieldPanel,
    Formula,
    digest_of,
    field_panel,
    label_tables,
    memory,
    parse,
    text_of,
    words_of,
)
from ragsignal.errors import ConfigError, DataError
from ragsignal.evaluation.days import rank_correlations
from ragsignal.statistics import Interval, mean_interval
from ragsignal.study import Study
from ragsignal.types import BoolArray, FloatArray
from ragsignal.utils import write_file

LEAST_STOCKS = 3
"""Stocks that a day needs for a rank correlation; the correlation of two is always 1 or -1."""


@dataclass(frozen=True)
class IcOfPeriod:
    """Mean daily rank correlation of a period with its 95 % interval by resampled blocks of days."""

    name: str
    days: int
    ic: Interval


@dataclass(frozen=True, eq=False)
class FormulaFindings:
    """A formula on the traded window of a spec.

    Parameters
    ----------
    text, digest, words : str
    memory : int
        Bars before a day that decide its value.
    symbols, days : int
        Stocks, and days of the traded window.
    coverage : float
        Share of the window's bars on which the formula has a value.
    turnover : float
        Mean share of the money that is bought and sold in a bar by a portfolio of the day's ranks, half long and half
        short.
    whole : IcOfPeriod
        Of all days.
    years : tuple of IcOfPeriod
    values : DataFrame
        A row a day of the window, a column a symbol.
    """

    text: str
    digest: str
    words: str
    memory: int
    symbols: int
    days: int
    coverage: float
    turnover: float
    whole: IcOfPeriod
    years: tuple[IcOfPeriod, ...]
    values: pd.DataFrame


def formula_findings(study: Study, text: str) -> FormulaFindings:
    """Read a formula, score it on the traded symbols of a spec, and count it as a trial on these days.

    What it ranks is ``evaluation.target`` after ``evaluation.horizon`` bars. Days of ``data.start`` to ``data.end`` are
    scored; bars before them fill windows.

    Raises
    ------
    ConfigError
        If the formula cannot be read, or there are fewer than three symbols to rank.
    DataError
        If it has no value on any bar of the window, or ranks no day of it.
    StoreError
        If the trial cannot be counted.
    """
    from ragsignal.alpha import count_evaluated  # 0.07 s, which no other evaluation needs

    spec = study.spec
    formula = parse(text)
    frames = study.prices.select(spec.data.symbols).frames
    if len(frames) < LEAST_STOCKS:
        raise ConfigError(
            f"a rank correlation needs at least {LEAST_STOCKS} symbols, and the spec trades "
            f"{', '.join(frames)}; add symbols to data.symbols"
        )
    panel = field_panel(frames)
    scored = _Scored(formula, panel, panel.days >= np.datetime64(spec.data.start))
    outcomes, _ = label_tables(frames, panel.days, panel.symbols, spec.evaluation.target, spec.evaluation.horizon)
    daily = scored.daily_ic(outcomes)
    days, overlap = scored.days, spec.evaluation.horizon
    year_of = days.astype("datetime64[Y]")
    count_evaluated(spec, digest_of(formula))  # before anybody sees a figure
    return FormulaFindings(
        text_of(formula),
        digest_of(formula),
        words_of(formula),
        memory(formula),
        len(frames),
        len(days),
        scored.coverage,
        scored.turnover,
        _period("all", daily, overlap),
        tuple(_period(str(year), daily[year_of == year], overlap) for year in np.unique(year_of)),
        pd.DataFrame(scored.values, index=pd.DatetimeIndex(days, name="date"), columns=list(panel.symbols)),
    )


class _Scored:
    """Values of a formula on the days of a window."""

    def __init__(self, formula: Formula, panel: FieldPanel, inside: BoolArray) -> None:
        evaluator = Evaluator(panel)
        self.formula, self.inside, self.days = formula, inside, panel.days[inside]
        self.values = evaluator.values(formula)[inside]
        self.bars = ~np.isnan(panel.fields["close"][inside])
        book = Call("scale", (Call("demean", (Call("rank", (formula,)),)),))
        self.book = np.nan_to_num(evaluator.values(book)[inside])
        if np.isnan(self.values).all():
            needed = memory(formula)
            before = len(panel.days) - len(self.days)
            raise DataError(
                f"the formula {text_of(formula)!r} has no value on any of {len(self.days):,} days: it reads {needed} "
                f"bars before a day, and there are {before:,} before data.start. Shorten its windows, begin later, or "
                "look for what cannot be computed, such as a division by 0 or the logarithm of a negative number"
            )

    @property
    def coverage(self) -> float:
        """Share of the bars with a value."""
        return float((~np.isnan(self.values) & self.bars).sum() / self.bars.sum())

    @property
    def turnover(self) -> float:
        """Mean share of the money that is bought and sold from a day to the next."""
        return float(np.abs(np.diff(self.book, axis=0)).sum(axis=1).mean()) if len(self.book) > 1 else 0.0

    def daily_ic(self, outcomes: FloatArray) -> FloatArray:
        """Rank correlation of each day; NaN where fewer than three stocks have both a value and an outcome."""
        outcomes = outcomes[self.inside]
        both = ~np.isnan(self.values) & ~np.isnan(outcomes)
        both &= both.sum(axis=1, keepdims=True) >= LEAST_STOCKS
        if not both.any():
            raise DataError(
                f"the formula {text_of(self.formula)!r} ranks no day: on none have {LEAST_STOCKS} stocks both a value "
                "and a known outcome. Add symbols, or move data.end"
            )
        day = np.nonzero(both)[0]
        return rank_correlations(self.values[both], outcomes[both], day, len(outcomes))


def _period(name: str, daily: FloatArray, overlap: int) -> IcOfPeriod:
    known = daily[~np.isnan(daily)]
    return IcOfPeriod(name, len(known), mean_interval(known, overlap=overlap))


def check_values_file(path: Path) -> None:
    """Raise ``ConfigError`` where values cannot be written, before anything is computed."""
    if path.suffix != ".parquet":
        raise ConfigError(f"--out {path}: values are written as Parquet; name a file that ends in .parquet")
    if path.is_dir():
        raise ConfigError(f"--out {path} is a folder; name a file in it, such as {path / 'values.parquet'}")
    if not path.parent.is_dir():
        raise ConfigError(f"--out {path}: there is no folder {path.parent}; make it, or name another")


def write_values(findings: FormulaFindings, path: Path) -> None:
    """Write the values: a row a day, a column a symbol."""
    write_file(path, lambda draft: findings.values.to_parquet(draft))
