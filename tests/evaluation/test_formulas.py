"""A formula scored on the prices of a spec."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ragsignal.data import Prices, forward_returns
from ragsignal.evaluation import formula_findings
from ragsignal.study import Study, TrialLedger, bars_between, ledger_path
from tests.specs import spec

SYMBOLS = ["AAA", "BBB", "CCC", "DDD", "EEE"]


@pytest.fixture(scope="module")
def study() -> Study:
    return Study(spec(data={"symbols": SYMBOLS}, evaluation={"target": "open_to_open", "horizon": 5}))


def test_the_correlation_is_that_of_pandas(study: Study) -> None:
    findings = formula_findings(study, "ts_zscore(close, 20)")
    labels = forward_returns(study.prices.frames, "open_to_open", 5)
    outcomes = pd.DataFrame({name: it["outcome"] for name, it in labels.items()}).reindex(findings.values.index)
    daily = findings.values.rank(axis=1).corrwith(outcomes[SYMBOLS].rank(axis=1), axis=1).dropna()
    assert findings.whole.days == len(daily)
    assert findings.whole.ic.difference == pytest.approx(daily.mean())
    by_year = daily.groupby(daily.index.year).mean()
    assert {int(it.name): it.ic.difference for it in findings.years} == pytest.approx(by_year.to_dict())
    assert findings.whole.ic.low < findings.whole.ic.difference < findings.whole.ic.high


def test_a_call_from_python_is_a_trial_as_one_of_the_command_is(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path))
    for text in ("rank(volume)", "rank(volume)", "-rank(volume)"):
        formula_findings(study, text)
    ledger = TrialLedger(ledger_path())
    assert len(ledger.against(bars_between(study.spec.data, study.spec.data.start, study.spec.data.end))) == 2
    ledger.close()


def test_bars_before_the_window_fill_it(study: Study) -> None:
    findings = formula_findings(study, "ts_mean(close, 60)")
    assert findings.coverage == 1.0
    close = pd.DataFrame({name: it["close"] for name, it in study.prices.frames.items()})
    expected = close.rolling(60).mean().reindex(findings.values.index)[SYMBOLS]
    np.testing.assert_allclose(findings.values, expected)


def test_what_never_moves_turns_nothing_over_and_ranks_nothing(study: Study) -> None:
    findings = formula_findings(study, "close * 0")
    assert (findings.turnover, findings.whole.ic.difference) == (0.0, 0.0)
    assert not findings.whole.ic.distinguishable


def test_a_formula_that_knows_is_told_from_one_that_does_not(study: Study) -> None:
    labels = forward_returns(study.prices.frames, "open_to_open", 5)
    answers = {name: 1000 * (1 + it["outcome"].fillna(0.0)) for name, it in labels.items()}
    frames = {name: it.assign(volume=answers[name]) for name, it in study.prices.frames.items()}
    assert formula_findings(Study(study.spec, history=Prices(frames)), "volume").whole.ic.low > 0.9
    assert not formula_findings(study, "volume").whole.ic.distinguishable
