"""StockLLM's opinion of single days: how much the likelihood of what followed rises when it reads one of them.

    blocks of query days near in time x a pool of days that all of them can see ─► scores of some stocks with one hit
    ─► log-likelihood of which stocks beat the median ─► (queries, candidates) a block

As for sequences, a block shares its candidates, so that what a day does to every query alike can be taken out
(:mod:`ragsignal.training.finseer.teacher`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ragsignal.artifacts import Calibration
from ragsignal.config import FeedbackTraining
from ragsignal.data import DayHits
from ragsignal.llm import DayEnsemble, RankEnsemble, calibrated, probability_of
from ragsignal.retrieval import similarity
from ragsignal.training.days.examples import DayExamples
from ragsignal.types import FloatArray, IntArray

_STOCKS = 128  # of a query day: their mean log-likelihood is what is asked for
_WITHIN = 60  # days that the queries of a block are drawn from


@dataclass(frozen=True, eq=False)
class DayBlock:
    """Query days (q,) and candidate days (c,) as rows, and the stocks of each query, (q, n)."""

    queries: IntArray
    candidates: IntArray
    stocks: IntArray


def draw_blocks(examples: DayExamples, spec: FeedbackTraining) -> list[DayBlock]:
    """Draw blocks of training days, in the order of time; half of a pool by chance, half the nearest to its queries."""
    rng = np.random.default_rng(spec.seed)
    count, rows = max(1, spec.queries // spec.block), examples.train_rows
    starts = np.sort(rng.integers(0, max(1, len(rows) - _WITHIN), count))
    return [_block(examples, rows[start : start + _WITHIN], spec, rng) for start in starts]


def _block(examples: DayExamples, near: IntArray, spec: FeedbackTraining, rng: np.random.Generator) -> DayBlock:
    days, targets = examples.days, examples.ranks.targets
    queries = np.sort(rng.choice(near, min(spec.block, len(near)), replace=False))
    seen = days.visible(days.days[queries[0]].item())
    distances = [examples.metric.distances(days.states[row], days.states[seen], np.zeros(len(seen))) for row in queries]
    nearest = seen[np.argsort(np.min(distances, axis=0), kind="stable")[: spec.candidates // 2]]
    others = np.setdiff1d(seen, nearest)
    drawn = rng.choice(others, min(len(others), spec.candidates - len(nearest)), replace=False)
    labelled = [np.flatnonzero(np.isfinite(targets[row])) for row in queries]
    count = min(_STOCKS, *(len(there) for there in labelled))
    stocks = np.stack([rng.choice(there, count, replace=False) for there in labelled])
    return DayBlock(queries, np.concatenate([nearest, drawn]), stocks)


@dataclass(frozen=True, eq=False)
class Reader:
    """StockLLM with its adapter for days, as in use; ``calibration`` is that of the adapter."""

    trunk: RankEnsemble
    days: DayEnsemble
    calibration: Calibration


def log_likelihoods(examples: DayExamples, block: DayBlock, reader: Reader) -> FloatArray:
    """Mean log-likelihood of which of a query's stocks beat the median, with each candidate alone: (q, c)."""
    answers = np.empty((len(block.queries), len(block.candidates)))
    for number, (row, stocks) in enumerate(zip(block.queries.tolist(), block.stocks, strict=True)):
        raw = _raw_scores(examples, block, reader, row, stocks)
        chance = probability_of(calibrated(raw, reader.calibration))
        rose = examples.ranks.targets[row, stocks] > 0.0
        answers[number] = np.log(np.where(rose, chance, 1.0 - chance)).mean(axis=1)
    return answers


def _raw_scores(examples: DayExamples, block: DayBlock, reader: Reader, row: int, stocks: IntArray) -> FloatArray:
    """Scores of a query's stocks with each candidate alone, (c, n)."""
    letters, days = examples.ranks.letters.letters, examples.days
    window = letters[max(0, row + 1 - reader.trunk.memory) : row + 1][:, stocks]
    scores, states = reader.trunk.scores_and_states(window)
    as_of, last = days.days[row].item(), [seed[-1] for seed in states]
    hits = [_alone(examples, row, candidate) for candidate in block.candidates.tolist()]
    return reader.days.scores_of_each(letters[row, stocks], scores[-1], last, hits, as_of)


def _alone(examples: DayExamples, row: int, candidate: int) -> DayHits:
    days = examples.days
    distance = examples.metric.distances(days.states[row], days.states[[candidate]], np.zeros(1))
    return DayHits(days, np.array([candidate]), similarity(distance))
