"""The audit of retrieved days: honest ones pass, and days whose payoffs are read a day too early are found."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragsignal.audit.signals import days, signals, visibility
from ragsignal.audit.signals.days import baited, late_days
from ragsignal.audit.signals.retrieval import audit_retrieval
from ragsignal.audit.signals.signals import audit_signals
from ragsignal.audit.verdict import Finding
from ragsignal.config import RunSpec, Target
from ragsignal.data import Prices
from ragsignal.data.market_days import DayHits, MarketDays, build_market_days
from ragsignal.data.rank_letters import RankLetters
from ragsignal.data.synthetic_states import planted_days
from ragsignal.study import materials
from ragsignal.study.study import Study
from ragsignal.types import Signal
from ragsignal.utils import silent
from tests.specs import HOLD, spec

pytestmark = pytest.mark.slow

Frames = Mapping[str, pd.DataFrame]
STATE = {"name": "state", "signal": "vote"}
SYMBOLS = [f"D{number:02d}" for number in range(24)]
OPTIONS = {"candidates": "days", "own_days": True, "k": 20}
RANDOM = {"name": "random", "signal": "vote", "retrieval": OPTIONS | {"retriever": "random", "embargo": 2}}


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, as a planted leak must not stay for the next test; and the fewest cut points."""
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    for name, value in {"SECONDS": 0.0, "_FEWEST": 3}.items():
        monkeypatch.setattr(visibility, name, value)
    monkeypatch.setattr(signals, "DAYS", 2)
    monkeypatch.setattr(days, "DAYS", 3)


def days_spec(*variants: dict[str, Any]) -> RunSpec:
    """A month of the market with states."""
    data = {"source": "planted-days", "symbols": SYMBOLS, "start": date(2012, 1, 2), "end": date(2012, 2, 3)}
    retrieval = OPTIONS | {"retriever": "state", "opposite": 5}
    corpus = {"target": "relative"}
    return spec(data=data, corpus=corpus, retrieval=retrieval, variant=[HOLD, *(variants or (STATE, RANDOM))])


@functools.cache
def history() -> Prices:
    """Two years before the month, and the month."""
    return planted_days(SYMBOLS, "2010-01-04", "2012-02-03")


def study_of(*variants: dict[str, Any]) -> Study:
    return Study(days_spec(*variants), history=history())


def traded(study: Study) -> dict[str, pd.DataFrame]:
    data = study.spec.data
    return dict(study.prices.select(data.symbols).between(data.start, data.end).frames)


def audit(study: Study) -> dict[tuple[str, str], Finding]:
    found = audit_signals(study, traded(study), silent) + audit_retrieval(study, traded(study), silent)
    return {(it.test, it.subject): it for it in found}


def test_an_honest_retrieval_of_days_is_proved_without_any_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(materials, "load_or_build", None)  # no corpus is built
    found = audit(study_of())
    assert {it.verdict for it in found.values()} == {"passed"}
    cut, start = found["signal-prefix", "state"].evidence, found["signal-start", "state"].evidence
    assert (cut["rebuilt"], cut["symbols_rebuilt"]) == (["rank letters", "days"], 24)
    assert start["days_compared"] == start["days_moved"] > 0  # of one year: a state needs 45 days of ranked stocks
    assert found["signal-replay", "state"].evidence["made_again"] == 24 * 2
    evidence = found["retrieval", "state"].evidence
    assert evidence["truncated_days"] == evidence["baits"] == evidence["lies_refused"] == days.DAYS
    assert (evidence["baits_taken"], evidence["baits_found_when_known"]) == (0, days.DAYS)
    assert evidence["days_read"] == days.DAYS * 25
    assert found["retrieval", "random"].evidence["baits_found_when_known"] is None


def known_a_day_early(letters: RankLetters, frames: Frames, target: Target, horizon: int) -> MarketDays:
    """What every factor paid stands there at the close of its own day."""
    honest = build_market_days(letters, frames, target, horizon)
    early = np.where(np.isnat(honest.available_at), honest.available_at, honest.days)
    return replace(honest, available_at=early)


def one_bar_further(letters: RankLetters, frames: Frames, target: Target, horizon: int) -> MarketDays:
    """Payoffs of two bars, said to be known after one."""
    honest, further = (build_market_days(letters, frames, target, ahead) for ahead in (horizon, 2))
    return replace(honest, payoffs=further.payoffs)


def states_of_tomorrow(letters: RankLetters, frames: Frames, target: Target, horizon: int) -> MarketDays:
    """The market's move of the next day, under the date of this one."""
    honest = build_market_days(letters, frames, target, horizon)
    return replace(honest, market=np.roll(honest.market, -1))


@pytest.mark.parametrize("leak", [known_a_day_early, one_bar_further, states_of_tomorrow])
def test_a_leaky_twin_is_caught_by_cut_poison_and_truncated_table(monkeypatch: pytest.MonkeyPatch, leak: Any) -> None:
    monkeypatch.setattr(materials, "build_market_days", leak)
    monkeypatch.setattr(visibility, "build_market_days", leak)
    found = audit(study_of(STATE))
    for test in ("signal-prefix", "signal-poison", "signal-replay", "retrieval"):
        assert found[test, "state"].verdict == "failed", test
    assert "when prices end with the query's" in found["retrieval", "state"].words


def test_a_retriever_that_sees_every_day_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MarketDays, "visible", lambda self, *_: np.flatnonzero(self.retrievable))
    study = study_of(STATE)
    (finding,) = audit_retrieval(study, traded(study), silent)
    assert finding.verdict == "failed"
    assert "the retriever returned market/" in finding.words


def test_a_day_is_planted_as_the_last_that_is_seen_or_the_first_that_is_not() -> None:
    own = study_of().materials.own_days
    as_of = own.days[-8].item()
    late, known = baited(own, as_of, 0, known=False), baited(own, as_of, 0, known=True)
    assert late is not None
    assert known is not None
    assert (late.bait, known.bait) == (len(own.days) - 8, len(own.days) - 9)
    assert late.bait not in late.visible(as_of)
    assert known.bait in known.visible(as_of)
    for table in (late, known):
        np.testing.assert_array_equal(table.states[table.bait], own.states[-8])
        assert (np.diff(table.available_at[:-1]) >= np.timedelta64(0)).all()
    assert baited(own, own.days[0].item(), 0, known=True) is None


def test_a_signal_whose_last_day_was_not_known_is_counted() -> None:
    study = study_of()
    own = study.materials.own_days
    hits = DayHits(own, np.array([100, 200 + 100]), np.array([1.0, 0.5]))
    last = own.available_at[300].item()
    assert late_days([Signal("A", last, 0.0, 0.5, None, hits, "")]) == (1, [])
    count, late = late_days([Signal("A", own.days[300].item(), 0.0, 0.5, None, hits, "")])
    assert (count, len(late)) == (1, 1)
