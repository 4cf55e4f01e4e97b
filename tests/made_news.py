"""News of a made-up universe: items at moments around the close, with sentiments that were drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ragsignal.data import NewsDays, NewsItems, NewsScores, SessionClose, build_news_days, calendar_of, days_of

CLOSE = SessionClose.parse("16:00 America/New_York")
SCORED: dict[str, object] = {"scorer": "drawn"}


def drawn_items(symbols: Sequence[str], days: np.ndarray, seed: int = 0, share: float = 0.6) -> NewsItems:
    """An item on some days of each symbol, at any hour from midnight to midnight in UTC."""
    rng = np.random.default_rng(seed)
    there = rng.random((len(symbols), len(days))) < share
    hours = rng.uniform(0.0, 24.0 * 3600.0, there.shape)
    places, rows = np.nonzero(there)
    moments = days[rows].astype("datetime64[us]") + (hours[places, rows] * 1e6).astype("timedelta64[us]")
    order = np.lexsort((moments, places))
    places, moments = places[order], moments[order]
    names = [f"{symbols[place]} item {number}" for number, place in enumerate(places)]
    return NewsItems(
        symbols=tuple(symbols),
        close=CLOSE,
        places=places.astype(np.int64),
        available_at=moments,
        after=np.full(len(places), "NaT", "datetime64[D]"),
        ids=np.array([str(moment) for moment in moments], object),
        headlines=np.array(names, object),
        bodies=np.full(len(places), "", object),
    )


def drawn_scores(items: NewsItems, seed: int = 0) -> NewsScores:
    """A sentiment and a novelty an item, by its moment and symbol: a part of the items has those of the whole."""
    keys = items.available_at.astype(np.int64) + 7919 * items.places + seed
    noise = (keys * 2654435761 % 2**32) / 2**32
    return NewsScores(2.0 * noise - 1.0, noise, SCORED)


def news_of(frames: Mapping[str, pd.DataFrame], seed: int = 0, share: float = 0.6) -> NewsDays:
    """The news of these bars."""
    items = drawn_items(tuple(frames), calendar_of(frames.values()), seed, share)
    return made(items, frames)


def made(items: NewsItems, frames: Mapping[str, pd.DataFrame]) -> NewsDays:
    """What items say on the bars of some frames."""
    return build_news_days(items, drawn_scores(items), {name: days_of(frame) for name, frame in frames.items()})
