"""What a recall finds, against FinSeer from the same feedback, nearest shapes, random candidates and none.

RAGSIGNAL_US_PRICES=table.parquet python -m benchmarks.recall     # a quarter of an hour of one core, 3 GB

The teacher is the vote on one hit, which copies what followed a candidate: its feedback on queries of 2000 to 2008
trains FinSeer (numeric) and the recall. How a recall names is chosen on days of 2009 and 2010, by its hits' lift; days
of 2011 to 2014 are reported once. No language model reads. Without the table the bundled prices are used, which begin
in June 2009: training then ends with June 2010, and the choice is made on the half year after it.

A hit's lift is the teacher's: how far the hit alone moves the vote's log-odds towards what happened, in nats. The
information coefficient is that of the vote of all hits and the next return, close to close, across stocks of a day.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Measure, main
from ragsignal.config import TrainSpec
from ragsignal.data import daily_ranks
from ragsignal.llm import VoteScorer
from ragsignal.retrieval import (
    CorpusRetriever,
    DenseRetriever,
    Naming,
    NumericEncoder,
    RandomRetriever,
    RecallReader,
    RecallRetriever,
    ShapeEncoder,
)
from ragsignal.statistics import Interval, mean_interval
from ragsignal.training import TRAINERS, TrainingRun
from ragsignal.training.examples import Example, examples_of
from ragsignal.training.finseer.feedback import Teacher, score_candidates
from ragsignal.types import FloatArray, Hit, Movement, Prompt, Query, Recipe
from ragsignal.utils import json_digest, write_file

SYMBOLS = [
    "AAPL",
    "AMAT",
    "AMD",
    "AMGN",
    "AMZN",
    "APA",
    "APC",
    "AXP",
    "BA",
    "BBY",
    "BMY",
    "CAT",
    "CL",
    "COP",
    "CSCO",
    "DVN",
    "EBAY",
    "EOG",
    "EXC",
    "FDX",
    "FITB",
    "GE",
    "GILD",
    "GLW",
    "GPS",
    "HAL",
    "HES",
    "HON",
    "IBM",
    "INTC",
    "JNJ",
    "JNPR",
    "JPM",
    "KO",
    "KSS",
    "LLY",
    "LMT",
    "MMM",
    "MO",
    "MRO",
    "MS",
    "NKE",
    "NUE",
    "NVDA",
    "ORCL",
    "PEP",
    "PFE",
    "PG",
    "RIG",
    "SBUX",
    "SCHW",
    "SWN",
    "TXN",
    "UNH",
    "USB",
    "UTX",
    "WBA",
    "X",
    "XLNX",
]
"""Of the bundled 100 those that traded in 2000."""
INDICATORS = (
    "adj_close",
    "volume",
    "Returns",
    "VWAP",
    "MACD_Histogram",
    "alpha_mom",
    "alpha_smr",
    "alpha002",
    "alpha012",
)
K = 10
STEP = 5  # days from one on which hits are asked for to the next
TRIED = (Naming(), Naming(title_weight=0.5), Naming(title_weight=1.0), Naming(title_weight=0.0))
"""Ways to name among which validation chooses, the published one first."""
SEEDS = (0, 1, 2)
QUERIES = 512
"""Of one call that is timed."""
COMMAND = "RAGSIGNAL_US_PRICES=table.parquet python -m benchmarks.recall"


@dataclass
class VoteTeacher:
    """The vote as a teacher: log-odds of a rise, from what followed the hits that it is shown."""

    recipe: Recipe

    def context_digest(self, _: Query) -> str:
        return ""

    def render(self, query: Query, hits: Sequence[Hit]) -> Prompt:
        return Prompt(query, hits)

    def log_odds(self, prompts: Sequence[Prompt]) -> FloatArray:
        shares = np.array([score.probability for score in VoteScorer().score(prompts)])
        return np.log(shares / (1.0 - shares))


@dataclass(frozen=True, eq=False)
class Found:
    """By day: mean lift of a hit, and the vote's information coefficient (NaN where all stocks have one score)."""

    lift: FloatArray
    ic: FloatArray


