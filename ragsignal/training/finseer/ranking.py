"""Teacher scores as rankings to learn from: a query, its candidates, and how useful each was to the language model.

    feedback ──► ScoredQuery ──► hold_out ──► RankedQuery ──► a student learns
                                    └───────► agreement ──► what it learned, on later queries

Functions of arrays; which encoder learns is :mod:`ragsignal.training.finseer.train`'s business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ragsignal.config import FinseerTraining
from ragsignal.errors import ConfigError
from ragsignal.training.examples import Example
from ragsignal.training.finseer.feedback import Feedback
from ragsignal.training.finseer.teacher import select

RECALL_AT = 5
_AGAIN = "type: ragsignal train feedback SPEC"


@dataclass(frozen=True)
class ScoredQuery:
    """One query with its candidates.

    Parameters
    ----------
    block : int
        Queries of a block share their candidates; blocks follow each other in time.
    example : Example
    rows : (n,) int64
        Candidates, as rows of the corpus.
    scores : (n,) float64
        The teacher's, in log-odds; more is better.
    shuffled : (n,) float64
        The same scores in another order: a teacher that knows nothing of the candidates.
    """

    block: int
    example: Example
    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    shuffled: NDArray[np.float64]


@dataclass(frozen=True)
class RankedQuery:
    """A query's candidates, the best first, then the worst ones, worst first; and their teacher scores."""

    example: Example
    rows: NDArray[np.int64]
    scores: NDArray[np.float64]


def gather(feedback: Feedback, examples: Sequence[Example], corpus: str) -> list[ScoredQuery]:
    """Return the queries of stored teacher scores in date order; those whose scores all tie are among them.

    Parameters
    ----------
    feedback : Feedback
    examples : sequence of Example
        Those that the scores were made from, and perhaps others.
    corpus : str
        Fingerprint of the corpus whose rows the scores name.

    Raises
    ------
    ConfigError
        If the scores belong to another corpus or to other queries.
    """
    if feedback.meta["recipe"]["corpus"] != corpus:
        raise ConfigError(f"the teacher scores were made on another corpus than this spec's; {_AGAIN}")
    by_query: dict[object, Example] = {(it.query.symbol, it.query.as_of): it for it in examples}
    queries = []
    for (symbol, as_of), table in feedback.table.groupby(["symbol", "as_of"], sort=False):
        example = by_query.get((symbol, as_of))
        if example is None:
            raise ConfigError(
                f"the teacher scores hold {symbol} as of {as_of}, which is no training query of this spec; {_AGAIN}"
            )
        scores, shuffled = (table[name].to_numpy(np.float64) for name in ("score", "shuffled"))
        queries.append(ScoredQuery(int(table["block"].iloc[0]), example, table["row"].to_numpy(), scores, shuffled))
    return queries


def hold_out(
    queries: Sequence[ScoredQuery], share: float, key: str = "finseer.valid_share"
) -> tuple[list[ScoredQuery], list[ScoredQuery]]:
    """Split by time: the last ``share`` of the blocks validates, one at least.

    Training queries whose outcome was not known yet as of the first validation query are left out. ``key`` is where
    ``share`` stands in a spec.

    Raises
    ------
    ConfigError
        If nothing is left to train on.
    """
    blocks = sorted({query.block for query in queries})
    held = set(blocks[len(blocks) - max(1, round(share * len(blocks))) :])
    valid = [query for query in queries if query.block in held]
    first = min((query.example.query.as_of for query in valid), default=None)
    train = [query for query in queries if query.block not in held and first and query.example.available_at <= first]
    if not train:
        raise ConfigError(
            f"{len(queries)} queries with teacher scores in {len(blocks)} blocks leave none to train on when the last "
            f"{share:.3g} of them are held out; raise feedback.queries, or lower {key}"
        )
    return train, valid


def rank_candidates(queries: Sequence[ScoredQuery], negatives: int, shuffled: bool = False) -> list[RankedQuery]:
    """Pick the positive and the hard negatives of each query; one whose scores all tie teaches nothing and is left out.

    All have the same number of candidates: ``1 + negatives``, or all of the query that has the fewest.

    Raises
    ------
    ConfigError
        If every query's scores tie.
    """
    ranked = []
    for query in queries:
        scores = query.shuffled if shuffled else query.scores
        selection = select(scores, negatives)
        if selection is not None:
            ranked.append((query, scores, np.array([selection[0], *selection[1]])))
    if not ranked:
        raise ConfigError(f"the teacher has no preference in any of {len(queries)} queries: nothing can be distilled")
    width = min(len(order) for _, _, order in ranked)
    return [RankedQuery(it.example, it.rows[order[:width]], scores[order[:width]]) for it, scores, order in ranked]


def agreement(
    similarities: Sequence[NDArray[np.float64]], queries: Sequence[ScoredQuery], settings: FinseerTraining
) -> dict[str, float]:
    """How well an encoder orders candidates as the teacher does.

    Parameters
    ----------
    similarities : sequence of (n_candidates,) float64
        Of each query with its candidates; cosines.
    queries : sequence of ScoredQuery
    settings : FinseerTraining
        For the two temperatures.

    Returns
    -------
    dict
        ``spearman``, the mean rank correlation a query (0 where one side is constant), and ``spearman_se``, its
        standard error over queries (too small where neighbours in time resemble each other);
        ``recall_at_5``, the share of queries whose best candidate is among the encoder's first five;
        ``kl``, the mean of KL(teacher || encoder) in nats.
    """
    pairs = zip(similarities, queries, strict=True)
    divergences = [_divergence(near, query.scores, settings) for near, query in pairs]
    return order_agreement(similarities, queries) | {"kl": float(np.mean(divergences))}


def order_agreement(similarities: Sequence[NDArray[np.float64]], queries: Sequence[ScoredQuery]) -> dict[str, float]:
    """:func:`agreement` without the divergence: of what gives no cosines."""
    pairs = [(near, query.scores) for near, query in zip(similarities, queries, strict=True)]
    correlations = np.array([_spearman(near, scores) for near, scores in pairs])
    return {
        "spearman": float(correlations.mean()),
        "spearman_se": float(correlations.std() / np.sqrt(len(correlations))),
        f"recall_at_{RECALL_AT}": float(np.mean([_recalled(near, scores) for near, scores in pairs])),
    }


def recall_by_chance(queries: Sequence[ScoredQuery]) -> float:
    """``recall_at_5`` of a random order."""
    return float(np.mean([min(1.0, RECALL_AT / len(query.rows)) for query in queries]))


def _spearman(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    one, other = (rankdata(side) - (len(side) + 1) / 2 for side in (left, right))
    scale = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / scale if scale > 0 else 0.0


def _recalled(near: NDArray[np.float64], scores: NDArray[np.float64]) -> bool:
    best = int(np.argmax(scores))
    return bool((near > near[best]).sum() + (near == near[best])[:best].sum() < RECALL_AT)


def _divergence(near: NDArray[np.float64], scores: NDArray[np.float64], settings: FinseerTraining) -> float:
    teacher = _log_softmax(scores / settings.teacher_temperature)
    student = _log_softmax(near / settings.temperature)
    return float((np.exp(teacher) * (teacher - student)).sum())


def _log_softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = values - values.max()
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return result
