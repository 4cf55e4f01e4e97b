"""Every paired difference that the page prints, as one family: a claim must survive the number of them.

One row a question, pair and measure. A row keeps its own 95 % interval and its p; ``adjusted`` is the p after Holm's
correction over all rows, and only ``adjusted`` <= 0.05 makes it ``distinguishable``. So a run in which nothing is true
prints a claim in at most 5 % of cases, however many variants it has.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ragsignal import statistics
from ragsignal.config import RunSpec, Variant
from ragsignal.statistics import Interval
from ragsignal.trading.variant import VariantResult

ALPHA = 0.05
"""Chance of at least one false claim in a run."""

HIT_RATE, LOG_LOSS, IC = "hit rate", "log loss", "IC"
YEARLY, SHARPE = "mean return a year", "Sharpe ratio"
LOWER_IS_BETTER = frozenset({LOG_LOSS})
OF_ACCOUNTS = frozenset({YEARLY, SHARPE})
_NONE = Interval(math.nan, math.nan, math.nan)  # of a ruined account, and of one that never traded


@dataclass(frozen=True)
class PairedDifference:
    """One row of the family: a measure of one variant less that of another; None for what does not exist."""

    question: str  # "retrieval", "llm" or "benchmark"
    against: str  # kind of the right side: "none", "random", "rule" or "benchmark"
    left: str
    right: str
    measure: str
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    adjusted: float | None = None
    distinguishable: bool = False
    better: bool | None = None  # whether left is the better side; None where the sides are equal

    def ruined_sides(self, ruined: Collection[str]) -> tuple[str, ...]:
        """Sides of which the measure does not exist because their accounts are among the ``ruined`` ones."""
        return tuple(side for side in (self.left, self.right) if side in ruined and self.measure in OF_ACCOUNTS)

    @property
    def interval(self) -> Interval:
        """Difference, ends and p; NaN for what does not exist."""
        return Interval(*(math.nan if it is None else it for it in (self.difference, self.low, self.high, self.p)))


@dataclass(frozen=True)
class HitRateDifference(PairedDifference):
    """A row that answers the same question by counts too: ``mcnemar`` is the p of McNemar's test by day."""

    mcnemar: float | None = field(kw_only=True)


def family_of(spec: RunSpec, variants: Sequence[VariantResult]) -> list[PairedDifference]:
    """All rows, question by question, and what is left of their p-values together."""
    by_name = {variant.name: variant for variant in variants}
    rows = [*_retrieval_rows(spec, by_name), *_llm_rows(spec, by_name), *_benchmark_rows(spec, by_name)]
    return corrected(rows)


def corrected(rows: Sequence[PairedDifference]) -> list[PairedDifference]:
    """Rows with ``adjusted``, ``distinguishable`` and ``better``; a row without a p can claim nothing."""
    adjusted = statistics.holm(np.array([row.interval.p for row in rows], dtype=np.float64))
    return [_judged(row, float(p)) for row, p in zip(rows, adjusted, strict=True)]


def rivals_by_label(spec: RunSpec, variant: Variant) -> dict[str, list[str]]:
    """The variant's rivals by the label of the page: a name, or how many seeds were taken together."""
    rivals = spec.rivals_of(variant).items()
    return {names[0] if len(names) == 1 else f"{kind} ({len(names)} seeds)": names for kind, names in rivals}


def _judged(row: PairedDifference, adjusted: float) -> PairedDifference:
    sign = -1.0 if row.measure in LOWER_IS_BETTER else 1.0
    return replace(
        row,
        adjusted=adjusted,
        distinguishable=adjusted <= ALPHA and row.interval.distinguishable,
        better=sign * row.difference > 0 if row.difference else None,
    )


def _retrieval_rows(spec: RunSpec, by_name: Mapping[str, VariantResult]) -> Iterator[PairedDifference]:
    """Each retriever against its rivals, under the same reader: another model's edge is not retrieval's.

    The log loss uses all of P(rise), and so sees smaller differences than the hit rate. Signals that rank the stocks
    of a day say nothing of a rise: of them the IC does so, open to open.
    """
    ranks = spec.corpus.target == "relative"
    for variant in spec.variants:
        kinds = spec.rivals_of(variant)
        for (label, names), kind in zip(rivals_by_label(spec, variant).items(), kinds, strict=True):
            ours, rivals = by_name[variant.name].signals, [by_name[name].signals for name in names]
            yield from _hit_rate_rows("retrieval", kind, (variant.name, label), ours, pd.concat(rivals))
            difference = (
                statistics.ic_difference(ours, rivals)
                if ranks
                else statistics.log_loss_difference(ours, pd.concat(rivals))
            )
            if difference is not None:
                measure = IC if ranks else LOG_LOSS
                yield _row("retrieval", kind, (variant.name, label), measure, difference)


