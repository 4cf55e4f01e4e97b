"""Which sequences candidates are made of, and their values: of bars, of news, of kept formulas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ragsignal.data import (
    NEWS_FACTORS,
    SEQUENCES,
    AlphaDays,
    NewsDays,
    compute_stacked,
    is_alpha,
    news_sequences,
)
from ragsignal.errors import ConfigError
from ragsignal.types import FloatArray


@dataclass(frozen=True)
class Beside:
    """What sequences are made of besides the bars of their own symbol.

    Parameters
    ----------
    news : NewsDays, optional
        Of their bars, where ``corpus.indicators`` names a sequence of news.
    alphas : AlphaDays, optional
        Of their bars, where the spec has ``corpus.alphas``.
    """

    news: NewsDays | None = None
    alphas: AlphaDays | None = None


NOTHING = Beside()
"""Bars are all there is."""


def known_sequences(names: tuple[str, ...], beside: Beside) -> tuple[str, ...]:
    """The sequences that a spec means: those that it names, or all of bars and all kept formulas.

    Raises
    ------
    ConfigError
        If one does not exist, or is of news or of formulas that the spec does not have.
    """
    alphas = tuple(beside.alphas.formulas) if beside.alphas is not None else ()
    known = (*SEQUENCES, *NEWS_FACTORS, *alphas)
    unknown = sorted(set(names) - set(known))
    if unknown:
        hint = "; formulas are named as alpha.NAME in corpus.alphas" if any(map(is_alpha, unknown)) else ""
        raise ConfigError(f"corpus.indicators: unknown {unknown}; known are {', '.join(known)}{hint}")
    of_news = [name for name in names if name in NEWS_FACTORS]
    if of_news and beside.news is None:
        raise ConfigError(
            f"corpus.indicators names {', '.join(of_news)}, and the spec reads no news; write a table [news] with "
            'path = "FILE.csv", or name other indicators'
        )
    return names or (*SEQUENCES, *alphas)


def values_of(
    frames: Mapping[str, pd.DataFrame], sequences: tuple[str, ...], beside: Beside
) -> tuple[FloatArray, FloatArray]:
    """Values and scale-free values of the sequences, (n_sequences, n_bars) each; news and ranks have no scale."""
    names, family = np.array(sequences), np.array([_family_of(name) for name in sequences])
    if (family == "bars").all():
        return compute_stacked(frames.values(), sequences)
    values, scaled = (np.empty((len(sequences), sum(map(len, frames.values())))) for _ in range(2))
    rows = family == "bars"
    if rows.any():
        values[rows], scaled[rows] = compute_stacked(frames.values(), names[rows].tolist())
    rows = family == "news"
    if rows.any() and beside.news is not None:
        values[rows] = scaled[rows] = news_sequences(beside.news, frames, names[rows].tolist())
    rows = family == "alphas"
    if rows.any() and beside.alphas is not None:
        values[rows] = scaled[rows] = beside.alphas.sequences(frames, names[rows].tolist())
    return values, scaled


def _family_of(name: str) -> str:
    """What a sequence is made of."""
    return "alphas" if is_alpha(name) else "news" if name in NEWS_FACTORS else "bars"
