"""Paired differences: the same queries on both sides, and the same resampled days for both figures.

A retriever is compared with no retrieval and with random retrieval under the same reader, since another model's edge is
not retrieval's; a language model, by ICs, with the vote of the same hits. These are questions about retrieval.

Skill is another question: every variant is compared with the free baseline that the *training* period would have
chosen for that figure, and by ICs with each classifier and with one-day reversal, the rule that costs nothing and ranks
stocks. A variant whose hits are drawn by chance is a control: it is compared with what it controls, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ragsignal.config import RunSpec, Variant
from ragsignal.evaluation.forecasts import Forecast, Scoring, measures_on
from ragsignal.evaluation.metrics import METRICS
from ragsignal.statistics import LEVEL, Interval, holm

MEASURES = ("acc", "brier", "log_loss", "ic", "ic_o2o")
IC_MEASURES = ("ic", "ic_o2o")

NO_RETRIEVAL = "no retrieval"
RANDOM_RETRIEVAL = "random retrieval"
SAME_HITS = "vote of the same hits"
BEST_BASELINE = "best free baseline"
CLASSIFIER = "classifier"
REVERSAL = "one-day reversal"

ABOUT_RETRIEVAL = frozenset({NO_RETRIEVAL, RANDOM_RETRIEVAL, SAME_HITS})
"""What the questions about retrieval compare with; all others are about skill."""

Family = tuple[str, bool, bool]
"""Set of queries, whether the measure is an IC, whether the question is about retrieval."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of ``left`` less the mean figure of ``right``, on the ``n`` queries of a set that all of them answered.

    ``against`` is what ``right`` stands for; ``low`` and ``high`` bound the difference, and ``p`` is the chance of one
    as large where there is none. It is ``distinguishable`` if ``p_family``, corrected for all differences of its
    family (:func:`compare`), is below 0.05, and then ``favours`` one side.
    """

    left: str
    right: list[str]
    against: str
    set: str
    measure: str
    n: int
    difference: float
    low: float
    high: float
    p: float
    p_family: float
    distinguishable: bool
    favours: Literal["left", "right"] | None


def compared_measures(spec: RunSpec) -> tuple[str, ...]:
    """Figures that are compared; a target relative to the day is also judged by the day's own ranks."""
    return ("acc_ranked", *MEASURES) if spec.evaluation.target == "relative" else MEASURES


def compare(
    spec: RunSpec, scoring: Scoring, forecasts: Mapping[str, Forecast], best: Mapping[str, str | None]
) -> list[Comparison]:
    """Make all paired differences.

    Questions about retrieval and questions of skill are families apart, and in each of the two the differences of ICs,
    and those of the other figures on each set of queries: Holm's correction keeps the chance of any false discovery in
    a family below 5 %.

    Parameters
    ----------
    forecasts : mapping of name to Forecast
        Variants and baselines.
    best : mapping of measure to name
        The free baseline to beat, chosen on the training period.
    """
    gaps = [
        gap
        for pairing in _pairings(spec, best)
        for query_set in scoring.sets
        for gap in _differences(scoring, pairing, query_set, forecasts)
    ]
    families: dict[Family, list[_Gap]] = {}
    for gap in gaps:
        families.setdefault(family_of(gap.pairing.against, gap.set, gap.measure), []).append(gap)
    corrected: dict[int, float] = {}
    for family in families.values():
        adjusted = holm([gap.interval.p for gap in family]).tolist()
        corrected |= {id(gap): p for gap, p in zip(family, adjusted, strict=True)}
    return [_compared(gap, corrected[id(gap)]) for gap in gaps]


def family_of(against: str, query_set: str, measure: str) -> Family:
    """Return the family whose number of differences a difference is corrected for."""
    return query_set, measure in IC_MEASURES, against in ABOUT_RETRIEVAL


@dataclass(frozen=True)
class _Pairing:
    left: str
    right: list[str]
    against: str
    measures: tuple[str, ...]


def _pairings(spec: RunSpec, best: Mapping[str, str | None]) -> Iterator[_Pairing]:
    for variant in spec.variants:
        if not variant.has_signal or variant.draws_at_random:
            continue
        for against, names in rivals(spec, variant).items():
            yield _Pairing(variant.name, names, against, compared_measures(spec))
        for vote in spec.votes_like(variant):  # by rank alone: no vote learns how sure it may be
            yield _Pairing(variant.name, [vote], SAME_HITS, IC_MEASURES)
        yield from _on_ics(spec, variant, best)
        for baseline in sorted({name for name in best.values() if name is not None}):
            measures = tuple(measure for measure, name in best.items() if name == baseline)
            yield _Pairing(variant.name, [baseline], BEST_BASELINE, measures)


def _on_ics(spec: RunSpec, variant: Variant, best: Mapping[str, str | None]) -> Iterator[_Pairing]:
    if not variant.is_classifier:
        for other in spec.variants:
            if other.is_classifier:
                yield _Pairing(variant.name, [other.name], CLASSIFIER, IC_MEASURES)
    fresh = tuple(measure for measure in IC_MEASURES if best[measure] != "reversal-1d")  # else it comes as the best
    yield _Pairing(variant.name, ["reversal-1d"], REVERSAL, fresh)


def rivals(spec: RunSpec, variant: Variant) -> dict[str, list[str]]:
    """Return the variant's rivals by the label under which their mean is compared."""
    labels = {"none": NO_RETRIEVAL, "random": RANDOM_RETRIEVAL}
    return {labels[kind]: names for kind, names in spec.rivals_of(variant).items()}


@dataclass(frozen=True, eq=False)
class _Gap:
    """A difference before it is corrected for the others."""

    pairing: _Pairing
    set: str
    measure: str
    n: int
    interval: Interval


def _differences(
    scoring: Scoring, pairing: _Pairing, query_set: str, forecasts: Mapping[str, Forecast]
) -> Iterator[_Gap]:
    sides = [forecasts[name] for name in (pairing.left, *pairing.right)]
    common = np.all([scoring.sets[query_set], *(side.answered for side in sides)], axis=0)
    measures = measures_on(query_set, pairing.measures)
    ours, *theirs = [scoring.daily(side, measures, common) for side in sides]
    for measure in measures:
        rights = [daily[measure] for daily in theirs]
        gap = METRICS[measure].difference(ours[measure], rights, scoring.resampling)
        if np.isfinite(gap.difference):  # days of four symbols rank nothing
            yield _Gap(pairing, query_set, measure, int(common.sum()), gap)


def _compared(gap: _Gap, p_family: float) -> Comparison:
    distinguishable = p_family < 1.0 - LEVEL
    better: Literal["left", "right"] = "left" if METRICS[gap.measure].sign * gap.interval.difference > 0 else "right"
    return Comparison(
        left=gap.pairing.left,
        right=gap.pairing.right,
        against=gap.pairing.against,
        set=gap.set,
        measure=gap.measure,
        n=gap.n,
        difference=gap.interval.difference,
        low=gap.interval.low,
        high=gap.interval.high,
        p=gap.interval.p,
        p_family=p_family,
        distinguishable=distinguishable,
        favours=better if distinguishable else None,
    )
