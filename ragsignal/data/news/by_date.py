"""The leak of many studies of news: items that count for the bar of their calendar day, though it was over by then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ragsignal.data.news.items import NewsItems


def counted_by_date(items: NewsItems) -> NewsItems:
    """Let every item count for the bar of its calendar day on the market's clock, whether or not that bar was over.

    It looks ahead: what was published after the close of a day counts for a signal that is made at that close.
    """
    clock = pd.DatetimeIndex(items.available_at).tz_localize("UTC").tz_convert(items.close.zone)
    own = clock.tz_localize(None).to_numpy().astype("datetime64[D]")
    own = np.where(np.isnat(items.after), own, items.after)
    early = np.minimum(items.available_at, items.close.instants(own).astype("datetime64[us]"))
    dated = replace(items, available_at=early, after=np.full(len(items), "NaT", "datetime64[D]"))
    return dated.take(np.lexsort((early, items.places)))
