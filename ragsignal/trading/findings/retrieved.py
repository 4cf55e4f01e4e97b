"""What the variants that read days retrieved, on some days of the run: which years, in which market, and what paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from ragsignal.config import RetrievalSpec
from ragsignal.study import DayEvidence, StateValue, Study, evidence_of_days, strongest
from ragsignal.utils import rounded

QUERY_DAYS = 12
"""Days that are looked at, first bars of months, spread over the run."""

SHOWN_DAYS = 1500
"""Last bars of a run whose retrieved days its report shows: of 600 days each, 15 MB a retriever."""

PAYOFFS = 10
"""Factors of the largest pooled payoffs that are kept."""

_IN_WORDS = ("trend_20", "volatility_20", "dispersion_20")


@dataclass(frozen=True)
class RetrievedDays:
    """What one variant retrieved as of one day.

    Parameters
    ----------
    as_of : str
    visible, alike, unlike : int
        Days that could be retrieved; those that were, and those that were as the most unlike.
    state : tuple of StateValue
        The market's trend, volatility and dispersion over 20 days.
    years : dict of str to float
        Share of the days alike by calendar year, largest first.
    pooled : dict of str to float
        The factors that paid or cost most on all of these days, unlike ones with a minus sign.
    """

    as_of: str
    visible: int
    alike: int
    unlike: int
    state: tuple[StateValue, ...]
    years: dict[str, float]
    pooled: dict[str, float]


def query_days(index: pd.DatetimeIndex) -> list[date]:
    """Up to :data:`QUERY_DAYS` first bars of months, evenly spread over ``index``, the run's bars."""
    firsts = index[~index.to_period("M").duplicated()]
    places = np.unique(np.linspace(0, len(firsts) - 1, min(QUERY_DAYS, len(firsts))).round().astype(int))
    return [firsts[place].date() for place in places]


def run_evidence(study: Study, closes: pd.DataFrame) -> dict[str, tuple[DayEvidence, ...]]:
    """What the variants that read days retrieve on the days of a run that are shown; ``closes`` are over its bars.

    These are its last :data:`SHOWN_DAYS` bars, and the query days. Variants with one retriever share their evidence.
    """
    bars = pd.DatetimeIndex(closes.index)
    days = sorted({*query_days(bars), *(bar.date() for bar in bars[-SHOWN_DAYS:])})
    shared: dict[tuple[RetrievalSpec, bool], tuple[DayEvidence, ...]] = {}
    evidence = {}
    for variant in study.spec.variants:
        if not variant.reads_days:
            continue
        key = variant.retrieval, bool(variant.retrained)
        if key not in shared:
            shared[key] = evidence_of_days(study, variant, days)
        evidence[variant.name] = shared[key]
    return evidence


def retrieved_of(evidence: Mapping[str, Sequence[DayEvidence]]) -> dict[str, list[RetrievedDays]]:
    """Sum up what each variant retrieved, rounded as in the record."""
    summed: dict[str, list[RetrievedDays]] = rounded({name: list(map(_summed, it)) for name, it in evidence.items()})
    return summed


def _summed(evidence: DayEvidence) -> RetrievedDays:
    days = pd.DatetimeIndex(evidence.hits.table.days[evidence.hits.rows[: evidence.alike]])
    years = pd.Series(days.year).value_counts(normalize=True, sort=False).sort_index()
    ordered = years.sort_values(ascending=False, kind="stable")
    return RetrievedDays(
        as_of=evidence.as_of.isoformat(),
        visible=evidence.visible,
        alike=evidence.alike,
        unlike=len(evidence.hits.rows) - evidence.alike,
        state=tuple(value for value in evidence.state if value.name in _IN_WORDS),
        years={str(year): float(share) for year, share in ordered.items()},
        pooled=strongest(evidence.pooled, PAYOFFS),
    )
