"""Weekly and monthly feeds get no daily evidence: in a spec's run, and in an indicator on any feed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from ragsignal.config import load_spec
from ragsignal.errors import ConfigError
from ragsignal.study.study import Study, load_pipeline
from ragsignal.trading.indicator import RagMomentum
from tests import specs
from tests.markets import bars
from tests.specs import Tables, changed
from tests.tiny import tiny_finseer

SPEC: Tables = {
    "name": "spaced",
    "benchmark": "hold",
    "data": {"source": "folder", "path": "prices", "symbols": ["AA"], "start": "2015-01-01", "end": "2019-12-31"},
    "corpus": {"symbols": ["BB"], "indicators": ["adj_close"]},
    "retrieval": {"retriever": "shape", "k": 3},
    "strategy": {"class": "ragsignal.strategies:LongShort"},
    "variant": [{"name": "hold", "signal": "none"}, {"name": "shape", "signal": "vote"}],
}
DAYS = {rule: pd.date_range("2014-06-02", "2019-12-31", freq=rule) for rule in ("B", "W-FRI", "BME")}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """A spec whose symbol and whose corpus have bars of two rules."""
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))

    def make(traded: str, evidence: str, **changes: Any) -> Path:
        (tmp_path / "prices").mkdir(exist_ok=True)
        for symbol, rule in (("AA", traded), ("BB", evidence)):
            frame = bars(len(DAYS[rule]), days=DAYS[rule])
            frame.to_csv(tmp_path / "prices" / f"{symbol}.csv", index_label="Date")
        return specs.write(tmp_path / "spec.toml", changed(SPEC, **changes))

    return make


@pytest.mark.parametrize(("traded", "evidence", "words"), [
    ("W-FRI", "B", "AA has bars 7 days apart from 2015-01-02 to .*the corpus is of bars 1 day apart"),
    ("BME", "B", r"AA has bars 3\d days apart .*the corpus is of bars 1 day apart"),
    ("B", "W-FRI", "AA has bars 1 day apart .*the corpus is of bars 7 days apart"),
])  # fmt: skip
def test_a_spec_of_two_spacings_is_refused(write: Write, traded: str, evidence: str, words: str) -> None:
    study = Study(load_spec(write(traded, evidence)))
    with pytest.raises(ConfigError, match=words):
        study.pipeline(study.spec.find_variant("shape"))


@pytest.mark.parametrize("rule", ["B", "W-FRI", "BME"])
def test_a_spec_of_one_spacing_is_taken(write: Write, rule: str) -> None:
    study = Study(load_spec(write(rule, rule)))
    pipeline: Any = study.pipeline(study.spec.find_variant("shape"))
    assert pipeline.bar_days == {"B": 1.0, "W-FRI": 7.0}.get(rule, pytest.approx(30.5, abs=1))


def test_weights_that_were_trained_on_daily_bars_read_no_weekly_ones(write: Write, tmp_path: Path) -> None:
    for said, refused in (({}, True), ({"bar_days": 7.0}, False)):
        data = {"source": "noise", "symbols": ["A"], "fingerprint": "", **said}
        artifact = tiny_finseer(tmp_path / f"numeric{refused}", data=data)
        finseer = {
            "name": "finseer",
            "signal": "vote",
            "retrieval": {"retriever": "finseer", "encoder": artifact.folder},
        }
        study = Study(load_spec(write("W-FRI", "W-FRI", variant=[*SPEC["variant"], finseer])))
        variant = study.spec.find_variant("finseer")
        if refused:
            with pytest.raises(
                ConfigError, match=r"the corpus is of bars 7 days apart, but the retriever .* 1 day apart"
            ):
                study.pipeline(variant)
        else:
            assert study.pipeline(variant)


@pytest.mark.parametrize("modes", [{}, {"runonce": False}, {"preload": False}, {"exactbars": 1}], ids=str)
@pytest.mark.parametrize("rule", ["W-FRI", "BME"])
def test_a_weekly_or_monthly_feed_of_a_daily_source_is_refused(write: Write, rule: str, modes: dict[str, Any]) -> None:
    source = load_pipeline(write("B", "B"), "shape")

    def run(days: pd.DatetimeIndex, resampled: bool = False) -> None:
        cerebro = bt.Cerebro(stdstats=False, **modes)
        feed = bt.feeds.PandasData(dataname=bars(len(days), days=days), openinterest=None)
        if resampled:
            cerebro.resampledata(feed, timeframe=bt.TimeFrame.Weeks, name="AA")
        else:
            cerebro.adddata(feed, name="AA")
        cerebro.addindicator(RagMomentum, source=source)
        cerebro.run()

    with pytest.raises(
        ConfigError, match=r"AA: the feed has bars (7|30.5|31) days apart from .*made of bars 1 day apart"
    ):
        run(DAYS[rule][:60])
    with pytest.raises(ConfigError, match="AA: the feed has bars 7 days apart"):
        run(DAYS["B"][:120], resampled=True)
    run(DAYS["B"][:120].delete([5, 6, 7, 8, 40, 41, 90]))  # holidays
