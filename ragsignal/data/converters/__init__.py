"""Decisions of other projects, in the form that ``signal = "external"`` reads; a module a project."""

from __future__ import annotations

from ragsignal.data.converters.ai_hedge_fund import read_ai_hedge_fund
from ragsignal.data.converters.found import Converted, LeftOut, check_out
from ragsignal.data.converters.freqai import read_freqai
from ragsignal.data.converters.kronos import KronosReading, read_kronos
from ragsignal.data.converters.tradingagents import read_tradingagents

__all__ = [
    "Converted",
    "KronosReading",
    "LeftOut",
    "check_out",
    "read_ai_hedge_fund",
    "read_freqai",
    "read_kronos",
    "read_tradingagents",
]
