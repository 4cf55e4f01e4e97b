"""Paired differences: the same queries on both sides, and the same resampled days for both figures.

A retriever is compared with no retrieval and with random retrieval under the same reader, since another model's edge is
not retrieval's; every variant with the free baseline that the *training* period would have chosen for that figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ragsignal.config import RunSpec, Variant
from ragsignal.evaluation.forecasts import Forecast, Scoring
from ragsignal.evaluation.metrics import METRICS

MEASURES = ("acc", "brier", "log_loss", "rank_correlation")

NO_RETRIEVAL = "no retrieval"
RANDOM_RETRIEVAL = "random retrieval"
BEST_BASELINE = "best free baseline"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of ``left`` less the mean figure of ``right``, on the ``n`` queries of a set that all of them answered.

    ``against`` is what ``right`` stands for; ``low`` and ``high`` bound the difference, which is ``distinguishable``
    from 0 or not, and then ``favours`` one side.
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
    distinguishable: bool
    favours: Literal["left", "right"] | None


def compared_measures(spec: RunSpec) -> tuple[str, ...]:
    """Figures that are compared; a target relative to the day is also judged by the day's own ranks."""
    return ("acc_ranked", *MEASURES) if spec.evaluation.target == "relative" else MEASURES


def compare(
    spec: RunSpec, scoring: Scoring, forecasts: Mapping[str, Forecast], best: Mapping[str, str | None]
) -> list[Comparison]:
    """Make all paired differences.

    Parameters
    ----------
    forecasts : mapping of name to Forecast
        Variants and baselines.
    best : mapping of measure to name
        The free baseline to beat, chosen on the training period.
    """
    return [
        row
        for pairing in _pairings(spec, best)
        for query_set in scoring.sets
        for row in _differences(scoring, pairing, query_set, forecasts)
    ]


@dataclass(frozen=True)
class _Pairing:
    left: str
    right: list[str]
    against: str
    measures: tuple[str, ...]


def _pairings(spec: RunSpec, best: Mapping[str, str | None]) -> Iterator[_Pairing]:
    for variant in spec.variants:
        if not variant.has_signal:
            continue
        for against, names in rivals(spec, variant).items():
            yield _Pairing(variant.name, names, against, compared_measures(spec))
        for baseline in sorted({name for name in best.values() if name is not None}):
            measures = tuple(measure for measure, name in best.items() if name == baseline)
            yield _Pairing(variant.name, [baseline], BEST_BASELINE, measures)


def rivals(spec: RunSpec, variant: Variant) -> dict[str, list[str]]:
    """Return the variant's rivals by the label under which their mean is compared."""
    labels = {"none": NO_RETRIEVAL, "random": RANDOM_RETRIEVAL}
    return {labels[kind]: names for kind, names in spec.rivals_of(variant).items()}


def _differences(
    scoring: Scoring, pairing: _Pairing, query_set: str, forecasts: Mapping[str, Forecast]
) -> Iterator[Comparison]:
    sides = [forecasts[name] for name in (pairing.left, *pairing.right)]
    common = np.all([scoring.sets[query_set], *(side.answered for side in sides)], axis=0)
    left, *right = [side.on(scoring.questions, common) for side in sides]
    for measure in pairing.measures:
        metric = METRICS[measure]
        gap = metric.difference(left, right, scoring.weights)
        if not np.isfinite(gap.value):  # days of four symbols rank nothing
            continue
        better: Literal["left", "right"] = "left" if metric.sign * gap.value > 0 else "right"
        yield Comparison(
            left=pairing.left,
            right=pairing.right,
            against=pairing.against,
            set=query_set,
            measure=measure,
            n=len(left),
            difference=gap.value,
            low=gap.low,
            high=gap.high,
            distinguishable=gap.distinguishable,
            favours=better if gap.distinguishable else None,
        )
