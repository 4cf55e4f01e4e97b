"""Search specs by a call: a small search on a made-up market, of which a test names what it changes."""

from __future__ import annotations

from datetime import date
from typing import Any

from ragsignal.config import SearchSpec
from tests.specs import Tables, changed

SMALL_SEARCH: Tables = {
    "name": "hunt",
    "out": "runs",
    "data": {
        "source": "noise",
        "symbols": [f"S{number:02d}" for number in range(12)],
        "start": date(2012, 1, 2),
        "end": date(2013, 6, 28),
    },
    "alpha": {
        "search_end": date(2012, 6, 29),
        "selection_end": date(2012, 12, 28),
        "population": 12,
        "generations": 3,
        "candidates": 6,
        "keep": 2,
        "depth": 3,
        "windows": [2, 5, 10],
    },
}


def search_spec(**changes: Any) -> SearchSpec:
    """``SMALL_SEARCH`` with changes."""
    return SearchSpec.model_validate(changed(SMALL_SEARCH, **changes))
