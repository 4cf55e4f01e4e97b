"""Two short runs with what the page loads of them: one that reads sequences, one that reads days."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ragsignal.config import load_spec
from ragsignal.report.seen.files import open_seen, write_seen
from ragsignal.trading import run_spec
from tests.sidecars import Written
from tests.specs import HOLD, RANDOM, VOTE, write_spec

DAYS = {"candidates": "days", "own_days": True, "k": 60, "opposite": 30}
NEAREST = {"name": "state", "signal": "vote", "retrieval": DAYS | {"retriever": "state"}}
AGAIN = {"name": "again", "signal": "vote", "retrieval": DAYS | {"retriever": "state"}}


def written(spec: Path, folder: Path) -> Written:
    result = replace(run_spec(load_spec(spec)), command=f"ragsignal backtest {spec}")
    write_seen(open_seen(result), folder)
    return Written(spec, result, folder)


@pytest.fixture(scope="session")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("sequences")
    return written(write_spec(folder, data={"end": date(2015, 4, 30)}, variant=[VOTE, RANDOM, HOLD]), folder)


@pytest.fixture(scope="session")
def days(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("days")
    spec = write_spec(
        folder,
        data={"symbols": [f"S{number:02d}" for number in range(30)], "end": date(2015, 2, 27)},
        corpus={"target": "relative"},
        retrieval={"retriever": "none", "k": None},
        variant=[NEAREST, AGAIN, HOLD],
    )
    return written(spec, folder)
