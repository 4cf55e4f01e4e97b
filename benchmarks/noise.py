"""Does the report claim what is not there, and what is? Studies of made-up markets, by the product's own path.

A study is a whole run of a spec with rule scorers (no language model): a vote of the nearest past windows, the same of
random windows, price rules, buy and hold. A claim is any difference that the page calls better or worse.

Noise is ``source = "noise"``: prices without drift, in which nothing can be foreseen, so that no variant is truly
better than another, nor than buying and holding. Costs are off there: they are certain, and a variant that trades more
is then truly worse, which would be no false claim. The planted market keeps its costs.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.harness import Measure, main

NOISE_STUDIES = 200
PLANTED_STUDIES = 20
COMMAND = "python -m benchmarks.noise"

SPEC = """
name = "study"
benchmark = "hold"
[data]
source = "{source}"
seed = {seed}
symbols = ["AAA", "BBB", "CCC", "DDD"]
start = 2015-01-05
end = 2016-02-26
[corpus]
indicators = ["adj_close"]
stride = 2
[retrieval]
retriever = "shape"
k = 5
[strategy]
class = "ragsignal.strategies:LongShort"
params = {{ enter = 0.0 }}
[costs]
commission_bps = {bps}
slippage_bps = {bps}
[[variant]]
name = "vote"
signal = "vote"
[[variant]]
name = "random-0"
signal = "vote"
retrieval = {{ retriever = "random", seed = 0 }}
[[variant]]
name = "random-1"
signal = "vote"
retrieval = {{ retriever = "random", seed = 1 }}
[[variant]]
name = "momentum"
signal = "none"
strategy = {{ class = "ragsignal.strategies:PriceMomentum" }}
[[variant]]
name = "reversal"
signal = "none"
strategy = {{ class = "ragsignal.strategies:Reversal" }}
[[variant]]
name = "hold"
signal = "none"
strategy = {{ class = "ragsignal.strategies:BuyAndHold" }}
"""


def study(source: str, seed: int, bps: float) -> dict[str, Any]:
    """Run one study; returns what it claims: ``claims``, ``comparisons``, ``apart`` and the verdicts."""
    from ragsignal.config import load_spec
    from ragsignal.trading import run_spec

    with tempfile.TemporaryDirectory() as folder:
        os.environ["RAGSIGNAL_CACHE"] = folder  # neither the user's store nor their ledger of trials
        path = Path(folder) / "study.toml"
        path.write_text(SPEC.format(source=source, seed=seed, bps=bps), encoding="utf-8")
        answers = run_spec(load_spec(path)).findings.answers
    return {
        "claims": answers.certainty.claims,
        "comparisons": answers.certainty.comparisons,
        "apart": answers.certainty.apart,
        "retrieval": answers.retrieval.verdict,
        "benchmark": answers.benchmark.verdict,
    }


def studies(source: str, seeds: Sequence[int], bps: float) -> list[dict[str, Any]]:
    """Run a study a seed, two at a time."""
    count = len(seeds)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        return list(pool.map(study, [source] * count, seeds, [bps] * count))


def measures() -> list[Measure]:
    """Share of noise studies with any claim, and of planted ones that find retrieval to help."""
    noise = studies("noise", range(NOISE_STUDIES), 0.0)
    planted = studies("planted", range(PLANTED_STUDIES), 5.0)
    rows = sum(it["comparisons"] for it in noise)
    detail = {
        "studies": len(noise),
        "comparisons_a_study": rows / len(noise),
        "intervals_that_leave_out_zero": sum(it["apart"] for it in noise) / rows,
        "studies_with_such_an_interval": sum(it["apart"] > 0 for it in noise) / len(noise),
    }
    found = sum(it["retrieval"] == "better" for it in planted)
    beaten = sum(it["benchmark"] in ("better", "mixed") for it in planted)
    return [
        Measure(
            name="studies of pure noise in which the report claims a difference",
            value=100 * sum(it["claims"] > 0 for it in noise) / len(noise),
            unit="%",
            rival="",
            target="<= 7",
            command=COMMAND,
            detail=detail,
        ),
        Measure(
            name="studies of the planted market in which the report says that retrieval helped",
            value=100 * found / len(planted),
            unit="%",
            rival="",
            target=">= 95",
            command=COMMAND,
            detail={"studies": len(planted), "some_variant_beats_buy_and_hold": beaten / len(planted)},
        ),
    ]


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"


if __name__ == "__main__":
    main(measures)
