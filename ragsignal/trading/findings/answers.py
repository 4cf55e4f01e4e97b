"""The four answers of the first screen, as verdicts and numbers; the words are the report's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ragsignal import statistics
from ragsignal.config import RunSpec
from ragsignal.trading.findings.family import ALPHA, HIT_RATE, LOG_LOSS, YEARLY, PairedDifference
from ragsignal.trading.variant import VariantResult

POWER = 0.8
SHARPE_GOAL = 0.5
"""A difference of annual Sharpe ratios that would be worth finding."""


@dataclass(frozen=True)
class Verdict:
    """The answer to one question, said of the left sides of its rows: of retrieval, of the LLM, of the variants.

    ``verdict`` is ``better`` or ``worse`` (at least one difference survives the correction for all comparisons, and
    none the other way), ``mixed`` (both), ``unclear`` (none does), ``idle`` (of each comparison one side never
    traded), ``too few`` (no comparison has an interval),
    ``ruined`` (every comparison has a side whose account was) or ``absent`` (the run has nothing to compare).
    """

    verdict: str
    better: tuple[str, ...]  # names of left sides, in the rows' order
    worse: tuple[str, ...]
    over: tuple[str, ...]  # kinds of right sides that these are better or worse than
    lefts: int
    rivals: tuple[str, ...]  # all kinds of right sides
    beaten: tuple[str, ...]  # names of right sides that some better one is distinguishably better than
    unbeaten: tuple[str, ...]  # names of the other right sides that these better ones were compared with


@dataclass(frozen=True)
class Superiority:
    """Hansen's test over the variants that moved and were not ruined.

    ``p`` of "none is better"; ``which``: names by StepM.
    """

    variants: int = 0
    best: str | None = None
    p: float | None = None
    which: tuple[str, ...] = ()


@dataclass(frozen=True)
class SharpePower:
    """Years that show ``difference`` from the benchmark, at the median correlation of the variants with it."""

    difference: float
    correlation: float
    years: float


@dataclass(frozen=True)
class MeasurePower:
    """Of one measure the detectable difference, the largest one seen, and the years that would show that one."""

    detectable: float  # median over the pairs of the question that has the measure first
    seen: float
    left: str
    right: str
    years: float | None


@dataclass(frozen=True)
class Power:
    """What this run could have seen, and what it would take to see more, at 80 % power; None where nobody can say."""

    window_years: float
    sharpe: SharpePower | None
    hit_rate: MeasurePower | None = field(metadata={"key": HIT_RATE})
    log_loss: MeasurePower | None = field(metadata={"key": LOG_LOSS})
    yearly: MeasurePower | None = field(metadata={"key": YEARLY})


@dataclass(frozen=True)
class Certainty:
    """What bounds all answers: counts of rows, and tests of the whole run."""

    comparisons: int  # with a p
    expected: float  # with an interval that leaves out zero, by chance alone
    apart: int  # with an interval that leaves out zero
    claims: int  # of these, the ones that survive the correction
    lowest_p: float | None
    superior: Superiority
    power: Power


@dataclass(frozen=True)
class Answers:
    """A verdict for each question, and what bounds them all."""

    retrieval: Verdict
    llm: Verdict
    benchmark: Verdict
    certainty: Certainty


def answers_of(spec: RunSpec, variants: Sequence[VariantResult], family: Sequence[PairedDifference]) -> Answers:
    """Judge the rows of each question, and all of them together."""
    tested = [row for row in family if row.p is not None]
    ruined = [variant.name for variant in variants if variant.ruined]
    retrieval, llm, benchmark = (
        verdict_of([row for row in family if row.question == question], ruined)
        for question in ("retrieval", "llm", "benchmark")
    )
    certainty = Certainty(
        comparisons=len(tested),
        expected=ALPHA * len(tested),
        apart=sum(row.interval.distinguishable for row in tested),
        claims=sum(row.distinguishable for row in tested),
        lowest_p=min((row.interval.p for row in tested), default=None),
        superior=superiority_of(spec, variants),
        power=power_of(spec, variants, family),
    )
    return Answers(retrieval, llm, benchmark, certainty)


def verdict_of(rows: Sequence[PairedDifference], ruined: Collection[str] = ()) -> Verdict:
    """One verdict for the rows of a question; ``ruined`` names the variants whose accounts were."""
    claims = [row for row in rows if row.distinguishable]
    better = [row for row in claims if row.better]
    worse = [row for row in claims if not row.better]
    winners, beaten = {row.left for row in better}, _distinct(row.right for row in better)
    if not rows:
        verdict = "absent"
    elif all(row.ruined_sides(ruined) for row in rows):
        verdict = "ruined"
    elif all(row.difference is None for row in rows):
        verdict = "idle"
    elif all(row.p is None for row in rows):
        verdict = "too few"
    elif better and worse:
        verdict = "mixed"
    else:
        verdict = "better" if better else "worse" if worse else "unclear"
    return Verdict(
        verdict=verdict,
        better=_distinct(row.left for row in better),
        worse=_distinct(row.left for row in worse),
        over=_distinct(row.against for row in claims),
        lefts=len({row.left for row in rows}),
        rivals=_distinct(row.against for row in rows),
        beaten=beaten,
        unbeaten=_distinct(row.right for row in rows if row.left in winners and row.right not in beaten),
    )


def superiority_of(spec: RunSpec, variants: Sequence[VariantResult]) -> Superiority:
    """Test whether the mean return of any variant that traded is above the benchmark's; cash is not the best of any."""
    returns = {it.name: it.returns.to_numpy(dtype=np.float64) for it in variants if not it.ruined}
    if spec.benchmark not in returns:
        return Superiority()
    held = returns.pop(spec.benchmark)
    gaps = {name: earned - held for name, earned in returns.items() if earned.any()}
    gaps = {name: gap for name, gap in gaps.items() if gap.any()}
    if not gaps:
        return Superiority()
    table, names = np.column_stack(list(gaps.values())), list(gaps)
    return Superiority(
        variants=len(gaps),
        best=max(gaps, key=lambda name: float(gaps[name].mean())),
        p=statistics.superior_predictive_ability(table),
        which=tuple(names[number] for number in statistics.step_m(table)),
    )


