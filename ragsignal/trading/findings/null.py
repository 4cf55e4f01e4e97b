"""What chance does: retrieval at random, and the same signals on other days.

Random retrieval: the spec's own seeds. With m of them the smallest possible p is 1 / (m + 1). Shifted signals: all
signals of a variant are moved by k days, the end going round to the beginning, for every k beyond a margin. What a
shifted signal gets right is what its mixture of rises and falls gets right without knowing the day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ragsignal import statistics
from ragsignal.config import RunSpec
from ragsignal.trading.findings.days import positions
from ragsignal.trading.variant import VariantResult
from ragsignal.types import FloatArray

MARGIN = 20
"""Days: a signal of a few days earlier still says something of today."""


@dataclass(frozen=True)
class Standing:
    """A figure beside those of the random seeds; ``p``: share of all, itself among them, that are at least as high."""

    own: float
    random: list[float]
    p: float


@dataclass(frozen=True)
class AmongSeeds:
    """A retriever among the seeds of its random rival, with the smallest p that so few can give."""

    seeds: list[str]
    least_p: float
    hit_rate: Standing | None
    cagr: Standing | None
    sharpe: Standing | None


@dataclass(frozen=True)
class ShiftedSignals:
    """Hit rate of a variant's signals, beside those of the same signals moved in time.

    Shifts by neighbouring days are alike, so ``p`` is coarser than their number says.
    """

    hit_rate: float
    shifts: int
    low: float  # quantiles 0.025, 0.5 and 0.975 of the hit rates of the shifted
    middle: float
    high: float
    below: float  # share of them below the real one (half of the equal)
    p: float  # (1 + number at least as high) / (1 + shifts)


@dataclass(frozen=True)
class Chance:
    """Each retriever among random ones; each variant with signals among its shifts, None for too few days."""

    random: dict[str, AmongSeeds]
    shifted: dict[str, ShiftedSignals | None]
    margin: int


def null_of(spec: RunSpec, variants: Sequence[VariantResult]) -> Chance:
    """Put what the run did beside what chance does."""
    by_name = {variant.name: variant for variant in variants}
    seeds = {variant.name: spec.rivals_of(variant).get("random") for variant in spec.variants}
    return Chance(
        random={name: _among(by_name[name], [by_name[it] for it in names]) for name, names in seeds.items() if names},
        shifted={name: shifted(variant) for name, variant in by_name.items() if len(variant.signals)},
        margin=MARGIN,
    )


def shifted(variant: VariantResult) -> ShiftedSignals | None:
    """Move the signals by every number of days beyond the margin; None for too few days."""
    side, target = positions(variant)
    rates = hit_rates_by_shift(side.to_numpy(), np.sign(target.fillna(0.0).to_numpy()))
    others = rates[MARGIN : len(rates) - MARGIN + 1]
    others = others[np.isfinite(others)]
    if len(side) < statistics.LEAST_DAYS or not np.isfinite(rates[0]) or not len(others):
        return None
    low, middle, high = np.quantile(others, [0.025, 0.5, 0.975])
    return ShiftedSignals(
        hit_rate=float(rates[0]),
        shifts=len(others),
        low=float(low),
        middle=float(middle),
        high=float(high),
        below=float(np.mean(others < rates[0]) + 0.5 * np.mean(others == rates[0])),
        p=float((1 + np.sum(others >= rates[0])) / (1 + len(others))),
    )


def hit_rates_by_shift(side: FloatArray, outcome: FloatArray) -> FloatArray:
    """Share of right signs for every circular shift of the signals by k days.

    Parameters
    ----------
    side, outcome : (n_days, n_symbols) float64
        In {-1, 0, 1}; a 0 on either side does not count.

    Returns
    -------
    (n_days,) float64
        NaN where nothing counts. Entry k compares the signal of day t - k with the outcome of day t. By Fourier
        transforms: all shifts of 5,000 days cost what a few dozen would.
    """
    agreed = _correlate(side, outcome)
    counted = _correlate(np.abs(side), np.abs(outcome))
    return np.where(counted > 0.5, 0.5 + 0.5 * agreed / np.maximum(counted, 1.0), np.nan)


def _correlate(left: FloatArray, right: FloatArray) -> FloatArray:
    """Sums over days and symbols for every circular shift; whole numbers, so rounding takes the noise away."""
    spectrum = np.conj(np.fft.rfft(left, axis=0)) * np.fft.rfft(right, axis=0)
    return np.asarray(np.rint(np.fft.irfft(spectrum.sum(axis=1), n=len(left))))


def _among(variant: VariantResult, seeds: Sequence[VariantResult]) -> AmongSeeds:
    metrics = [variant.metrics, *(seed.metrics for seed in seeds)]
    return AmongSeeds(
        seeds=[seed.name for seed in seeds],
        least_p=1.0 / (len(seeds) + 1),
        hit_rate=_standing([it["hit_rate"] for it in metrics]),
        cagr=_standing([it["cagr"] for it in metrics]),
        sharpe=_standing([it["sharpe"] for it in metrics]),
    )


def _standing(figures: Sequence[float | None]) -> Standing | None:
    """The first figure among all of them; None where one does not exist."""
    values = [figure for figure in figures if figure is not None]
    if len(values) < len(figures):
        return None
    own, *others = values
    return Standing(own, others, (1 + sum(other >= own for other in others)) / len(values))
