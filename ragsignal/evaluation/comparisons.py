"""Paired differences: the same queries on both sides, and the same resampled days for both figures.

A retriever is compared with no retrieval and with random retrieval under the same reader, since another model's edge is
not retrieval's; every variant with the free baseline that the *training* period would have chosen for that figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ragsignal.config import RunSpec, Variant
from ragsignal.evaluation.days import Floats
from ragsignal.evaluation.forecasts import Forecast
from ragsignal.evaluation.metrics import METRICS, difference
from ragsignal.evaluation.questions import Mask, Questions

MEASURES = ("acc", "brier", "log_loss", "rank_correlation")

NO_RETRIEVAL = "no retrieval"
RANDOM_RETRIEVAL = "random retrieval"
BEST_BASELINE = "best free baseline"


def compared_measures(spec: RunSpec) -> tuple[str, ...]:
    """Figures that are compared; a target relative to the day is also judged by the day's own ranks."""
    return ("acc_ranked", *MEASURES) if spec.evaluation.target == "relative" else MEASURES


def compare(
    spec: RunSpec,
    questions: Questions,
    forecasts: Mapping[str, Forecast],
    best: Mapping[str, str | None],
    sets: Mapping[str, Mask],
    weights: Floats,
) -> list[dict[str, Any]]:
    """All paired differences.

    Parameters
    ----------
    forecasts : mapping of name to Forecast
        Variants and baselines.
    best : mapping of measure to name
        The free baseline to beat, chosen on the training period.
    sets : mapping of name to (n,) bool
        Which queries count.

    Returns
    -------
    list of dict
        ``left``, ``right`` (list of names: their mean figure), ``against``, ``set``, ``measure``, ``n`` (common
        queries), ``difference`` (left less right), ``low``, ``high``, ``distinguishable`` from 0, and ``favours``:
        ``left`` or ``right`` where it is.
    """
    rows = []
    for left, against, rights, measures in _pairings(spec, best):
        for name, mask in sets.items():
            sides = [forecasts[left], *(forecasts[right] for right in rights)]
            rows += [
                {"left": left, "right": rights, "against": against, "set": name, **row}
                for row in _differences(questions, sides, mask, measures, weights)
            ]
    return rows


def _pairings(spec: RunSpec, best: Mapping[str, str | None]) -> Iterator[tuple[str, str, list[str], tuple[str, ...]]]:
    for variant in spec.variants:
        if not variant.has_signal:
            continue
        for against, rights in rivals(spec, variant).items():
            yield variant.name, against, rights, compared_measures(spec)
        for baseline in sorted({name for name in best.values() if name is not None}):
            measures = tuple(measure for measure, name in best.items() if name == baseline)
            yield variant.name, BEST_BASELINE, [baseline], measures


def rivals(spec: RunSpec, variant: Variant) -> dict[str, list[str]]:
    """The variant's rivals by the label under which their mean is compared."""
    labels = {"none": NO_RETRIEVAL, "random": RANDOM_RETRIEVAL}
    return {labels[kind]: names for kind, names in spec.rivals_of(variant).items()}


def _differences(
    questions: Questions, sides: Sequence[Forecast], mask: Mask, measures: tuple[str, ...], weights: Floats
) -> Iterator[dict[str, Any]]:
    common = np.all([mask, *(side.answered for side in sides)], axis=0)
    left, *rights = [side.on(questions, common) for side in sides]
    for measure in measures:
        metric = METRICS[measure]
        found = difference(metric, left, rights, weights)
        if not np.isfinite(found.value):  # days of four symbols rank nothing
            continue
        won = found.distinguishable
        yield {
            **{"measure": measure, "n": len(left)},
            **{"difference": found.value, "low": found.low, "high": found.high},
            "distinguishable": won,
            "favours": ("left" if metric.sign * found.value > 0 else "right") if won else None,
        }
