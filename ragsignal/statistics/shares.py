"""A share of signals with an interval that knows that signals of a day share that day's move."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ragsignal.statistics.intervals import LEVEL
from ragsignal.types import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class ClusteredShare:
    """A share with its 95 % interval; None where there is nothing to count."""

    value: float | None
    low: float | None
    high: float | None


def clustered_share(true: BoolArray, cluster: IntArray) -> ClusteredShare:
    """Share of ``true`` with Wilson's interval on the number of independent signals that the clusters are worth.

    The design effect is the variance of the share by clusters over that of as many independent draws, and at least 1;
    counts are divided by it (Rao and Scott 1992, A simple method for the analysis of clustered binary data, Biometrics
    48), then Wilson's (1927) score interval is taken. A single cluster is worth one signal.

    Parameters
    ----------
    true : (n,) bool
    cluster : (n,) int64
        Equal numbers stand together: signals of one day, or of days whose outcomes overlap.
    """
    from scipy.special import ndtri

    n = len(true)
    if not n:
        return ClusteredShare(None, None, None)
    share, worth = float(true.mean()), n / _design_effect(true, cluster)
    z = float(ndtri(0.5 + LEVEL / 2.0))
    centre = (share + z * z / (2.0 * worth)) / (1.0 + z * z / worth)
    half = z / (1.0 + z * z / worth) * math.sqrt(share * (1.0 - share) / worth + z * z / (4.0 * worth * worth))
    return ClusteredShare(share, max(0.0, centre - half), min(1.0, centre + half))


def _design_effect(true: BoolArray, cluster: IntArray) -> float:
    """By how much the clusters widen the variance of the share; all n where there is a single one."""
    numbers = np.unique(cluster, return_inverse=True)[1].ravel()
    counts = np.bincount(numbers).astype(np.float64)
    n, m, share = len(true), len(counts), float(true.mean())
    if m == 1:
        return float(n)
    if share in (0.0, 1.0):  # no spread to learn it from: signals of a day may all be one
        return n / m
    residuals = np.bincount(numbers, weights=true.astype(np.float64)) - share * counts
    by_cluster = m / (m - 1) * float((residuals**2).sum()) / n**2
    return max(1.0, by_cluster / (share * (1.0 - share) / n))