@dataclass
class Bench:
    """The spec, and what is trained of it in a folder."""

    folder: Path

    @cached_property
    def run(self) -> TrainingRun:
        path = os.environ.get("RAGSIGNAL_US_PRICES")
        data: dict[str, Any] = {"source": "sample", "start": date(2009, 6, 1)}
        valid_from = date(2010, 7, 1)
        if path:
            data = {"source": "table", "path": Path(path), "bad_bars": "drop", "start": date(2000, 1, 3)}
            valid_from = date(2009, 1, 2)
        tables: dict[str, Any] = {
            "name": "recall-bench",
            "out": self.folder,
            "data": data | {"symbols": SYMBOLS, "end": date(2014, 12, 31)},
            "split": {"valid_from": valid_from},
            "corpus": {"indicators": INDICATORS, "stride": 5},
            "feedback": {"queries": 2000},
            "finseer": {"numeric_epochs": 10},
        }
        return TrainingRun(TrainSpec.model_validate(tables), _say, COMMAND)

    def train(self) -> None:
        """Teacher scores, FinSeer and the recall; what is there is kept."""
        if not (self.folder / "feedback" / "feedback.json").exists():
            # it learned nothing: its answers know what followed the candidates alone
            score_candidates(self.run, Teacher(VoteTeacher(VoteScorer().recipe), "vote", date.min))
        for kind in ("finseer-numeric", "recall"):
            if not (self.folder / kind / "card.json").exists():
                TRAINERS[kind](self.run)

    @cached_property
    def reader(self) -> RecallReader:
        from ragsignal.artifacts import load_artifact

        return RecallReader(load_artifact(self.folder / "recall", "recall"), self.run.bins)

    def recall(self, naming: Naming) -> RecallRetriever:
        return RecallRetriever(self.run.corpus, self.reader, k=K, naming=naming)

    def rivals(self) -> dict[str, CorpusRetriever]:
        from ragsignal.artifacts import load_artifact

        finseer = NumericEncoder(load_artifact(self.folder / "finseer-numeric", "finseer-numeric"))
        corpus = self.run.corpus
        rivals: dict[str, CorpusRetriever] = {
            "finseer": DenseRetriever(corpus, finseer, K),
            "shape": DenseRetriever(corpus, ShapeEncoder(), K),
        }
        return rivals | {f"random #{seed}": RandomRetriever(corpus, K, seed=seed) for seed in SEEDS}

    def judged(self, retriever: CorpusRetriever, examples: Sequence[Example]) -> Found:
        """:func:`judged`, kept in the folder: a run that was killed goes on."""
        key = json_digest([retriever.recipe, self.run.corpus.digest, len(examples), str(examples[0].query)])
        path = self.folder / "judged" / f"{key[:16]}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            found = judged(retriever, examples)
            write_file(path, lambda scratch: _save(scratch, np.stack([found.lift, found.ic])))
        return Found(*np.load(path))

    def examples(self, first: date, last: date) -> list[Example]:
        """Queries of every fifth day, with what followed."""
        part = self.run.split.valid
        part = type(part)(part.name, part.symbols, first, last, date(2014, 12, 31))
        frames = dict(self.run.prices.select(part.symbols).frames)
        found = examples_of(frames, self.run.spec.corpus, part)
        days = set(sorted({it.query.as_of for it in found})[::STEP])
        return [it for it in found if it.query.as_of in days]


def measures() -> list[Measure]:
    kept = os.environ.get("RECALL_BENCH_FOLDER")
    with tempfile.TemporaryDirectory() as folder:
        return _measured(Bench(Path(kept or folder)))


def _measured(bench: Bench) -> list[Measure]:
    bench.train()
    valid = bench.examples(bench.run.spec.split.valid_from, date(2010, 12, 31))
    tried = {naming: bench.judged(bench.recall(naming), valid) for naming in TRIED}
    chosen = max(tried, key=lambda naming: float(np.nanmean(tried[naming].lift)))
    test = bench.examples(date(2011, 1, 3), date(2014, 12, 31))
    ways = {"recall": bench.recall(chosen), "recall as published": bench.recall(TRIED[0]), **bench.rivals()}
    found = {name: bench.judged(retriever, test) for name, retriever in ways.items()}
    draws = [found.pop(f"random #{seed}") for seed in SEEDS]
    found["random"] = Found(*(np.mean([getattr(it, name) for it in draws], axis=0) for name in ("lift", "ic")))
    detail = {
        "queries": len(test),
        "days": len(found["recall"].lift),
        "k": K,
        "candidates": len(bench.run.corpus),
        "chosen": chosen.recipe,
        "tried_on_validation": [_tried(naming, it) for naming, it in tried.items()],
        "test": {name: {"lift": _interval(it.lift), "ic": _interval(it.ic)} for name, it in found.items()},
    }
    rows = [
        _difference(found, what, other, detail) for what in ("lift", "ic") for other in ("finseer", "shape", "random")
    ]
    rows += [_alone(found, what) for what in ("lift", "ic")]
    return [*rows, _speed({name: ways[name] for name in ("recall", "finseer", "shape")}, test)]


