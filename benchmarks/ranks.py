"""StockLLM on ranks: cold signals a second, with retrieved days and without, and what one pass over a universe saves.

python -m benchmarks.ranks        # two minutes on two quiet cores
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.harness import Measure, in_turn, main
from ragsignal.artifacts import Artifact
from ragsignal.config import RunSpec, load_spec
from ragsignal.data import RankLetters
from ragsignal.llm import DayReader, DayVote, RankScorer, day_scorer
from ragsignal.protocols import Retriever
from ragsignal.signals import RagPipeline, SignalStore, queries_of
from ragsignal.study import Study

COMMAND = "python -m benchmarks.ranks"
SPEC = Path(__file__).parent.parent / "backtests" / "sample.toml"
_DAYS = 250  # of the last year, for the windows of the rival


def measures() -> list[Measure]:
    """Measure the readers on the bundled universe, four years of 100 stocks."""
    spec = load_spec(SPEC)
    study = Study(spec)
    return [*(_cold(study, *it) for it in _READERS), _one_pass(study, spec)]


_READERS = (("stockllm", ">= 5000"), ("boosting", ">= 5000"), ("rag", ">= 2000"), ("days-vote", ""))


def _cold(study: Study, name: str, target: str) -> Measure:
    """From letters to stored signals; letters and weights are there, as in any run after its first second."""
    variant = study.spec.find_variant(name)
    pipeline = study.pipeline(variant)
    queries = queries_of(study.prices.between(study.spec.data.start, None).frames, pipeline.lookback)
    artifacts = study.artifacts(variant)

    def retriever() -> Retriever:
        """One that has not searched yet."""
        return study.parts.day_retriever(variant.retrieval) if variant.reads_days else pipeline.retriever

    def cold() -> None:
        scorer = _scorer(artifacts, study.materials.rank_letters)
        with tempfile.TemporaryDirectory() as folder:
            store = SignalStore(Path(folder) / "signals.sqlite")
            RagPipeline(retriever(), scorer.prompter, scorer, store).signals(queries)

    taken = in_turn({"cold": cold}, rounds=3)["cold"]
    rate = len(queries) / statistics.median(taken)
    words = f"cold signals/s of {name} on ranks, 100 stocks x 4 years, store included"
    return Measure(words, rate, "signals/s", "", target, COMMAND, {"signals": len(queries), "seconds": taken})


def _scorer(artifacts: Mapping[str, Artifact], letters: RankLetters) -> RankScorer | DayReader | DayVote:
    """A reader that has not read anything yet."""
    reader = artifacts.get("reader") or artifacts.get("classifier")
    if reader is None:
        return DayVote(letters)
    if "reader of days" in artifacts:
        return DayReader(reader, artifacts["reader of days"], letters)
    return RankScorer(reader, day_scorer(reader), letters)


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
