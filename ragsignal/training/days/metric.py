"""FinSeer for days: the metric on states that ranks candidate days as StockLLM's opinion of them does.

    opinion (queries, candidates) ─► less what it says of queries and of candidates alike ─► softmax ─► KL ─► W, decay

It begins as the z-scored Euclidean metric. Beside it one learns from the same opinions in shuffled order: where that
one does as well, nothing was learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from ragsignal.config import FinseerTraining
from ragsignal.retrieval import StateMetric
from ragsignal.training.days.examples import DayExamples
from ragsignal.training.days.feedback import DayBlock
from ragsignal.training.finseer.teacher import main_effect_share, residual, shuffle, split_half
from ragsignal.types import FloatArray

_PASSES = 300
_RATE = 1e-2
_YEAR = 365.25


class MetricReport(TypedDict):
    """What the opinions hold, and how far metrics agree with them on the last blocks, which nothing learned from.

    An agreement is the mean over queries of Spearman's correlation between opinion and similarity, 0 for one that knows
    nothing, with its standard error over blocks.
    """

    blocks: int
    held_out_blocks: int
    main_effect_share: float
    split_half: float
    agreement: dict[str, list[float]]


@dataclass(frozen=True, eq=False)
class Opinions:
    """A block, its raw log-likelihoods (q, c), and the teacher scores that are left of them."""

    block: DayBlock
    raw: FloatArray
    scores: FloatArray


def opinions_of(blocks: Sequence[DayBlock], answers: Sequence[FloatArray]) -> list[Opinions]:
    """Centre the answers of each block by query and by candidate."""
    return [Opinions(block, raw, residual(raw)) for block, raw in zip(blocks, answers, strict=True)]


def fit_metric(
    examples: DayExamples, opinions: Sequence[Opinions], spec: FinseerTraining
) -> tuple[StateMetric, MetricReport]:
    """Learn the metric from all blocks but the last ones, and measure it on those.

    Parameters
    ----------
    examples : DayExamples
    opinions : sequence of Opinions
        In the order of time.
    spec : FinseerTraining
        Ten times its ``teacher_temperature`` is in standard deviations of the teacher scores, as a day's likelihoods
        have no scale of their own.
    """
    held_out = max(1, round(spec.valid_share * len(opinions)))
    known, later = opinions[:-held_out], opinions[-held_out:]
    rng = np.random.default_rng(spec.seed)
    mixed = [Opinions(it.block, it.raw, shuffle(it.scores, rng)) for it in known]
    learned, control = _fitted(examples, known, spec), _fitted(examples, mixed, spec)
    report = MetricReport(
        blocks=len(opinions),
        held_out_blocks=held_out,
        main_effect_share=main_effect_share([it.raw for it in opinions]),
        split_half=split_half([it.raw for it in opinions], rng),
        agreement={
            "learned": _agreement(examples, later, learned),
            "euclidean": _agreement(examples, later, examples.metric),
            "shuffled teacher": _agreement(examples, later, control),
        },
    )
    return learned, report


def _fitted(examples: DayExamples, opinions: Sequence[Opinions], spec: FinseerTraining) -> StateMetric:
    matrix = torch.eye(examples.days.states.shape[1], dtype=torch.float64, requires_grad=True)
    decay = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([matrix, decay], lr=_RATE)
    scale = np.concatenate([it.scores.ravel() for it in opinions]).std() * 10.0 * spec.teacher_temperature
    prepared = [(_gaps(examples, it), torch.softmax(torch.from_numpy(it.scores / scale), dim=1)) for it in opinions]
    for _ in range(_PASSES):
        loss = torch.stack([_divergence(matrix, decay, *gaps, wanted) for gaps, wanted in prepared]).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            decay.clamp_(min=0.0)  # a day does not become more like today by being old
    return StateMetric(examples.metric.mean, examples.metric.scale, matrix.detach().numpy(), float(decay.detach()))


def _gaps(examples: DayExamples, opinion: Opinions) -> tuple[Tensor, Tensor]:
    """Differences of standardised states (q, c, 8), and ages in years (q, c)."""
    standard, days = examples.metric.standardized(examples.days.states), examples.days.days
    gaps = standard[opinion.block.queries][:, None] - standard[opinion.block.candidates][None]
    ages = (days[opinion.block.queries][:, None] - days[opinion.block.candidates][None]).astype(np.float64) / _YEAR
    return torch.from_numpy(gaps), torch.from_numpy(ages)


def _divergence(matrix: Tensor, decay: Tensor, gaps: Tensor, ages: Tensor, wanted: Tensor) -> Tensor:
    """KL divergence of the metric's softmax over a query's candidates from the teacher's (arXiv 2502.05878, eq. 3)."""
    squared = ((gaps @ matrix.T) ** 2).sum(dim=2) + decay * ages
    return torch.nn.functional.kl_div(torch.log_softmax(-squared / 2.0, dim=1), wanted, reduction="batchmean")


def _agreement(examples: DayExamples, opinions: Sequence[Opinions], metric: StateMetric) -> list[float]:
    blocks = [_block_agreement(examples, opinion, metric) for opinion in opinions]
    spread = float(np.std(blocks, ddof=1) / np.sqrt(len(blocks))) if len(blocks) > 1 else 0.0
    return [float(np.mean(blocks)), spread]


def _block_agreement(examples: DayExamples, opinion: Opinions, metric: StateMetric) -> float:
    from scipy.stats import spearmanr

    days, candidates = examples.days, opinion.block.candidates
    similar = np.stack(
        [
            -metric.distances(
                days.states[row], days.states[candidates], (days.days[row] - days.days[candidates]).astype(np.float64)
            )
            for row in opinion.block.queries
        ]
    )
    rows = zip(opinion.scores, residual(similar), strict=True)  # the same is taken out of both
    return float(np.mean([spearmanr(wanted, given).statistic for wanted, given in rows]))
