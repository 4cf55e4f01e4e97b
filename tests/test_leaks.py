"""The corpus of leaks: every look-ahead is caught, nothing honest is flagged, by the audit as a user runs it."""

from __future__ import annotations

import importlib
from multiprocessing import forkserver
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragsignal.audit.code import fresh
from ragsignal.audit.code.cuts import Market
from ragsignal.audit.code.run import examine
from ragsignal.audit.code.subjects import Subject, kind_of, load, takes_signal
from ragsignal.audit.verdict import Finding
from ragsignal.config import CostSpec
from tests.leaks import clean, leaky
from tests.markets import bars

pytestmark = pytest.mark.slow


def _names(module: ModuleType) -> list[str]:
    """Everything that a module of the corpus defines, by the name that the command line takes."""
    own = [name for name, it in vars(module).items() if getattr(it, "__module__", "") == module.__name__]
    return [f"{module.__name__}:{name}" for name in own if not name.startswith("_")]


LEAKY = _names(leaky)
CLEAN = [name for name in _names(clean) if not name.endswith(":Rule")]


@pytest.fixture(scope="module", autouse=True)
def imported_once() -> None:
    """Let the server that the audit's fresh processes are forked from import the corpus: else each of them does."""
    server: Any = forkserver
    server._forkserver._stop()  # an earlier test's, which does not know the corpus
    server.set_forkserver_preload([fresh.__name__, leaky.__name__, clean.__name__])
    server.ensure_running()


@pytest.fixture(scope="module")
def market() -> Market:
    """Sixty-six days of two symbols; one begins late, and misses days. Some leaks read bar 40, or 40 bars."""
    days = pd.bdate_range("2020-01-01", periods=66)
    kept = days[np.random.default_rng(5).random(len(days)) < 0.93][8:]
    return Market({"AA": bars(len(days), 1, days=days), "BB": bars(len(kept), 2, days=kept)})


def _short(name: str) -> str:
    return name.split(":")[1]


def _examined(name: str, market: Market) -> list[Finding]:
    kind = kind_of(name)
    source = clean.Rule() if kind != "function" and takes_signal(load(name)) else None
    return examine([Subject(name, kind, source=source)], market, CostSpec())


def test_the_corpus_is_large_enough_and_every_trick_is_told() -> None:
    assert len(LEAKY) >= 20
    assert len(CLEAN) >= 20
    for name in (*LEAKY, *CLEAN):
        module, attribute = name.split(":")
        thing: Any = getattr(importlib.import_module(module), attribute)
        assert thing.__doc__
        assert "\n" not in thing.__doc__


@pytest.mark.parametrize("name", LEAKY, ids=_short)
def test_a_leak_is_caught(name: str, market: Market) -> None:
    findings = _examined(name, market)
    assert any(it.verdict == "failed" for it in findings), [it.words for it in findings]


@pytest.mark.parametrize("name", CLEAN, ids=_short)
def test_what_is_honest_is_not_flagged(name: str, market: Market) -> None:
    findings = _examined(name, market)
    assert not [it.words for it in findings if it.verdict in ("failed", "broken")]
    assert {it.test: it.verdict for it in findings}["prefix"] == "passed"
