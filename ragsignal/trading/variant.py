"""One traded variant: its account, orders and signals, and the figures that the table shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

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
        What made the signal: ``llm``, ``vote``, ``classifier``, ``external`` or ``none``.
    equity : Series of float, index DatetimeIndex (naive days)
        Account value at each bar's close; the same index for every variant of a run. Net of what the strategy paid in
        or out, as if the first cash had stayed the only one; 0 from the bar on that ruined the account.
    exposure : Series of float
        Sum of absolute position values over equity, at each close.
    orders : DataFrame
        One row a fill, of which an order mostly has one: ``date``, ``symbol``, ``size``, ``price``, ``value`` (of
        futures with their multiplier), ``commission``, ``slippage`` (money lost to slippage, positive).
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
    paid : dict of Timestamp to float
        What the strategy paid into its account on each day, negative what it took out.
    funds : Series of float, optional
        Money in the account at each close, after the payments of the day; None where there were none: it is `equity`.
    fell_to : float, optional
        What a ruined account was worth when it was closed, 0 or below.
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
    paid: dict[pd.Timestamp, float] = field(default_factory=dict)
    funds: pd.Series | None = None
    fell_to: float | None = None

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
    def says_probability(self) -> bool:
        """Whether its signal is made of P(rise), and not of an action, a score or a weight that somebody decided."""
        return self.kind != "external" or (self.recipe or {}).get("decided") == "probability"

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

    @property
    def money(self) -> pd.Series:
        """Money in the account at each close, after the payments of the day."""
        return self.equity if self.funds is None else self.funds

    @property
    def ruined(self) -> date | None:
        """The day at whose close the account was worth nothing; None for one that never was."""
        return _first_day(self.equity)

    @property
    def emptied(self) -> date | None:
        """The day of the withdrawal that took all that was in the account."""
        return None if self.ruined else _first_day(self.money)

    def account_record(self) -> dict[str, Any]:
        """What befell the account: ``ruined`` and ``emptied``, days, and ``paid``, money by day; only what is so."""
        paid = {str(day.date()): amount for day, amount in self.paid.items()}
        events = {"ruined": self.ruined, "emptied": self.emptied, "paid": paid}
        return {name: value for name, value in events.items() if value}

    def cost_record(self) -> dict[str, float | int | None]:
        """The cost, and ``signal_seconds``: the model's time for these signals, whenever they were made."""
        seconds = round(float(self.signals["seconds"].sum()), 3) if len(self.signals) else 0.0
        return {**self.cost.record(), "signal_seconds": seconds}


def _first_day(account: pd.Series) -> date | None:
    """The day of the first close at which ``account`` is at or below 0."""
    days = account.index[account <= 0.0]
    return pd.Timestamp(days[0]).date() if len(days) else None
