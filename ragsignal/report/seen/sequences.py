"""A file a variant and symbol: the sequences that were retrieved for each bar, and the prompt that was read.

Both are read back from the store of signals by the keys of the run's signals, so that they are what decided them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd

from ragsignal.report.figures import Plotly
from ragsignal.signals import SignalStore
from ragsignal.types import Candidate, Hit
from ragsignal.utils import stamp_text

MOST = 20
"""Hits of a bar that are shown."""

_DIGITS = 6


def evidence_file(signals: pd.DataFrame, bars: Sequence[int], store: SignalStore, prompts: bool) -> Plotly:
    """What was retrieved and read for the signals of one variant and symbol.

    Parameters
    ----------
    signals : DataFrame
        With ``key``; a row a bar.
    bars : sequence of int
        The bars' numbers in the run.
    store : SignalStore
    prompts : bool
        Whether prompts of words were read.

    Returns
    -------
    dict
        ``candidates``: symbol, sequence, first and last day, values, movement, outcome (a fraction), and the day on
        which it was known. ``hits``: by bar the places among these, and the scores, best first, :data:`MOST` of them.
        ``counts``: by bar how many there were in all. ``lines``, and ``prompts``: by bar the places of a prompt's lines
        among these. A bar that the store lacks is in neither.
    """
    keyed = {key: bar for key, bar in zip(signals["key"], bars, strict=True) if key}
    found = {keyed[key]: signal.hits for key, signal in store.get(keyed).items()}
    candidates: dict[str, tuple[int, list[Any]]] = {}
    hits = {bar: [_hit(hit, candidates) for hit in of_bar[:MOST]] for bar, of_bar in sorted(found.items())}
    lines: dict[str, int] = {}
    texts = store.prompts(keyed) if prompts else {}
    return {
        "hits": hits,
        "counts": {bar: len(of_bar) for bar, of_bar in found.items()},
        "prompts": {
            keyed[key]: [lines.setdefault(line, len(lines)) for line in text.split("\n")] for key, text in texts.items()
        },
        "candidates": [record for _, record in candidates.values()],
        "lines": list(lines),
    }


def _hit(hit: Hit, candidates: dict[str, tuple[int, list[Any]]]) -> list[float]:
    """The candidate's place among ``candidates``, which it joins, and the score."""
    candidate = hit.sequence
    place, _ = candidates.setdefault(candidate.id, (len(candidates), _record(candidate)))
    return [place, round(hit.score, _DIGITS)]


def _record(candidate: Candidate) -> list[Any]:
    return [
        candidate.symbol,
        candidate.sequence,
        _day(candidate.dates[0]),
        _day(candidate.dates[-1]),
        [float(f"{value:.{_DIGITS}g}") for value in candidate.values],
        int(candidate.movement),
        round(candidate.outcome, _DIGITS),
        _day(candidate.available_at),
    ]


def _day(day: date) -> str:
    return stamp_text(day)
