"""Fills: none in the bar at which its order was sent, none at a price that its bar did not have.

An order that is sent when a bar is known, and filled in that same bar, trades on a price that was there before it knew:
Backtrader's cheat-on-close does so, and cheat-on-open lets a strategy read the whole day before it trades its open.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.code.evidence import SubjectRuns
from ragsignal.audit.code.trace import BrokerEvent
from ragsignal.audit.verdict import Finding
from ragsignal.data import clock_of
from ragsignal.trading import EPOCH
from ragsignal.utils import stamp_texts

TEST = "fills"
_ROUNDING = 1e-9


def finding(runs: SubjectRuns) -> Finding:
    """The verdict on a subject, from the fills of its baseline."""
    market, costs = runs.runner.market, runs.runner.costs
    label, fills = runs.subject.label, [event for event in runs.base.events if event.kind == "fill"]
    evidence = {"fills": len(fills)}
    if not fills:
        return Finding(TEST, label, "unknown", runs.unknown or "No order was filled on these bars.", evidence)
    at_once = [fill for fill in fills if _bar(fill, market) <= market.days[fill.details["sent"]]]
    outside = [fill for fill in fills if not _inside(fill, market, costs.slippage_bps / 1e4)]
    evidence |= {"in_their_own_bar": len(at_once), "outside_their_bar": len(outside)}
    if at_once:
        why = _SAME_CLOSE if costs.execution == "same_close" else _CHEAT
        example = _example(at_once[0], market)
        words = f"{len(at_once)} of {len(fills)} fills are in the bar of their own order, {example}. {why}"
        return Finding(TEST, label, "failed", words, evidence)
    if outside:
        words = (
            f"{len(outside)} of {len(fills)} fills are outside the low and high of their bar, even with the spec's "
            f"slippage of {costs.slippage_bps:g} bp: {_example(outside[0], market)}."
        )
        return Finding(TEST, label, "failed", words, evidence)
    words = f"{len(fills)} fills, each after the bar of its order, and within the low and high of its own bar."
    return Finding(TEST, label, "passed", words, evidence)


_SAME_CLOSE = 'The spec asks for execution = "same_close": no market offers the close that an order was computed from.'
_CHEAT = "The strategy switches cheat-on-close or cheat-on-open on; fill at the next open instead."


def _inside(fill: BrokerEvent, market: Market, slippage: float) -> bool:
    bar = market.frames[fill.symbol].loc[_bar(fill, market)]
    margin = slippage + _ROUNDING
    return bool(bar["low"] * (1 - margin) <= fill.details["price"] <= bar["high"] * (1 + margin))


def _example(fill: BrokerEvent, market: Market) -> str:
    size, price = fill.details["size"], fill.details["price"]
    (when,) = stamp_texts(pd.DatetimeIndex([_bar(fill, market)]))
    return f"such as {size:g} {fill.symbol} at {price:.6g} on {when}"


def _bar(fill: BrokerEvent, market: Market) -> pd.Timestamp:
    """The name of the bar of a fill, of Backtrader's number of it: days since the year 1."""
    number, intraday = fill.details["day"] - EPOCH, clock_of(market.frames[fill.symbol]).intraday
    stamp = np.datetime64(round(number * 1440), "m") if intraday else np.datetime64(int(number), "D")
    return pd.Timestamp(stamp)
