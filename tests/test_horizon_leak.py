"""The example of docs/horizon-leak.md, in small: what the leak is worth, and who catches it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from ragsignal.audit.code import cuts
from ragsignal.audit.code.cuts import Market
from ragsignal.audit.code.run import examine
from ragsignal.audit.code.subjects import Subject
from ragsignal.config import CostSpec
from ragsignal.data import load_sample, noise_market
from ragsignal.utils import import_beside
from tests.markets import bars

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return import_beside("horizon_leak", EXAMPLES)


def test_on_pure_noise_the_leak_is_right_far_more_often_than_not(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = noise_market([f"S{number}" for number in range(12)], "2010-01-04", "2014-12-31").frames
    early = {symbol: frame.loc[: example.FIT_THROUGH] for symbol, frame in frames.items()}
    fitted = {scaling: example.fit(early, scaling) for scaling in ("honest", "leaky")}
    monkeypatch.setattr(example, "weights", fitted.__getitem__)
    right = {
        name: example.right_share(frames, example.decisions(frames, feature))
        for name, feature in example.FEATURES.items()
    }
    assert right["leaky"] > 0.8
    assert 0.45 < right["honest"] < 0.55
    assert 0.45 < right["deployed"] < 0.55


def test_the_mean_of_a_whole_window_is_what_tells_the_future(example: ModuleType) -> None:
    closes = np.log(bars(60, 3)["close"].to_numpy())
    whole = example.scale(closes, "leaky")[example.LOOKBACK - 1 : -example.HORIZON]
    past, future = whole[:, : example.LOOKBACK], whole[:, example.LOOKBACK :]
    np.testing.assert_allclose(past.sum(axis=1), -future.sum(axis=1), atol=1e-6)
    known = example.scale(closes, "honest")[example.LOOKBACK - 1 : -example.HORIZON, : example.LOOKBACK]
    np.testing.assert_allclose(known.sum(axis=1), 0.0, atol=1e-6)


def test_the_page_says_how_often_the_example_is_right(example: ModuleType) -> None:
    page = (EXAMPLES.parent / "docs" / "horizon-leak.md").read_text(encoding="utf-8")
    frames = load_sample().frames
    for name, feature in example.FEATURES.items():
        right = example.right_share(frames, example.decisions(frames, feature))
        assert f"| `{name}` | {100 * right:.1f} % |" in page


def test_decisions_begin_after_the_fit(example: ModuleType) -> None:
    frames = {"AA": bars(40, 1).set_index(pd.bdate_range("2012-12-03", periods=40))}
    table = example.decisions(frames, lambda frame: frame["close"])
    assert table.columns.tolist() == ["symbol", "date", "score"]
    assert table["date"].min() == "2013-01-01"


@pytest.mark.slow
def test_the_audit_catches_what_reads_the_horizon_and_passes_what_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "WHOLE_CUTS", 1)  # each in a process that fits the models anew; the blocks cut every bar
    market = Market({"AA": bars(45, 1), "BB": bars(45, 2)})
    names = ("honest", "leaky", "deployed", "known_inputs", "whole_inputs")
    subjects = [Subject(f"horizon_leak:{name}", "function", folder=EXAMPLES) for name in names]
    findings = examine(subjects, market, CostSpec(), only=[("prefix", "poison")] * len(subjects))
    verdicts = {(it.test, it.subject.partition(":")[2]): it.verdict for it in findings}
    wrong = {"leaky", "whole_inputs"}
    assert verdicts == {
        (test, name): "failed" if name in wrong else "passed" for test in ("prefix", "poison") for name in names
    }
