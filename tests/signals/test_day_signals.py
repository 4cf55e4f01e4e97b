"""The laws on signals from retrieved days: as-of, batch is bar by bar, replay; and two reasons to abstain."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ragsignal.config.tables import Horizon
from ragsignal.data import MarketDays, build_market_days
from ragsignal.data.rank_letters import RankLetters, build_rank_letters
from ragsignal.errors import DataError
from ragsignal.llm.day_vote import DayVote
from ragsignal.retrieval.days import DayRetriever, NearestDays, RandomDays, RecentDays
from ragsignal.signals.pipeline import NO_CANDIDATE, TOO_FEW_BARS, RagPipeline
from ragsignal.signals.store import SignalStore
from ragsignal.study import Study
from ragsignal.types import FloatArray, Prompt, Score, Signal, known_through
from tests.day_tables import METRIC
from tests.fakes import every_query
from tests.markets import Frames, poisoned, until
from tests.specs import spec
from tests.universe import CALENDAR, N_DAYS, universe, universe_letters

FRAMES = universe()
STATED, LOOKBACK = 293, 5  # the first day with a state; its payoffs are known a day later
LATE = [query for query in every_query(FRAMES) if query.as_of >= CALENDAR[STATED - 3].date()]
KINDS: dict[str, Callable[[MarketDays], DayRetriever]] = {
    "state": lambda days: NearestDays(days, METRIC, k=8, opposite=4),
    "recent": lambda days: RecentDays(days, METRIC, k=8, embargo=2),
    "random": lambda days: RandomDays(days, METRIC, k=8, opposite=4, seed=1),
}


class CountedVote(DayVote):
    """Counts as a model, and keeps which days it read."""

    is_model = True

    def __init__(self, universe: RankLetters) -> None:
        super().__init__(universe)
        self.read: list[int] = []

    def of_universe(self, row: int, hits: object) -> FloatArray:
        self.read.append(row)
        return super().of_universe(row, hits)  # type: ignore[arg-type]

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        return [replace(score, seconds=0.0) for score in super().score(prompts)]  # all else is compared bit by bit


def pipeline(
    frames: Frames = FRAMES, kind: str = "state", horizon: int = 1, store: SignalStore | None = None
) -> RagPipeline:
    letters = universe_letters() if frames is FRAMES else build_rank_letters(frames)
    days, vote = build_market_days(letters, frames, "relative", horizon), CountedVote(letters)
    return RagPipeline(KINDS[kind](days), vote.prompter, vote, SignalStore(":memory:") if store is None else store)


@cache
def clean(kind: str, horizon: int) -> dict[tuple[str, date], Signal]:
    return {(it.symbol, it.as_of): it for it in pipeline(kind=kind, horizon=horizon).signals(LATE)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("horizon", [1, 5])
@settings(max_examples=2, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(row=st.integers(STATED + 8, N_DAYS - 2), seed=st.integers(0, 99))
def test_poisoning_or_cutting_every_bar_after_t_moves_no_signal_at_or_before_t(
    kind: str, horizon: int, row: int, seed: int
) -> None:
    cut = CALENDAR[row].date()
    for frames in (poisoned(FRAMES, cut, seed), until(FRAMES, cut)):
        asked = [it for it in every_query(frames) if CALENDAR[row - 4].date() <= it.as_of]
        made = pipeline(frames, kind, horizon).signals(asked)
        truth = clean(kind, horizon)
        past = [it for it in made if it.as_of <= cut]
        assert past == [truth[it.symbol, it.as_of] for it in past]  # hits, keys and all
        assert sum(it.abstained is None for it in past) > 40
        assert all(it.key != truth[it.symbol, it.as_of].key for it in made if it.as_of > cut)


@pytest.mark.parametrize("kind", KINDS)
def test_no_day_of_any_signal_was_known_later_than_the_signal(kind: str) -> None:
    known = [(it.as_of, known_through(it.hits)) for it in clean(kind, 5).values()]
    assert sum(last is not None for _, last in known) > 500
    assert all(last is None or last <= as_of for as_of, last in known)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_gives_the_signals_of_bar_by_bar(kind: str) -> None:
    asked = [query for query in LATE if query.symbol in ("S00", "S03", "S07")]
    streamed = pipeline(kind=kind)
    by_bar = [streamed.signals([query])[0] for query in sorted(asked, key=lambda query: query.as_of)]
    together = pipeline(kind=kind).signals(asked)
    assert sorted(by_bar, key=lambda it: it.key) == sorted(together, key=lambda it: it.key)
    days = {it.as_of for it in by_bar if it.abstained is None}
    assert isinstance(streamed.scorer, CountedVote)
    assert len(streamed.scorer.read) == len(days)  # one reading a day, though its stocks came one by one


def test_a_second_run_reads_nothing_and_gives_the_same_bytes(tmp_path: Path) -> None:
    first = pipeline(store=SignalStore(tmp_path / "s.sqlite"))
    made = first.signals(LATE)
    again = pipeline(store=SignalStore(tmp_path / "s.sqlite"))
    replayed = again.signals(LATE)
    assert isinstance(again.scorer, CountedVote)
    assert again.scorer.read == []
    assert (again.cost.model_calls, again.cost.found) == (0, len(LATE))
    assert first.cost.model_calls == sum(it.abstained is None for it in made)
    assert pickle.dumps(replayed) == pickle.dumps(made)


def test_a_day_before_any_has_matured_abstains_for_the_reason_that_there_is() -> None:
    made = pipeline(horizon=5).signals(LATE)
    before = CALENDAR[STATED + 5].date()  # on which the first day with a state and payoffs is known
    views = {(it.abstained, it.value, tuple(it.hits)) for it in made if it.as_of < before}
    assert views == {(NO_CANDIDATE, 0.0, ()), (TOO_FEW_BARS, 0.0, ())}  # some stocks cannot be ranked
    assert any(it.abstained is None and it.as_of == before for it in made)


VOTE = {
    "name": "vote",
    "signal": "vote",
    "retrieval": {"candidates": "days", "retriever": "state", "k": 40, "opposite": 20, "own_days": True},
}
MANY = [f"S{number:02d}" for number in range(24)]


@pytest.mark.parametrize("horizon", [1, 5, 10, 20])
def test_a_spec_retrieves_its_own_days_over_every_horizon(horizon: Horizon) -> None:
    run = spec(
        data={"symbols": MANY, "source": "noise", "start": date(2011, 6, 1), "end": date(2011, 9, 30)},
        corpus={"target": "relative", "horizon": horizon},
        benchmark="vote",
        variant=[VOTE],
    )
    study = Study(run)
    source, frames = study.pipeline(study.spec.variants[0]), study.prices.frames
    days = frames["S00"].loc["2011-06-01":].index.date[-3:].tolist()  # type: ignore[misc]
    asked = [query for query in every_query({"S00": frames["S00"]}) if query.as_of in days]
    made = source.signals(asked)
    assert [it.abstained for it in made] == [None] * 3
    calendar = frames["S00"].index
    for it in made:
        assert len(it.hits) == 60
        matured = calendar[calendar.get_loc(np.datetime64(it.as_of)) - horizon].date()
        assert max(hit.candidate.day for hit in it.hits) <= matured  # type: ignore[union-attr]
    assert source.recipe["retrieval"]["candidates"] == "days"


def test_fewer_than_20_stocks_say_what_to_do() -> None:
    data = {"source": "noise", "symbols": MANY[:19], "start": date(2011, 6, 1), "end": date(2011, 7, 29)}
    study = Study(spec(data=data, benchmark="vote", variant=[VOTE]))
    with pytest.raises(DataError, match=r"at least 20 stocks, and data\.symbols names 19; .* in the place of days"):
        study.pipeline(study.spec.variants[0])


def test_too_few_days_of_before_the_start_say_what_to_do(tmp_path: Path) -> None:
    table = pd.concat([frame.assign(symbol=symbol) for symbol, frame in FRAMES.items()]).rename_axis("date")
    table.reset_index().to_parquet(tmp_path / "prices.parquet")
    data = {"source": "table", "path": str(tmp_path / "prices.parquet"), "symbols": "all"}
    dates = {"start": CALENDAR[STATED + 7].date(), "end": CALENDAR[-1].date()}
    study = Study(spec(data=data | dates, benchmark="vote", variant=[VOTE], corpus={"target": "relative"}))
    with pytest.raises(DataError, match=r"at least 20 states of before data\.start, and 7 are known"):
        study.pipeline(study.spec.variants[0])
