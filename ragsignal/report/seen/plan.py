"""How much of a long run is shown, so that its files stay small; and the sentence about what is left out."""

from __future__ import annotations

import ast
import shlex
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from ragsignal.report.words import count
from ragsignal.trading import SHOWN_DAYS, RunResult

SYMBOL_BYTES = 16_000_000
"""Of the files of symbols together."""

EVIDENCE_BARS = 15_000
"""Of retrieved sequences and prompts, over all symbols and variants: about a kilobyte each."""

DAY_HITS = 2_200_000
"""Of retrieved days, over all bars and retrievers: eight bytes each."""

_BYTES_A_NUMBER = 5.4  # float32 as base64
_LETTERS = 41


@dataclass(frozen=True)
class Read:
    """What a run's variants read: ``evidence`` of them sequences or prompts, ``days`` retrieved days a bar, in all."""

    evidence: int
    days: int


@dataclass(frozen=True)
class Shown:
    """What is shown.

    Parameters
    ----------
    symbols : tuple of str
        Those that have a file.
    evidence_from, days_from : int
        The first bar whose retrieved sequences and prompts, and whose retrieved days, are there.
    left_out : str
        A sentence about the rest; empty where there is none.
    """

    symbols: tuple[str, ...]
    evidence_from: int
    days_from: int
    left_out: str


def shown_of(result: RunResult, read: Read) -> Shown:
    """Choose what of a run is shown: all of it, unless it is long."""
    bars, symbols = len(result.closes), list(map(str, result.closes.columns))
    signals = sum(variant.has_signal for variant in result.variants)
    a_symbol = bars * (_BYTES_A_NUMBER * 2 * (1 + signals) + _LETTERS)
    chosen = _most_traded(result, symbols, max(1, int(SYMBOL_BYTES // a_symbol)))
    evidence = min(bars, max(1, EVIDENCE_BARS // (read.evidence * len(chosen)))) if read.evidence else bars
    days = min(bars, SHOWN_DAYS, max(1, DAY_HITS // read.days)) if read.days else bars
    parts = [
        (len(chosen) < len(symbols), f"{count(len(chosen))} of {count(len(symbols))} symbols, those traded most"),
        (evidence < bars, f"sequences and prompts of the last {count(evidence)} of {count(bars)} bars"),
        (days < bars, f"retrieved days of the last {count(days)} of {count(bars)} bars"),
    ]
    said = "; ".join(words for left_out, words in parts if left_out)
    return Shown(chosen, bars - evidence, bars - days, f"This run is long; the page holds {said}." if said else "")


def inspect_command(result: RunResult) -> str:
    """The command that shows any bar, with SYMBOL, DATE and VARIANT to be filled in."""
    spec = shlex.quote(_spec_of(result.command) or "SPEC")
    return f"ragsignal inspect {spec} --symbol SYMBOL --date DATE --variant VARIANT"


def explain_command(result: RunResult) -> str:
    """The command that explains a signal of the run, as far as the page need not add to it: spec and settings."""
    options = [f"--set {shlex.quote(word)}" for word in _settings_of(result.command)]
    return " ".join(["ragsignal explain", shlex.quote(_spec_of(result.command) or "SPEC"), *options])


def _settings_of(command: str) -> list[str]:
    """Other values for keys of the spec in what repeats a run."""
    if command.startswith("ragsignal backtest "):
        words = shlex.split(command)
        return [word for option, word in pairwise(words) if option == "--set"]
    called = ast.parse(command, mode="eval").body if command else None
    given = called.keywords if isinstance(called, ast.Call) else []
    return [str(word) for it in given if it.arg == "settings" for word in ast.literal_eval(it.value)]


def _spec_of(command: str) -> str | None:
    """The path of the spec in what repeats a run, in a shell or in Python; None of a spec that was made in code."""
    if command.startswith("ragsignal backtest "):
        return shlex.split(command)[2]
    if not command:
        return None
    called = ast.parse(command, mode="eval").body
    first = called.args[0] if isinstance(called, ast.Call) and called.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _most_traded(result: RunResult, symbols: list[str], most: int) -> tuple[str, ...]:
    """All symbols in the run's order, or of too many those with the largest value of orders."""
    if len(symbols) <= most:
        return tuple(symbols)
    orders = pd.concat([variant.orders[["symbol", "value"]] for variant in result.variants])
    traded = orders["value"].astype(float).abs().groupby(orders["symbol"]).sum()
    kept = set(sorted(symbols, key=lambda symbol: -traded.get(symbol, 0.0))[:most])
    return tuple(symbol for symbol in symbols if symbol in kept)
