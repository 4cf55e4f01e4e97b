"""Figures in words: how a number and a column read on a page.

A figure that does not exist is an en dash, never a zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

Number = float | int | None

MISSING = "–"
MINUS = "−"
_THIN = "\u202f"
"""A narrow no-break space, between a number and its unit."""


def number(value: Number, digits: int = 2, *, signed: bool = False, unit: str = "") -> str:
    """Group thousands, use a true minus sign; an en dash where there is no value."""
    if value is None or not math.isfinite(value):
        return MISSING
    rounded = round(value, digits) + 0.0  # + 0.0: no "-0.0"
    text = f"{rounded:+,.{digits}f}" if signed and rounded else f"{rounded:,.{digits}f}"
    return text.replace("-", MINUS) + (_THIN + unit if unit else "")


def percent(value: Number, digits: int = 1) -> str:
    """Write a fraction as per cent."""
    return number(None if value is None else 100 * value, digits, unit="%")


def rate(value: Number, unit: str = "") -> str:
    """Write how many a second, or seconds, with a decimal below ten."""
    return number(value, 0 if value is None or value >= 10 else 1, unit=unit)


count = partial(number, digits=0)
"""A whole number, or an amount in the account's currency."""
times = partial(number, digits=1, unit="×")
"""A multiple."""
bps = partial(number, digits=1, unit="bp")
"""Basis points."""
seconds = partial(rate, unit="s")
"""A duration."""


def named(names: Sequence[str]) -> str:
    """Up to two names, or how many."""
    if len(names) > 2:
        return f"{len(names)} variants"
    return " and ".join(names) or MISSING


def bare(text: str) -> str:
    """Leave the units of figures away, where the head of their column has them."""
    return re.sub(rf"{_THIN}\S+", "", text)


KINDS = {
    "llm": "LLM",
    "vote": "vote of the hits",
    "classifier": "classifier",
    "external": "decisions of a file",
    "none": "no model",
}
"""What made a variant's signal."""


@dataclass(frozen=True)
class Column:
    """One column of the table: its key in ``cost`` or ``metrics``, its words, its form and the unit in its head."""

    key: str
    label: str
    meaning: str
    form: Callable[[Number], str]
    unit: str = ""


GROUPS: tuple[tuple[str, tuple[Column, ...]], ...] = (
    (
        "Result, after costs",
        (
            Column("return", "Return", "over the whole window", percent, "%"),
            Column(
                "cagr",
                "CAGR",
                "growth in 365.25 days that gives the same return; tear sheets count bars",
                percent,
                "% a year",
            ),
            Column("volatility", "Volatility", "standard deviation of returns, annualised", percent, "% a year"),
            Column(
                "sharpe",
                "Sharpe",
                "mean over standard deviation of returns, annualised, risk-free rate 0",
                number,
                "a year",
            ),
            Column(
                "sharpe_error",
                "± error",
                "standard error of the Sharpe ratio (Mertens 2002), annualised",
                number,
                "a year",
            ),
            Column("sortino", "Sortino", "mean over downside deviation of all returns, annualised", number, "a year"),
            Column("max_drawdown", "Max drawdown", "deepest fall of the account from a high", percent, "%"),
        ),
    ),
    (
        "Trading",
        (
            Column("turnover", "Turnover", "value traded a year over the mean account", times, "× a year"),
            Column("costs_paid", "Costs paid", "commission and slippage, in the account's currency", count, "currency"),
            Column("trades", "Trades", "positions opened", count, "count"),
            Column("exposure", "Exposure", "position values over the account, mean of all closes", percent, "%"),
        ),
    ),
    (
        "Signal",
        (
            Column(
                "hit_rate",
                "Hit rate",
                "share of signals with the sign of what a next-open fill could earn",
                percent,
                "%",
            ),
            Column(
                "judged",
                "Judged",
                "signals behind the hit rate: not 0, and followed by a price that moved",
                count,
                "signals",
            ),
            Column(
                "base_rate", "Base rate", "hit rate of always saying rise, or always fall: the better one", percent, "%"
            ),
            Column("abstentions", "Abstained", "signals without a view, all symbols", count, "signals"),
        ),
    ),
)
BRIEF = ("return", "sharpe", "max_drawdown", "trades", "costs_paid", "hit_rate")
"""Figures of a table that has no room for all of them."""

SIGNAL_KEYS = frozenset(column.key for column in GROUPS[2][1])
"""Figures that only a variant with a signal has."""

COSTS: tuple[tuple[str, tuple[Column, ...]], ...] = (
    (
        "Signals of this run",
        (
            Column("asked", "Asked for", "one a symbol and bar", count, "signals"),
            Column(
                "found",
                "From the store",
                "made by an earlier run, or by an earlier variant of this one",
                count,
                "signals",
            ),
            Column(
                "reused",
                "Same prompt",
                "made without a model call: the same prompt had been read before",
                count,
                "signals",
            ),
            Column(
                "seconds",
                "Time",
                "from question to last answer: store, embedding, search, prompts, model",
                seconds,
                "s",
            ),
            Column("signals_per_second", "Signals/s", "asked for, over that time", rate, "1/s"),
        ),
    ),
    (
        "Model in this run",
        (
            Column("model_calls", "Calls", "prompts that the model read; stored answers cost none", count, "prompts"),
            Column("tokens", "Tokens", "of these prompts", count, "count"),
            Column("model_seconds", "Time", "in the model", seconds, "s"),
            Column("tokens_per_second", "Tokens/s", "tokens over that time", rate, "1/s"),
        ),
    ),
    (
        "Whenever made",
        (
            Column(
                "signal_tokens", "Tokens", "read to make these signals, in this run or an earlier one", count, "count"
            ),
            Column("signal_seconds", "Time", "in the model to make these signals, then", seconds, "s"),
        ),
    ),
)
"""What the signals cost: figures that a second run may change, but for the tokens whenever read."""

MODEL_KEYS = frozenset(column.key for _, columns in COSTS[1:] for column in columns) | {"reused"}
"""Figures that only a variant with a model has."""


def columns_of(keys: Sequence[str]) -> list[Column]:
    """The columns of some figures, in the order of ``keys``."""
    known = {column.key: column for _, columns in GROUPS for column in columns}
    return [known[key] for key in keys]
