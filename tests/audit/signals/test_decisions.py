"""The audit of decisions from outside: an honest reading passes; one that looks ahead, or a blind audit, is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from ragsignal.audit.models.training import audit_training
from ragsignal.audit.signals import decisions as audited
from ragsignal.audit.signals.decisions import audit_decisions
from ragsignal.data.decision_bars import Calendars, Decisions, place_decisions
from ragsignal.data.decisions import read_decisions
from ragsignal.data.session import SessionClose
from ragsignal.study import Study
from ragsignal.utils import silent
from tests.specs import HOLD, VOTE, spec

DAYS = np.arange("2024-01-01", "2024-04-01", dtype="datetime64[D]")


def _decisions(folder: Path, moments: bool = False) -> Decisions:
    """A score for two symbols on every third bar; by moments those of the evening before it."""
    rng = np.random.default_rng(0)
    when = [f"{day - 1}T22:00:00Z" if moments else f"{day}" for day in DAYS[3::3]]
    lines = [f"{name},{text},{rng.uniform(-1, 1)}\n" for name in ("A", "B") for text in when]
    (folder / "mine.csv").write_text(f"symbol,{'decided_at' if moments else 'date'},score\n" + "".join(lines))
    calendars = Calendars({"A": DAYS, "B": DAYS[5:]}, SessionClose.parse("21:00 UTC"))
    return place_decisions(read_decisions(folder / "mine.csv"), calendars, 2)


def _scaled(placed: Decisions) -> Decisions:
    """Values in units of the largest of the whole file: the known leak of windows that are scaled with later rows."""
    return replace(placed, numbers=placed.numbers / placed.numbers["value"].abs().max())


def _filled_back(placed: Decisions) -> Decisions:
    """What was decided on a bar is in force on the bar before it."""
    early = np.where(placed.bar > 0, placed.bar - 1, placed.bar)
    days = np.where(placed.bar > 0, placed.days - np.timedelta64(1, "D"), placed.days)
    return replace(placed, bar=early, days=days)


@pytest.mark.parametrize("moments", [False, True])
def test_an_honest_reading_passes_and_the_planted_leak_is_caught_on_the_way(moments: bool, tmp_path: Path) -> None:
    prefix, poison = audit_decisions("mine", _decisions(tmp_path, moments))
    assert (prefix.test, prefix.verdict) == ("signal-prefix", "passed"), prefix.words
    assert (poison.test, poison.verdict) == ("signal-poison", "passed"), poison.words
    assert "rows after it are cut off" in prefix.words


@pytest.mark.parametrize("moments", [False, True])
@pytest.mark.parametrize("leak", [_scaled, _filled_back])
def test_a_reading_that_knows_later_rows_fails(
    leak: Callable[[Decisions], Decisions], moments: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = _decisions(tmp_path, moments)
    monkeypatch.setattr(audited, "place_decisions", lambda *words: leak(place_decisions(*words)))
    for finding in audit_decisions("mine", leak(honest)):
        assert finding.verdict == "failed"
        assert "It changes when later bars and rows are" in finding.words


def test_an_audit_that_sees_no_difference_is_broken_and_not_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audited, "_differences", lambda *_: [])
    assert {finding.verdict for finding in audit_decisions("mine", _decisions(tmp_path))} == {"broken"}


def test_what_cannot_be_known_of_a_file_is_said_by_the_audit_of_training(tmp_path: Path) -> None:
    lines = "".join(f"AAA,{day},buy,{day}\n" for day in (date(2015, 1, 5), date(2015, 1, 6)))
    (tmp_path / "mine.csv").write_text("symbol,date,action,available_at\n" + lines)
    mine = {"name": "mine", "signal": "external"}
    study = Study(spec(variant=[mine, VOTE, HOLD], external={"path": tmp_path / "mine.csv"}))
    finding, _ = audit_training(study, dict(study.materials.traded.frames), silent)
    assert (finding.subject, finding.verdict) == ("mine", "unknown")
    assert "whether a decision knew what came after it cannot be seen in the file" in finding.words
    assert "Of 2 of 2 it says when they were there" in finding.words
