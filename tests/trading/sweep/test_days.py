"""Sweeps over how days are retrieved: every point once, and a second sweep reads them from the store."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ragsignal.config import RunSpec
from ragsignal.errors import ConfigError
from ragsignal.llm import DayVote
from ragsignal.trading.sweep import run_sweep
from tests.specs import HOLD, spec

pytestmark = pytest.mark.slow

SYMBOLS = [f"S{number:02d}" for number in range(22)]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunSpec:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    return spec(
        data={"source": "noise", "symbols": SYMBOLS, "start": date(2015, 1, 5), "end": date(2015, 2, 6)},
        corpus={"target": "relative"},
        retrieval={"candidates": "days", "retriever": "state", "k": 60, "own_days": True},
        strategy={"class": "ragsignal.strategies:SlowBook"},
        variant=[{"name": "days", "signal": "vote"}, HOLD],
    )


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The days whose hits were read for the universe, once a reading."""
    days: list[int] = []
    whole = DayVote.of_universe

    def counted(self: DayVote, row: int, hits: Any) -> Any:
        days.append(row)
        return whole(self, row, hits)

    monkeypatch.setattr(DayVote, "of_universe", counted)
    return days


GRID = {
    "retrieval.k": [20, 60],
    "retrieval.retriever": ["state", "random", "recent"],
    "retrieval.opposite": [0, 15],
    "retrieval.max_age": [100, 150],
}


def test_every_way_to_retrieve_days_is_read_once_and_never_again(small: RunSpec, read: list[int]) -> None:
    first = run_sweep(small, GRID)
    assert first["trials"] == 24
    assert len(set(read)) == 20  # days of the window that have five bars of it before them
    assert len(read) <= 24 * 20  # points that retrieve the same days share a reading
    assert len({row["return"] for row in first["rows"]}) > 12
    read.clear()
    again = run_sweep(small, {**GRID, "costs.commission_bps": [0.0]})
    assert again["trials"] == 24
    assert read == []


def test_a_point_that_finds_no_days_is_refused_by_name(small: RunSpec) -> None:
    with pytest.raises(ConfigError, match="retriever 'shape' does not find days"):
        run_sweep(small, {"retrieval.retriever": ["state", "shape"]})
