"""A threshold sweep of 100 points against 100 single runs of the same points, all of them warm.

Both sides are commands, started afresh, as a user types them. Of the single runs five are made, one after the other and
spread over the grid, and their mean is taken a hundred times. They are the rival's best form: a spec of one variant and
the benchmark, with prices, corpus and signals in the cache. Signals are a vote over shape hits: no model has to make
them first, and a sweep that called one would show it all the same.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import Measure, main

POINTS, SINGLE = 100, 5
COMMAND = "python -m benchmarks.sweep"
ROOT = Path(__file__).parent.parent
SPEC = """
name = "thresholds"
benchmark = "hold"
[data]
source = "noise"
symbols = ["AAA", "BBB", "CCC", "DDD", "EEE"]
start = 2010-01-04
end = 2019-12-31
[corpus]
indicators = ["adj_close"]
stride = 5
[retrieval]
retriever = "shape"
k = 5
[strategy]
class = "ragsignal.strategies:LongShort"
params = {{ enter = {enter} }}
[[variant]]
name = "vote"
signal = "vote"
[[variant]]
name = "hold"
signal = "none"
strategy = {{ class = "ragsignal.strategies:BuyAndHold" }}
"""


def measures() -> list[Measure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["RAGSIGNAL_CACHE"] = str(folder / "cache")
        thresholds = [number / 200 for number in range(POINTS)]
        for number in range(SINGLE):
            (folder / f"{number}.toml").write_text(SPEC.format(enter=thresholds[number * POINTS // SINGLE]))
        _run(folder, "backtest", "0.toml")  # prices, corpus and signals
        single, unreported = [], []
        for number in range(SINGLE):
            single.append(_run(folder, "backtest", f"{number}.toml")[0])
            record = json.loads((folder / "runs" / "thresholds" / "latest" / "record.json").read_text())
            unreported.append(record["times"]["seconds"])
        took, answer = _run(folder, "sweep", "0.toml", "--grid", "strategy.enter=" + ",".join(map(str, thresholds)))
    return _told(single, unreported, took, answer)


def _run(folder: Path, *words: str) -> tuple[float, Any]:
    command = [sys.executable, "-m", "ragsignal.cli", words[0], str(folder / words[1]), *words[2:]]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--out", str(folder / "runs")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began, json.loads(done.stdout)


def _told(single: list[float], unreported: list[float], took: float, answer: dict[str, Any]) -> list[Measure]:
    one = statistics.mean(single)
    detail = {
        **{"ours_s": took, "rival_s": POINTS * one, "one_run_s": one, "one_run_range_s": [min(single), max(single)]},
        "one_run_without_start_and_report_s": statistics.mean(unreported),
        "rival": f"the mean of {SINGLE} single runs, times {POINTS}; each writes its report, as the command does",
        "sizes": "5 symbols, 2,607 bars each; a vote over 5 shape hits",
        **{"processes": os.cpu_count(), "trials": answer["trials"]},
    }
    signals = answer["times"]["signals"]
    name = f"threshold sweep, {POINTS} points, 5 symbols × 10 years, warm"
    found = {key: signals[key] for key in ("asked", "found")}
    return [
        Measure(name, POINTS * one / took, "x", f"{POINTS} single warm runs", ">= 5", COMMAND, detail),
        Measure(f"model calls of the {name}", signals["model_calls"], "calls", "", "<= 0", COMMAND, found),
    ]


if __name__ == "__main__":
    main(measures)
