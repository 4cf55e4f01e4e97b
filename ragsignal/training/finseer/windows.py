"""Labelled windows, for a contrast of classes: what moved alike in a like market is alike.

    training queries, candidates known by then ─► movement x market state ─► batches that hold enough of each class

No teacher is asked. A query's movement is that of its outcome, a candidate's is its own; the state is that of the
window's last day, in buckets whose edges the training days alone decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ragsignal.config import FinseerTraining
from ragsignal.data import UNKNOWN_STATE, StateBuckets, movement_of
from ragsignal.errors import ConfigError
from ragsignal.training.examples import Example
from ragsignal.training.run import TrainingRun
from ragsignal.types import IntArray, Query
from ragsignal.utils import as_stamps

MOVEMENTS = 3


@dataclass(frozen=True, eq=False)
class LabelledWindows:
    """Windows of queries, then windows of candidates, each with its class.

    Parameters
    ----------
    queries : sequence of Query
    rows : (n_candidates,) int64
        Of the corpus.
    movement : (n,) int64
        0 fall, 1 freeze, 2 rise.
    state : (n,) int64
        Bucket of the market's state on the window's last day.
    buckets : int
        How many there are.
    """

    queries: Sequence[Query]
    rows: IntArray
    movement: IntArray
    state: IntArray
    buckets: int

    def __len__(self) -> int:
        return len(self.movement)

    @property
    def label(self) -> IntArray:
        """Class of each window, (n,): the movement times ``buckets``, plus the state."""
        return self.movement * self.buckets + self.state

    def shuffled(self, seed: int) -> LabelledWindows:
        """Give each window the two labels of another: a control, which knows nothing of the windows."""
        order = np.random.default_rng([seed, len(self)]).permutation(len(self))
        return replace(self, movement=self.movement[order], state=self.state[order])


def hold_out_days(examples: Sequence[Example], share: float) -> tuple[list[Example], list[Example]]:
    """Split by time: queries of the last ``share`` of the days validate, one day at least.

    Training queries whose outcome was not known yet as of the first of these days are left out.

    Raises
    ------
    ConfigError
        If nothing is left to train on.
    """
    days = sorted({example.query.as_of for example in examples})
    first = days[len(days) - max(1, round(share * len(days)))]
    valid = [example for example in examples if example.query.as_of >= first]
    train = [it for it in examples if it.query.as_of < first and it.available_at <= first]
    if not train:
        raise ConfigError(
            f"{len(examples)} queries on {len(days)} days leave none to train on when the last {share:.0%} of the "
            "days are held out; move data.start back, or lower finseer.valid_share"
        )
    return train, valid


def label_windows(
    run: TrainingRun, examples: Sequence[Example], rows: IntArray, buckets: StateBuckets
) -> LabelledWindows:
    """Label queries and candidates; windows of days whose state is not known are left out.

    Parameters
    ----------
    run : TrainingRun
    examples : sequence of Example
        Queries.
    rows : (n_candidates,) int64
        Of the corpus.
    buckets : StateBuckets
        Fitted on training days.
    """
    corpus, scale = run.corpus, run.materials.clock.scale
    moved = [movement_of([it.outcome for it in examples], scale), corpus.movement[rows]]
    days = [as_stamps([it.query.as_of for it in examples]), corpus.dates[rows, -1]]
    state = buckets.of(np.concatenate([run.materials.states.of(buckets.variable, each) for each in days]))
    known, n_queries = state != UNKNOWN_STATE, len(examples)
    return LabelledWindows(
        queries=[it.query for it, kept in zip(examples, known[:n_queries].tolist(), strict=True) if kept],
        rows=rows[known[n_queries:]],
        movement=np.concatenate(moved).astype(np.int64)[known] + 1,
        state=state[known],
        buckets=buckets.count,
    )


def known_candidates(run: TrainingRun, examples: Sequence[Example]) -> IntArray:
    """Rows of the candidates known when the last outcome of ``examples`` was, without symbols that only validate."""
    corpus, split = run.corpus, run.split
    rows = np.arange(corpus.visible(max(example.available_at for example in examples)), dtype=np.int64)
    barred = {*split.valid.symbols}.difference(split.train.symbols)
    own = np.array([symbol not in barred for symbol in corpus.symbols], dtype=bool)
    kept: IntArray = rows[own[corpus.symbol_id[rows]]]
    return kept


class ClassBatches:
    """Batches of windows with equally many of each class, half of them queries, where the class has both.

    A batch follows from the seed and its number alone, so that a stopped training goes on to the same weights.

    Parameters
    ----------
    windows : LabelledWindows
    settings : FinseerTraining

    Raises
    ------
    ConfigError
        If fewer than two classes have as many windows as a batch takes.
    """

    def __init__(self, windows: LabelledWindows, settings: FinseerTraining) -> None:
        self._settings = settings
        label, n_queries = windows.label, len(windows.queries)
        members = [np.flatnonzero(label == number) for number in range(MOVEMENTS * windows.buckets)]
        large = [rows for rows in members if len(rows) >= settings.per_class]
        if len(large) < 2:
            found = ", ".join(str(len(rows)) for rows in members)
            raise ConfigError(
                f"finseer.per_class is {settings.per_class}, and fewer than two classes of movement and market state "
                f"have as many windows (there are {found}): nothing can be contrasted; lower finseer.per_class or "
                "finseer.buckets, or give more days"
            )
        self._pools = [(rows[rows < n_queries], rows[rows >= n_queries]) for rows in large]

    @property
    def size(self) -> int:
        """Windows in a batch."""
        return self._settings.per_class * len(self._pools)

    def steps(self, epochs: float) -> int:
        """How many batches are drawn in so many epochs."""
        return max(1, math.ceil(self._settings.windows * epochs / self.size))

    def draw(self, step: int) -> IntArray:
        """Return the windows of a step, (size,) int64, class by class."""
        rng = np.random.default_rng([self._settings.seed, step])
        return np.concatenate([self._of_class(rng, *pool) for pool in self._pools])

    def _of_class(self, rng: np.random.Generator, queries: IntArray, candidates: IntArray) -> IntArray:
        wanted = self._settings.per_class
        asked = int(np.clip(wanted - wanted // 2, wanted - len(candidates), len(queries)))
        drawn = [rng.choice(queries, asked, replace=False), rng.choice(candidates, wanted - asked, replace=False)]
        return np.concatenate(drawn)
