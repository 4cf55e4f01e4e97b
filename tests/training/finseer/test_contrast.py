"""A supervised contrast: its loss, its batches, what may move the weights, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from ragsignal.artifacts.artifact import Artifact, load_artifact
from ragsignal.config import FinseerTraining, load_train_spec
from ragsignal.data import load_prices
from ragsignal.data.state_buckets import StateBuckets
from ragsignal.errors import ConfigError, DataError, LookAheadError, ModelError
from ragsignal.study import Study, training_order
from ragsignal.study.walk_forward.address import address
from ragsignal.training.finseer.contrast import contrast_loss, overlaps
from ragsignal.training.finseer.students import maker
from ragsignal.training.finseer.train import train_finseer
from ragsignal.training.finseer.windows import (
    ClassBatches,
    LabelledWindows,
    hold_out_days,
    known_candidates,
    label_windows,
)
from ragsignal.training.run import TrainingRun
from ragsignal.utils import as_stamps
from tests.specs import spec, train_spec, write_train_spec
from tests.tiny import tiny_finseer
from tests.tiny_text import tiny_sentences

QUICK: dict[str, Any] = {
    "loss": "supcon",
    "dim": 8,
    "hidden": 16,
    "windows": 200,
    "per_class": 4,
    "numeric_epochs": 3,
    "numeric_learning_rate": 1e-2,
    "epochs": 1.0,
    "save_steps": 5,
}
DATA = {"start": date(2014, 6, 2), "end": date(2015, 3, 31)}
SPLIT = {"valid_from": date(2015, 2, 2)}


def run_of(out: Path, data: dict[str, Any] | None = None, **finseer: Any) -> TrainingRun:
    tables: dict[str, Any] = {"data": DATA | (data or {}), "split": SPLIT, "finseer": QUICK | finseer}
    return TrainingRun(train_spec(out=str(out), **tables))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return run_of(tmp_path_factory.mktemp("contrast"))


@pytest.fixture(scope="module")
def numeric(run: TrainingRun) -> Artifact:
    return train_finseer(run, "numeric")


@pytest.fixture(scope="module")
def windows(run: TrainingRun) -> LabelledWindows:
    train, _ = hold_out_days(run.train, 0.2)
    days = as_stamps([it.query.as_of for it in train])
    buckets = StateBuckets.fit(run.materials.states, "volatility_20", 3, days)
    return label_windows(run, train, known_candidates(run, train), buckets)


def weights_of(artifact: Artifact) -> bytes:
    return (artifact.folder / "model.safetensors").read_bytes()


# --- the loss


@pytest.mark.parametrize("positives", ["same", "overlap"])
def test_the_loss_is_the_formula_of_its_docstring(positives: Any) -> None:
    generator = torch.Generator().manual_seed(3)
    vectors, labels = torch.randn(12, 4, generator=generator), torch.randint(0, 6, (12,), generator=generator)
    unit = torch.nn.functional.normalize(vectors, dim=1).numpy().astype(float)
    near = np.exp(unit @ unit.T / 0.2)
    classes = labels.numpy()
    shared = (classes[:, None] // 2 == classes // 2) * 1.0 + (classes[:, None] % 2 == classes % 2)
    weights = np.where(shared == 2, 1.0, np.where(shared == 1, 1 / 3 if positives == "overlap" else 0.0, 0.0))
    np.fill_diagonal(weights, 0.0)
    share = near / (near.sum(axis=1) - np.diag(near))[:, None]
    each = -(weights * np.log(share)).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-12)
    found = contrast_loss(2, FinseerTraining(positives=positives, temperature=0.2))(vectors, labels)
    assert float(found) == pytest.approx(each[weights.sum(axis=1) > 0].mean(), rel=1e-5)


def test_two_labels_in_common_weigh_one_and_one_of_two_a_third() -> None:
    found = overlaps(torch.tensor([0, 1, 3, 4]), buckets=3)  # (0, 0), (0, 1), (1, 0), (1, 1)
    third = 1 / 3
    expected = [[1, third, third, 0], [third, 1, 0, third], [third, 0, 1, third], [0, third, third, 1]]
    torch.testing.assert_close(found, torch.tensor(expected))


# --- what is learned from


def test_every_batch_holds_as_many_of_each_class_half_of_them_queries(windows: LabelledWindows) -> None:
    batches = ClassBatches(windows, FinseerTraining(per_class=4))
    for step in range(20):
        drawn = batches.draw(step)
        counts = np.bincount(windows.label[drawn], minlength=9)
        assert set(counts[counts > 0]) == {4}
        assert len(drawn) == len(set(drawn.tolist())) == batches.size
        assert abs((drawn < len(windows.queries)).mean() - 0.5) <= 0.2
        np.testing.assert_array_equal(drawn, batches.draw(step))
    assert batches.draw(0).tolist() != batches.draw(1).tolist()


def test_no_window_is_known_later_than_the_first_day_that_is_held_out(
    run: TrainingRun, windows: LabelledWindows
) -> None:
    train, valid = hold_out_days(run.train, 0.2)
    first = min(it.query.as_of for it in valid)
    assert max(it.available_at for it in train) <= first <= run.split.train.known_by
    assert max(query.as_of for query in windows.queries) < first
    assert run.corpus.available_at[windows.rows].max() <= np.datetime64(first)
    assert len(windows.rows) > len(windows.queries)  # candidates begin before data.start


def test_movements_and_states_are_those_of_the_window(run: TrainingRun, windows: LabelledWindows) -> None:
    n_queries = len(windows.queries)
    np.testing.assert_array_equal(windows.movement[n_queries:] - 1, run.corpus.movement[windows.rows])
    outcome = {(it.query.symbol, it.query.as_of): it.outcome for it in run.train}
    for query, movement in list(zip(windows.queries, windows.movement.tolist(), strict=False))[:50]:
        moved = outcome[query.symbol, query.as_of]
        assert movement == (2 if moved > 0.0055 else 0 if moved < -0.005 else 1)
    by_day = dict(zip((query.as_of for query in windows.queries), windows.state.tolist(), strict=False))
    assert all(by_day[query.as_of] == state for query, state in zip(windows.queries, windows.state, strict=False))


def test_candidates_of_symbols_that_only_validate_are_left_out(tmp_path: Path) -> None:
    split = SPLIT | {"protocol": "paper", "train_symbols": ["AA"], "valid_symbols": ["BB"]}
    paper = TrainingRun(train_spec(out=str(tmp_path), data=DATA, split=split, finseer=QUICK))
    rows = known_candidates(paper, paper.train)
    assert {paper.corpus.symbols[number] for number in paper.corpus.symbol_id[rows]} == {"AA"}


def test_a_control_has_the_same_classes_in_another_order(windows: LabelledWindows) -> None:
    shuffled = windows.shuffled(0)
    assert sorted(shuffled.label.tolist()) == sorted(windows.label.tolist())
    assert (shuffled.label != windows.label).mean() > 0.5


# --- laws


def test_the_card_says_the_loss_the_classes_and_the_last_day_that_was_seen(numeric: Artifact, run: TrainingRun) -> None:
    card = load_artifact(numeric.folder, "finseer-numeric").card
    assert card.recipe["loss"] == "supcon"
    assert (card.recipe["state"], len(card.recipe["edges"])) == ("volatility_20", 2)
    assert {"mix", "teacher_temperature", "numeric_batch_size", "feedback"}.isdisjoint(card.recipe)
    assert card.trained_through == max(it.available_at for it in run.train) <= run.split.train.known_by
    assert card.valid is not None
    assert card.train.last < card.valid.first <= card.trained_through
    probes = [f"{probe}_{label}_log_loss" for probe in ("linear", "knn") for label in ("movement", "state")]
    assert {f"{name}{arm}" for name in probes for arm in ("", "_before", "_shuffled")} <= set(card.metrics)
    assert card.metrics["movement_balanced_accuracy_base"] == pytest.approx(1 / 3)
    assert "state_log_loss_base" in card.metrics


def table_of(path: Path, poisoned_after: date | None) -> Path:
    """The planted market as a table, with garbage after a day."""
    data = run_of(path.parent).spec.data
    rows = []
    for symbol, frame in load_prices(data).frames.items():
        bars = frame.copy()
        if poisoned_after is not None:
            late = bars.index > pd.Timestamp(poisoned_after)
            bars.loc[late, ["open", "high", "low", "close"]] *= np.linspace(1.0, 9.0, int(late.sum()))[:, None]
        rows.append(bars.rename_axis("date").reset_index().assign(symbol=symbol))
    pd.concat(rows).to_parquet(path)
    return path


def test_bars_after_the_split_move_no_weight_and_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    known_by = run_of(tmp_path).split.train.known_by
    found = {}
    for name, after in {"clean": None, "again": None, "poisoned": known_by}.items():
        path = table_of(tmp_path / f"{name}.parquet", after)
        data = {"source": "table", "path": str(path)}
        found[name] = weights_of(train_finseer(run_of(tmp_path / name, data), "numeric"))
    assert found["clean"] == found["again"]
    assert found["poisoned"] == found["clean"]
    early = {"source": "table", "path": str(table_of(tmp_path / "early.parquet", date(2014, 10, 1)))}
    assert weights_of(train_finseer(run_of(tmp_path / "early", early), "numeric")) != found["clean"]


def test_another_seed_or_another_positive_gives_other_weights(numeric: Artifact, tmp_path: Path) -> None:
    for number, changes in enumerate(({"seed": 1}, {"positives": "overlap", "state": "trend_20"})):
        other = train_finseer(run_of(tmp_path / str(number), **changes), "numeric")
        assert weights_of(other) != weights_of(numeric)


class Killed(Exception):  # noqa: N818 - not an error, an event
    """Stands in for a process that ends."""


def test_a_stopped_contrast_goes_on_to_the_same_bits(numeric: Artifact, tmp_path: Path) -> None:
    stopped, heard = run_of(tmp_path), []

    def told(what: str, done: int, total: int) -> None:
        heard.append((what, done, total))
        if what == "FinSeer (numeric)" and done == 12 and not resumed:
            raise Killed

    resumed = False
    stopped.progress = told
    with pytest.raises(Killed):
        train_finseer(stopped, "numeric")
    resumed = True
    heard.clear()
    artifact = train_finseer(stopped, "numeric")
    assert heard[0] == ("FinSeer (numeric)", 11, heard[0][2])  # from the checkpoint of step 10; the control is done
    assert weights_of(artifact) == weights_of(numeric)


def test_a_contrast_on_a_planted_market_separates_its_classes(tmp_path: Path) -> None:
    data = {"symbols": [f"S{number}" for number in range(6)], "strength": 0.9}
    settings = {"windows": 4000, "numeric_epochs": 4, "per_class": 8, "hidden": 64, "dim": 16}
    metrics = train_finseer(run_of(tmp_path, data, **settings), "numeric").card.metrics
    base = float(str(metrics["movement_log_loss_base"]))
    assert float(str(metrics["knn_movement_log_loss"])) < base - 0.05
    assert float(str(metrics["linear_movement_log_loss"])) < float(str(metrics["linear_movement_log_loss_before"]))


# --- the text encoder, and beginning from an artifact


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sentences(tmp_path_factory.mktemp("tiny"))


def test_the_text_encoder_learns_a_contrast_and_goes_on_from_it(sentences: Path, tmp_path: Path) -> None:
    text = {"base": str(sentences), "rank": 4, "windows": 100, "learning_rate": 5e-3}
    first = train_finseer(run_of(tmp_path / "first", **text), "text")
    tensors = load_file(first.folder / "adapter_model.safetensors")
    moved = [it.abs().max() for key, it in tensors.items() if "lora_B" in key]
    assert max(float(it) for it in moved) > 1e-3  # they begin as zeros
    on = run_of(tmp_path / "on", **text, start=str(first.folder), seed=1)
    second = train_finseer(on, "text")
    assert second.card.recipe["start"] == first.digest
    before, after = (json.loads((it.folder / "card.json").read_text())["metrics"] for it in (first, second))
    assert after["linear_state_log_loss_before"] == pytest.approx(before["linear_state_log_loss"], abs=1e-3)
    with pytest.raises(ModelError, match=r"finseer\.start = .* other layers or another rank"):
        maker(run_of(tmp_path / "rank", **text | {"rank": 2}), "text", first)()


def test_a_numeric_training_begins_where_the_first_one_ended(numeric: Artifact, tmp_path: Path) -> None:
    idle = run_of(tmp_path, start=str(numeric.folder), numeric_learning_rate=1e-30)
    second = train_finseer(idle, "numeric")
    one, two = load_file(numeric.folder / "model.safetensors"), load_file(second.folder / "model.safetensors")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor)
    assert second.card.trained_through >= numeric.card.trained_through


# --- wrong inputs


@pytest.mark.parametrize(
    ("finseer", "words"),
    [
        ({"loss": "supcom"}, r"finseer\.loss.*'supcon'"),
        ({"state": "volatility_30"}, r"finseer\.state.*'volatility_20'"),
        ({"positives": "both"}, r"finseer\.positives.*'same' or 'overlap'"),
        ({"buckets": 1}, r"finseer\.buckets.*greater than or equal to 2"),
        ({"per_class": 1}, r"finseer\.per_class.*greater than or equal to 2"),
        ({"windows": 0}, r"finseer\.windows.*greater than or equal to 1"),
        ({"start": "walk:finseer-numeric"}, r"finseer\.start.*cannot be read here"),
        ({"bucket": 4}, r"finseer\.bucket.*buckets"),
    ],
)
def test_a_wrong_key_is_told_with_its_place(tmp_path: Path, finseer: dict[str, Any], words: str) -> None:
    path = write_train_spec(tmp_path, finseer=finseer)
    with pytest.raises(ConfigError, match=words):
        load_train_spec(path)


def test_classes_that_are_too_small_are_refused_with_their_sizes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"per_class is 5000, and fewer than two classes .*lower finseer\.per_class"):
        train_finseer(run_of(tmp_path, per_class=5000), "numeric")


def test_a_market_of_one_symbol_has_no_state(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs two symbols at least"):
        train_finseer(run_of(tmp_path, {"symbols": ["AA"]}), "numeric")


def test_bars_of_hours_have_no_market_state(tmp_path: Path) -> None:
    data = {"bar": "60min", "start": date(2015, 1, 5), "end": date(2015, 2, 13)}
    tables = {"corpus": {"bins_through": date(2015, 1, 2)}, "split": {"valid_from": date(2015, 2, 2)}}
    hours = TrainingRun(train_spec(out=str(tmp_path), data=DATA | data, finseer=QUICK, **tables))
    with pytest.raises(ConfigError, match="the market's states are of whole days"):
        train_finseer(hours, "numeric")


def test_a_contrast_that_runs_away_says_what_to_lower(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"contrast has run away: .*lower finseer\.numeric_learning_rate"):
        train_finseer(run_of(tmp_path, numeric_learning_rate=1e30), "numeric")


def test_too_few_days_to_hold_any_out_are_refused(run: TrainingRun) -> None:
    with pytest.raises(ConfigError, match=r"2 queries on 1 days leave none to train on"):
        hold_out_days(run.train[:2], 0.2)


def test_an_artifact_that_has_seen_later_days_is_no_start(numeric: Artifact, tmp_path: Path) -> None:
    split = {"valid_from": date(2014, 12, 1)}
    tables: dict[str, Any] = {"data": DATA, "split": split, "finseer": QUICK | {"start": str(numeric.folder)}}
    early = TrainingRun(train_spec(out=str(tmp_path), **tables))
    with pytest.raises(LookAheadError, match=r"finseer\.start = .* has seen days through 2015-.*train the first one"):
        train_finseer(early, "numeric")


def test_a_start_of_the_other_encoder_of_another_shape_or_none_at_all_is_refused(
    numeric: Artifact, sentences: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="finseer-numeric"):
        train_finseer(run_of(tmp_path / "a", start=str(numeric.folder), base=str(sentences)), "text")
    with pytest.raises(ModelError, match=r"finseer\.start = .* has .*dim 8 and not 16"):
        train_finseer(run_of(tmp_path / "b", start=str(numeric.folder), dim=16), "numeric")
    with pytest.raises(ModelError, match="nowhere"):
        train_finseer(run_of(tmp_path / "c", start=str(tmp_path / "nowhere")), "numeric")
    other = tiny_finseer(tmp_path / "relative", sequences=("adj_close",), target="relative")
    with pytest.raises((ModelError, ConfigError), match="relative"):
        train_finseer(run_of(tmp_path / "d", start=str(other.folder)), "numeric")


def test_a_walk_forward_refuses_one_start_for_all_steps(numeric: Artifact, tmp_path: Path) -> None:
    walked = {"train": train_spec(out=str(tmp_path), finseer=QUICK | {"start": str(numeric.folder)}), "every": "year"}
    with pytest.raises(ConfigError, match=r"finseer\.start = .* one artifact for all steps"):
        _ = Study(spec(walk_forward=walked)).plan


def test_a_walk_forward_by_contrast_trains_no_teacher() -> None:
    contrast, distilled = train_spec(finseer=QUICK), train_spec(finseer=QUICK | {"loss": "kl"})
    assert training_order(contrast, ("finseer-numeric",)) == ("finseer-numeric",)
    assert training_order(distilled, ("finseer-numeric",)) == ("stockllm", "feedback", "finseer-numeric")
    one, other = (address(it, "finseer-numeric", "prices", lambda _: None) for it in (contrast, distilled))
    assert one != other


def test_settings_of_another_loss_decide_nothing(run: TrainingRun, numeric: Artifact, tmp_path: Path) -> None:
    other = train_finseer(run_of(tmp_path, mix=0.25, negatives=3, numeric_batch_size=7), "numeric")
    assert weights_of(other) == weights_of(numeric)
    assert replace(other, folder=numeric.folder).card.recipe == numeric.card.recipe
