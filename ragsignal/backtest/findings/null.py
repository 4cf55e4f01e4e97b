"""What chance does: retrieval at random, and the same signals on other days.

Random retrieval: the spec's own seeds. With m of them the smallest possible p is 1 / (m + 1). Shifted signals: all
signals of a variant are moved by k days, the end going round to the beginning, for every k beyond a margin. What a
shifted signal gets right is what its mixture of rises and falls gets right without knowing the day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragsignal import statistics
from ragsignal.backtest.findings.days import positions
from ragsignal.backtest.results import VariantResult
from ragsignal.config import RunSpec

MARGIN = 20
"""Days: a signal of a few days earlier still knows something of today's."""

FIGURES = ("hit_rate", "cagr", "sharpe")

Floats = NDArray[np.float64]


def null_of(spec: RunSpec, variants: Sequence[VariantResult]) -> dict[str, Any]:
    """``random``: each retriever among the seeds of its random rival; ``shifted``: each variant with signals."""
    by_name = {variant.name: variant for variant in variants}
    return {
        "random": {
            variant.name: _among(by_name[variant.name], [by_name[name] for name in names])
            for variant in spec.variants
            if (names := spec.rivals_of(variant).get("random"))
        },
        "shifted": {name: shifted(variant) for name, variant in by_name.items() if len(variant.signals)},
        "margin": MARGIN,
    }


def shifted(variant: VariantResult) -> dict[str, Any] | None:
    """Hit rate of a variant's signals, beside that of the same signals moved in time; None for too few days.

    Returns
    -------
    dict or None
        ``hit_rate``; ``shifts`` (how many); ``low``, ``middle``, ``high``: quantiles 0.025, 0.5 and 0.975 of the hit
        rates of the shifted; ``below``: share of them below the real one (half of the equal); ``p``: (1 + number at
        least as high) / (1 + shifts). Shifts by neighbouring days are alike, so p is coarser than their number says.
    """
    side, target = positions(variant)
    rates = hit_rates_by_shift(side.to_numpy(), np.sign(target.fillna(0.0).to_numpy()))
    others = rates[MARGIN : len(rates) - MARGIN + 1]
    others = others[np.isfinite(others)]
    if len(side) < statistics.LEAST_DAYS or not np.isfinite(rates[0]) or not len(others):
        return None
    low, middle, high = np.quantile(others, [0.025, 0.5, 0.975])
    return {
        "hit_rate": float(rates[0]),
        "shifts": len(others),
        **{"low": float(low), "middle": float(middle), "high": float(high)},
        "below": float(np.mean(others < rates[0]) + 0.5 * np.mean(others == rates[0])),
        "p": float((1 + np.sum(others >= rates[0])) / (1 + len(others))),
    }


def hit_rates_by_shift(side: Floats, outcome: Floats) -> Floats:
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


def _correlate(left: Floats, right: Floats) -> Floats:
    """Sums over days and symbols for every circular shift; whole numbers, so rounding takes the noise away."""
    spectrum = np.conj(np.fft.rfft(left, axis=0)) * np.fft.rfft(right, axis=0)
    return np.asarray(np.rint(np.fft.irfft(spectrum.sum(axis=1), n=len(left))))


def _among(variant: VariantResult, seeds: Sequence[VariantResult]) -> dict[str, Any]:
    return {
        "seeds": [seed.name for seed in seeds],
        "least_p": 1.0 / (len(seeds) + 1),
        **{figure: _standing(variant.metrics, [seed.metrics for seed in seeds], figure) for figure in FIGURES},
    }


def _standing(ours: Mapping[str, Any], seeds: Sequence[Mapping[str, Any]], figure: str) -> dict[str, Any] | None:
    """Our figure beside those of the seeds, and the share of all (ours among them) that are at least as high."""
    own, others = ours.get(figure), [it.get(figure) for it in seeds]
    if own is None or None in others:
        return None
    return {"own": own, "random": others, "p": (1 + sum(it >= own for it in others)) / (len(others) + 1)}
