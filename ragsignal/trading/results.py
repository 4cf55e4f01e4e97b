"""What a run produced: filled in by the engine, read by the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ragsignal.config import RunSpec
from ragsignal.statistics import bars_a_year
from ragsignal.study import DayEvidence
from ragsignal.trading.findings import RunFindings
from ragsignal.trading.findings.retrieved import RetrievedDays, query_days, retrieved_of
from ragsignal.trading.variant import VariantResult


@dataclass(frozen=True)
class RunResult:
    """All variants of a run on identical bars.

    ``closes`` are the adjusted closes per symbol (columns) over the run's bars; ``notes`` sentences that the report
    must show (untrained models, in sample, ...); ``dropped_bars`` how many bars were left out, by symbol and rule;
    ``evidence`` what variants that read days retrieved, day by day;
    ``digests`` those of prices, corpus and code; ``times`` what a second run may change; ``command`` what to type to
    repeat the run.
    """

    spec: RunSpec
    variants: tuple[VariantResult, ...]
    benchmark: str
    closes: pd.DataFrame
    findings: RunFindings
    notes: tuple[str, ...] = ()
    dropped_bars: dict[str, dict[str, int]] = field(default_factory=dict)
    evidence: dict[str, tuple[DayEvidence, ...]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    times: dict[str, Any] = field(default_factory=dict)
    command: str = ""

    @property
    def retrieved(self) -> dict[str, list[RetrievedDays]]:
        """``evidence`` on some days, summed up for the record."""
        days = set(query_days(pd.DatetimeIndex(self.closes.index)))
        chosen = {name: [it for it in found if it.as_of in days] for name, found in self.evidence.items()}
        return retrieved_of(chosen)

    @property
    def bars_a_year(self) -> int:
        """Bars a year, by which all figures of this run are annualised."""
        return bars_a_year(pd.DatetimeIndex(self.variants[0].equity.index))

    @property
    def intraday(self) -> bool:
        """Whether bars are named by the moments of their ends, and not by days."""
        return self.spec.data.bar_minutes > 0

    @property
    def in_sample(self) -> bool:
        """Whether something was fitted on the window that it trades."""
        return any(note.startswith("IN SAMPLE") for note in self.notes)

    @property
    def title(self) -> str:
        """The spec's name, for the head of every page; stamped where the run is in sample."""
        return ("IN SAMPLE: " if self.in_sample else "") + self.spec.name
