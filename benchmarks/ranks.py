"""StockLLM on ranks: cold signals a second through the pipeline, and what one pass over a universe saves.

python -m benchmarks.ranks        # two minutes on two quiet cores
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness import Measure, in_turn, main
from ragsignal.config import RunSpec, load_spec
from ragsignal.llm import RankScorer, day_scorer
from ragsignal.signals import RagPipeline, SignalStore, queries_of
from ragsignal.study import Study

COMMAND = "python -m benchmarks.ranks"
SPEC = Path(__file__).parent.parent / "backtests" / "sample.toml"
_DAYS = 250  # of the last year, for the windows of the rival


def measures() -> list[Measure]:
    """Measure both readers on the bundled universe, four years of 100 stocks."""
    spec = load_spec(SPEC)
    study = Study(spec)
    return [_cold(study, "stockllm"), _cold(study, "boosting"), _one_pass(study, spec)]


def _cold(study: Study, name: str) -> Measure:
    """From letters to stored signals; letters and weights are there, as in any run after its first second."""
    variant = study.spec.find_variant(name)
    pipeline = study.pipeline(variant)
    queries = queries_of(study.prices.between(study.spec.data.start, None).frames, pipeline.lookback)
    (artifact,) = study.artifacts(variant).values()

    def cold() -> None:
        scorer = RankScorer(artifact, day_scorer(artifact), study.materials.rank_letters)
        with tempfile.TemporaryDirectory() as folder:
            store = SignalStore(Path(folder) / "signals.sqlite")
            RagPipeline(pipeline.retriever, scorer.prompter, scorer, store).signals(queries)

    taken = in_turn({"cold": cold}, rounds=3)["cold"]
    rate = len(queries) / statistics.median(taken)
    words = f"cold signals/s of {name} on ranks, 100 stocks x 4 years, store included"
    return Measure(words, rate, "signals/s", "", ">= 5000", COMMAND, {"signals": len(queries), "seconds": taken})


def _one_pass(study: Study, spec: RunSpec) -> Measure:
    """All days of all stocks in one pass, beside a pass over the window of each stock and day."""
    (artifact,) = study.artifacts(spec.find_variant("stockllm")).values()
    model = day_scorer(artifact)
    letters = study.materials.rank_letters.letters[-_DAYS - model.memory :]
    windows = np.lib.stride_tricks.sliding_window_view(letters, model.memory, axis=0)  # days, stocks, factors, memory
    stacked = np.ascontiguousarray(windows.transpose(3, 0, 1, 2).reshape(model.memory, -1, letters.shape[2]))
    taken = in_turn({"pass": lambda: model.scores(letters), "windows": lambda: model.scores(stacked)}, rounds=3)
    seconds = {name: statistics.median(times) for name, times in taken.items()}
    ratio = seconds["windows"] / seconds["pass"]
    rival = f"the same model on each stock and day's window of {model.memory} days"
    return Measure("stock-days/s of StockLLM in one pass", ratio, "x", rival, "", COMMAND, {"seconds": seconds})


if __name__ == "__main__":
    main(measures)
