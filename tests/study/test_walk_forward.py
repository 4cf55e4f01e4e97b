"""Walk-forward: steps that tile the window, models that know only what lies before them, one line through time."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ragsignal.cli.app import app
from ragsignal.config import RunSpec, WalkForwardSpec, load_spec
from ragsignal.data.synthetic import planted_market
from ragsignal.data.synthetic_news import planted_news_items
from ragsignal.errors import ConfigError, LookAheadError, ModelError
from ragsignal.evaluation.run import evaluate_spec
from ragsignal.study.cost import estimate, work_of
from ragsignal.study.provenance import notes_on_training
from ragsignal.study.study import Study, load_pipeline
from ragsignal.study.walk_forward.address import address, training_order
from ragsignal.study.walk_forward.steps import steps_of
from ragsignal.trading.engine import run_spec
from ragsignal.trading.sweep.run import run_sweep
from ragsignal.training import walk_forward
from ragsignal.training.classifier import train_classifier
from ragsignal.training.run import TrainingRun
from ragsignal.training.walk_forward import StepTrainingRun, WalkForwardTraining
from ragsignal.types import Query, Signal
from tests.fakes import every_query
from tests.markets import poisoned
from tests.results import find
from tests.specs import HOLD, Tables, changed, train_spec, write
from tests.tiny import tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.slow

SYMBOLS = ("AA", "BB", "CC")
FIRST, LAST = date(2015, 1, 2), date(2015, 8, 31)

TRAIN: Tables = {
    "name": "toy",
    "out": "artifacts",
    "data": {
        "source": "folder",
        "path": "prices",
        "symbols": ["AA", "BB", "CC"],
        "start": date(2013, 6, 3),
        "end": date(2014, 12, 31),
    },
    "split": {"valid_from": date(2014, 10, 1), "embargo": 2},
    "corpus": {"indicators": ["adj_close"], "stride": 5},
    "classifier": {"kind": "logistic"},
}
CLASSIFIER = {"name": "classifier", "signal": "classifier", "classifier": "walk:classifier"}
RUN: Tables = {
    "name": "walk",
    "benchmark": "hold",
    "data": {
        "source": "folder",
        "path": "prices",
        "symbols": ["AA", "BB", "CC"],
        "start": FIRST,
        "end": LAST,
    },
    "walk_forward": {"train": "toy.train.toml", "every": "quarter", "valid": 60, "embargo": 3},
    "corpus": {"indicators": ["adj_close"], "stride": 5},
    "evaluation": {"perturbed": 8},
    "strategy": {"class": "ragsignal.strategies:LongShort"},
    "variant": [CLASSIFIER, HOLD],
}
Frames = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def frames() -> Frames:
    return dict(planted_market(SYMBOLS, "2013-01-02", "2015-12-31", seed=5, strength=0.8).frames)


def written(folder: Path, frames: Frames, run: Tables = RUN, train: Tables = TRAIN) -> Path:
    """A run spec, beside its training spec and its prices."""
    (folder / "prices").mkdir(parents=True, exist_ok=True)
    for symbol, frame in frames.items():
        frame.to_csv(folder / "prices" / f"{symbol}.csv", index_label="Date")
    write(folder / "toy.train.toml", train)
    return write(folder / "walk.toml", run)


def plain(classifier: Path | str) -> Tables:
    """The same run without steps: one classifier for all of them."""
    return changed(RUN, walk_forward=None, variant=[CLASSIFIER | {"classifier": classifier}, HOLD])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, frames: Frames) -> Path:
    """Three quarterly steps with their classifiers."""
    path = written(tmp_path_factory.mktemp("trained"), frames)
    WalkForwardTraining(load_spec(path)).train()
    return path


def queries_in(frames: Frames, first: date = FIRST, last: date = LAST) -> list[Query]:
    return [it for it in every_query(frames) if first <= it.as_of <= last]


def line_of(spec: RunSpec, queries: Sequence[Query], variant: str | None = None) -> list[Signal]:
    return Study(spec).pipeline(spec.find_variant(variant)).signals(queries)


# --- steps

CALENDAR = pd.bdate_range("2004-01-01", "2010-12-31").to_numpy().astype("datetime64[D]")


def walk_of(**options: Any) -> WalkForwardSpec:
    """The table, without the training spec's file: steps read its first day alone."""
    fields = {"window": "expanding", "every": "year", "years": None, "bars": None, "valid": 20, "embargo": 5}
    train = SimpleNamespace(data=SimpleNamespace(start=date(2004, 1, 1)))
    return WalkForwardSpec.model_construct(**{**fields, "train": train, **options})


