"""All symbols of a day explained by StockLLM: seconds of one core, and what its last day alone saves.

python -m benchmarks.explained        # some minutes: prices of 1,000 made-up symbols, and their signals of a year
"""

from __future__ import annotations

import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.harness import Measure, main
from ragsignal.artifacts import load_artifact
from ragsignal.config import load_spec
from ragsignal.data import RANK_FACTORS, RANK_LETTERS
from ragsignal.explanation import explain
from ragsignal.llm import ChangedDays, day_scorer
from ragsignal.study import Study

COMMAND = "python -m benchmarks.explained"
SPEC = """
name = "many"
benchmark = "stockllm"
[data]
source = "noise"
symbols = {symbols}
start = 2013-01-02
end = 2013-03-28
[corpus]
target = "relative"
[retrieval]
retriever = "none"
[llm]
model = "shipped:stockllm"
threads = 1
[strategy]
class = "ragsignal.strategies:SlowBook"
[evaluation]
target = "relative"
[[variant]]
name = "stockllm"
"""
_DAY = date(2013, 3, 20)


def measures(symbols: int = 1000) -> list[Measure]:
    """Seconds of a core for all symbols, signals in the store; and windows a second beside the whole decoder."""
    return [_windows(), _command(symbols)]


def _command(symbols: int) -> Measure:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.toml"
        names = [f"S{number:04d}" for number in range(symbols)]
        path.write_text(SPEC.format(symbols=str(names).replace("'", '"')), encoding="utf-8")
        spec = load_spec(path)
        explain(Study(spec), spec.find_variant("stockllm"), names[:1], _DAY)  # fills the store
        began = time.process_time()
        explain(Study(spec), spec.find_variant("stockllm"), ["all"], _DAY)
        taken = time.process_time() - began
    name = f"{symbols} symbols of a day explained by StockLLM, signals from the store"
    return Measure(name, taken, "s of a core", "", "<= 20" if symbols == 1000 else "", COMMAND, {"symbols": symbols})


def _windows(cases: int = 4100) -> Measure:
    """Windows with a factor taken away, as explanations ask, against the decoder on whole windows."""
    model = day_scorer(load_artifact("shipped:stockllm"), threads=1)
    factors, rng = len(RANK_FACTORS), np.random.default_rng(0)
    owner = np.repeat(np.arange(cases // factors), factors)
    letters = rng.integers(0, RANK_LETTERS, (model.memory, cases // factors, factors), dtype=np.uint8)
    days = np.where(np.eye(factors, dtype=bool)[np.arange(len(owner)) % factors], np.uint8(7), letters[:, owner])
    sides = {
        "last day": lambda: model.last_scores(ChangedDays(0, owner, days)),
        "whole": lambda: model.scores(days)[-1],
    }
    assert np.allclose(sides["last day"](), sides["whole"](), atol=1e-5)
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for name in ["whole", "last day"] * 3:  # of the processor: a busy machine stretches the clock of one side alone
        began = time.process_time()
        sides[name]()
        taken[name].append(time.process_time() - began)
    seconds = {name: float(np.median(it)) for name, it in taken.items()}
    detail = {f"windows_a_second_{name}": len(owner) / it for name, it in seconds.items()}
    words, rival = "windows/s of StockLLM, the last day alone", "its decoder on every day of the same windows"
    return Measure(words, seconds["whole"] / seconds["last day"], "x", rival, "", COMMAND, detail)


if __name__ == "__main__":
    main(measures)
