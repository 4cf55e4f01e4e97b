"""The record of a ladder: points, fit, advice and words; what was measured in time and memory stands apart."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ragsignal.config import TrainSpec
from ragsignal.errors import StoreError
from ragsignal.statistics import Interval
from ragsignal.training.advise.advice import PUBLISHED, NextStep, advice_of, next_step
from ragsignal.training.advise.cost import parameters_of
from ragsignal.training.advise.fit import LadderFit, LadderSums
from ragsignal.training.advise.plan import Point, identity, latest, points_of, rows_of
from ragsignal.training.advise.points import Ladder
from ragsignal.training.ranks.train import COMPUTING
from ragsignal.types import FloatArray
from ragsignal.utils import Record, versions_of

_MEGABYTE = 2**20

Results = dict[Point, Record]


def advice_record(ladder: Ladder, digest: str) -> Record:
    """Fit the points of a ladder, all of which are there.

    Raises
    ------
    StoreError
        If a point's file is damaged.
    """
    spec, results = ladder.spec, {point: _read(ladder, point) for point in points_of(ladder.spec)}
    fit = LadderFit(_sums(spec, results), spec.advise.bootstrap, spec.corpus.horizon)
    advice = advice_of(fit, spec.advise.sizes)
    following = next_step(advice, partial(parameters_of, ladder), 2 * spec.ranks.heads, spec.ranks.steps)
    return {
        "name": spec.name,
        "ladder": {**_identity(spec), **spec.advise.model_dump(mode="json"), "digest": digest},
        "validation": {"days": len(fit.sums.n), "labels": int(fit.sums.n.sum()), "base_loss": fit.base_loss},
        "points": _points(ladder, fit, results),
        "best": [
            {"labels": int(labels), **_interval("parameters", fit.best_interval(place)), "at_edge": bool(edge)}
            for place, (labels, edge) in enumerate(zip(fit.sums.labels, fit.at_edge, strict=True))
        ],
        "exponent": {**_interval("gamma", fit.exponent), "published": list(PUBLISHED)},
        "seed_deviation": fit.seed_deviation,
        "advice": {
            "hidden": advice.hidden,
            "parameters": advice.parameters,
            "undistinguished": advice.undistinguished,
            "flat": advice.flat,
            "skill": _interval("ic", advice.skill),
            "more_data": _interval("loss", advice.more_data),
        },
        "next_step": asdict(following),
        "words": advice.words(),
        "versions": versions_of(COMPUTING),
        "times": _times(ladder, results, following),
    }


def _points(ladder: Ladder, fit: LadderFit, results: Results) -> list[Record]:
    """A row a size and amount, its seeds together."""
    advise, rows = ladder.spec.advise, []
    for place, fraction in enumerate(advise.fractions):
        first = ladder.examples.letters.days[rows_of(latest(ladder.examples, fraction).train)[0]].item()
        for size, (hidden, above) in enumerate(zip(advise.sizes, fit.excess(place), strict=True)):
            rows.append(
                {
                    "hidden": hidden,
                    "parameters": int(fit.sums.parameters[size]),
                    "fraction": fraction,
                    "first": first,
                    "labels": int(fit.sums.labels[place]),
                    "loss": fit.losses[place, size],
                    "above_best": _interval("loss", above),
                    "told_apart": not fit.undistinguished(place)[size],
                    "skill": _interval("ic", fit.correlation(place, size)),
                    "looks": [len(results[point]["evaluations"]) for point in _seeds(ladder.spec, hidden, fraction)],
                }
            )
    return rows


def _identity(spec: TrainSpec) -> Record:
    """What decides every point, with the number of symbols in the place of their names, of which there may be many."""
    return {**identity(spec), "symbols": len(spec.data.symbols)}


def _interval(name: str, interval: Interval) -> Record:
    return {name: interval.difference, "low": interval.low, "high": interval.high}


def _seeds(spec: TrainSpec, hidden: int, fraction: float) -> list[Point]:
    return [Point(hidden, fraction, spec.ranks.seed + number) for number in range(spec.advise.seeds)]


def _read(ladder: Ladder, point: Point) -> Record:
    path = ladder.point_file(point)
    record = _read_file(path, ("parameters", "labels", "evaluations", "days", "times"))
    days = len(rows_of(ladder.examples.valid))
    if any(len(record["days"].get(name, ())) != days for name in ("n", "ss", "sy", "yy", "ic")):
        raise StoreError(f"{path} is of other validation days; delete it, and type the command again")
    return record


def _read_file(path: Path, keys: tuple[str, ...]) -> Record:
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
        missing = [key for key in keys if key not in record]
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{path} is damaged ({error}); delete it, and type the command again") from error
    if missing:
        raise StoreError(f"{path} is damaged: it has no {missing[0]}; delete it, and type the command again")
    return record


def _sums(spec: TrainSpec, results: Results) -> LadderSums:
    advise = spec.advise

    def table(name: str) -> FloatArray:
        return np.array(
            [
                [[results[point]["days"][name] for point in _seeds(spec, hidden, fraction)] for hidden in advise.sizes]
                for fraction in advise.fractions
            ],
            dtype=np.float64,
        )

    one: Any = [
        [results[_seeds(spec, hidden, fraction)[0]] for hidden in advise.sizes] for fraction in advise.fractions
    ]
    return LadderSums(
        parameters=np.array([point["parameters"] for point in one[0]]),
        labels=np.array([row[0]["labels"] for row in one]),
        n=table("n")[0, 0, 0],
        yy=table("yy")[0, 0, 0],
        ss=table("ss"),
        sy=table("sy"),
        ic=table("ic"),
    )


def _times(ladder: Ladder, results: Results, following: NextStep) -> Record:
    """Seconds of a core, and memory: of points and teachers, and of a training on twice the corpus."""
    spec = ladder.spec
    teachers = [_read_file(ladder.teacher_file(share), ("times",)) for share in spec.advise.fractions]
    steps = {
        hidden: statistics.median(results[point]["times"]["seconds"] for point in results if point.hidden == hidden)
        / spec.advise.steps
        for hidden in spec.advise.sizes
    }
    taught = teachers[-1]["times"]["seconds"]
    seconds = following.steps * _seconds_of(following.parameters[1], results, steps) * spec.ranks.seeds + 2 * taught
    peaks = [result["times"].get("megabytes") for result in results.values()]
    examples = ladder.examples
    more = sum(table.nbytes for table in (examples.letters.letters, examples.outcomes, examples.targets)) / _MEGABYTE
    memory = None if None in peaks else max(peaks) + more
    return {
        "seconds_a_step": {str(hidden): seconds for hidden, seconds in steps.items()},
        "core_seconds": sum(result["times"]["seconds"] for result in [*results.values(), *teachers]),
        "megabytes": None if None in peaks else max(peaks),
        "next_step": {"core_seconds": seconds, "megabytes": memory, "words": following.words(seconds, memory)},
    }


def _seconds_of(parameters: int, results: Results, steps: dict[int, float]) -> float:
    """Of a step, by a line in logarithms between the sizes of the ladder; beyond the largest, in proportion to it."""
    sizes = sorted({(result["parameters"], steps[point.hidden]) for point, result in results.items()})
    known, took = (np.array(column, dtype=np.float64) for column in zip(*sizes, strict=True))
    inside = np.exp(np.interp(np.log(parameters), np.log(known), np.log(took)))
    return float(inside * max(1.0, parameters / known[-1]))
