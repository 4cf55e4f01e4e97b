"""Every paired difference that the page prints, as one family: a claim must survive the number of them.

One row a question, pair and measure. A row keeps its own 95 % interval and its p; ``adjusted`` is the p after Holm's
correction over all rows, and only ``adjusted`` <= 0.05 makes it ``distinguishable``. So a run in which nothing is true
prints a claim in at most 5 % of cases, however many variants it has.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ragsignal import statistics
from ragsignal.backtest.results import VariantResult
from ragsignal.config import RunSpec, Variant
from ragsignal.statistics import Interval

ALPHA = 0.05
"""Chance of at least one false claim in a run."""

HIT_RATE, LOG_LOSS, YEARLY, SHARPE = "hit rate", "log loss", "mean return a year", "Sharpe ratio"
LOWER_IS_BETTER = frozenset({LOG_LOSS})
_OF_SIGNALS = {HIT_RATE: statistics.hit_rate_difference, LOG_LOSS: statistics.log_loss_difference}

Row = dict[str, Any]


def family_of(spec: RunSpec, variants: Sequence[VariantResult]) -> list[Row]:
    """All rows, question by question, and what is left of their p-values together.

    Returns
    -------
    list of dict
        ``question`` ("retrieval", "llm", "benchmark"), ``against`` ("none", "random", "rule", "benchmark"), ``left``,
        ``right``, ``measure``, ``difference``, ``low``, ``high``, ``p``, ``adjusted``, ``distinguishable`` and
        ``better`` (whether left is the better side; None where equal); of hit rates also ``mcnemar``, a second p.
    """
    by_name = {variant.name: variant for variant in variants}
    rows = [*_retrieval_rows(spec, by_name), *_llm_rows(spec, by_name), *_benchmark_rows(spec, by_name)]
    return corrected(rows)


def corrected(rows: Sequence[Row]) -> list[Row]:
    """Rows with ``adjusted``, ``distinguishable`` and ``better``; a row without a p can claim nothing."""
    adjusted = statistics.holm(np.array([_number(row["p"]) for row in rows], dtype=np.float64))
    return [_judged(row, float(p)) for row, p in zip(rows, adjusted, strict=True)]


def rivals_by_label(spec: RunSpec, variant: Variant) -> dict[str, list[str]]:
    """The variant's rivals by the label of the page: a name, or how many seeds were taken together."""
    found = spec.rivals_of(variant).items()
    return {names[0] if len(names) == 1 else f"{kind} ({len(names)} seeds)": names for kind, names in found}


def _judged(row: Row, adjusted: float) -> Row:
    low, high, difference = (_number(row[key]) for key in ("low", "high", "difference"))
    apart = low > 0.0 or high < 0.0
    sign = -1.0 if row["measure"] in LOWER_IS_BETTER else 1.0
    return {
        **row,
        "adjusted": adjusted,
        "distinguishable": bool(adjusted <= ALPHA and apart),
        "better": None if not difference or math.isnan(difference) else sign * difference > 0,
    }


def _retrieval_rows(spec: RunSpec, by_name: Mapping[str, VariantResult]) -> Iterator[Row]:
    """Each retriever against its rivals, under the same reader: another model's edge is not retrieval's.

    The log loss uses all of P(rise), and so sees smaller differences than the hit rate.
    """
    for variant in spec.variants:
        kinds = spec.rivals_of(variant)
        for (label, names), kind in zip(rivals_by_label(spec, variant).items(), kinds, strict=True):
            ours, theirs = by_name[variant.name].signals, pd.concat([by_name[name].signals for name in names])
            for measure, difference in _OF_SIGNALS.items():
                found = difference(ours, theirs)
                if found is not None:
                    yield _row("retrieval", kind, variant.name, label, measure, found) | _mcnemar(measure, ours, theirs)


def _llm_rows(spec: RunSpec, by_name: Mapping[str, VariantResult]) -> Iterator[Row]:
    """Each LLM variant against each that costs no LLM: on the same signals where both have some, else by Sharpe."""
    for ours in _readers(spec):
        for name in _cheap(spec, ours):
            left, right = by_name[ours.name], by_name[name]
            found = None
            if len(left.signals) and len(right.signals):
                found = statistics.hit_rate_difference(left.signals, right.signals)
            if found is not None:
                beside = _mcnemar(HIT_RATE, left.signals, right.signals)
                yield _row("llm", "rule", left.name, right.name, HIT_RATE, found) | beside
            else:
                yield _row("llm", "rule", left.name, right.name, SHARPE, _sharpe_gap(left, right))


def _mcnemar(measure: str, left: pd.DataFrame, right: pd.DataFrame) -> Row:
    """Answer the same question by counts: p of McNemar's test by day, beside that of the hit rates."""
    found = statistics.hit_rate_mcnemar(left, right) if measure == HIT_RATE else None
    return {"mcnemar": found.p} if found is not None else {}


def _benchmark_rows(spec: RunSpec, by_name: Mapping[str, VariantResult]) -> Iterator[Row]:
    benchmark = by_name[spec.benchmark]
    for result in by_name.values():
        if result is not benchmark:
            yield yearly_gap(result, benchmark)
            yield _row("benchmark", "benchmark", result.name, benchmark.name, SHARPE, _sharpe_gap(result, benchmark))


def yearly_gap(result: VariantResult, benchmark: VariantResult) -> Row:
    """Mean return a year of ``result`` less that of ``benchmark``, day by day; not corrected for any number."""
    gap = result.returns.to_numpy(dtype=np.float64) - benchmark.returns.to_numpy(dtype=np.float64)
    scale = statistics.bars_a_year(pd.DatetimeIndex(benchmark.equity.index))
    found = statistics.mean_interval(gap).times(scale)
    return _row("benchmark", "benchmark", result.name, benchmark.name, YEARLY, found)


def _readers(spec: RunSpec) -> list[Variant]:
    """LLM variants that stand for the LLM: those fed at random are only another one's yardstick, if there is one."""
    readers = [it for it in spec.variants if it.signal == "llm"]
    return [it for it in readers if it.retrieval.retriever != "random"] or readers


def _cheap(spec: RunSpec, ours: Variant) -> list[str]:
    """Names of what costs no LLM: classifiers, price rules, and the vote on the same hits (else every other vote)."""
    votes = [it for it in spec.variants if it.signal == "vote" and it.retrieval.retriever != "random"]
    same = [it for it in votes if it.retrieval == ours.retrieval]
    others = [it for it in spec.variants if it.signal in ("classifier", "none")]
    return [it.name for it in [*(same or votes), *others] if it.name != spec.benchmark]


def _sharpe_gap(left: VariantResult, right: VariantResult) -> Interval:
    """Difference of annual Sharpe ratios."""
    sides = [it.returns.to_numpy(dtype=np.float64) for it in (left, right)]
    if not all(np.isfinite(it).all() for it in sides):  # an account that lost everything has no later returns
        return Interval(math.nan, math.nan, math.nan)
    a_year = statistics.bars_a_year(pd.DatetimeIndex(left.equity.index))
    return statistics.sharpe_difference(sides[0], sides[1]).times(math.sqrt(a_year))


def _row(question: str, against: str, left: str, right: str, measure: str, found: Interval) -> Row:
    return {
        **{"question": question, "against": against, "left": left, "right": right, "measure": measure},
        **{"difference": found.difference, "low": found.low, "high": found.high, "p": found.p},
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
