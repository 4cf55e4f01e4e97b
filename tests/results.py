"""Looking into a run's result."""

from __future__ import annotations

from ragsignal.trading.results import RunResult
from ragsignal.trading.variant import VariantResult


def find(result: RunResult, name: str) -> VariantResult:
    """The variant called ``name``; raises ``KeyError``."""
    return {variant.name: variant for variant in result.variants}[name]
