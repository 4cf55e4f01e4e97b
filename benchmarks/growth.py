"""How time and memory grow with bars, symbols, k and the corpus, and where they stop being linear.

    python -m benchmarks.growth

Four lines, each in a process of its own, points in ascending order, so that the peak memory so far is that of the
point. Cold: signals are made; warm: they are read from the store by a whole run. Bars and k are paid to the model
(embedded, loaded before the clock starts); symbols and the corpus to retrieval: there, and in all warm runs, which read
the same rows whoever wrote them, a vote takes the model's place.
Writes growth.png beside this file; the figures are exponents, the slope of log(time) over log(size): 1 is linear.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import Measure, main, own_peak_gib, seconds

COMMAND = "python -m benchmarks.growth"
FIGURE = Path(__file__).with_name("growth.png")
START = pd.Timestamp("2015-01-02")
MODEL_BARS = (32, 64, 125, 250)
"""At some 0.1 s a signal."""
BARS = (125, 250, 500, 1_000)
KS = (1, 2, 5, 10, 20)
K_BARS = 32
SYMBOLS = (1, 2, 5, 10, 20)
SYMBOL_BARS = 250
CORPUS_SYMBOLS = (1, 4, 12, 36, 114)
"""44,000 candidates each: 50 thousand to 5 million."""
CORPUS_QUERIES = 100
MEMORY = "peak_memory"


@dataclass
class Line:
    """One panel: (size, seconds) by what was timed, and (size, GiB)."""

    name: str
    points: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def add(self, size: int, **values: float) -> None:
        """Take some times, and the memory that this process has needed so far."""
        for name, value in {**values, MEMORY: own_peak_gib()}.items():
            self.points.setdefault(name, []).append((size, value))
        print(f"{self.name} {size:,}: {values} {own_peak_gib():.2f} GiB", file=sys.stderr, flush=True)


def measures() -> list[Measure]:
    """The exponents of all lines; draws the figure."""
    lines = [_in_its_process(name) for name in LINES]
    _draw(lines)
    return [measure for line in lines for measure in _exponents(line)]


def bars() -> Line:
    """Signals of one symbol: made by the model, and traded from the store."""
    line = Line("bars")
    for size in BARS:
        spec = _spec(("AA",), size, seed=size, signal="vote")
        _run_seconds(spec)
        line.add(size, warm_run=_warm_seconds(spec))
    del line.points[MEMORY]  # that of the model's points is what a run needs
    for size in MODEL_BARS:
        line.add(size, cold_by_the_model=_model_seconds(_spec(("AA",), size, seed=10_000 + size)))
    return line


def ks() -> Line:
    """Hits in a prompt."""
    line = Line("k")
    for size in KS:
        spec = _spec(("AA",), K_BARS, seed=20_000 + size, k=size)
        line.add(size, cold_by_the_model=_model_seconds(spec), warm_run=_warm_seconds(spec))
    return line


def symbols() -> Line:
    """Symbols that are traded and retrieved from, at 250 bars each; the corpus grows with them."""
    line = Line("symbols")
    for size in SYMBOLS:
        spec = _spec(tuple(f"S{number:02d}" for number in range(size)), SYMBOL_BARS, seed=30_000 + size, signal="vote")
        line.add(size, cold_by_a_vote=_run_seconds(spec), warm_run=_warm_seconds(spec))
    return line


def corpus() -> Line:
    """Candidates: building them on disk, encoding them, and 100 queries as of 20 days."""
    line = Line("corpus")
    for size in CORPUS_SYMBOLS:
        frames = _market(size)
        with tempfile.TemporaryDirectory() as cache:
            _retrieve_from(frames, Path(cache), line)
    return line


def _retrieve_from(frames: dict[str, pd.DataFrame], cache: Path, line: Line) -> None:
    from ragsignal.config import CorpusSpec
    from ragsignal.retrieval import DenseRetriever, ShapeEncoder, load_or_build

    queries = _queries(frames)
    build = seconds(lambda: load_or_build(frames, "growth", CorpusSpec(), cache))
    candidates = load_or_build(frames, "growth", CorpusSpec(), cache)
    retriever = DenseRetriever(candidates, ShapeEncoder(), k=5)
    encode = seconds(lambda: retriever.retrieve(queries[:1]))
    search = seconds(lambda: retriever.retrieve(queries))
    line.add(len(candidates), build=build, encode=encode, search_100_queries=search)


LINES: dict[str, Callable[[], Line]] = {"bars": bars, "k": ks, "symbols": symbols, "corpus": corpus}


def _spec(names: tuple[str, ...], size: int, seed: int, k: int = 5, signal: str = "llm") -> Any:
    from ragsignal.config import RunSpec

    end = pd.bdate_range(START, periods=size)[-1]
    return RunSpec.model_validate(
        {
            "name": "growth",
            # a seed a point: no signal of one is a signal of another
            "data": {"source": "noise", "symbols": names, "start": f"{START:%F}", "end": f"{end:%F}", "seed": seed},
            "corpus": {"stride": 5},
            "retrieval": {"retriever": "shape", "k": k},
            "strategy": {"class": "ragsignal.strategies:LongShort"},
            "benchmark": "rag",
            "variant": ({"name": "rag", "signal": signal},),
        }
    )


def _model_seconds(spec: Any) -> float:
    """Seconds to make the signals of all bars, the model and the corpus being there."""
    from ragsignal.data import cut_queries
    from ragsignal.study import Study

    study = Study(spec)
    pipeline = study.pipeline(spec.variants[0])
    queries = []
    for symbol, frame in study.prices.between(START.date(), None).frames.items():
        queries += cut_queries(symbol, [day.date() for day in frame.index], frame["close"].tolist(), pipeline.lookback)
    pipeline.signals(queries[pipeline.lookback : pipeline.lookback + 2])
    return seconds(lambda: pipeline.signals(queries))


def _run_seconds(spec: Any) -> float:
    from ragsignal.trading import run_spec

    return seconds(lambda: run_spec(spec))


def _warm_seconds(spec: Any) -> float:
    """Of a run whose signals are stored: it is short, so the median of three."""
    return statistics.median(_run_seconds(spec) for _ in range(3))


def _market(size: int) -> dict[str, pd.DataFrame]:
    from ragsignal.data import noise_market

    days = pd.bdate_range(START, periods=1324)
    return dict(noise_market([f"S{number:03d}" for number in range(size)], days[0], days[-1]).frames)


def _queries(frames: dict[str, pd.DataFrame]) -> list[Any]:
    """Five symbols that are not in the corpus, as of its last 20 days."""
    from ragsignal.data import cut_queries, noise_market

    index = next(iter(frames.values())).index
    asked = noise_market([f"Q{number}" for number in range(CORPUS_QUERIES // 20)], index[0], index[-1], seed=1).frames
    found: list[Any] = []
    for symbol, frame in asked.items():
        found += cut_queries(symbol, [day.date() for day in frame.index], frame["close"].tolist(), 5)[-20:]
    return found


def _in_its_process(name: str) -> Line:
    code = f"import json; from benchmarks import growth; print(json.dumps(vars(growth.LINES[{name!r}]())))"
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "RAGSIGNAL_CACHE": cache}
        run = subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True, check=True)
    return Line(**json.loads(run.stdout.splitlines()[-1]))


def _exponents(line: Line) -> Iterator[Measure]:
    for name, points in line.points.items():
        sizes, values = zip(*points, strict=True)
        between = np.diff(np.log(values)) / np.diff(np.log(sizes))
        yield Measure(
            name=f"growth with {line.name}: {name.replace('_', ' ')}",
            value=float(np.polyfit(np.log(sizes), np.log(values), 1)[0]),
            unit="exponent",
            rival="",
            target="",
            command=COMMAND,
            detail={
                "sizes": sizes,
                "gib" if name == MEMORY else "seconds": values,
                "exponent_between_points": np.round(between, 2).tolist(),
            },
        )


def _draw(lines: list[Line]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(lines), figsize=(15, 3.9), layout="constrained")
    for panel, line in zip(panels, lines, strict=True):
        for name, points in line.points.items():
            style, unit, color = ("s--", "GiB", "0.4") if name == MEMORY else ("o-", "s", None)
            label = f"{name.replace('_', ' ')}, {unit}"
            panel.loglog(*zip(*points, strict=True), style, ms=4, color=color, label=label)
        slowest = max((points[-1] for name, points in line.points.items() if name != MEMORY), key=lambda it: it[1])
        sizes = sorted({size for points in line.points.values() for size, _ in points})
        panel.loglog(sizes, np.array(sizes) / slowest[0] * slowest[1], ":", lw=1, color="0.6", label="linear")
        panel.set_xlabel({"corpus": "candidates"}.get(line.name, line.name))
        panel.set_xticks(sizes, [f"{size / 1e6:.2g} M" if size >= 10_000 else f"{size}" for size in sizes])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    panels[0].set_ylabel("seconds, GiB")
    figure.savefig(FIGURE, dpi=110)


if __name__ == "__main__":
    main(measures)
