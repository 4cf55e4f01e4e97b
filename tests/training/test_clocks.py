"""Training on bars of weeks and hours: labels, split and card follow the clock, and what was trained is used there."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ragsignal.config import TrainSpec
from ragsignal.data import bars_until_known, days_of
from ragsignal.errors import ConfigError
from ragsignal.signals import queries_of
from ragsignal.study import Study
from ragsignal.training import TrainingRun
from ragsignal.training.classifier import train_classifier
from ragsignal.training.finseer.feedback import Teacher, score_candidates
from ragsignal.training.finseer.train import train_finseer
from ragsignal.utils import day_of
from tests.clocks import clock_data
from tests.specs import HOLD, spec, train_spec
from tests.training.finseer.test_feedback import Reader

SPANS = {
    "week": {"start": date(2006, 1, 2), "end": date(2014, 12, 31)},
    "month": {"start": date(1988, 1, 4), "end": date(2012, 12, 31)},
    "hour": {"start": date(2014, 9, 1), "end": date(2014, 12, 31)},
    "hour of 24/7": {"start": date(2014, 12, 1), "end": date(2014, 12, 31)},
}
VALID = {
    "week": date(2012, 1, 2),
    "month": date(2008, 1, 2),
    "hour": date(2014, 12, 1),
    "hour of 24/7": date(2014, 12, 24),
}
SYMBOLS = [letter * 3 for letter in "ABCDEFGH"]  # of few months the longest sequence has few values: letters need 320
FINSEER = {"numeric_epochs": 2, "dim": 8, "hidden": 8, "negatives": 3}
FEEDBACK = {"queries": 48, "candidates": 8, "block": 8}

every_clock = pytest.mark.parametrize("clock", SPANS)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))


def run_on(clock: str, out: Path, **changes: Any) -> TrainingRun:
    table: TrainSpec = train_spec(
        out=out,
        data=clock_data(clock, symbols=SYMBOLS, **SPANS[clock]),
        split={"valid_from": VALID[clock], "embargo": 4},
        feedback=FEEDBACK,
        finseer=FINSEER,
        **changes,
    )
    return TrainingRun(table)


@every_clock
def test_an_embargo_counts_bars_and_no_label_is_known_after_it(clock: str, tmp_path: Path) -> None:
    run = run_on(clock, tmp_path / "out", corpus={"target": "open_to_open"})
    bars = days_of(run.prices.frames["AAA"]).tolist()
    first = min(example.query.as_of for example in run.valid)
    last = max(example.available_at for example in run.train)
    assert day_of(first) >= VALID[clock]
    assert bars.index(first) - bars.index(last) == 4
    labelled = run.train[-1]
    wait = bars_until_known("open_to_open")
    assert labelled.available_at == bars[bars.index(labelled.query.as_of) + wait]
    short = run_on(clock, tmp_path / "out", corpus={"target": "open_to_open", "horizon": 5})
    with pytest.raises(ConfigError, match="embargo is 4 bar"):
        _ = short.split


@every_clock
def test_a_classifier_is_trained_and_used_on_its_clock_and_refused_on_another(clock: str, tmp_path: Path) -> None:
    letters = {"bins_through": VALID[clock] - timedelta(days=20)}
    artifact = train_classifier(run_on(clock, tmp_path / "out", classifier={"kind": "logistic"}, corpus=letters))
    gap = {"week": 7.0, "month": 31.0, "hour": 1 / 24, "hour of 24/7": 1 / 24}[clock]
    assert artifact.card.data["bar_days"] == pytest.approx(gap)
    assert type(artifact.card.trained_through) is date
    start, letters = artifact.card.trained_through + timedelta(days=1), {"bins_through": artifact.card.trained_through}
    variant = {"name": "classifier", "signal": "classifier", "classifier": str(artifact.folder)}
    study = Study(spec(data=clock_data(clock, symbols=SYMBOLS, start=start), corpus=letters, variant=[HOLD, variant]))
    assert study.pipeline(study.spec.find_variant("classifier")).clock == study.prices.clock
    daily = Study(spec(data=clock_data("day", start=date(2015, 2, 2)), corpus=letters, variant=[HOLD, variant]))
    with pytest.raises(ConfigError, match="AAA has bars 1 day apart"):
        daily.pipeline(daily.spec.find_variant("classifier"))


@pytest.mark.slow
@pytest.mark.parametrize("clock", ["week", "hour"])
def test_finseer_of_numbers_is_trained_and_retrieves_on_its_clock(clock: str, tmp_path: Path) -> None:
    corpus = {"indicators": ["adj_close", "volume"], "bins_through": SPANS[clock]["start"] - timedelta(days=1)}
    run = run_on(clock, tmp_path / "out", corpus=corpus)
    score_candidates(run, Teacher(Reader(), "d1", SPANS[clock]["start"]))
    artifact = train_finseer(run, "numeric")
    start = artifact.card.trained_through + timedelta(days=1)
    variant = {
        "name": "finseer",
        "signal": "vote",
        "retrieval": {"retriever": "finseer", "encoder": str(artifact.folder), "k": 5},
    }
    study = Study(spec(data=clock_data(clock, symbols=SYMBOLS, start=start), corpus=corpus, variant=[HOLD, variant]))
    pipeline = study.pipeline(study.spec.find_variant("finseer"))
    found = pipeline.signals(queries_of({"AAA": study.materials.traded.frames["AAA"]}, 5)[:40])
    hits = [hit for signal in found for hit in signal.hits]
    assert hits
    assert all(hit.sequence.available_at <= signal.as_of for signal in found for hit in signal.hits)
    assert isinstance(hits[0].sequence.available_at, datetime) == (clock == "hour")


def test_ranks_of_hours_are_not_trained(tmp_path: Path) -> None:
    run = run_on("hour", tmp_path / "out", classifier={"kind": "boosting"}, corpus={"target": "relative"})
    with pytest.raises(ConfigError, match="rank letters are of whole days, and these are bars of 60 minutes"):
        train_classifier(run)
