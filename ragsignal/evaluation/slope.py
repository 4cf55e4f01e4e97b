"""The calibration slope as sums over days, so that days can be resampled."""

from __future__ import annotations

import numpy as np

from ragsignal.evaluation.metrics import Metric, Sample
from ragsignal.statistics import equal_mass_bins
from ragsignal.types import FloatArray

SLOPE_BINS = 100
"""Log-odds are put into that many bins of equal mass, each with the mean of its log-odds."""

_STEPS = 25  # of Newton's method, from the base rate: it ends in eight
_LEAST = 1e-9  # spread of log-odds below which there is nothing to be calibrated
_EDGE = 1e-12


def log_odds(probability: FloatArray) -> FloatArray:
    """Log-odds (n,) of probabilities, which may be 0 or 1."""
    p = np.clip(probability, _EDGE, 1.0 - _EDGE)
    return np.asarray(np.log(p) - np.log1p(-p))


def _sums(sample: Sample) -> FloatArray:
    """Sums (n_days, 3 x bins) of the queries of each bin: rises, queries, log-odds."""
    odds = log_odds(sample.probability)
    cell = sample.day * SLOPE_BINS + equal_mass_bins(odds, SLOPE_BINS)
    size = sample.n_days * SLOPE_BINS
    columns = [np.bincount(cell, weights=it, minlength=size) for it in (sample.rose, np.ones(len(odds)), odds)]
    return np.hstack([column.reshape(sample.n_days, SLOPE_BINS) for column in columns])


def _slope(sums: FloatArray) -> FloatArray:
    """Slope of a logistic regression of rises on log-odds, with an intercept: 1 is calibrated, below it too sure.

    Cox (1958), Two further applications of a model for binary regression, Biometrika 45. NaN where the log-odds are all
    the same, or where no maximum was found: where they part rises and falls there is none.
    """
    rises, n, odds = (np.asarray(part) for part in np.split(sums, 3, axis=-1))
    x = np.divide(odds, n, out=np.zeros_like(odds), where=n > 0)
    total = np.maximum(n.sum(axis=-1, keepdims=True), 1.0)
    centre = (n * x).sum(axis=-1, keepdims=True) / total
    scale = np.sqrt((n * (x - centre) ** 2).sum(axis=-1, keepdims=True) / total)
    z = np.divide(x - centre, scale, out=np.zeros_like(x), where=scale > _LEAST)
    slope = _newton(rises, n, z)
    return np.asarray(np.divide(slope, scale[..., 0], out=np.full_like(slope, np.nan), where=scale[..., 0] > _LEAST))


def _newton(rises: FloatArray, n: FloatArray, z: FloatArray) -> FloatArray:
    """Slope (...,) of the regression on standardised scores (..., bins); NaN where the steps do not end."""
    intercept = np.zeros((*z.shape[:-1], 1))
    slope, step = np.zeros_like(intercept), np.ones_like(intercept)
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(intercept + slope * z, -30.0, 30.0)))
        left, weight = rises - n * p, n * p * (1.0 - p)
        a, b, c = (it.sum(axis=-1, keepdims=True) for it in (weight, weight * z, weight * z * z))
        u, v = left.sum(axis=-1, keepdims=True), (left * z).sum(axis=-1, keepdims=True)
        determinant = np.maximum(a * c - b * b, 1e-300)
        step = np.clip((a * v - b * u) / determinant, -5.0, 5.0)
        intercept = intercept + np.clip((c * u - b * v) / determinant, -5.0, 5.0)
        slope = slope + step
    return np.asarray(np.where(np.abs(step) < 1e-6, slope, np.nan)[..., 0])


CALIBRATION_SLOPE = Metric(_sums, _slope)
