"""What a language model's answers say of the candidates it was shown: functions of arrays, no model in sight.

A block is a full matrix of log-odds ``L[q, c]`` = log P(rise)/P(fall) given query q and the one candidate c::

    L ── less the bare answer, signed by the label ──► lift ── rows, columns centred ──► score ── select ──► pos, negs

arXiv 2502.05878, eq. 1, ranks candidates by the probability of the true label itself. Most of that is not about the
query: about two thirds of the within-query variance is a push that a candidate gives every query (measured on a 135 M
model). What all queries of a block have in common of a candidate's lift is therefore taken out, and each query's mean.

The label gives its sign first. A reader that copies what followed a candidate pushes all queries alike; but such a
candidate helps those only that went the same way, and which ones these are is what an encoder has to foresee. On a
planted market the order decides: centred before the sign, nothing is left to learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

TIE = 1e-6
"""Log-odds; closer scores are one score. A float32 head at the usual size of 2-8 has steps of 2e-7 to 5e-7."""


def signs(rise: NDArray[np.bool_]) -> Matrix:
    """+1.0 where the query rose, -1.0 where it did not: (n,) bool to (n,) float64."""
    return np.where(rise, 1.0, -1.0)


def lift(log_odds: Matrix, base: Matrix, rise: NDArray[np.bool_]) -> Matrix:
    """How much a candidate moves the model towards what happened, against no candidate at all.

    Parameters
    ----------
    log_odds : (n_queries, n_candidates) float64
    base : (n_queries,) float64
        The same without a candidate.
    rise : (n_queries,) bool

    Returns
    -------
    (n_queries, n_candidates) float64, log-odds of the true label
    """
    return signs(rise)[:, None] * (log_odds - base[:, None])


def residual(block: Matrix) -> Matrix:
    """What is left of a block without its row means (the query) and column means (what a candidate does to all alike).

    Needs two queries at least: of a single one nothing is left.
    """
    rows = block.mean(axis=1, keepdims=True)
    columns = block.mean(axis=0, keepdims=True)
    centred: Matrix = block - rows - columns + block.mean()
    return centred


def scores(log_odds: Matrix, rise: NDArray[np.bool_]) -> Matrix:
    """Teacher scores: how much more than usual, for this candidate and this query, it moved towards the true label.

    Parameters
    ----------
    log_odds : (n_queries, n_candidates) float64
        One block. The bare answer would be the same along a row of the lift, and cancels.
    rise : (n_queries,) bool

    Returns
    -------
    (n_queries, n_candidates) float64, rows and columns with mean 0
    """
    return residual(signs(rise)[:, None] * log_odds)


def shuffle(table: Matrix, rng: np.random.Generator) -> Matrix:
    """Permute each row on its own: a teacher with the same scores that knows nothing of the candidates."""
    return rng.permuted(table, axis=1)


def main_effect_share(blocks: Sequence[Matrix]) -> float:
    """Share of the within-query variance of log-odds that a candidate has with every query alike.

    Shrout and Fleiss (1979), ICC(3,1), candidates as targets and queries as raters, over all blocks. The plain ratio
    of the sums of squares would find 1 / n_queries in pure noise; this finds 0.

    Parameters
    ----------
    blocks : sequence of (n_queries >= 2, n_candidates >= 2) float64

    Returns
    -------
    float
        In [0, 1]; NaN where no candidate ever makes a difference.
    """
    common, own = 0.0, 0.0
    for block in blocks:
        n_queries, n_candidates = block.shape
        error = float((residual(block) ** 2).sum()) / ((n_queries - 1) * (n_candidates - 1))
        between = float(block.mean(axis=0).var(ddof=1))  # holds error / n_queries besides the main effect
        common += between - error / n_queries
        own += error
    total = common + own
    return float("nan") if total < TIE**2 else max(0.0, common / total)


def split_half(blocks: Sequence[Matrix], rng: np.random.Generator) -> float:
    """Whether the residual repeats: two halves of the candidates tell the same about which queries are alike, or not.

    Each block's candidates are split at random; each half says by the products of residual rows how alike every two
    queries are, and the halves are correlated over all pairs of all blocks. The same prompt read twice would give the
    same number, so this is what can be asked: a residual that follows from what queries and candidates *are*, which is
    all that an encoder can learn, gives 1; noise gives 0. Candidates that are copies of each other raise it.

    Parameters
    ----------
    blocks : sequence of (n_queries, n_candidates) float64
        Log-odds, not residuals: each half is centred by itself, else the means of the whole would tie them together.
    rng : numpy.random.Generator

    Returns
    -------
    float
        A correlation, not stepped up to full length; NaN where nothing is left to compare.
    """
    pairs: list[tuple[Matrix, Matrix]] = []
    for block in blocks:
        order = rng.permutation(block.shape[1])
        pairs.append((_alike(block[:, order[::2]]), _alike(block[:, order[1::2]])))
    left = np.concatenate([pair[0] for pair in pairs]) if pairs else np.empty(0)
    right = np.concatenate([pair[1] for pair in pairs]) if pairs else np.empty(0)
    scale = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / scale if scale > TIE**2 else float("nan")


def _alike(half: Matrix) -> Matrix:
    """(n_pairs,) products of every two residual rows, in units of the mean row's own, less what centring puts there.

    Taking column means out of pure noise of variance v_q leaves -(v_q + v_r) / n_queries and a constant in the product
    of rows q and r, in both halves alike: plain correlations of the rows would find a reliability of 0.3 in noise that
    is 4 times louder in half of the queries. So the best fit of the form a_q + a_r is taken out; of three
    queries or fewer nothing is left.
    """
    rows, n = residual(half), len(half)
    energy = float((rows**2).sum()) / n
    if n < 4 or energy < TIE**2:
        return np.zeros(n * (n - 1) // 2)  # and not nothing: the other half may have its pairs
    products = rows @ rows.T / energy
    others = products.sum(axis=1) - np.diagonal(products)
    fitted = (others - others.sum() / (2 * (n - 1))) / (n - 2)  # least squares over the pairs
    left: Matrix = (products - fitted[:, None] - fitted[None, :])[np.triu_indices(n, k=1)]
    return left


def is_tied(row: NDArray[np.floating]) -> bool:
    """Whether the scores of a query are one score, so that no candidate is better than another."""
    return float(row.max() - row.min()) < TIE


def select(row: NDArray[np.floating], n_negatives: int) -> tuple[int, NDArray[np.int64]] | None:
    """Pick the best candidate of a query and its worst ones, safe where scores tie.

    Equal scores are ordered by their place: the earlier is the better one. (The paper's code looks scores up by value:
    ties then give the same candidate several times, and 15 negatives are 3 to 9.)

    Parameters
    ----------
    row : (n_candidates,) float
        Scores of one query.
    n_negatives : int
        At least 1; more than ``n_candidates - 1`` gives all but the positive.

    Returns
    -------
    positive : int
        Index of the best.
    negatives : (<= n_negatives,) int64
        Distinct, worst first, never the positive.

    None where all scores tie (spread < 1e-6): such a query teaches nothing and is to be left out.

    Raises
    ------
    ValueError
        If a score is not finite, there are fewer than two, or ``n_negatives`` is below 1.
    """
    if len(row) < 2 or n_negatives < 1 or not np.isfinite(row).all():
        raise ValueError(f"expected 2 or more finite scores and 1 or more negatives, got {row!r} and {n_negatives}")
    if is_tied(row):
        return None
    best_first = np.argsort(-np.asarray(row, dtype=np.float64), kind="stable")
    return int(best_first[0]), best_first[:0:-1][:n_negatives].astype(np.int64)
