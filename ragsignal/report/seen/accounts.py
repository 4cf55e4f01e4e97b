"""A file a variant: its round trips, and its exposure over time; and its monthly returns for the page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ragsignal.report.figures import Plotly, packed
from ragsignal.report.record import naive_days
from ragsignal.report.seen.symbols import bars_of
from ragsignal.report.words import number
from ragsignal.trading import RunResult, VariantResult, round_trips
from ragsignal.types import FloatArray

MOST = 10_000
"""Round trips of a variant that the page holds: the last ones."""

_NUMBERS = ("size", "entry", "exit", "costs", "profit", "return")
_FULL = 0.05  # a month's return that has the full colour
_LEAST = 0.0005  # rounds to 0.0 %


@dataclass(frozen=True)
class Month:
    """A cell of the heat table: the return in per cent as text, its sign, and how strong its colour is, 0 to 100."""

    text: str
    side: str
    strength: int


def account_file(result: RunResult, variant: VariantResult) -> Plotly:
    """Round trips column by column, days as numbers of bars (-1: still open), and exposure a bar as a fraction."""
    days = naive_days(result.closes.index)
    trips = round_trips(variant.orders.assign(date=naive_days(variant.orders["date"])), days)
    shown, values = trips.iloc[-MOST:], _held_values(result, variant, days)
    places = {str(symbol): place for place, symbol in enumerate(result.closes.columns)}
    return {
        "all": len(trips),
        "symbols": [places[symbol] for symbol in shown["symbol"]],
        "longs": [int(side == "long") for side in shown["side"]],
        "opened": bars_of(days, shown["opened"]).tolist(),
        "closed": bars_of(days, shown["closed"]).tolist(),
        "bars": shown["bars"].tolist(),
        **{name: packed(shown[name]) for name in _NUMBERS},
        "gross": packed(variant.exposure),
        "net": packed(_net_exposure(values, variant)),
        "standing": round(_standing(values, variant, trips), 2),
    }


def _net_exposure(values: FloatArray, variant: VariantResult) -> FloatArray:
    """Value of long positions less that of short ones, over equity, at each close."""
    equity = variant.equity.to_numpy(dtype=float)
    net: FloatArray = values.sum(axis=1) / np.where(equity > 0.0, equity, np.nan)
    return net


def _standing(values: FloatArray, variant: VariantResult, trips: pd.DataFrame) -> float:
    """Profit of the round trips that are still open, at the last close, in money."""
    orders = variant.orders[["size", "price", "commission"]].astype(float)
    spent = (orders["size"] * orders["price"] + orders["commission"]).sum()
    return float(values[-1].sum() - spent - trips["profit"].sum())


def _held_values(result: RunResult, variant: VariantResult, days: pd.DatetimeIndex) -> FloatArray:
    """Value of each position at each close, (bars, symbols); of short ones negative."""
    orders = variant.orders.assign(date=naive_days(variant.orders["date"]))
    sizes = orders.pivot_table(index="date", columns="symbol", values="size", aggfunc="sum")
    held = sizes.reindex(index=days, columns=result.closes.columns).fillna(0.0).cumsum().to_numpy(dtype=float)
    prices = result.closes.ffill().fillna(0.0).to_numpy(dtype=float)
    values: FloatArray = held * prices
    return values


def months_of(variant: VariantResult) -> dict[int, list[Month | None]]:
    """Returns by calendar year: twelve months and the year; None where the run has no bar."""
    days = naive_days(variant.equity.index)
    months, years = (_returns(variant.equity, days.to_period(period)) for period in ("M", "Y"))
    return {
        year.year: [
            *(_month(months.get(pd.Period(year=year.year, month=month, freq="M"))) for month in range(1, 13)),
            _month(value),
        ]
        for year, value in years.items()
    }


def _returns(equity: pd.Series, periods: pd.PeriodIndex) -> dict[pd.Period, float]:
    """The return of each period, from its predecessor's last value; the first one's from the first value."""
    last = equity.groupby(periods).last()
    before = last.shift(1, fill_value=equity.iloc[0])
    changes = (last / before - 1.0).where(before > 0.0)
    return dict(zip(pd.PeriodIndex(changes.index), changes.tolist(), strict=True))


def _month(value: float | None) -> Month | None:
    if value is None or np.isnan(value):
        return None
    side = "flat" if abs(value) < _LEAST else "gain" if value > 0.0 else "loss"
    return Month(number(100 * value, 1), side, min(100, round(100 * abs(value) / _FULL)))
