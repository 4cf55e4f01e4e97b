"""What the tests of signals and of retrieval share: the variants that have a signal, and how a few are chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from ragsignal.audit.verdict import Finding
from ragsignal.config import Variant
from ragsignal.errors import LookAheadError
from ragsignal.signals import Pipeline, queries_of
from ragsignal.study import Study
from ragsignal.types import Query, Signal

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class AuditedVariant:
    """A variant with its source, as the run would use them."""

    variant: Variant
    source: Pipeline

    @property
    def name(self) -> str:
        """The name of the variant."""
        return self.variant.name

    def whole_queries(self, frames: Mapping[str, pd.DataFrame]) -> list[Query]:
        """The queries of ``frames`` with a full window."""
        return [query for query in queries_of(frames, self.source.lookback) if len(query.closes) > self.source.lookback]


def audited_variants(study: Study, test: str) -> tuple[list[AuditedVariant], list[Finding]]:
    """The variants that have a signal; a finding for each that refuses to make one, or if none has any."""
    audited: list[AuditedVariant] = []
    refused: list[Finding] = []
    for variant in study.spec.variants:
        if not variant.has_signal:
            continue
        try:
            audited.append(AuditedVariant(variant, study.pipeline(variant)))
        except LookAheadError as error:
            words = "It refuses to make signals, so that there is none to test; the test of training says why."
            refused.append(Finding(test, variant.name, "unknown", words, {"error": str(error)}))
    if not audited and not refused:
        words = "No variant has a signal: there is nothing to test here."
        refused.append(Finding(test, study.spec.name, "unknown", words))
    return audited, refused


def spread_from_last(items: Sequence[_Item], count: int) -> list[_Item]:
    """At most ``count`` of them, evenly apart, the last one among them."""
    places = np.linspace(len(items) - 1, 0, min(count, len(items))).round().astype(int)
    return [items[place] for place in np.unique(places)]


def late_hits(signals: Iterable[Signal]) -> tuple[int, list[str]]:
    """How many hits there are, and which of them were not known as of their signal's day."""
    pairs = [(signal, hit.candidate) for signal in signals for hit in signal.hits]
    late = [
        f"{signal.symbol} as of {signal.as_of}: {candidate.id}, known on {candidate.available_at}"
        for signal, candidate in pairs
        if candidate.available_at > signal.as_of
    ]
    return len(pairs), late
