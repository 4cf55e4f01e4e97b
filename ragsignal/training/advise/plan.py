"""The points of a ladder, what makes their results its own, and which part of the examples each learns from.

A share of the corpus are its latest training days. Days, and not stocks: all stocks of a day share what the factors
paid on it, so that half of the stocks tell nearly as much as all of them. The latest, because a corpus that is half as
long lacks its early years. Validation days, and the stocks that a day's ranks are among, are the same at every point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ragsignal.config import TrainSpec
from ragsignal.errors import ConfigError, DataError
from ragsignal.statistics import LEAST_DAYS
from ragsignal.training.ranks.boosting import check_splits
from ragsignal.training.ranks.examples import RankExamples
from ragsignal.types import BoolArray, IntArray
from ragsignal.utils import Record


@dataclass(frozen=True)
class Point:
    """One training: the width of the model, the share of the training days, the seed."""

    hidden: int
    fraction: float
    seed: int

    @property
    def name(self) -> str:
        """As its file is called."""
        return f"{self.hidden}-{self.fraction:g}-{self.seed}"


@dataclass(frozen=True)
class LadderCost:
    """Seconds of one core: ``by_size`` of all points of a width, ``teachers`` of all shares; ``points`` to train.

    ``parameters`` are those of each width.
    """

    points: int
    by_size: dict[int, float]
    teachers: float
    parameters: dict[int, int]

    @property
    def seconds(self) -> float:
        """Of everything."""
        return sum(self.by_size.values()) + self.teachers

    def minutes(self, jobs: int) -> float:
        """On as many quiet cores as there are processes; the last point of all keeps one of them busy alone."""
        longest = max(self.by_size.values(), default=0.0) / max(1, self.points) if self.points < jobs else 0.0
        return max(self.seconds / jobs, longest) / 60


def points_of(spec: TrainSpec) -> list[Point]:
    """All points of a ladder, the costly ones first, so that no process is left with one of them at the end."""
    seeds = [spec.ranks.seed + number for number in range(spec.advise.seeds)]
    sizes, fractions = spec.advise.sizes[::-1], spec.advise.fractions[::-1]
    return [Point(hidden, fraction, seed) for hidden in sizes for fraction in fractions for seed in seeds]


def check_ladder(spec: TrainSpec) -> None:
    """Refuse a spec that no ladder can be built of, before prices are read.

    Raises
    ------
    ConfigError
        If the reader is none of ranks, learns from hits, or the split leaks; or if a size does not fit ``ranks.heads``.
    """
    if spec.stockllm.reader != "ranks":
        raise ConfigError(
            'a ladder compares sizes of a reader of ranks, and stockllm.reader is "text", whose size its base model has'
            ' decided; write [stockllm] reader = "ranks" and [classifier] kind = "boosting"'
        )
    if spec.ranks.reads_hits:
        raise ConfigError(
            f"a ladder reads no hits, and ranks.k is {list(spec.ranks.k)}; add --set ranks.k=[0], and train with hits "
            "at the size that it advises"
        )
    if spec.split.protocol == "paper":
        raise ConfigError(
            'split.protocol = "paper" validates on the days that were trained on, where a larger model always looks '
            'better; write protocol = "time"'
        )
    even = 2 * spec.ranks.heads
    odd = [size for size in spec.advise.sizes if size % even]
    if odd:
        raise ConfigError(
            f"advise.sizes: {odd[0]} is no even multiple of ranks.heads = {spec.ranks.heads}; write multiples of {even}"
        )


def check_days(spec: TrainSpec, examples: RankExamples) -> None:
    """Refuse examples that are too few to compare anything by.

    Raises
    ------
    DataError
        If there are fewer than 100 validation days, or fewer training days in the smallest share than a step reads, or
        fewer labels than a tree of the teacher can split.
    """
    valid = len(rows_of(examples.valid))
    if valid < LEAST_DAYS:
        raise DataError(
            f"{valid} validation days from {spec.split.valid_from} to {spec.data.end}, and at least {LEAST_DAYS} were "
            "expected: an interval from fewer says nothing; move split.valid_from or data.end"
        )
    share = spec.advise.fractions[0]
    days = _kept(len(rows_of(examples.train)), share)
    if days < spec.ranks.days:
        raise DataError(
            f"the smallest share, advise.fractions = {share:g}, holds {days} training days, and a step reads ranks.days"
            f" = {spec.ranks.days} on end; take larger shares, lower ranks.days, or begin data.start earlier"
        )
    what = f"the smallest share, advise.fractions = {share:g}, holds"
    check_splits(int(latest(examples, share).train.sum()), spec.boosting, what, "take larger shares")


def latest(examples: RankExamples, fraction: float) -> RankExamples:
    """The same examples, of which only the latest share of the training days is learned from."""
    rows = rows_of(examples.train)
    train = examples.train.copy()
    train[: rows[-_kept(len(rows), fraction)]] = False
    return replace(examples, train=train)


def rows_of(mask: BoolArray) -> IntArray:
    """Numbers of the days on which a part has a label."""
    return np.flatnonzero(mask.any(axis=1))


def identity(spec: TrainSpec) -> Record:
    """All of a spec that decides every point alike; sizes, shares and seeds are the points' own."""
    return {
        "data": spec.data.model_dump(mode="json", include={"source", "start", "end"}),
        "symbols": list(spec.data.symbols),
        "split": spec.split.model_dump(mode="json"),
        "corpus": spec.corpus.model_dump(mode="json", include={"target", "horizon"}),
        "ranks": spec.ranks.model_dump(mode="json", exclude={"hidden", "steps", "seeds", "seed", "k", "candidates"}),
        "boosting": spec.boosting.model_dump(mode="json"),
        "steps": spec.advise.steps,
    }


def _kept(days: int, fraction: float) -> int:
    return math.ceil(days * fraction)
