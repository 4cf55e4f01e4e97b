"""The whole way with the real embedded language model: prices, corpus, hits, prompt, P(rise), line, store."""

from __future__ import annotations

import itertools
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from ragsignal.signals.memo import ReadOnce
from ragsignal.signals.pipeline import RagPipeline
from ragsignal.signals.store import SignalStore
from ragsignal.study.study import Study
from ragsignal.trading.indicator import RagMomentum
from tests.specs import spec

pytestmark = pytest.mark.slow

MODES = list(itertools.product((True, False), (True, False), (False, 1, -1, -2)))
BF16_TOLERANCE = 0.02  # of probability, law 2


@pytest.fixture(scope="module")
def study(language_model: str) -> Study:
    real = spec(
        name="real",
        benchmark="rag",
        data={"source": "sample", "symbols": ["AAPL", "IBM"], "start": "2012-05-01", "end": "2012-05-22"},
        corpus={"stride": 20},
        retrieval={"retriever": "embedding", "k": 2},
        llm={"model": language_model},
        variant=[{"name": "rag"}],
    )
    return Study(real)


def _feed(study: Study) -> pd.DataFrame:
    return study.prices.between(study.spec.data.start, study.spec.data.end).frames["AAPL"]


def _fresh(study: Study, store: SignalStore) -> RagPipeline:
    pipeline = study.pipeline(study.spec.variants[0])
    pipeline.store = store
    pipeline.scorer = ReadOnce(pipeline.scorer.inner, store)  # type: ignore[attr-defined]  # else it remembers the text
    return pipeline


class Watch(bt.Strategy):
    """Notes the three lines at every bar."""

    params = (("source", None),)

    def __init__(self) -> None:
        self.rag = RagMomentum(self.data, source=self.p.source)
        self.seen: list[tuple[float, float, float]] = []

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        rag = self.rag
        self.seen.append((rag.l.signal[0], rag.l.probability[0], rag.l.abstained[0]))


def _lines(frame: pd.DataFrame, source: RagPipeline, preload: bool, runonce: bool, exactbars: int) -> np.ndarray:
    cerebro = bt.Cerebro(stdstats=False, preload=preload, runonce=runonce, exactbars=exactbars)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame, openinterest=None), name="AAPL")
    cerebro.addstrategy(Watch, source=source)
    return np.array(cerebro.run()[0].seen)


def test_batch_is_bar_by_bar_in_every_mode_with_the_real_model(study: Study, tmp_path: Path) -> None:
    frame = _feed(study)
    first = _lines(frame, _fresh(study, SignalStore(tmp_path / "shared.sqlite")), True, True, False)
    assert len(first) == len(frame)
    assert np.ptp(first[5:, 1]) > 0.05  # the model does read what changes from day to day
    for preload, runonce, exactbars in MODES:
        shared = _fresh(study, SignalStore(tmp_path / "shared.sqlite"))
        np.testing.assert_array_equal(_lines(frame, shared, preload, runonce, exactbars), first)
        assert shared.cost.model_calls == 0
    fresh = _fresh(study, SignalStore(tmp_path / "fresh.sqlite"))
    streamed = _lines(frame, fresh, False, False, 1)
    assert fresh.cost.model_calls == len(frame) - 5
    np.testing.assert_allclose(streamed[:, 1], first[:, 1], atol=BF16_TOLERANCE)


def test_truncating_the_future_moves_no_signal_of_the_real_model(study: Study, tmp_path: Path) -> None:
    frame = _feed(study)
    store = SignalStore(tmp_path / "one.sqlite")
    whole = _lines(frame, _fresh(study, store), True, True, False)
    cut = Study(
        study.spec.model_copy(update={"data": study.spec.data.model_copy(update={"end": frame.index[-6].date()})})
    )
    shorter = _fresh(cut, store)
    part = _lines(_feed(cut), shorter, True, True, False)
    np.testing.assert_array_equal(part, whole[: len(part)])
    assert len(part) == len(whole) - 5
    assert shorter.cost.model_calls == 0  # the same address too: what was visible has not changed


def test_the_real_retriever_finds_scale_free_neighbours_from_the_past(study: Study) -> None:
    pipeline = study.pipeline(study.spec.variants[0])
    frame = study.prices.frames["AAPL"].loc[:"2012-06-01"]
    from ragsignal.data.windows import cut_query

    query = cut_query("AAPL", [day.date() for day in frame.index], frame["close"].tolist(), 5)
    (hits,) = pipeline.retriever.retrieve([query])
    assert len(hits) == 2
    assert all(hit.candidate.available_at <= query.as_of for hit in hits)
    assert hits[0].score >= hits[1].score > 0.5