def between(calendar: Any, first: date, last: date) -> Any:
    return calendar[(calendar >= np.datetime64(first)) & (calendar <= np.datetime64(last))]


lengths = st.sampled_from(["year", "quarter", "month"]) | st.integers(1, 400)
windows = st.fixed_dictionaries({"every": lengths, "embargo": st.integers(1, 30), "valid": st.integers(2, 60)})
spans = st.tuples(st.dates(date(2006, 1, 1), date(2010, 6, 1)), st.integers(10, 1200))


@settings(max_examples=80, deadline=None)
@given(windows, spans, st.integers(0, 2**32))
def test_steps_tile_the_window_without_gap_or_overlap(options: dict[str, Any], span: Any, seed: int) -> None:
    calendar = CALENDAR[np.random.default_rng(seed).random(len(CALENDAR)) < 0.9]
    start, end = span[0], span[0] + timedelta(days=span[1])
    steps = steps_of(walk_of(**options), calendar, start, end)
    held = [between(calendar, it.first, it.last) for it in steps]
    assert np.array_equal(np.concatenate(held), between(calendar, start, end))
    assert all(len(days) for days in held)


@settings(max_examples=80, deadline=None)
@given(windows, spans)
def test_training_ends_the_embargo_before_its_step_and_validates_on_its_last_bars(
    options: dict[str, Any], span: Any
) -> None:
    steps = steps_of(walk_of(**options), CALENDAR, span[0], span[0] + timedelta(days=span[1]))
    for step in steps:
        first, end, valid = (
            int(np.searchsorted(CALENDAR, np.datetime64(day))) for day in (step.first, step.train_end, step.valid_from)
        )
        assert first - end == options["embargo"]
        assert end - valid + 1 == options["valid"]
        assert step.train_start < step.valid_from <= step.train_end < step.first <= step.last


@settings(max_examples=50, deadline=None)
@given(windows, st.integers(100, 400))
def test_a_sliding_window_has_its_length_in_bars(options: dict[str, Any], bars: int) -> None:
    walk = walk_of(window="sliding", bars=bars, **options)
    for step in steps_of(walk, CALENDAR, date(2008, 1, 1), date(2009, 6, 30)):
        assert len(between(CALENDAR, step.train_start, step.train_end)) == bars


def test_a_sliding_window_has_its_length_in_years_on_a_leap_day_too() -> None:
    calendar = pd.date_range("2004-01-01", "2008-12-31").to_numpy().astype("datetime64[D]")
    walk = walk_of(window="sliding", years=2, embargo=1)
    (step,) = steps_of(walk, calendar, date(2008, 3, 1), date(2008, 12, 31))
    assert (step.train_start, step.train_end) == (date(2006, 3, 1), date(2008, 2, 29))


@settings(max_examples=50, deadline=None)
@given(windows, st.integers(600, 1500))
def test_later_bars_move_no_step_that_has_begun(options: dict[str, Any], until: int) -> None:
    start = date(2006, 1, 2)
    whole = steps_of(walk_of(**options), CALENDAR, start, date(2010, 12, 31))
    known = steps_of(walk_of(**options), CALENDAR[:until], start, date(2010, 12, 31))
    for left, right in zip(whole, known, strict=False):
        assert (left.first, left.train_start, left.valid_from, left.train_end) == (
            right.first,
            right.train_start,
            right.valid_from,
            right.train_end,
        )
    assert all(left.last == right.last for left, right in zip(whole, known[:-1], strict=False))


