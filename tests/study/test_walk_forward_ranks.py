"""A walk-forward of StockLLM on ranks: boosting and students of each step, made by the command and read by the run."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ragsignal.config import RunSpec, load_spec
from ragsignal.data import load_sample
from ragsignal.errors import ConfigError
from ragsignal.signals import queries_of
from ragsignal.study import Study
from ragsignal.training import WalkForwardTraining

STOCKS = list(load_sample().symbols[:30])
RUN = f"""
name = "walk"
benchmark = "hold"
[data]
source = "sample"
symbols = {STOCKS}
start = 2012-01-03
end = 2012-12-31
[walk_forward]
train = "walk.train.toml"
every = 125
valid = 60
[corpus]
target = "relative"
[retrieval]
retriever = "none"
[llm]
model = "walk:stockllm"
[strategy]
class = "ragsignal.strategies:SlowBook"
[[variant]]
name = "stockllm"
[[variant]]
name = "boosting"
signal = "classifier"
classifier = "walk:classifier"
[[variant]]
name = "hold"
signal = "none"
strategy = {{ class = "ragsignal.strategies:BuyAndHold" }}
"""
TRAIN = f"""
name = "walk"
out = "artifacts"
[data]
source = "sample"
symbols = {STOCKS}
start = 2010-06-01
end = 2011-12-20
[split]
valid_from = 2011-06-01
embargo = 5
[corpus]
target = "relative"
[classifier]
kind = "boosting"
[boosting]
members = 1
trees = 5
least_rows = 200
[stockllm]
reader = "ranks"
[ranks]
hidden = 16
seeds = 1
steps = 6
stocks = 20
eval_steps = 3
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    folder = tmp_path_factory.mktemp("walk")
    (folder / "walk.toml").write_text(RUN, encoding="utf-8")
    (folder / "walk.train.toml").write_text(TRAIN, encoding="utf-8")
    loaded = load_spec(folder / "walk.toml")
    WalkForwardTraining(loaded).train()
    return loaded


def test_the_teacher_is_trained_first_and_once(spec: RunSpec) -> None:
    training = WalkForwardTraining(spec)
    assert training.missing() == []
    kinds = {path.parent.parent.name for path in training.plan.root.glob("*/*/card.json")}
    assert kinds == {"classifier", "stockllm"}
    assert len(list(training.plan.root.glob("classifier/*/card.json"))) == len(training.plan.steps)


def test_every_step_is_read_by_models_that_ended_before_it(spec: RunSpec) -> None:
    study = Study(spec)
    for name in ("stockllm", "boosting"):
        steps = study.steps(study.spec.find_variant(name))
        assert len(steps) == len(study.plan.steps) > 1
        for parts, variant in steps:
            (artifact,) = parts.artifacts(variant).values()
            assert artifact.card.trained_through < parts.spec.data.start
            assert parts.reads_universe(variant)


def test_signals_come_from_the_step_of_their_day(
    spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path))
    study = Study(spec)
    frames = study.prices.select(STOCKS[:3]).between(date(2012, 1, 3), None).frames
    pipeline = study.pipeline(study.spec.find_variant("stockllm"))
    signals = pipeline.signals(queries_of(frames, 5))
    answered = [signal for signal in signals if signal.abstained is None]
    assert len(answered) > 600
    assert all(-1.0 <= signal.rank <= 1.0 for signal in answered)
    assert pipeline.signals(queries_of(frames, 5)) == signals
    assert pipeline.cost.model_calls == len(answered)


def test_a_reader_of_text_in_training_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "walk.toml").write_text(RUN, encoding="utf-8")
    of_text = TRAIN.split("[ranks]")[0].replace('reader = "ranks"', 'reader = "text"')
    (tmp_path / "walk.train.toml").write_text(of_text, encoding="utf-8")
    with pytest.raises(ConfigError, match="reads ranks, training text"):
        _ = Study(load_spec(tmp_path / "walk.toml")).plan
