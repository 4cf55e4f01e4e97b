"""Searches in markets in which a known formula pays: is it found?

Found: the result makes a claim, and a formula that it claims orders stocks as the planted one does on holdout days
(mean rank correlation above 0.8). Neither the planted formula nor a part of it is among the seeds.
A search that is done is kept in runs/alpha_planted.jsonl.

    python -m benchmarks.alpha_planted
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from typing import Any

from benchmarks.alpha_market import market
from benchmarks.harness import Kept, Measure, main

COMMAND = "python -m benchmarks.alpha_planted"
SEEDS, SYMBOLS, BARS = 10, 40, 1000
PLANTED = "rank(volume / ts_mean(volume, 20)) - rank(ts_mean(returns, 5))"
STRENGTH = 0.08  # standard deviations of a day: a rank correlation of about .07 with what follows


def search(seed: int) -> dict[str, Any]:
    """One search, on two processes."""
    import numpy as np

    from ragsignal.alpha import Search
    from ragsignal.alpha.scoring import FormulaScorer, correlations
    from ragsignal.config import SearchSpec
    from ragsignal.data import parse
    from ragsignal.parallel import ProcessPool

    prices = market(SYMBOLS, BARS, seed, parse(PLANTED), STRENGTH)
    days = next(iter(prices.frames.values())).index
    spec = SearchSpec.model_validate(
        {
            "name": "planted",
            "out": "runs",
            "data": {
                "source": "noise",
                "symbols": list(prices.frames),
                "start": days[80].date(),
                "end": days[-1].date(),
                "seed": seed,
            },
            "alpha": {
                "search_end": days[500].date(),
                "selection_end": days[720].date(),
                "windows": [2, 3, 5, 10, 20],
                "seed": seed,
            },
        }
    )
    prepared = Search(spec, prices)
    began, used = time.perf_counter(), _cpu_seconds()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["RAGSIGNAL_CACHE"] = cache
        result = prepared.run(ProcessPool(2))
    seconds = time.perf_counter() - began
    holdout = FormulaScorer(prepared.market.part("holdout"))
    ranks, where = holdout.ranks(parse(PLANTED))
    likeness = []
    for it in result.claims:
        own, there = holdout.ranks(parse(it.formula))
        series, ranked = correlations(ranks, own, where & there)
        likeness.append(float(np.mean(series[ranked])))
    best = max(range(len(likeness)), key=likeness.__getitem__, default=None)
    return {
        "seed": seed,
        "seconds": seconds,
        "cpu_seconds": _cpu_seconds() - used,
        "evaluated": result.evaluated,
        "claims": len(result.claims),
        "likeness": 0.0 if best is None else likeness[best],
        "formula": None if best is None else result.claims[best].formula,
        "planted_ic": float(np.nanmean(holdout.daily(parse(PLANTED))[0])),
        "overfitting": result.population.overfitting,
        "superior": result.population.superior,
    }


def _cpu_seconds() -> float:
    """What this process and those that it waited for have computed: what a busy machine does not change."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def measures() -> list[Measure]:
    """How many of the planted formulas are found, and how long all searches take."""
    kept = Kept("alpha_planted")
    for seed in kept.left(SEEDS):
        kept.add(search(seed))
    rows = sorted(kept.rows, key=lambda it: int(it["seed"]))
    found = sum(it["likeness"] > 0.8 for it in rows)
    minutes = sum(it["seconds"] for it in rows) / 60
    computed = sum(it["cpu_seconds"] for it in rows) / 60
    detail = {
        "planted": PLANTED,
        "searches": rows,
        "mean_overfitting": sum(it["overfitting"] for it in rows) / len(rows),
        "sizes": f"{SYMBOLS} symbols, {BARS} bars",
    }
    return [
        Measure(f"planted formulas found in {SEEDS} markets", found, "", "", f">= {SEEDS}", COMMAND, detail),
        Measure(
            f"minutes of the {SEEDS} searches, 2 processes",
            minutes,
            "min",
            "",
            "<= 10",
            COMMAND,
            {"cpu_minutes": computed},
        ),
    ]


if __name__ == "__main__":
    main(measures)
