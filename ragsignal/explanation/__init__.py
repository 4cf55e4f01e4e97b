"""One signal explained: its factors, its hits, what would turn it, what came of signals like it, how firm it stands.

spec, symbols, day ─► signals and hits from the store ─► the reader asked again, all symbols together ─► Explanation
"""

from __future__ import annotations

from ragsignal.explanation.explanation import (
    Change,
    Explanation,
    Factor,
    Group,
    HitEvidence,
    Neighbours,
    Opposite,
    Overlay,
    Robustness,
    side_of,
)
from ragsignal.explanation.factors import without_each_factor
from ragsignal.explanation.questions import check_variant, is_explained
from ragsignal.explanation.readings import RankReading, Reading
from ragsignal.explanation.run import explain, open_reading

__all__ = [
    "Change",
    "Explanation",
    "Factor",
    "Group",
    "HitEvidence",
    "Neighbours",
    "Opposite",
    "Overlay",
    "RankReading",
    "Reading",
    "Robustness",
    "check_variant",
    "explain",
    "is_explained",
    "open_reading",
    "side_of",
    "without_each_factor",
]
