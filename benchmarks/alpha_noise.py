"""200 searches in markets in which nothing can be foreseen: in how many does the result claim to have found something?

Each market has another seed, 30 stocks and 750 bars with common moves, heavy tails and clustered volatility. A search
that is done is kept in runs/alpha_noise.jsonl, so that a killed benchmark goes on.

    python -m benchmarks.alpha_noise
"""

from __future__ import annotations

import json
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.alpha_market import market
from benchmarks.harness import Measure, main

COMMAND = "python -m benchmarks.alpha_noise"
SEARCHES, SYMBOLS, BARS = 200, 30, 750
KEPT = Path(__file__).parent.parent / "runs" / "alpha_noise.jsonl"


def search(seed: int) -> dict[str, Any]:
    """One search: what it claims, and what its other figures say."""
    from ragsignal.alpha import Search
    from ragsignal.config import SearchSpec

    with tempfile.TemporaryDirectory() as cache:
        os.environ["RAGSIGNAL_CACHE"] = cache
        prices = market(SYMBOLS, BARS, seed)
        days = next(iter(prices.frames.values())).index
        spec = SearchSpec.model_validate(
            {
                "name": "noise",
                "out": "runs",
                "data": {
                    "source": "noise",
                    "symbols": list(prices.frames),
                    "start": days[60].date(),
                    "end": days[-1].date(),
                    "seed": seed,
                },
                "alpha": {
                    "search_end": days[370].date(),
                    "selection_end": days[520].date(),
                    "population": 60,
                    "generations": 6,
                    "windows": [2, 5, 10, 20],
                    "depth": 3,
                    "candidates": 10,
                    "seed": seed,
                },
            }
        )
        result = Search(spec, prices).run()
    return {
        "seed": seed,
        "claim": bool(result.claims),
        "kept": len(result.kept),
        "evaluated": result.evaluated,
        "p": [it.holdout.p for it in result.kept],
        "overfitting": result.population.overfitting,
        "overfitting_selection": result.population.overfitting_selection,
        "superior": result.population.superior,
        "deflated": max((it.deflated_sharpe for it in result.kept), default=0.0),
        "best_t": max((abs(it.search_t) for it in result.candidates), default=0.0),
    }


def all_searches() -> list[dict[str, Any]]:
    """Every search, two at a time; those that were made before are not made again."""
    KEPT.parent.mkdir(exist_ok=True)
    done = [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    left = sorted(set(range(SEARCHES)) - {it["seed"] for it in done})
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        for future in as_completed([pool.submit(search, seed) for seed in left]):
            done.append(future.result())
            with KEPT.open("a") as file:
                file.write(json.dumps(done[-1]) + "\n")
    return done


def measures() -> list[Measure]:
    """Share of noise searches with a claim, with its Clopper-Pearson interval."""
    from scipy.stats import binomtest

    rows = all_searches()
    claims = sum(it["claim"] for it in rows)
    interval = binomtest(claims, len(rows)).proportion_ci(method="exact")
    p = np.array([value for it in rows for value in it["p"]])
    detail = {
        "searches": len(rows),
        "claims": claims,
        "clopper_pearson_95": [100 * interval.low, 100 * interval.high],
        "formulas_a_search": float(np.mean([it["evaluated"] for it in rows])),
        "kept_a_search": float(np.mean([it["kept"] for it in rows])),
        "holdout_p_below_0.05": float((p < 0.05).mean()),
        "mean_best_t_on_search_days": float(np.mean([it["best_t"] for it in rows])),
        "mean_overfitting": float(np.nanmean([it["overfitting"] for it in rows])),
        "mean_overfitting_on_selection_days": float(np.nanmean([it["overfitting_selection"] for it in rows])),
        "superior_p_below_0.05": float(np.mean([it["superior"] < 0.05 for it in rows])),
        "deflated_sharpe_above_0.95": float(np.mean([it["deflated"] > 0.95 for it in rows])),
        "sizes": f"{SYMBOLS} symbols, {BARS} bars",
    }
    name = f"{len(rows)} searches for formulas in noise that claim to have found one"
    return [Measure(name, 100 * claims / len(rows), "%", "", "<= 7", COMMAND, detail)]


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"


if __name__ == "__main__":
    main(measures)
