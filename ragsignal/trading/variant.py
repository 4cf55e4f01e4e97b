"""One traded variant: its account, orders and signals, and the figures that the table shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from ragsignal.signals import Cost
from ragsignal.statistics import Performance
from ragsignal.types import Recipe


class Metrics(Performance):
    """Figures of a variant, after costs; None where one does not exist."""

    turnover: float
    costs_paid: float
    trades: int
    orders: int
    rejected_orders: int
    exposure: float
    hit_rate: float | None
    base_rate: float | None
    judged: int
    signals: int
    abstentions: int
    signal_tokens: int


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
        One row a symbol and bar: ``date``, ``symbol``, ``value``, ``probability``, ``rank``, ``abstained`` (reason or
        None), ``target`` (open-to-open return that a next-open fill could earn, NaN at the end), ``key``, ``hits``
        (ids), ``tokens``, ``seconds``. Empty for variants without a signal.
    metrics : Metrics
    cost : Cost
        What this run spent on the signals.
    recipe : dict or None
        What decided the signals.
    too_dear : dict of str to float or None
        Symbols that were wanted, but never came to a whole share; the cash at which they would have, where it is known.
    """

    name: str
    kind: str
    equity: pd.Series
    exposure: pd.Series
    orders: pd.DataFrame
    signals: pd.DataFrame
    metrics: Metrics
    cost: Cost = field(default_factory=Cost)
    recipe: Recipe | None = None
    too_dear: dict[str, float | None] = field(default_factory=dict)

    @property
    def is_llm(self) -> bool:
        """Whether a language model read prompts for the signals."""
        return self.kind == "llm"

    @property
    def is_vote(self) -> bool:
        """Whether the retrieved candidates voted, without a model."""
        return self.kind == "vote"

    @property
    def is_model(self) -> bool:
        """Whether a model computed the signals: an LLM or a classifier."""
        return self.kind in ("llm", "classifier")

    @property
    def has_signal(self) -> bool:
        """Whether the variant trades a signal, and not prices alone."""
        return self.kind != "none"

    @property
    def traded(self) -> bool:
        """Whether any order was filled; the account of one that never traded is its cash."""
        return len(self.orders) > 0

    @property
    def returns(self) -> pd.Series:
        """Simple return of each bar, from the second bar on; NaN once the account has lost everything.

        Of an account below 0 the change over the value before would call a further loss a gain.
        """
        return self.equity.pct_change().where(self.equity.cummin().shift(1) > 0.0).iloc[1:]

    def cost_record(self) -> dict[str, float | int | None]:
        """The cost, and ``signal_seconds``: the model's time for these signals, whenever they were made."""
        seconds = round(float(self.signals["seconds"].sum()), 3) if len(self.signals) else 0.0
        return {**self.cost.record(), "signal_seconds": seconds}
