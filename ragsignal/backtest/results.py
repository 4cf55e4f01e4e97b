"""What a run produced, as plain tables: written by the engine, read by the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class VariantResult:
    """One variant of a run.

    Parameters
    ----------
    name : str
    kind : str
        What made the signal: ``llm``, ``vote``, ``classifier`` or ``none``.
    equity : Series of float, index DatetimeIndex (naive days)
        Account value at each bar's close; the same index for every variant of a run.
    exposure : Series of float
        Sum of absolute position values over equity, at each close.
    orders : DataFrame
        One row a completed order: ``date`` (of the fill), ``symbol``, ``size``, ``price``, ``value``,
        ``commission``, ``slippage`` (money lost to slippage, positive).
    signals : DataFrame
        One row a symbol and bar: ``date``, ``symbol``, ``value``, ``probability``, ``abstained`` (reason or None),
        ``target`` (open-to-open return that a next-open fill could earn, NaN at the end), ``key``, ``hits`` (ids).
        Empty for variants without a signal.
    metrics : dict
        The figures of the table; None where a figure does not exist.
    cost : dict
        What :meth:`ragsignal.signals.Cost.record` gives of this run, and ``signal_seconds``: the model's time for these
        signals, whenever they were made.
    recipe : dict or None
        What decided the signals.
    """

    name: str
    kind: str
    equity: pd.Series
    exposure: pd.Series
    orders: pd.DataFrame
    signals: pd.DataFrame
    metrics: dict[str, float | int | None]
    cost: dict[str, float | int | None]
    recipe: dict[str, Any] | None

    @property
    def returns(self) -> pd.Series:
        """Simple return of each bar, from the second bar on; NaN once the account has lost everything.

        Of an account below 0 the change over the value before would call a further loss a gain.
        """
        return self.equity.pct_change().where(self.equity.cummin().shift(1) > 0.0).iloc[1:]


@dataclass(frozen=True)
class RunResult:
    """All variants of a run on identical bars.

    ``spec`` is the whole spec as JSON-able data; ``closes`` the adjusted close per symbol (columns) over the run's
    bars; ``findings`` what the run comes to, all paired differences among it (:mod:`ragsignal.backtest.findings`);
    ``notes`` plain sentences the report must show (untrained models, in sample, ...); ``fingerprints`` of prices and
    corpus; ``command`` what to type to repeat it.
    """

    spec: dict[str, Any]
    variants: tuple[VariantResult, ...]
    benchmark: str
    closes: pd.DataFrame
    findings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    fingerprints: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    times: dict[str, Any] = field(default_factory=dict)
    command: str = ""

    @property
    def title(self) -> str:
        """The spec's name, for the head of every page; stamped where something was fitted on the window it trades."""
        stamp = "IN SAMPLE: " if any(note.startswith("IN SAMPLE") for note in self.notes) else ""
        return stamp + str(self.spec["name"])

    def find(self, name: str) -> VariantResult:
        """The variant called ``name``; raises ``KeyError``."""
        return {variant.name: variant for variant in self.variants}[name]
