"""The laws of the design on every clock: weeks, months, hours of an exchange, hours and days that never end."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from ragsignal.audit.signals import retrieval, signals, visibility
from ragsignal.config import CorpusSpec, RunSpec
from ragsignal.data import bars_until_known, clock_of, days_of
from ragsignal.evaluation.questions import build_questions
from ragsignal.evaluation.run import evaluate_spec
from ragsignal.llm import TextlessPrompter, VoteScorer
from ragsignal.retrieval import Corpus, DenseRetriever, RandomRetriever, ShapeEncoder, build_corpus
from ragsignal.retrieval import corpus as corpora
from ragsignal.signals import RagPipeline, SignalStore, queries_of
from ragsignal.signals.pipeline import TOO_FEW_BARS
from ragsignal.study import Study
from ragsignal.trading import run_spec
from ragsignal.trading.feed import PreloadedFeed, timeframe_of
from ragsignal.trading.indicator import RagEvidence, RagMomentum
from ragsignal.types import Query, Signal
from ragsignal.utils import day_of, silent, unit_of
from tests.clocks import CLOCKS, clock_data, clock_frames
from tests.specs import spec

MODES = [{}, {"runonce": False}, {"preload": False}, {"exactbars": 1}]
CORPUS = CorpusSpec(indicators=("adj_close", "movement"), horizon=5)
Frames = dict[str, pd.DataFrame]

every_clock = pytest.mark.parametrize("clock", CLOCKS)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))


def few(clock: str, bars: int = 90) -> Frames:
    """The last bars of a market, as many on every clock."""
    return {symbol: frame.iloc[-bars:] for symbol, frame in clock_frames(clock).items()}


def pipeline_of(corpus: Corpus, frames: Frames, store: SignalStore | None = None) -> RagPipeline:
    return RagPipeline(
        DenseRetriever(corpus, ShapeEncoder(), k=5, embargo=2),
        TextlessPrompter(),
        VoteScorer(),
        SignalStore(":memory:") if store is None else store,
        clock=clock_of(frames["AAA"]),
    )


def poisoned(frames: Frames, after: pd.Timestamp) -> Frames:
    """The same past and names, and garbage in the place of all later bars."""
    out = {}
    for symbol, frame in frames.items():
        later = frame.copy()
        later.loc[frame.index > after] = (later[frame.index > after] * 7.0).to_numpy()[::-1]
        out[symbol] = later
    return out


def named(frames: Frames) -> list[date]:
    days: list[date] = days_of(frames["AAA"]).tolist()
    return days


@every_clock
def test_a_bar_is_named_by_its_end_and_its_clock_stays(clock: str) -> None:
    frames = few(clock)
    kind = clock_of(frames["AAA"])
    assert kind.intraday == (clock in ("hour", "two bars a session", "hour of 24/7"))
    corpus = build_corpus(frames, CORPUS)
    assert corpus.calendar.dtype == corpus.available_at.dtype == corpus.dates.dtype == f"datetime64[{kind.unit}]"
    for row in (0, len(corpus) - 1):
        candidate = corpus.candidate(row)
        assert isinstance(candidate.available_at, datetime) == kind.intraday
        assert candidate.id.endswith(str(candidate.dates[-1]).removesuffix(":00"))


@every_clock
@pytest.mark.parametrize("target", ["movement", "open_to_open"])
def test_a_candidate_is_available_when_the_last_bar_of_its_label_ends(clock: str, target: Any) -> None:
    frames = few(clock)
    corpus = build_corpus(frames, CORPUS.model_copy(update={"target": target}))
    days, wait = named(frames), bars_until_known(target, 5)
    for row in range(0, len(corpus), 17):
        candidate = corpus.candidate(row)
        assert candidate.available_at == days[days.index(candidate.dates[-1]) + wait]


@every_clock
def test_nothing_as_of_a_bar_moves_when_later_bars_are_cut_off_or_poisoned(clock: str) -> None:
    frames = few(clock)
    whole, days = pipeline_of(build_corpus(frames, CORPUS), frames), named(frames)
    asked = queries_of(frames, 5)
    signals_ = whole.signals(asked)
    for bar in (40, 41, 63, 88):
        as_of = pd.Timestamp(days[bar])
        cut = {symbol: frame.loc[:as_of] for symbol, frame in frames.items()}
        for changed in (cut, poisoned(frames, as_of)):
            other = pipeline_of(build_corpus(changed, CORPUS), changed)
            known = [query for query in queries_of(changed, 5) if query.as_of <= days[bar]]
            assert known == [query for query in asked if query.as_of <= days[bar]]
            expected = [it for it in signals_ if it.as_of <= days[bar]]
            assert other.signals(known) == expected
            assert any(it.hits for it in expected)


@every_clock
def test_no_hit_was_known_after_its_query(clock: str) -> None:
    frames = few(clock)
    corpus = build_corpus(frames, CORPUS)
    for retriever in (DenseRetriever(corpus, ShapeEncoder(), k=5), RandomRetriever(corpus, k=5)):
        asked = [query for query in queries_of(frames, 5) if len(query.closes) == 6]
        last = [max((hit.sequence.available_at for hit in hits), default=None) for hits in retriever.retrieve(asked)]
        assert all(known is None or known <= query.as_of for known, query in zip(last, asked, strict=True))
        assert any(known == query.as_of for known, query in zip(last, asked, strict=True))


@every_clock
def test_an_embargo_counts_bars(clock: str) -> None:
    frames = few(clock)
    corpus, days = build_corpus(frames, CORPUS), named(frames)
    assert corpus.visible(days[60], embargo=7) == corpus.visible(days[53])
    assert corpus.visible(days[60]) > corpus.visible(days[59])


class _Run(bt.Strategy):  # type: ignore[misc]
    params = (("source", None),)

    def __init__(self) -> None:
        indicator: Any = RagMomentum
        self.rag = [indicator(data, source=self.p.source) for data in self.datas]


def evidence(source: RagPipeline, frames: Frames, modes: dict[str, Any], **feed: Any) -> list[Signal]:
    """What the indicator says of every bar of every feed."""
    cerebro = bt.Cerebro(stdstats=False, **modes)
    for symbol, frame in frames.items():
        cerebro.adddata(PreloadedFeed(dataname=frame, **(feed or timeframe_of(clock_of(frame)))), name=symbol)
    cerebro.addstrategy(_Run, source=source)
    cerebro.addanalyzer(RagEvidence, _name="evidence")
    (ran,) = cerebro.run()
    found: list[Signal] = ran.analyzers.evidence.get_analysis()
    return found


@every_clock
@pytest.mark.parametrize("modes", MODES, ids=str)
def test_batch_is_bar_by_bar(clock: str, modes: dict[str, Any]) -> None:
    frames = few(clock)
    corpus = build_corpus(frames, CORPUS)
    wanted = pipeline_of(corpus, frames).signals(queries_of(frames, 5))
    ran = evidence(pipeline_of(corpus, frames), frames, modes)
    assert ran == sorted(wanted, key=lambda it: it.as_of)
    assert {it.abstained for it in ran[:10]} == {TOO_FEW_BARS}
    assert all(it.value == 0.0 for it in ran if it.abstained)


@every_clock
def test_a_replay_is_equal_and_makes_no_signal_again(clock: str, tmp_path: Path) -> None:
    frames = few(clock)
    store, corpus = SignalStore(tmp_path / "signals.sqlite"), build_corpus(frames, CORPUS)
    first = pipeline_of(corpus, frames, store).signals(queries_of(frames, 5))
    again = pipeline_of(corpus, frames, SignalStore(tmp_path / "signals.sqlite"))
    assert not again.missing(queries_of(frames, 5))
    replayed = again.signals(queries_of(frames, 5))
    assert replayed == first
    assert [tuple(it.hits) for it in replayed] == [tuple(it.hits) for it in first]
    assert again.cost.found == again.cost.asked - 2 * 5  # the first bars of both feeds have no address


def small(clock: str, **changes: Any) -> RunSpec:
    """A spec of a window of a few bars."""
    days = named(clock_frames(clock))
    table = {"data": clock_data(clock, start=day_of(days[-70]))}
    return spec(**table, corpus={"indicators": ["adj_close"], "stride": 3}, **changes)


def traded(study: Study) -> Frames:
    data = study.spec.data
    return dict(study.prices.select(data.symbols).between(data.start, data.end).frames)


@every_clock
@pytest.mark.slow
def test_the_audit_passes_and_catches_a_label_that_is_known_a_bar_too_late(
    clock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visibility, "SECONDS", 2.0)
    study = Study(small(clock))
    findings = [
        *signals.audit_signals(study, traded(study), silent),
        *retrieval.audit_retrieval(study, traded(study), silent),
    ]
    verdicts = {(it.test, it.subject): (it.verdict, it.words) for it in findings}
    assert {verdict for verdict, _ in verdicts.values()} == {"passed"}, verdicts
    honest = corpora.forward_returns

    def leaky(*args: Any) -> Any:
        """Outcomes that look one bar further than their day of availability says."""
        labels = honest(*args)
        for label in labels.values():
            label["outcome"] = label["outcome"].shift(-1)
        return {name: label.where(label["outcome"].notna()) for name, label in labels.items()}

    monkeypatch.setattr(corpora, "forward_returns", leaky)
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "leaky"))
    study = Study(small(clock))
    (found,) = (
        it
        for it in signals.audit_signals(study, traded(study), silent)
        if (it.test, it.subject) == ("signal-prefix", "vote")
    )
    assert found.verdict == "failed"


@every_clock
def test_a_backtest_and_an_evaluation_end_on_the_bars_of_the_clock(clock: str) -> None:
    table = small(clock, evaluation={"embargo": 5, "perturbed": 0})
    result = run_spec(table)
    study = Study(table)
    bars = days_of(traded(study)["AAA"])
    equity = result.variants[0].equity
    assert pd.DatetimeIndex(equity.index).equals(pd.DatetimeIndex(bars).as_unit("us"))
    vote = next(it for it in result.variants if it.name == "vote")
    assert (vote.signals["date"].nunique(), len(vote.signals)) == (len(bars), 2 * len(bars))
    assert len(vote.orders)
    assert vote.orders["date"].isin(equity.index).all()
    a_year = {
        "day": 252, "week": 52, "month": 12, "hour": 252 * 7, "two bars a session": 504, "hour of 24/7": 8760,
        "day of 24/7": 365,
    }  # fmt: skip
    assert result.bars_a_year == a_year[clock]
    recipe = vote.recipe or {}
    assert ("clock" in recipe) == (clock not in ("day", "day of 24/7"))
    evaluate_spec(table)
    counts = build_questions(study.prices.frames, table).counts()
    assert counts.days == len(bars) - bars_until_known(table.evaluation.target)


def test_thresholds_follow_the_root_of_the_bars_length() -> None:
    shares = {}
    for clock in ("day", "week", "hour of 24/7"):
        frames = clock_frames(clock)
        corpus = build_corpus(frames, CorpusSpec(indicators=("adj_close",)))
        scale = clock_of(frames["AAA"]).scale
        moved = np.where(corpus.outcome > 0.0055 * scale, 1, 0) - np.where(corpus.outcome < -0.005 * scale, 1, 0)
        np.testing.assert_array_equal(corpus.movement, moved)
        shares[clock] = float((corpus.movement == 0).mean())
    # the made-up market moves as far in every bar, so that a wider threshold freezes more, and a narrower one less
    assert shares["week"] > shares["day"] > shares["hour of 24/7"]


def test_a_query_of_a_day_is_no_query_of_hours_and_the_reverse() -> None:
    hours, days = few("hour"), few("day")
    for frames, other in ((hours, days), (days, hours)):
        pipeline = pipeline_of(build_corpus(frames, CORPUS), frames)
        with pytest.raises(Exception, match="the signal is made of"):
            pipeline.signals(queries_of(other, 5))
        with pytest.raises(ValueError, match="asked for"):
            pipeline.retriever.corpus_digest(queries_of(other, 5)[-1])


def test_a_part_of_a_fitted_day_is_refused() -> None:
    frames = few("hour")
    pipeline = pipeline_of(build_corpus(frames, CORPUS), frames)
    asked = queries_of(frames, 5)
    assert unit_of(asked[-1].as_of) == "m"
    pipeline.trained_through = day_of(asked[-1].as_of) - timedelta(days=1)
    of_day: list[Query] = [query for query in asked if day_of(query.as_of) > pipeline.trained_through]
    assert len(pipeline.signals(of_day)) == len(of_day)
    pipeline.trained_through = day_of(asked[-1].as_of)
    with pytest.raises(Exception, match="fitted through"):
        pipeline.signals(of_day[-1:])
