"""Training on rank letters: what may be learned from, the same weights after a kill, and what the card says of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.stats import spearmanr

from ragsignal.artifacts.artifact import load_artifact
from ragsignal.config import BoostingTraining, TrainSpec, load_train_spec
from ragsignal.data.labels import forward_returns
from ragsignal.errors import DataError, ModelError
from ragsignal.llm.boosting import Boosting
from ragsignal.llm.rank_recipe import RANKS_RECIPE, STATES_RECIPE
from ragsignal.llm.ranks import day_scorer
from ragsignal.study.study import Study
from ragsignal.training.ranks.boosting import fit_boosting, train_boosting
from ragsignal.training.ranks.examples import RankExamples, rank_examples
from ragsignal.training.ranks.student import distillation_targets
from ragsignal.training.ranks.train import train_on_ranks
from ragsignal.training.run import TrainingRun
from ragsignal.utils import silent
from tests.specs import HOLD, spec, train_spec, write_train_spec

ROOT = Path(__file__).parents[3]
CHANGES: dict[str, Any] = {
    "data": {
        "source": "planted",
        "symbols": [f"S{number:02d}" for number in range(30)],
        "start": date(2014, 1, 2),
        "end": date(2014, 12, 31),
    },
    "split": {"valid_from": date(2014, 10, 1), "embargo": 5},
    "corpus": {"indicators": ["adj_close"], "target": "relative"},
    "stockllm": {"reader": "ranks"},
    "classifier": {"kind": "boosting"},
    "boosting": {"members": 2, "trees": 5, "leaves": 4, "least_rows": 50},
    "ranks": {
        "hidden": 16,
        "layers": 1,
        "heads": 2,
        "window": 3,
        "seeds": 2,
        "steps": 12,
        "days": 8,
        "stocks": 12,
        "eval_steps": 4,
        "patience": 9,
    },
}


class Killed(Exception):  # noqa: N818 - not an error, an event
    """Stands in for a process that ends."""


def run_of(folder: Path, progress: Any = silent, **changes: Any) -> TrainingRun:
    """A training run into a folder; prices and letters are made once."""
    tables = {key: {**CHANGES.get(key, {}), **value} for key, value in changes.items()}
    run = TrainingRun(
        train_spec(**{**CHANGES, **tables, "out": str(folder)}), progress, "ragsignal train stockllm SPEC"
    )
    if run.spec.data == _materials().data:
        run.materials.history = _materials().prices
        run.materials.__dict__["rank_letters"] = _materials().rank_letters
    return run


@cache
def _materials() -> Any:
    return TrainingRun(TrainSpec.model_validate(train_spec(**CHANGES).model_dump(by_alias=True))).materials


@pytest.fixture(scope="module")
def examples() -> RankExamples:
    return rank_examples(run_of(Path("nowhere")))


# ---------------------------------------------------------------------------------------------------- examples


def test_a_label_is_the_rank_of_what_followed_among_the_ranked_stocks_of_the_day(examples: RankExamples) -> None:
    frames = _materials().prices.frames
    followed = forward_returns(frames, "relative")
    days = examples.letters.days
    for row in (300, 700, len(days) - 2):
        outcomes = np.array(
            [followed[name]["outcome"].loc[pd.Timestamp(days[row])] for name in examples.letters.symbols]
        )
        known = examples.letters.ranked[row] & np.isfinite(outcomes)
        assert np.allclose(examples.outcomes[row][known], outcomes[known])
        below = [(outcomes[known] < it).sum() + (outcomes[known] == it).sum() / 2 for it in outcomes[known]]
        assert np.allclose(examples.targets[row][known], 2 * np.array(below) / known.sum() - 1)
    assert np.isnan(examples.targets[-1]).all()  # not known yet
    assert np.isnan(examples.targets[~examples.letters.ranked]).all()


@pytest.mark.parametrize(
    ("target", "horizon", "wait"), [("relative", 1, 1), ("relative", 5, 5), ("open_to_open", 5, 6)]
)
def test_training_labels_are_known_an_embargo_before_validation_begins(target: str, horizon: int, wait: int) -> None:
    run = run_of(Path("nowhere"), corpus={"target": target, "horizon": horizon}, split={"embargo": 6})
    held = rank_examples(run)
    days, split = held.letters.days, run.split
    for mask, part in ((held.train, split.train), (held.valid, split.valid)):
        assert held.available_at[mask].max() <= np.datetime64(part.known_by)
        assert np.isfinite(held.targets[mask]).all()
        assert held.letters.ranked[mask].all()
        rows = np.flatnonzero(mask.any(axis=1))
        assert np.array_equal(
            held.available_at[rows[-1]][mask[rows[-1]]], days[[rows[-1] + wait] * mask[rows[-1]].sum()]
        )
    valid_from = np.searchsorted(days, np.datetime64(run.spec.split.valid_from))
    known = np.searchsorted(days, held.available_at[held.train].max())
    assert valid_from - known == 6  # the embargo, in bars
    assert not (held.train & held.valid).any()
    assert np.flatnonzero(held.valid.any(axis=1))[0] == valid_from


def test_a_part_without_a_ranked_stock_is_an_error_that_says_why() -> None:
    run = run_of(Path("nowhere"), data={"seed": 1})
    late = run.prices.between(date(2014, 1, 2), None)  # of which 250 bars end in mid-December
    run.materials.__dict__["prices"] = late
    with pytest.raises(DataError, match=r"no train label .* a stock is ranked once it has 250 bars"):
        rank_examples(run)


def test_information_coefficients_are_spearmans_of_each_validation_day(examples: RankExamples) -> None:
    scores = np.random.default_rng(0).normal(size=examples.targets.shape).round(1)  # with ties
    coefficients = examples.information_coefficients(scores)
    days = np.flatnonzero(examples.valid.any(axis=1))
    assert len(coefficients) == len(days)
    for number in (0, 10, len(days) - 1):
        mask = examples.valid[days[number]]
        expected = spearmanr(scores[days[number], mask], examples.outcomes[days[number], mask]).statistic
        assert coefficients[number] == pytest.approx(expected)


def test_targets_of_the_student_mix_labels_and_a_standardised_teacher_on_training_labels_alone(
    examples: RankExamples,
) -> None:
    teacher = np.random.default_rng(1).normal(3.0, 7.0, examples.targets.shape)
    ranks = train_spec(**CHANGES).ranks
    targets = distillation_targets(examples, teacher, ranks)
    assert np.array_equal(np.isfinite(targets), examples.train)
    expected = 0.15 * examples.targets + 0.3 * teacher / teacher[examples.train].std()
    assert np.allclose(targets[examples.train], expected[examples.train])


# ---------------------------------------------------------------------------------------------------- boosting


def test_boosting_is_the_same_twice_and_another_with_another_seed(examples: RankExamples) -> None:
    rows, targets = examples.letters.letters[examples.train], examples.targets[examples.train]

    def text(**changes: Any) -> list[str]:
        fitted = fit_boosting(rows, targets, BoostingTraining(**{**CHANGES["boosting"], **changes}), silent)
        return [booster.model_to_string() for booster in fitted.boosters]

    once = text()
    assert once == text()
    assert once[0] != once[1]  # the members differ
    assert once != text(seed=7)


def test_the_boosting_learns_nothing_from_validation_labels(tmp_path: Path, examples: RankExamples) -> None:
    artifact = train_boosting(run_of(tmp_path), examples)
    other = RankExamples(
        examples.letters,
        np.where(examples.train, examples.outcomes, -examples.outcomes),
        np.where(examples.train, examples.targets, -examples.targets),
        examples.available_at,
        examples.train,
        examples.valid,
    )
    again = train_boosting(run_of(tmp_path / "other"), other)
    boosters = {name for name in artifact.card.files if name.startswith("boosting")}
    assert {name: artifact.card.files[name] for name in boosters} == {name: again.card.files[name] for name in boosters}
    assert again.card.metrics["ic"] == pytest.approx(-artifact.card.metrics["ic"])


WITH_STATE: dict[str, Any] = {"boosting": {"state": True}, "stockllm": {"reader": "text"}}


def test_a_boosting_with_state_is_used_on_what_it_was_trained_on(tmp_path: Path, examples: RankExamples) -> None:
    run = run_of(tmp_path, **WITH_STATE)
    card = train_boosting(run, examples).card
    assert card.template == RANKS_RECIPE | STATES_RECIPE
    assert card.recipe["state"] is True
    model = day_scorer(load_artifact(tmp_path / "classifier"))
    scores = model.scores(examples.letters.letters, examples.letters.states)
    assert card.metrics["ic"] == pytest.approx(np.nanmean(examples.information_coefficients(scores)), abs=1e-12)
    split_on = [line for booster in model.boosters for line in booster.model_to_string().split("\n")]  # type: ignore[attr-defined]
    columns = {int(it) for line in split_on if line.startswith("split_feature=") for it in line.split("=")[1].split()}
    assert max(columns) >= 41  # the states come after 41 letters
    assert min(columns) < 41


def test_the_card_of_a_boosting_without_state_says_what_it_always_did(tmp_path: Path, examples: RankExamples) -> None:
    card = train_boosting(run_of(tmp_path), examples).card
    assert card.template == RANKS_RECIPE
    named = {"members", "trees", "leaves", "least_rows", "learning_rate", "factors", "rows", "seed"}
    assert set(card.recipe) == {"split", "kind"} | named


def test_the_state_of_a_label_is_that_of_its_day(examples: RankExamples) -> None:
    days, _ = np.nonzero(examples.valid)
    states = examples.states_of(examples.valid)
    for number in (0, len(days) // 2, len(days) - 1):
        assert np.array_equal(states[number], examples.letters.states[days[number]])


def test_a_student_that_reads_letters_alone_has_no_teacher_that_reads_states(
    tmp_path: Path, examples: RankExamples
) -> None:
    with pytest.raises(ValidationError, match="a student reads letters alone"):
        run_of(tmp_path, boosting={"state": True})
    train_boosting(run_of(tmp_path, **WITH_STATE), examples)
    with pytest.raises(ModelError, match="holds a classifier of another spec"):
        train_on_ranks(run_of(tmp_path))


# ----------------------------------------------------------------------------------------------------- StockLLM


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train_on_ranks(run_of(folder))
    return folder


def test_the_artifact_says_what_it_was_trained_on_and_through_when(trained: Path) -> None:
    card, teacher = (load_artifact(trained / kind).card for kind in ("stockllm", "classifier"))
    assert set(card.files) == {f"seed-{n}/{name}" for n in (0, 1) for name in ("config.json", "model.safetensors")}
    assert card.template == teacher.template == RANKS_RECIPE
    assert card.trained_through == teacher.trained_through == date(2014, 12, 31)
    assert card.train.last < date(2014, 10, 1) <= card.valid.first  # type: ignore[union-attr]
    assert card.recipe["teacher"] == load_artifact(trained / "classifier").digest
    assert card.recipe["split"]["embargo"] == 5
    assert -1.0 <= card.metrics["ic"] <= 1.0
    assert card.metrics["queries"] == card.valid.queries  # type: ignore[union-attr]
    assert {len(history) for history in card.metrics["evaluations"].values()} == {3}
    assert card.calibration is not None
    assert len(card.data["symbols"]) == 30
    assert not (trained / ".work" / "stockllm").exists()
    assert load_artifact(trained / "stockllm").card.reads_ranks


def test_what_was_trained_makes_ranks_in_a_study_of_later_days(trained: Path) -> None:
    later = {**CHANGES["data"], "start": date(2015, 1, 2), "end": date(2015, 2, 27)}
    variant = {
        "name": "llm",
        "signal": "llm",
        "llm": {"model": str(trained / "stockllm")},
        "retrieval": {"retriever": "none"},
    }
    study = Study(spec(data=later, corpus=CHANGES["corpus"], variant=[variant, HOLD]))
    frames = study.prices.select(["S00", "S01"]).between(date(2015, 1, 2), None).frames
    from ragsignal.signals.recorded import queries_of

    signals = study.pipeline(study.spec.variants[0]).signals(queries_of(frames, 5))
    views = [it for it in signals if it.abstained is None]
    assert len(views) == len(signals) - 10
    assert len({it.rank for it in views}) > 5
    assert study.reads_universe(study.spec.variants[0])
    assert not study.reads_universe(study.spec.variants[1])


def _weights(folder: Path) -> dict[str, str]:
    return dict(load_artifact(folder / "stockllm").card.files)


def _kill_at(word: str, done: int) -> Callable[[str, int, int], None]:
    def progress(what: str, step: int, _: int) -> None:
        if word in what and step == done:
            raise Killed

    return progress


@pytest.mark.parametrize(("word", "step"), [("boosting", 7), ("seed 1", 3), ("seed 1", 6), ("seed 2", 9)])
def test_a_training_that_was_stopped_goes_on_and_ends_in_the_same_weights(
    word: str, step: int, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train_on_ranks(run_of(tmp_path, _kill_at(word, step)))
    told: list[tuple[str, int]] = []
    artifact = train_on_ranks(run_of(tmp_path, lambda what, done, _: told.append((what, done))))
    assert _weights(tmp_path) == _weights(trained)
    assert artifact.card.metrics == load_artifact(trained / "stockllm").card.metrics
    if word != "boosting":
        assert not [what for what, _ in told if what == "boosting"]  # the teacher is not taught again
    firsts = [done for what, done in told if word in what][:1]
    assert firsts == ([1] if word == "boosting" else [step // 4 * 4 + 1])  # from the last evaluation on


def test_a_teacher_of_another_spec_or_of_other_prices_is_refused(trained: Path, tmp_path: Path) -> None:
    train_boosting(run_of(tmp_path))
    with pytest.raises(ModelError, match="holds a classifier of another spec or of other prices"):
        train_on_ranks(run_of(tmp_path, boosting={"trees": 6}))
    with pytest.raises(ModelError, match="holds a classifier of another spec or of other prices"):
        train_on_ranks(run_of(tmp_path, data={"seed": 5}))
    for changes in (
        {"split": {"valid_from": date(2014, 9, 1)}},  # it would have learned from the student's validation days
        {"corpus": {"horizon": 5}},
        {"corpus": {"target": "movement"}},
        {"data": {"start": date(2014, 3, 3)}},
    ):
        with pytest.raises(ModelError, match="holds a classifier of another spec or of other prices"):
            train_on_ranks(run_of(tmp_path, **changes))
    artifact = train_on_ranks(run_of(tmp_path, ranks={"steps": 4}))  # the same teacher serves another student
    assert artifact.card.recipe["teacher"] == load_artifact(trained / "classifier").digest
    assert Boosting.load(tmp_path / "classifier").memory == 1


def test_another_seed_or_weight_of_the_teacher_gives_other_weights(trained: Path, tmp_path: Path) -> None:
    train_boosting(run_of(tmp_path))
    for changes in ({"seed": 3}, {"teacher_weight": 0.0}):
        train_on_ranks(run_of(tmp_path, ranks=changes))
        assert _weights(tmp_path) != _weights(trained)


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_a_checkpoint_and_the_next_one_ends_in_the_same_weights(
    trained: Path, tmp_path: Path
) -> None:
    path = write_train_spec(tmp_path, **{**CHANGES, "out": str(tmp_path / "artifacts")})
    words = [sys.executable, "-m", "ragsignal.cli", "train", "stockllm", str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list((tmp_path / "artifacts").rglob("student.safetensors")) and running.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    train_on_ranks(TrainingRun(load_train_spec(path)))
    assert _weights(tmp_path / "artifacts") == _weights(trained)


def test_windows_that_are_longer_than_what_there_is_to_learn_from_are_an_error_and_no_endless_search(
    tmp_path: Path,
) -> None:
    short = {"data": {"start": date(2014, 9, 10)}, "ranks": {"days": 60}}
    with pytest.raises(DataError, match=r"no stock has labels on half of any 60 days .* lower ranks\.days"):
        train_on_ranks(run_of(tmp_path, **short))