def _save(path: Path, table: FloatArray) -> None:
    with path.open("wb") as file:
        np.save(file, table)


def judged(retriever: CorpusRetriever, examples: Sequence[Example]) -> Found:
    """What the hits of examples are worth, by day."""
    began = time.perf_counter()
    hits = retriever.retrieve([it.query for it in examples])
    _say(f"{retriever.recipe['retriever']}: {time.perf_counter() - began:.0f} s for {len(examples)} queries", 0, 1)
    lifts = np.array([_lift(found, it.rise) for found, it in zip(hits, examples, strict=True)])
    prompts = [Prompt(it.query, found) for found, it in zip(hits, examples, strict=True)]
    votes = np.array([score.probability for score in VoteScorer().score(prompts)])
    outcomes, days = np.array([it.outcome for it in examples]), np.array([it.query.as_of for it in examples])
    groups = [days == day for day in np.unique(days)]
    return Found(
        np.array([lifts[group].mean() for group in groups]),
        np.array([_correlation(votes[group], outcomes[group]) for group in groups]),
    )


def _lift(hits: Sequence[Hit], rise: bool) -> float:
    """Mean over hits of the log-odds that a hit alone gives to what happened, less those of no hit, which are 0."""
    odds = {Movement.RISE: np.log(2.0), Movement.FREEZE: 0.0, Movement.FALL: -np.log(2.0)}
    return (1.0 if rise else -1.0) * float(np.mean([odds[hit.sequence.movement] for hit in hits]))


def _correlation(scores: FloatArray, outcomes: FloatArray) -> float:
    """Spearman's; NaN where all scores are one."""
    left, right = (daily_ranks(side[None])[0] - 0.5 for side in (scores, outcomes))
    left, right = left - left.mean(), right - right.mean()
    scale = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / scale if scale > 0 else float("nan")


def _interval(daily: FloatArray) -> dict[str, float]:
    return _figures(mean_interval(daily[np.isfinite(daily)]))


def _figures(interval: Interval) -> dict[str, float]:
    figures = {"mean": interval.difference, "low": interval.low, "high": interval.high, "p": interval.p}
    return {name: round(value, 5) for name, value in figures.items() if np.isfinite(value)}


def _tried(naming: Naming, found: Found) -> dict[str, Any]:
    return {**naming.recipe, "lift": _interval(found.lift), "ic": _interval(found.ic)}


_NAMES = {"lift": "lift of a hit", "ic": "information coefficient of the hits' vote"}
_RIVALS = {
    "finseer": "FinSeer (numeric), from the same feedback",
    "shape": "nearest shapes",
    "random": "random candidates, mean of three seeds",
}


def _difference(found: Mapping[str, Found], what: str, other: str, detail: Mapping[str, Any]) -> Measure:
    daily = getattr(found["recall"], what) - getattr(found[other], what)
    interval = mean_interval(daily[np.isfinite(daily)])
    beside = dict(detail) if (what, other) == ("lift", "finseer") else {}  # once
    figures = _figures(interval) | {"distinguishable": interval.distinguishable}
    unit = "nats" if what == "lift" else "IC"
    name = f"recall less its rival, {_NAMES[what]}, 2011-2014"
    return Measure(name, interval.difference, unit, _RIVALS[other], "", COMMAND, {**figures, **beside})


def _alone(found: Mapping[str, Found], what: str) -> Measure:
    """Against no hits: the vote is then 0.5 of every stock, its lift and its correlation 0."""
    figures = _interval(getattr(found["recall"], what))
    unit = "nats" if what == "lift" else "IC"
    name = f"recall, {_NAMES[what]}, 2011-2014"
    return Measure(name, figures["mean"], unit, "no hits: 0", "", COMMAND, figures)


def _speed(ways: Mapping[str, CorpusRetriever], examples: Sequence[Example]) -> Measure:
    """Seconds of one core, and not of the clock: other work on the machine does not show."""
    asked = [it.query for it in examples][-QUERIES:]
    taken = {}
    for name, retriever in ways.items():
        retriever.retrieve(asked[:1])  # builds the trie, or the vectors
        began = time.process_time()
        retriever.retrieve(asked)
        taken[name] = 1000 * (time.process_time() - began) / len(asked)
    detail = {f"{name}_ms": round(value, 3) for name, value in taken.items()} | {"queries_a_call": len(asked), "k": K}
    return Measure("recall, time of a query", taken["recall"], "ms of a core", "", "", COMMAND, detail)


def _say(what: str, done: int, total: int) -> None:
    if done in (0, total):
        print(time.strftime("%H:%M:%S"), what, f"{done}/{total}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(measures)