def _llm_rows(spec: RunSpec, by_name: Mapping[str, VariantResult]) -> Iterator[PairedDifference]:
    """Each LLM variant against each that costs no LLM: on the same signals where both have some, else by Sharpe."""
    for ours in _readers(spec):
        for name in _cheap(spec, ours):
            left, right = by_name[ours.name], by_name[name]
            sides = (left.name, right.name)
            rows: Sequence[PairedDifference] = ()
            if len(left.signals) and len(right.signals):
                rows = _hit_rate_rows("llm", "rule", sides, left.signals, right.signals)
            yield from rows or [_row("llm", "rule", sides, SHARPE, _sharpe_gap(left, right))]


def _benchmark_rows(spec: RunSpec, by_name: Mapping[str, VariantResult]) -> Iterator[PairedDifference]:
    benchmark = by_name[spec.benchmark]
    for result in by_name.values():
        if result is not benchmark and not result.returns.any():  # cash that was never traded beats no falling market
            for measure in (YEARLY, SHARPE):
                yield _row("benchmark", "benchmark", (result.name, benchmark.name), measure, _NONE)
        elif result is not benchmark:
            yield yearly_gap(result, benchmark)
            sides = (result.name, benchmark.name)
            yield _row("benchmark", "benchmark", sides, SHARPE, _sharpe_gap(result, benchmark))


def yearly_gap(result: VariantResult, benchmark: VariantResult) -> PairedDifference:
    """Mean return a year of ``result`` less that of ``benchmark``, day by day; not corrected for any number."""
    return paired_gap(result, [benchmark], benchmark.name)


def paired_gap(result: VariantResult, others: Sequence[VariantResult], name: str) -> PairedDifference:
    """Mean return a year of ``result`` less the mean of those of ``others``, which together are called ``name``."""
    sides = (result.name, name)
    if result.ruined or any(other.ruined for other in others):
        return _row("benchmark", "benchmark", sides, YEARLY, _NONE)
    theirs = np.mean([other.returns.to_numpy(dtype=np.float64) for other in others], axis=0)
    gap = result.returns.to_numpy(dtype=np.float64) - theirs
    a_year = statistics.bars_a_year(pd.DatetimeIndex(result.equity.index))
    return _row("benchmark", "benchmark", sides, YEARLY, statistics.mean_interval(gap).times(a_year))


def _readers(spec: RunSpec) -> list[Variant]:
    """LLM variants that stand for the LLM: those fed at random are only another one's yardstick, if there is one."""
    readers = [variant for variant in spec.variants if variant.is_llm]
    return [variant for variant in readers if not variant.draws_at_random] or readers


def _cheap(spec: RunSpec, ours: Variant) -> list[str]:
    """Names of what costs no LLM: classifiers, price rules, and the vote on the same hits (else every other vote)."""
    votes = [variant for variant in spec.variants if variant.is_vote and not variant.draws_at_random]
    same = [variant for variant in votes if variant.retrieval == ours.retrieval]
    # what made decisions from outside may have cost anything
    others = [it for it in spec.variants if not (it.is_llm or it.is_vote or it.is_external)]
    return [variant.name for variant in [*(same or votes), *others] if variant.name != spec.benchmark]


def _hit_rate_rows(
    question: str, against: str, sides: tuple[str, str], left: pd.DataFrame, right: pd.DataFrame
) -> list[HitRateDifference]:
    """One row, or none where the sides share no signal."""
    difference, test = statistics.hit_rate_difference(left, right), statistics.hit_rate_mcnemar(left, right)
    if difference is None or test is None:
        return []
    return [HitRateDifference(**vars(_row(question, against, sides, HIT_RATE, difference)), mcnemar=test.p)]


def _sharpe_gap(left: VariantResult, right: VariantResult) -> Interval:
    """Difference of annual Sharpe ratios."""
    if left.ruined or right.ruined:
        return _NONE
    ours, theirs = (side.returns.to_numpy(dtype=np.float64) for side in (left, right))
    a_year = statistics.bars_a_year(pd.DatetimeIndex(left.equity.index))
    return statistics.sharpe_difference(ours, theirs).times(math.sqrt(a_year))


def _row(question: str, against: str, sides: tuple[str, str], measure: str, interval: Interval) -> PairedDifference:
    numbers = (interval.difference, interval.low, interval.high, interval.p)
    difference, low, high, p = (number if math.isfinite(number) else None for number in numbers)
    return PairedDifference(question, against, *sides, measure, difference, low, high, p)
