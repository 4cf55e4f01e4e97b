"""Fills: none in the bar at which its order was sent, none at a price that its bar did not have.

An order that is sent when a bar is known, and filled in that same bar, trades on a price that was there before it knew:
Backtrader's cheat-on-close does so, and cheat-on-open lets a strategy read the whole day before it trades its open.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.code.evidence import Case
from ragsignal.audit.code.trace import Act
from ragsignal.audit.verdict import Finding
from ragsignal.config import CostSpec

TEST = "fills"
_EPOCH = 719_163  # 1970-01-01 in Backtrader's days
_ROUNDING = 1e-9


def finding(case: Case, market: Market, costs: CostSpec) -> Finding:
    """The verdict on a subject, from the fills of its baseline."""
    label, fills = case.subject.label, [act for act in case.base.acts if act.kind == "fill"]
    evidence: dict[str, Any] = {"fills": len(fills)}
    if not fills:
        return Finding(TEST, label, "unknown", case.nothing or "No order was filled on these bars.", evidence)
    at_once = [act for act in fills if act.day <= _number(market.days[act.sent])]
    outside = [act for act in fills if not _inside(act, market, costs.slippage_bps / 1e4)]
    evidence |= {"in_their_own_bar": len(at_once), "outside_their_bar": len(outside)}
    if at_once:
        why = _ASKED if costs.execution == "same_close" else _CHEAT
        words = f"{len(at_once)} of {len(fills)} fills are in the bar of their own order, {_told(at_once[0])}. {why}"
        return Finding(TEST, label, "failed", words, evidence)
    if outside:
        words = (
            f"{len(outside)} of {len(fills)} fills are outside the low and high of their bar, even with the spec's "
            f"slippage of {costs.slippage_bps:g} bp: {_told(outside[0])}."
        )
        return Finding(TEST, label, "failed", words, evidence)
    words = f"{len(fills)} fills, each after the bar of its order, and within the low and high of its own bar."
    return Finding(TEST, label, "passed", words, evidence)


_ASKED = 'The spec asks for execution = "same_close": no market offers the close that an order was computed from.'
_CHEAT = "The strategy switches cheat-on-close or cheat-on-open on; fill at the next open instead."


def _inside(act: Act, market: Market, slippage: float) -> bool:
    bar = market.frames[act.symbol].loc[_day(act)]
    room = slippage + _ROUNDING
    return bool(bar["low"] * (1 - room) <= act.price <= bar["high"] * (1 + room))


def _told(act: Act) -> str:
    return f"such as {act.size:g} {act.symbol} at {act.price:.6g} on {_day(act):%Y-%m-%d}"


def _number(day: pd.Timestamp) -> float:
    """Backtrader's number of a day."""
    return float(np.datetime64(day, "D").astype(np.int64) + _EPOCH)


def _day(act: Act) -> pd.Timestamp:
    return pd.Timestamp(np.datetime64(int(act.day) - _EPOCH, "D"))
