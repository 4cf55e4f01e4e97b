"""A made-up market on every clock, by a call: weeks, months, hours of an exchange, hours and days of one that never
closes; as a table of ``[data]`` and as frames.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd

from ragsignal.config import DataSpec
from ragsignal.data import load_prices
from tests.specs import Tables, changed

CLOCKS: dict[str, Tables] = {
    "day": {"start": date(2015, 1, 5), "end": date(2015, 6, 30)},
    "week": {"bar": "week", "start": date(2015, 1, 5), "end": date(2017, 12, 29)},
    "month": {"bar": "month", "start": date(2006, 1, 2), "end": date(2017, 12, 29)},
    "hour": {"bar": "60min", "start": date(2015, 1, 5), "end": date(2015, 2, 13)},
    "two bars a session": {"bar": "4h", "start": date(2015, 1, 5), "end": date(2015, 4, 30)},
    "hour of 24/7": {"bar": "1h", "calendar": "24/7", "start": date(2015, 1, 5), "end": date(2015, 1, 11)},
    "day of 24/7": {"calendar": "24/7", "start": date(2015, 1, 5), "end": date(2015, 6, 30)},
}
"""What ``[data]`` says on each clock; windows of some 150 bars."""


def clock_data(clock: str, **changes: Any) -> Tables:
    """The table ``[data]`` of a market on a clock."""
    return changed({"source": "planted", "symbols": ["AAA", "BBB"], **CLOCKS[clock]}, **changes)


def clock_frames(clock: str, **changes: Any) -> dict[str, pd.DataFrame]:
    """The bars of a market on a clock, from years before the window on."""
    return dict(load_prices(DataSpec.model_validate(clock_data(clock, **changes))).frames)
