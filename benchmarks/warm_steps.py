"""Learning that goes on against training anew, on the bundled prices: backtests/warm.toml and other ways to go on.

python -m benchmarks.warm_steps          # some minutes of one core; writes backtests/warm.record.json

Each way is the spec with other keys of [walk_forward]; teachers and the first step are the same for all. What is there
in artifacts/warm is not trained again: a killed run goes on. The traded years are reported here, and nothing was chosen
by them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.run import machine
from ragsignal.config import load_spec
from ragsignal.evaluation import StepScores, forgetting_record, mean_of_periods
from ragsignal.statistics import Interval
from ragsignal.study import Study
from ragsignal.training import WalkForwardTraining
from ragsignal.utils import plain, write_json

FOLDER = Path(__file__).parent.parent / "backtests"
WAYS: Mapping[str, Sequence[str]] = {
    "anew": ("warm=false", "warm_steps=100"),  # their defaults
    "all": (),
    "all, replay": ("replay=true",),
    "all, replay, ewc": ("replay=true", "ewc=1.0"),
    "lora, replay": ("replay=true", "warm_weights=lora"),
}
"""Keys of [walk_forward] that take the place of those of backtests/warm.toml; ``()`` is that spec."""
_SPEC = "all"
_ANEW = "anew"


def main() -> int:
    """Train every way, compare it with training anew, and write the record."""
    scores = {name: _scores(name, keys) for name, keys in WAYS.items()}
    record = {
        "what": "StockLLM on ranks, 100 bundled US stocks, yearly steps 2011 to 2013: training anew beside going on",
        "command": "python -m benchmarks.warm_steps",
        "figure": "mean rank IC of the next day's relative return, out of sample, 95 % intervals of resampled days",
        "ways": [_way(name, scores) for name in WAYS],
        "matrix": forgetting_record(scores[_SPEC].forgetting()),
        "machine": machine(),
    }
    write_json(FOLDER / "warm.record.json", plain(record))
    return 0


def _scores(name: str, keys: Sequence[str]) -> StepScores:
    def say(what: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {name}: {what}", file=sys.stderr, flush=True)

    spec = load_spec(FOLDER / "warm.toml", [f"walk_forward.{key}" for key in keys])
    training = WalkForwardTraining(spec, command="python -m benchmarks.warm_steps")
    say(f"{len(training.missing())} trainings")
    training.train(lambda task, minutes, _: say(f"{task.step.first} {task.kind} {60 * minutes:.0f} s"))
    return StepScores(Study(spec))


def _way(name: str, scores: Mapping[str, StepScores]) -> dict[str, Any]:
    own, anew = scores[name], scores[_ANEW]
    told, steps = own.forgetting(), range(1, len(own.artifacts) + 1)
    gaps = [own.ics(step, step) - anew.ics(step, step) for step in steps]
    years = [
        {
            "from": cost.first,
            "ic": _said(mean_of_periods([own.ics(step, step)])),
            "less anew": None if name == _ANEW else _said(mean_of_periods([gaps[step - 1]])),
            "steps": cost.steps,
        }
        for step, cost in zip(steps, told.costs, strict=True)
    ]
    return {
        "way": name,
        "keys": list(WAYS[name]),
        "years": years,
        "ic": _said(told.forward),
        "less anew": None if name == _ANEW else _said(mean_of_periods(gaps[1:])),  # the first step is the same
        "backward": _said(told.backward),
        "forgetting": _said(told.forgetting),
    }


def _said(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None else {**asdict(interval), "distinguishable": interval.distinguishable}


if __name__ == "__main__":
    sys.exit(main())