@pytest.mark.parametrize(
    ("options", "start", "words"),
    [
        ({}, date(2012, 1, 2), "no bar from 2012-01-02"),
        ({"valid": 300}, date(2005, 1, 3), "validate on fewer"),
        ({"window": "sliding", "bars": 1500}, date(2008, 1, 2), "prices begin on 2004-01-01; take fewer"),
        ({"window": "sliding", "years": 9}, date(2008, 1, 2), "years = 9 of history are not there"),
        ({"window": "sliding", "bars": 20}, date(2008, 1, 2), "nothing is left to train on"),
    ],
)
def test_a_window_that_does_not_fit_says_what_to_change(options: Any, start: date, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        steps_of(walk_of(**options), CALENDAR, start, date(2012, 12, 31))


# --- the spec


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"walk_forward": None, "other": RUN["walk_forward"]}, "unknown key"),
        ({"walk_forward": {"years": 3}}, 'years belongs to window = "sliding"'),
        ({"walk_forward": {"window": "sliding"}}, "needs its length: years or bars"),
        (
            {"variant": [CLASSIFIER | {"classifier": "walk:stockllm"}, HOLD]},
            "Did you mean|Known: walk:classifier",
        ),
        (
            {"variant": [CLASSIFIER | {"classifier": "./x"}, HOLD]},
            "no variant reads what .walk_forward. trains",
        ),
        ({"walk_forward": {"train": "no.train.toml"}}, "no spec at .*no.train.toml"),
        (
            {"variant": [{"name": "classifier", "retrieval": {"encoder": "walk:finseer-text"}}, HOLD]},
            'is read by retriever = "finseer" or "embedding"',
        ),
        (
            {
                "variant": [
                    {"name": "text", "retrieval": {"retriever": "embedding", "encoder": "walk:finseer-text"}},
                    HOLD,
                ]
            },
            'is read by retriever = "finseer"',
        ),
    ],
)
def test_a_spec_that_cannot_walk_is_refused(tmp_path: Path, frames: Frames, changes: Tables, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_spec(written(tmp_path, frames, changed(RUN, **changes)))


def test_a_variant_that_walks_without_the_table_is_told_what_to_add(tmp_path: Path, frames: Frames) -> None:
    with pytest.raises(ConfigError, match=r"reads walk:classifier.*add a table \[walk_forward\] with train"):
        load_spec(written(tmp_path, frames, changed(RUN, walk_forward=None)))


def test_a_split_that_leaks_cannot_walk(tmp_path: Path, frames: Frames) -> None:
    leaking = {"protocol": "paper", "train_symbols": ["AA"], "valid_symbols": ["BB"]}
    with pytest.raises(ConfigError, match='write "time"'):
        load_spec(written(tmp_path, frames, train=changed(TRAIN, split=leaking)))


def test_a_spec_without_steps_is_written_as_before(tmp_path: Path, frames: Frames) -> None:
    spec = load_spec(written(tmp_path, frames, plain("./x")))
    assert "walk_forward" not in spec.model_dump(mode="json", by_alias=True)
    assert "walk_forward" not in json.loads(spec.model_dump_json(by_alias=True))


def test_a_spec_holds_its_training_spec_and_survives_json(trained: Path) -> None:
    spec = load_spec(trained)
    again = RunSpec.model_validate_json(spec.model_dump_json(by_alias=True))
    assert again == spec
    assert again.walk_forward is not None
    assert again.walk_forward.train.classifier.kind == "logistic"


def test_run_and_training_must_be_of_one_study(tmp_path: Path, frames: Frames) -> None:
    path = written(tmp_path, frames, train=changed(TRAIN, corpus={"lookback": 8}))
    with pytest.raises(ConfigError, match=r"corpus.lookback is 5 in the run, 8 in training"):
        WalkForwardTraining(load_spec(path)).missing()
    path = written(tmp_path, frames, train=changed(TRAIN, corpus={"horizon": 5}))
    with pytest.raises(ConfigError, match=r"corpus.horizon is 1 in the run, 5 in training"):
        WalkForwardTraining(load_spec(path)).missing()


def test_letters_that_were_fitted_on_the_window_are_refused_before_anything_is_trained(
    tmp_path: Path, frames: Frames
) -> None:
    late = [changed(it, corpus={"bins_through": date(2015, 3, 31)}) for it in (RUN, TRAIN)]
    with pytest.raises(LookAheadError, match="letter bins were fitted through 2015-03-31"):
        WalkForwardTraining(load_spec(written(tmp_path, frames, *late))).train()


def test_letters_that_the_first_training_cannot_see_are_refused_before_anything_is_trained(
    tmp_path: Path, frames: Frames
) -> None:
    """Fitted before the step, but not before its training ends: the run would refuse what was trained on fewer days."""
    cut = [changed(it, corpus={"bins_through": date(2015, 1, 1)}) for it in (RUN, TRAIN)]
    with pytest.raises(ConfigError, match=r"bins_through is 2015-01-01, but .* first step ends on 2014-12-30"):
        WalkForwardTraining(load_spec(written(tmp_path, frames, *cut))).missing()


def test_a_training_of_all_symbols_is_that_of_the_named_ones(tmp_path: Path, trained: Path, frames: Frames) -> None:
    every = [changed(it, data={"symbols": "all"}) for it in (RUN, TRAIN)]
    plans = [Study(load_spec(path)).plan for path in (trained, written(tmp_path, frames, *every))]
    assert plans[1].spec.data.symbols == plans[1].walk.train.data.symbols == SYMBOLS
    assert len({plan.folder(plan.steps[0], "classifier").name for plan in plans}) == 1


def test_a_universe_that_the_first_training_cannot_know_is_refused(tmp_path: Path, frames: Frames) -> None:
    """Before the training spec's own ``valid_from``, and after that of the first step, which lies 63 bars earlier."""
    late = changed(TRAIN, data={"universe": {"top": 2, "as_of": date(2014, 12, 1)}}, split={"valid_from": LAST})
    path = written(tmp_path, frames, train=changed(late, data={"end": date(2015, 12, 31)}))
    with pytest.raises(ConfigError, match=r"universe.as_of is 2014-12-01, but the first step validates from 2014-"):
        WalkForwardTraining(load_spec(path)).missing()


# --- one line through time


def test_no_signal_is_made_by_a_model_that_had_seen_its_day(trained: Path, frames: Frames) -> None:
    spec = load_spec(trained)
    study = Study(spec)
    eras = study.steps(spec.variants[0])
    assert [(it.spec.data.start, it.spec.data.end) for it, _ in eras] == [
        (date(2015, 1, 2), date(2015, 3, 31)),
        (date(2015, 4, 1), date(2015, 6, 30)),
        (date(2015, 7, 1), date(2015, 8, 31)),
    ]
    source = study.pipeline(spec.variants[0])
    asked = queries_in(frames)
    for pipeline, queries in source.parts(asked):
        assert pipeline.trained_through is not None
        assert pipeline.trained_through < min(it.as_of for it in queries)
    answered = source.signals(asked)
    assert [(it.symbol, it.as_of) for it in answered] == [(it.symbol, it.as_of) for it in asked]
    assert study.in_sample(spec.variants[0]) == []


def test_every_step_is_scored_by_another_model(trained: Path, frames: Frames) -> None:
    spec = load_spec(trained)
    digests = {it.digest for it in Study(spec).artifacts(spec.variants[0]).values()}
    assert len(digests) == 3
    recipe = Study(spec).pipeline(spec.variants[0]).recipe["walk_forward"]
    assert [it["first"] for it in recipe] == ["2015-01-02", "2015-04-01", "2015-07-01"]
    assert {it["scorer"]["artifact"] for it in recipe} == digests


@pytest.mark.parametrize("after", [date(2015, 1, 2), date(2015, 4, 1), date(2015, 5, 14), date(2015, 7, 31)])
def test_poisoning_the_future_moves_neither_addresses_nor_signals(
    trained: Path, frames: Frames, tmp_path: Path, after: date
) -> None:
    spec = load_spec(trained)
    other = load_spec(written(tmp_path, poisoned(frames, after)))
    plans = Study(spec).plan, Study(other).plan
    begun = [step for step in plans[0].steps if step.first <= after]
    for step in begun:
        assert plans[0].folder(step, "classifier").name == plans[1].folder(step, "classifier").name
    WalkForwardTraining(other).train()
    asked = queries_in(frames, last=after)
    assert [it.value for it in line_of(spec, asked)] == [it.value for it in line_of(other, asked)]


def test_a_changed_past_is_another_artifact(trained: Path, frames: Frames, tmp_path: Path) -> None:
    plans = [Study(load_spec(it)).plan for it in (trained, written(tmp_path, poisoned(frames, date(2015, 3, 2))))]
    names = [[plan.folder(step, "classifier").name for step in plan.steps] for plan in plans]
    assert [left == right for left, right in zip(*names, strict=True)] == [True, False, False]


def test_other_news_of_the_past_are_another_artifact_and_later_ones_are_none(tmp_path: Path, frames: Frames) -> None:
    items = planted_news_items(SYMBOLS, "2013-01-02", "2015-12-31")

    def addresses(name: str, table: pd.DataFrame | None) -> list[str]:
        news = {} if table is None else {"data": {"close": "16:00 America/New_York"}, "news": {"path": "news.csv"}}
        path = written(tmp_path / name, frames, train=changed(TRAIN, **news))
        if table is not None:
            table.to_csv(path.parent / "news.csv", index=False)
        plan = Study(load_spec(path)).plan
        return [plan.folder(step, "classifier").name for step in plan.steps]

    without, first = addresses("without", None), addresses("first", items)
    other = items.assign(headline=items["headline"].where(items["published_at"] < "2015-04-15", "All is new"))
    second = addresses("second", other)
    assert not {*without} & {*first}
    assert second[:2] == first[:2]  # the steps of the first half-year were trained on what came before
    assert second[2] != first[2]


def test_a_walk_forward_needs_its_news_in_a_file(tmp_path: Path, frames: Frames) -> None:
    data = {"source": "planted-news", "path": None, "close": "16:00 America/New_York"}
    with pytest.raises(
        ConfigError, match=r"\[news\] has no path, and a made-up market brings news for the days of one run"
    ):
        load_spec(written(tmp_path, frames, train=changed(TRAIN, data=data, news={"novelty_days": 7})))


def test_one_step_is_the_plain_run_with_that_artifact(tmp_path: Path, frames: Frames) -> None:
    path = written(tmp_path, frames, changed(RUN, walk_forward={"every": 9999}))
    spec = load_spec(path)
    (artifact,) = WalkForwardTraining(spec).train()
    alone = load_spec(written(tmp_path, frames, plain(artifact.folder)))
    asked = queries_in(frames)
    assert line_of(spec, asked) == line_of(alone, asked)


def test_a_step_is_trained_as_the_training_command_would(trained: Path) -> None:
    """The same days in a training spec of its own give the same weights."""
    plan = Study(load_spec(trained)).plan
    for step in plan.steps:
        alone = plan.training(step).model_copy(update={"out": trained.parent / "alone"})
        one = train_classifier(TrainingRun(alone))
        assert one.card.files == WalkForwardTraining(load_spec(trained)).train()[plan.steps.index(step)].card.files
        assert one.card.trained_through == step.train_end


def test_training_sees_no_label_after_its_end(trained: Path) -> None:
    plan = Study(load_spec(trained)).plan
    for step in plan.steps:
        bench = StepTrainingRun(plan.training(step), plan=plan, step=step)
        assert max(it.available_at for it in bench.train) < step.valid_from
        assert max(it.available_at for it in bench.valid) <= step.train_end
        assert max(frame.index[-1].date() for frame in bench.prices.frames.values()) <= step.train_end


def test_a_made_up_market_is_trained_on_and_traded_as_one(tmp_path: Path) -> None:
    """It is drawn from its first day on: one that began elsewhere would be another market."""
    made_up = [changed(it, data={"source": "planted", "path": None}) for it in (RUN, TRAIN)]
    plan = Study(load_spec(written(tmp_path, {}, *made_up))).plan
    assert plan.history == plan.prices


@pytest.mark.parametrize("day", [date(2014, 12, 31), date(2015, 9, 1)])
def test_a_day_outside_the_steps_has_no_model(trained: Path, frames: Frames, day: date) -> None:
    with pytest.raises(LookAheadError, match=f"as of {day}: this walk-forward has models for 2015-01-02 to 2015-08-31"):
        line_of(load_spec(trained), queries_in(frames, day, day))


def test_a_model_that_saw_its_step_is_refused(tmp_path: Path, frames: Frames) -> None:
    """As if an address lied: the law of plain specs holds at every step."""
    path = written(tmp_path, frames)
    spec = load_spec(path)
    WalkForwardTraining(spec).train()
    plan = Study(spec).plan
    early, late = plan.folder(plan.steps[0], "classifier"), plan.folder(plan.steps[2], "classifier")
    for file in late.iterdir():
        (early / file.name).write_bytes(file.read_bytes())
    with pytest.raises(LookAheadError, match=r"fitted through 2015-06-26.*starts on 2015-01-02"):
        Study(spec).pipeline(spec.variants[0])


def test_a_missing_artifact_is_named_with_its_step_and_the_command(tmp_path: Path, frames: Frames) -> None:
    spec = load_spec(written(tmp_path, frames))
    with pytest.raises(ModelError, match=r"step 2015-01-02 to 2015-03-31 has no classifier yet.*train walk-forward"):
        Study(spec).pipeline(spec.variants[0])


# --- training


def test_addresses_ignore_what_decides_nothing_and_follow_what_decides(trained: Path) -> None:
    plan = Study(load_spec(trained)).plan
    spec = plan.training(plan.steps[0])

    def of(changed: dict[str, Any], kind: Any = "finseer-numeric", prices: str = "p") -> str:
        return address(spec.model_copy(update=changed), kind, prices, lambda _: "base")

    same: list[dict[str, Any]] = [{"name": "b"}, {"out": Path("elsewhere")}, {"description": "x"}]
    assert {of(it) for it in same} == {of({})}
    table = spec.stockllm.model_copy(update={"rank": 3})
    assert of({"stockllm": table}) != of({})  # FinSeer is made from it
    assert of({"stockllm": table}, "classifier") == of({}, "classifier")
    assert of({}, prices="q") != of({})
    assert len({of({}, kind) for kind in ("stockllm", "feedback", "finseer-text", "finseer-numeric")}) == 4


def test_what_a_kind_is_made_from_is_trained_before_it() -> None:
    text, ranks = train_spec(), train_spec(stockllm={"reader": "ranks"}, classifier={"kind": "boosting"})
    assert training_order(text, ("finseer-numeric",)) == ("stockllm", "feedback", "finseer-numeric")
    assert training_order(text, ("classifier",)) == ("classifier",)
    assert training_order(text, ()) == ()
    assert training_order(ranks, ("stockllm",)) == ("classifier", "stockllm")


def test_a_killed_run_keeps_what_was_done(tmp_path: Path, frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_spec(written(tmp_path, frames))
    train, done = walk_forward.TRAINERS["classifier"], []

    def killed(bench: StepTrainingRun) -> Any:
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(bench.step.first)
        return train(bench)

    monkeypatch.setitem(walk_forward.TRAINERS, "classifier", killed)
    with pytest.raises(KeyboardInterrupt):
        WalkForwardTraining(spec).train()
    monkeypatch.setitem(walk_forward.TRAINERS, "classifier", train)
    heard: list[tuple[date, float | None]] = []
    artifacts = WalkForwardTraining(spec).train(lambda task, _, left: heard.append((task.step.first, left)))
    assert [day for day, _ in heard] == [date(2015, 4, 1), date(2015, 7, 1)]
    assert heard[0][1] is not None
    assert heard[1][1] == 0
    assert [str(it.card.trained_through) for it in artifacts] == ["2014-12-30", "2015-03-27", "2015-06-26"]
    assert WalkForwardTraining(spec).missing() == []


def test_two_specs_that_train_the_same_share_it(trained: Path, frames: Frames, tmp_path: Path) -> None:
    monthly = changed(RUN, walk_forward={"every": "month", "artifacts": trained.parent / "artifacts"})
    course = WalkForwardTraining(load_spec(written(tmp_path, frames, monthly)))
    assert [it.step.first for it in course.missing()] == [
        date(2015, month, day) for month, day in ((2, 2), (3, 2), (5, 1), (6, 1), (8, 3))
    ]


# --- with language models


@pytest.fixture(scope="module")
def llm_spec(tmp_path_factory: pytest.TempPathFactory, frames: Frames) -> Path:
    """Two steps of a tiny StockLLM and a numeric FinSeer, trained."""
    folder = tmp_path_factory.mktemp("llm")
    base = tiny_llama(folder / "base", tiny_tokenizer(), context=1024)
    llm = {"model": base, "dtype": "float32"}
    run = changed(
        RUN,
        walk_forward={"every": 90, "valid": 30},
        llm=llm | {"adapter": "walk:stockllm"},
        retrieval={"k": 2},
        variant=[
            {"name": "rag", "retrieval": {"retriever": "finseer", "encoder": "walk:finseer-numeric"}},
            {"name": "none", "retrieval": {"retriever": "none"}},
            CLASSIFIER,
            HOLD,
        ],
    )
    small = changed(
        TRAIN,
        llm=llm,
        stockllm={
            "rank": 4,
            "examples": 32,
            "valid_examples": 24,
            "k": [0, 1],
            "batch_size": 8,
            "epochs": 1.0,
            "eval_steps": 4,
        },
        feedback={"queries": 12, "candidates": 6, "block": 6},
        finseer={"numeric_epochs": 2, "negatives": 3},
    )
    path = written(folder, frames, run, small)
    WalkForwardTraining(load_spec(path)).train()
    return path


def test_language_model_retriever_and_classifier_walk_together(llm_spec: Path, frames: Frames) -> None:
    spec = load_spec(llm_spec)
    study = Study(spec)
    asked = queries_in(frames)[::40]
    for name in ("rag", "none"):
        variant = spec.find_variant(name)
        source = study.pipeline(variant)
        for pipeline, queries in source.parts(asked):
            assert pipeline.trained_through is not None
            assert pipeline.trained_through < min(it.as_of for it in queries)
        assert {it.abstained for it in source.signals(asked)} == {None}
        assert source.cost.asked == len(asked)
        assert source.missing(asked) == {}
    for role in ("reader", "retriever", "classifier"):
        (note,) = [it for it in notes_on_training(study) if it.startswith(f"The {role} ")]
        assert "was retrained 2 times, through 2014-12-30, " in note
    assert sorted(path.name for path in (llm_spec.parent / "artifacts").iterdir()) == [
        *(".work", "classifier", "feedback", "finseer-numeric", "stockllm")
    ]
    assert not [it for it in (llm_spec.parent / "artifacts" / ".work").rglob("*") if it.is_file()]


def test_an_evaluation_perturbs_a_walk_forward_too(llm_spec: Path) -> None:
    spec = load_spec(llm_spec)
    few = spec.evaluation.model_copy(update={"every": 20})
    evaluation = evaluate_spec(spec.model_copy(update={"evaluation": few}))
    random = {row.variant: row.random_candidates for row in evaluation.sensitivity}
    assert random["rag"] > 0
    assert random["none"] is None
    assert evaluation.times["variants"]["rag"]["model_calls"] > 0


def test_variants_of_a_step_share_its_model_and_a_left_step_lets_go_of_its_own(llm_spec: Path, frames: Frames) -> None:
    study = Study(load_spec(llm_spec))
    rag, none = (study.pipeline(study.spec.find_variant(name)) for name in ("rag", "none"))
    last = queries_in(frames)[-1:]
    ((left, _),), ((right, _),) = rag.parts(last), none.parts(last)
    assert left.scorer is right.scorer
    assert len(study._parts_of_steps) == 1
    rag.signals(queries_in(frames)[:1])
    none.signals(queries_in(frames)[:1])
    assert len(study._parts_of_steps) == 1


def test_estimate_counts_every_step_and_measures_a_kind_once(llm_spec: Path, frames: Frames) -> None:
    spec = load_spec(llm_spec)
    study = Study(spec)
    window = {symbol: frame.loc[str(FIRST) : str(LAST)] for symbol, frame in frames.items()}
    told = estimate(study, work_of(spec, window))
    rows = {row.name: row for row in told.signals}
    bars = sum(map(len, window.values()))
    assert {name: row.asked for name, row in rows.items()} == {"rag": bars, "none": bars, "classifier": bars}
    assert all(row.found + row.to_make == bars - 3 * 5 for row in rows.values())


def test_a_trained_teacher_that_was_trained_again_gives_its_own_scores(llm_spec: Path, tmp_path: Path) -> None:
    copied = tmp_path / "all"
    shutil.copytree(llm_spec.parent, copied)
    course = WalkForwardTraining(load_spec(copied / llm_spec.name))
    step = course.plan.steps[0]
    shutil.rmtree(course.plan.folder(step, "finseer-numeric"))
    assert [it.kind for it in course.missing()] == ["finseer-numeric"]
    shutil.rmtree(course.plan.folder(step, "stockllm"))
    assert [it.kind for it in course.missing()] == ["stockllm", "feedback", "finseer-numeric"]


# --- whoever uses such a source


def test_backtest_evaluate_and_sweep_take_a_walk_forward(trained: Path) -> None:
    spec = load_spec(trained)
    result = run_spec(spec)
    signals = find(result, "classifier").signals
    assert len(signals) == len(find(result, "hold").equity) * len(SYMBOLS)
    assert signals["abstained"].notna().sum() == 5 * len(SYMBOLS)
    assert any("retrained 3 times" in note for note in result.notes)
    assert find(run_spec(spec), "classifier").signals.equals(signals)
    first = evaluate_spec(spec).forecasters[0].forecast
    assert first.facts["recipe"]["walk_forward"][0]["first"] == "2015-01-02"
    swept = run_sweep(spec, {"strategy.enter": [0.0, 0.1]})
    assert [row["variant"] for row in swept["rows"]] == ["classifier", "classifier"]


def test_a_sweep_of_other_variants_need_not_walk(trained: Path) -> None:
    spec = load_spec(trained)
    plain = spec.model_copy(update={"variant": (spec.variant[1],)})
    RunSpec.model_validate(json.loads(plain.model_dump_json(by_alias=True)))


def test_the_path_of_a_spec_is_a_source(trained: Path, frames: Frames) -> None:
    asked = queries_in(frames)[::50]
    assert load_pipeline(trained).signals(asked) == line_of(load_spec(trained), asked)


def test_the_command_says_what_it_would_train_trains_it_and_then_nothing(tmp_path: Path, frames: Frames) -> None:
    path, runner = written(tmp_path, frames), CliRunner()

    def ran(*words: str) -> Any:
        done = runner.invoke(app, ["train", "walk-forward", str(path), *words])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout), done.stderr

    dry, words = ran("--dry-run")
    assert len(dry["to_train"]) == len(dry["steps"]) == 3
    assert "3 x classifier: a regression" in words
    assert not (tmp_path / "artifacts").exists()
    real, words = ran()
    assert [it["trained_through"] for it in real["artifacts"]] == [it["train_end"] for it in real["steps"]]
    assert "that was the last" in words
    again, words = ran()
    assert again["to_train"] == []
    assert "everything is trained" in words


def test_the_example_of_the_page_is_part_of_the_committed_spec() -> None:
    root = Path(__file__).parents[2]
    (example,) = re.findall(r"```\n(.*?)```", (root / "docs" / "walk-forward.md").read_text(), flags=re.DOTALL)
    spec = [
        line.partition("#")[0].strip() for line in (root / "backtests" / "walk_forward.toml").read_text().split("\n")
    ]
    assert [line for line in example.split("\n") if line not in spec] == []
    assert "[walk_forward]" in example


def test_inspect_shows_the_signal_of_the_days_step(trained: Path) -> None:
    done = CliRunner().invoke(app, ["inspect", str(trained), "--symbol", "AA", "--date", "2015-05-14"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["as_of"] == "2015-05-14"
