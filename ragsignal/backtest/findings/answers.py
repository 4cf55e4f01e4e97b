"""The four answers of the first screen, as verdicts and numbers; the words are the report's.

A verdict is ``better`` or ``worse`` (at least one difference survives the correction for all comparisons, and none the
other way), ``mixed`` (both), ``unclear`` (none does), ``too few`` (no comparison has an interval) or ``absent`` (the
run has nothing to compare). It is said of the left side: of retrieval, of the LLM, of the variants.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ragsignal import statistics
from ragsignal.backtest.findings.family import ALPHA, HIT_RATE, LOG_LOSS, YEARLY, Row
from ragsignal.backtest.results import VariantResult
from ragsignal.config import RunSpec
from ragsignal.statistics import Interval

QUESTIONS = ("retrieval", "llm", "benchmark")
POWER = 0.8
SHARPE_GOAL = 0.5
"""A difference of annual Sharpe ratios that would be worth finding."""


def answers_of(spec: RunSpec, variants: Sequence[VariantResult], family: Sequence[Row]) -> dict[str, Any]:
    """A verdict for each question, and what bounds them all.

    Returns
    -------
    dict
        ``retrieval``, ``llm``, ``benchmark``: :func:`verdict_of` their rows. ``certainty``: ``comparisons`` (how many
        have a p), ``apart`` (intervals that leave out zero), ``expected`` (how many of them chance alone gives),
        ``claims`` (what survives the correction), ``lowest_p``, ``superior`` (SPA over all variants), ``power``.
    """
    rows = {question: [row for row in family if row["question"] == question] for question in QUESTIONS}
    tested = [row for row in family if _finite(row["p"])]
    return {
        **{question: verdict_of(found) for question, found in rows.items()},
        "certainty": {
            "comparisons": len(tested),
            "expected": ALPHA * len(tested),
            "apart": sum(row["low"] > 0 or row["high"] < 0 for row in tested),
            "claims": sum(row["distinguishable"] for row in tested),
            "lowest_p": min((row["p"] for row in tested), default=None),
            "superior": superior(spec, variants),
            "power": power_of(spec, variants, family),
        },
    }


def verdict_of(rows: Sequence[Row]) -> dict[str, Any]:
    """One verdict for the rows of a question, and who is distinguishably better or worse than what.

    Returns
    -------
    dict
        ``verdict``; ``better`` and ``worse``: names of left sides, in the rows' order; ``over``: what they are better
        or worse than; ``lefts``: how many left sides there are; ``rivals``: kinds of right sides, all of them;
        ``beaten``: names of the right sides that some ``better`` one is distinguishably better than; ``unbeaten``:
        those that it was compared with too.
    """
    claims = [row for row in rows if row["distinguishable"]]
    sides = {True: [row for row in claims if row["better"]], False: [row for row in claims if not row["better"]]}
    if not rows:
        verdict = "absent"
    elif not any(_finite(row["p"]) for row in rows):
        verdict = "too few"
    elif not claims:
        verdict = "unclear"
    elif sides[True] and sides[False]:
        verdict = "mixed"
    else:
        verdict = "better" if sides[True] else "worse"
    winners, beaten = {row["left"] for row in sides[True]}, _distinct(row["right"] for row in sides[True])
    return {
        "verdict": verdict,
        **{key: _distinct(row["left"] for row in sides[flag]) for key, flag in (("better", True), ("worse", False))},
        "over": _distinct(row["against"] for row in claims),
        "lefts": len({row["left"] for row in rows}),
        "rivals": _distinct(row["against"] for row in rows),
        "beaten": beaten,
        "unbeaten": _distinct(it["right"] for it in rows if it["left"] in winners and it["right"] not in beaten),
    }


def superior(spec: RunSpec, variants: Sequence[VariantResult]) -> dict[str, Any]:
    """Hansen's test of whether any variant's mean return is above the benchmark's, and the names that StepM finds."""
    by_name = {variant.name: variant for variant in variants}
    held = by_name.pop(spec.benchmark).returns.to_numpy(dtype=np.float64)
    gaps = {name: it.returns.to_numpy(dtype=np.float64) - held for name, it in by_name.items()}
    gaps = {name: gap for name, gap in gaps.items() if np.isfinite(gap).all() and gap.any()}
    if not gaps:
        return {"variants": 0, "best": None, "p": None, "which": []}
    table, names = np.column_stack(list(gaps.values())), list(gaps)
    return {
        "variants": len(gaps),
        "best": max(gaps, key=lambda name: float(gaps[name].mean())),
        "p": statistics.superior_predictive_ability(table),
        "which": [names[number] for number in statistics.step_m(table)],
    }


def power_of(spec: RunSpec, variants: Sequence[VariantResult], family: Sequence[Row]) -> dict[str, Any]:
    """What this run could have seen, and what it would take to see more, at 80 % power.

    Returns
    -------
    dict
        ``window_years``; ``sharpe``: the years that show a difference of 0.5 from the benchmark, at the median
        correlation of the variants with it; one entry each for ``hit rate``, ``log loss`` and ``mean return a year``:
        the ``detectable`` difference (median over the pairs of the question that has the measure first), the largest
        one ``seen``, between which sides, and the ``years`` of data that would show that one.
    """
    index = pd.DatetimeIndex(variants[0].equity.index)
    years = (index[-1] - index[0]).days / 365.25
    return {
        "window_years": years,
        "sharpe": _years(spec, variants),
        **{measure: _detectable(measure, family, years) for measure in (HIT_RATE, LOG_LOSS, YEARLY)},
    }


def _years(spec: RunSpec, variants: Sequence[VariantResult]) -> dict[str, Any] | None:
    table = pd.DataFrame({variant.name: variant.returns.to_numpy() for variant in variants})
    moving = table.loc[:, table.std() > 0]
    if spec.benchmark not in moving or len(moving.columns) < 2 or len(moving) < statistics.LEAST_DAYS:
        return None
    correlation = float(moving.corr()[spec.benchmark].drop(spec.benchmark).median())
    years = statistics.years_for_sharpe(SHARPE_GOAL, correlation, POWER)
    return {"difference": SHARPE_GOAL, "correlation": correlation, "years": years}


def _detectable(measure: str, family: Sequence[Row], window_years: float) -> dict[str, Any] | None:
    found = [row for row in family if row["measure"] == measure and _finite(row["low"]) and row["high"] > row["low"]]
    found = [row for row in found if row["question"] == found[0]["question"]]
    if not found:
        return None
    errors = [Interval(row["difference"], row["low"], row["high"]).error for row in found]
    largest = max(range(len(found)), key=lambda number: abs(found[number]["difference"]))
    seen = found[largest]
    return {
        "detectable": float(np.median([statistics.detectable(error, POWER) for error in errors])),
        "seen": seen["difference"],
        "left": seen["left"],
        "right": seen["right"],
        "years": statistics.days_for(seen["difference"], errors[largest], 1, POWER) * window_years,
    }


def _distinct(names: Any) -> list[str]:
    return list(dict.fromkeys(names))


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
