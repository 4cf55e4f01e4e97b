"""A source over prices that grow gives what one over all of them gives."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragsignal.config import RunSpec
from ragsignal.data import Prices
from ragsignal.signals import queries_of
from ragsignal.study import GrowingSource, Study
from tests.specs import VOTE, spec
from tests.universe import CALENDAR, universe

START = CALENDAR[300]
BOOSTING = {"name": "boosting", "signal": "classifier", "classifier": "shipped:classifier"}
STOCKLLM = {"name": "stockllm", "signal": "llm", "llm": {"model": "shipped:stockllm"}}
RAG = {
    "name": "rag",
    "signal": "llm",
    "llm": {"model": "shipped:stockllm", "adapter": "shipped:stockllm-days"},
    "retrieval": {"candidates": "days", "retriever": "finseer", "k": 400, "opposite": 200},
}


def small(variant: dict[str, Any]) -> RunSpec:
    return spec(
        data={
            "source": "folder",
            "path": "nowhere",
            "symbols": list(universe()),
            "start": START.date(),
            "end": date(2099, 1, 1),
        },
        corpus={"target": "relative"} if variant != VOTE else {},
        retrieval={"retriever": "none"} if variant != VOTE else {},
        variant=[variant],
        benchmark=variant["name"],
    )


def both(variant: dict[str, Any], folder: Path, count: int) -> tuple[list[Any], list[Any]]:
    """Signals of the last days: of prices that gained them one at a time, and of all prices."""
    one, frames = small(variant), universe()
    calendar = CALENDAR[-count:]
    before = Prices({symbol: frame.loc[: CALENDAR[-count - 1]] for symbol, frame in frames.items()})
    growing, traded = GrowingSource(one, one.variants[0], before, folder), list[Any]()
    whole = Prices(frames)
    asked = queries_of(whole.between(START.date(), None).frames, one.corpus.lookback)
    for stamp in calendar:
        rows = {symbol: frame.loc[stamp].tolist() for symbol, frame in frames.items() if stamp in frame.index}
        growing.add(stamp.date(), rows)
        traded += growing.signals([query for query in asked if query.as_of == stamp.date()])
    pipeline: Any = Study(one, history=whole).pipeline(one.variants[0])
    pipeline.store = type(pipeline.store)(":memory:")  # what the growing one made must not be found
    later = [query for query in asked if query.as_of >= calendar[0].date()]
    return traded, sorted(pipeline.signals(later), key=lambda it: it.as_of)


def keys(signals: list[Any]) -> set[tuple[Any, ...]]:
    return {(it.symbol, it.as_of, it.key, it.abstained) for it in signals}


@pytest.mark.parametrize(("variant", "count"), [(VOTE, 3), (BOOSTING, 4)], ids=["vote", "boosting"])
def test_signals_have_the_same_address_and_the_same_numbers(
    tmp_path: Path, variant: dict[str, Any], count: int
) -> None:
    grown, whole = both(variant, tmp_path / "scratch", count)
    assert keys(grown) == keys(whole)
    assert any(it.abstained is None for it in grown)
    numbers = [{(it.symbol, it.as_of): (it.probability, it.rank) for it in side} for side in (grown, whole)]
    assert numbers[0] == numbers[1]


def _place(signal: Any) -> tuple[date, str]:
    return signal.as_of, signal.symbol


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "count"), [(STOCKLLM, 4), (RAG, 2)], ids=["stockllm", "rag"])
def test_a_language_model_scores_a_day_as_in_its_block(tmp_path: Path, variant: dict[str, Any], count: int) -> None:
    grown, whole = both(variant, tmp_path / "scratch", count)
    assert keys(grown) == keys(whole)
    found, wanted = ([it.probability for it in sorted(side, key=_place)] for side in (grown, whole))
    np.testing.assert_allclose(found, wanted, atol=1e-4)  # law 2: fresh passes in float32


def test_a_poisoned_day_to_come_changes_no_signal(tmp_path: Path) -> None:
    one, frames = small(BOOSTING), universe()
    before = Prices({symbol: frame.loc[: CALENDAR[-3]] for symbol, frame in frames.items()})
    growing = GrowingSource(one, one.variants[0], before, tmp_path / "scratch")
    day = CALENDAR[-2]
    asked = [it for it in queries_of(Prices(frames).between(START.date(), None).frames, 5) if it.as_of == day.date()]
    growing.add(day.date(), {symbol: it.loc[day].tolist() for symbol, it in frames.items() if day in it.index})
    signals = growing.signals(asked)
    growing.add(CALENDAR[-1].date(), {symbol: [1e4, 1e4, 1e-3, 1e-2, 1e12] for symbol in frames})
    assert growing.signals(asked) == signals
    pipeline: Any = growing._pipeline
    pipeline.store = type(pipeline.store)(":memory:")
    assert [it.probability for it in growing.signals(asked)] == [it.probability for it in signals]


def test_of_candidates_only_two_days_are_kept(tmp_path: Path) -> None:
    both(VOTE, tmp_path / "scratch", 5)
    assert sorted(it.name for it in (tmp_path / "scratch").iterdir()) == ["0", "1"]
    assert pd.Series([len(list((it / "corpora").iterdir())) for it in (tmp_path / "scratch").iterdir()]).eq(1).all()