def power_of(spec: RunSpec, variants: Sequence[VariantResult], family: Sequence[PairedDifference]) -> Power:
    """Work out the power of the run's length, and of each measure."""
    index = pd.DatetimeIndex(variants[0].equity.index)
    years = statistics.years_of(index)
    by_measure = (_measure_power(measure, family, years) for measure in (HIT_RATE, LOG_LOSS, YEARLY))
    return Power(years, _sharpe_power(spec, variants), *by_measure)


def _sharpe_power(spec: RunSpec, variants: Sequence[VariantResult]) -> SharpePower | None:
    table = pd.DataFrame({variant.name: variant.returns.to_numpy() for variant in variants if not variant.ruined})
    moving = table.loc[:, table.std() > 0]
    if spec.benchmark not in moving or len(moving.columns) < 2 or len(moving) < statistics.LEAST_DAYS:
        return None
    correlation = float(moving.corr()[spec.benchmark].drop(spec.benchmark).median())
    return SharpePower(SHARPE_GOAL, correlation, statistics.years_for_sharpe(SHARPE_GOAL, correlation, POWER))


def _measure_power(measure: str, family: Sequence[PairedDifference], window_years: float) -> MeasurePower | None:
    wide = [row for row in family if row.measure == measure and row.interval.high > row.interval.low]
    rows = [row for row in wide if row.question == wide[0].question]
    if not rows:
        return None
    errors = [row.interval.error for row in rows]
    largest = max(rows, key=lambda row: abs(row.interval.difference))
    seen = largest.interval.difference
    return MeasurePower(
        detectable=float(np.median([statistics.detectable(error, POWER) for error in errors])),
        seen=seen,
        left=largest.left,
        right=largest.right,
        years=statistics.days_for(seen, largest.interval.error, 1, POWER) * window_years,
    )


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
