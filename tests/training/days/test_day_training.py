"""The adapter that reads days, and FinSeer's metric: what they learn from, a kill, use as in training."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ragsignal.artifacts.artifact import Artifact, load_artifact
from ragsignal.config import FinseerTraining, RanksTraining
from ragsignal.data.market_days import DayHits
from ragsignal.errors import ModelError
from ragsignal.llm.day_hits import day_features
from ragsignal.llm.day_reader import DayReader
from ragsignal.llm.day_vote import factor_product
from ragsignal.llm.day_weights import load_adapter
from ragsignal.llm.rank_ensemble import RankEnsemble, seed_folders
from ragsignal.retrieval.day_artifact import FinseerDays
from ragsignal.training.days.examples import LEAST_PAST, DayExamples, day_examples
from ragsignal.training.days.feedback import DayBlock, draw_blocks
from ragsignal.training.days.finseer import train_day_finseer
from ragsignal.training.days.metric import Opinions, fit_metric
from ragsignal.training.days.train import train_day_reader
from ragsignal.training.finseer.teacher import residual
from ragsignal.training.ranks.train import train_on_ranks
from ragsignal.training.run import TrainingRun
from tests.training.ranks.test_rank_training import Killed, run_of

DAYS = {
    "weights": [1.0],
    "k": 6,
    "opposite": 3,
    "rank": 2,
    "alpha": 4,
    "steps": 9,
    "days": 2,
    "stocks": 8,
    "eval_steps": 3,
}
FEEDBACK = {"queries": 16, "candidates": 8, "block": 4}


def run(folder: Path, progress: Any = None, **changes: Any) -> TrainingRun:
    """A training run with small tables for days."""
    tables = {"days": DAYS, "feedback": FEEDBACK, **changes}
    return run_of(folder, progress, **tables) if progress else run_of(folder, **tables)


@cache
def _examples() -> DayExamples:
    return day_examples(run(Path("nowhere")))


@pytest.fixture
def examples() -> DayExamples:
    return _examples()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trunk, its teacher, and the adapter upon it."""
    folder = tmp_path_factory.mktemp("trained")
    train_on_ranks(run(folder))
    train_day_reader(run(folder), _examples())
    return folder


def _weights(folder: Path) -> dict[str, bytes]:
    return {str(it.relative_to(folder)): it.read_bytes() for it in sorted(folder.rglob("*.safetensors"))}


# ---------------------------------------------------------------------------------------------------- examples


def test_a_training_day_has_enough_past_and_scales_come_from_training_days_alone(examples: DayExamples) -> None:
    retrievable = np.cumsum(examples.days.retrievable)
    assert (retrievable[examples.train_rows] > LEAST_PAST).all()
    training = examples.ranks.train.any(axis=1)
    assert np.allclose(examples.scales.payoffs, examples.days.payoffs[training & examples.days.retrievable].std(axis=0))
    assert np.allclose(examples.metric.mean, examples.days.states[training].mean(axis=0))


def test_what_is_retrieved_in_training_was_known(examples: DayExamples) -> None:
    for row in examples.train_rows[::7].tolist():
        day = examples.days.days[row].item()
        for retriever in (examples.nearest(20, 5), examples.drawn(20, 5, seed=row)):
            hits = retriever.of_day(day)
            assert len(hits) == 25
            assert hits.ages(day).min() >= 0


# ---------------------------------------------------------------------------------------------------- the adapter


def test_a_run_that_was_killed_ends_in_the_same_weights(trained: Path, tmp_path: Path) -> None:
    def killing(what: str, done: int, total: int) -> None:
        if "seed 2" in what and done == 5:
            raise Killed

    for name in ("stockllm", "classifier"):
        shutil.copytree(trained / name, tmp_path / name)
    with pytest.raises(Killed):
        train_day_reader(run(tmp_path, killing), _examples())
    assert not (tmp_path / "stockllm-days").exists()
    train_day_reader(run(tmp_path), _examples())
    assert _weights(tmp_path / "stockllm-days") == _weights(trained / "stockllm-days")


def test_a_run_that_was_killed_while_finseer_asked_trains_no_adapter_again(trained: Path, tmp_path: Path) -> None:
    for name in ("stockllm", "classifier"):
        shutil.copytree(trained / name, tmp_path / name)
    train_day_reader(run(tmp_path), _examples())
    told: list[str] = []

    def killing(what: str, done: int, total: int) -> None:
        told.append(what)
        if what == "opinions of days":
            raise Killed

    with pytest.raises(Killed):
        train_day_finseer(run(tmp_path, killing), _examples())
    train_day_reader(run(tmp_path, killing), _examples())
    assert not [what for what in told if what.startswith("reader of days")]
    assert _weights(tmp_path / "stockllm-days") == _weights(trained / "stockllm-days")
    train_day_finseer(run(tmp_path), _examples())
    assert not (tmp_path / ".work" / "stockllm-days").exists()


def test_no_file_says_where_it_was_trained(trained: Path) -> None:
    for path in (trained / "stockllm-days").rglob("*.json"):
        assert str(trained) not in path.read_text(encoding="utf-8")


def test_the_card_says_what_it_was_trained_upon(trained: Path) -> None:
    artifact = load_artifact(trained / "stockllm-days", "stockllm-days")
    assert artifact.card.recipe["trunk"] == load_artifact(trained / "stockllm").digest
    assert artifact.card.recipe["teacher"] == load_artifact(trained / "classifier").digest
    assert artifact.card.trained_through == load_artifact(trained / "stockllm").card.trained_through
    assert set(artifact.card.metrics) >= {
        "ic",
        "ic_by_weight",
        "ic_without_days",
        "ic_without_product",
        "ic_of_product",
    }


def test_a_trunk_of_another_split_is_refused(trained: Path) -> None:
    with pytest.raises(ModelError, match="other prices, days or labels"):
        train_day_reader(run(trained, split={"embargo": 6}))


def _reader(trained: Path) -> tuple[Artifact, Artifact, DayReader]:
    trunk, days = load_artifact(trained / "stockllm"), load_artifact(trained / "stockllm-days")
    return trunk, days, DayReader(trunk, days, _examples().ranks.letters)


@pytest.mark.parametrize(
    ("file", "lost", "message"),
    [
        ("reader.safetensors", "facts", r"reader\.safetensors does not fit .*it lacks 2 weights \(facts\.bias"),
        ("adapter_model.safetensors", "lora_B", r"seed-0 does not fit .*it lacks \d+ weights \(.*lora_B"),
        ("adapter_model.safetensors", "", r"seed-0 does not fit .*it lacks \d+ weights"),
    ],
)
def test_an_adapter_of_days_that_fills_a_part_of_its_trunk_is_refused(
    file: str, lost: str, message: str, trained: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained / "stockllm-days/seed-0", tmp_path / "seed-0"))
    kept = {name: tensor for name, tensor in load_file(folder / file).items() if lost not in name}
    save_file(kept, folder / file)
    trunk = RankEnsemble(seed_folders(trained / "stockllm")).copies()[0]
    with pytest.raises(ModelError, match=message):
        load_adapter(folder, trunk)


def test_it_reads_in_use_what_it_read_in_training(trained: Path, examples: DayExamples) -> None:
    trunk, _, reader = _reader(trained)
    row = int(examples.valid_rows[3])
    day, letters = examples.days.days[row].item(), examples.ranks.letters
    hits = examples.nearest(6, 3).of_day(day)
    there = np.flatnonzero(letters.ranked[row])
    models = RankEnsemble(sorted(trunk.folder.glob("seed-*")))
    scores, states = models.scores_and_states(letters.letters[row + 1 - models.memory : row + 1, there])
    features = day_features(hits, day, examples.scales)
    batch = [torch.from_numpy(it)[None] for it in (features.payoffs, features.facts)]
    tokens = torch.from_numpy(letters.letters[row, there])[None]
    with torch.inference_mode():
        each = [a(tokens, s[-1][None], *batch)[0] for a, s in zip(reader.ensemble.adapters, states, strict=True)]
    change = torch.stack(each).double().mean(dim=0).numpy()
    wanted = scores[-1] + change + reader.ensemble.product * factor_product(letters.letters[row, there], hits)
    found = reader.of_universe(row, hits)
    assert np.abs(change).max() > 1e-4  # it learned something to be tested
    assert np.allclose(found[there], wanted, atol=1e-5)
    assert np.isnan(np.delete(found, there)).all()


def test_a_stock_that_is_not_of_the_universe_is_read_as_one_that_is(trained: Path, examples: DayExamples) -> None:
    _, _, reader = _reader(trained)
    row = int(examples.valid_rows[5])
    hits = examples.nearest(6, 3).of_day(examples.days.days[row].item())
    letters = examples.ranks.letters.letters[row + 1 - reader.memory : row + 1, [4]]
    assert reader.of_stocks(letters, row, hits)[0] == pytest.approx(reader.of_universe(row, hits)[4], abs=1e-5)


def test_the_order_of_the_hits_and_the_other_stocks_do_not_matter(trained: Path, examples: DayExamples) -> None:
    _, _, reader = _reader(trained)
    row = int(examples.valid_rows[0])
    hits = examples.nearest(6, 3).of_day(examples.days.days[row].item())
    turned = DayHits(hits.table, hits.rows[::-1].copy(), hits.scores[::-1].copy())
    assert np.allclose(reader.of_universe(row, hits), reader.of_universe(row, turned), atol=1e-5, equal_nan=True)


def test_an_untrained_adapter_changes_nothing() -> None:
    from ragsignal.llm.day_model import FACTS, with_lora
    from ragsignal.llm.rank_model import RankLM, rank_config

    adapter = with_lora(RankLM(rank_config(RanksTraining(hidden=16, layers=1, heads=2, window=3))), rank=2, alpha=4)
    letters, payoffs = torch.zeros(1, 70, 41, dtype=torch.uint8), torch.zeros(1, 5, 41, dtype=torch.uint8)
    changes = adapter(letters, torch.randn(1, 70, 16), payoffs, torch.zeros(1, 5, FACTS))
    assert changes.shape == (1, 70)
    assert (changes == 0).all()
    learned = {name for name, it in adapter.named_parameters() if it.requires_grad}
    assert all("lora" in name or not name.startswith("decoder") for name in learned)
    assert any("lora" in name for name in learned)


# ---------------------------------------------------------------------------------------------------- the metric


def test_a_block_asks_about_days_that_all_of_its_queries_could_see(examples: DayExamples) -> None:
    spec = run(Path("nowhere")).spec.feedback
    blocks = draw_blocks(examples, spec)
    assert len(blocks) == 4
    for block in blocks:
        assert len(set(block.candidates.tolist())) == len(block.candidates) == 8
        assert examples.days.available_at[block.candidates].max() <= examples.days.days[block.queries[0]]


def _planted(examples: DayExamples, matter: int) -> Iterator[Opinions]:
    """Opinions of a reader to whom one variable of the state is all that matters."""
    rng = np.random.default_rng(0)
    standard = examples.metric.standardized(examples.days.states)[:, matter]
    rows = np.flatnonzero(examples.days.retrievable)
    for _ in range(30):
        queries, candidates = rng.choice(rows, 8, replace=False), rng.choice(rows, 16, replace=False)
        raw = -((standard[queries][:, None] - standard[candidates][None]) ** 2) + 0.3 * rng.normal(size=(8, 16))
        yield Opinions(DayBlock(queries, candidates, np.zeros((8, 1), dtype=np.int64)), raw, residual(raw))


def test_the_metric_learns_which_variable_matters(examples: DayExamples) -> None:
    metric, report = fit_metric(examples, list(_planted(examples, matter=2)), FinseerTraining())
    weights = np.linalg.norm(metric.matrix, axis=0)
    assert weights.argmax() == 2
    learned, euclidean = report["agreement"]["learned"][0], report["agreement"]["euclidean"][0]
    assert learned > euclidean + 0.1
    assert report["agreement"]["shuffled teacher"][0] < learned - 0.1
    assert report["held_out_blocks"] == 6


def test_finseer_keeps_the_metric_with_the_better_vote_and_the_days_of_both_horizons(trained: Path) -> None:
    artifact = train_day_finseer(run(trained), _examples())
    votes, shipped = artifact.card.metrics["vote_ic"], artifact.card.metrics["shipped"]
    assert votes[shipped] == max(votes.values())
    held = FinseerDays(artifact)
    examples = _examples()
    assert np.allclose(held.days(1).payoffs, examples.days.payoffs, atol=1e-6, equal_nan=True)
    assert (held.days(5).available_at[: -5 - 1] == examples.days.days[5:-1]).all()
    plain = held.metric.plain
    assert np.allclose(plain.mean, examples.metric.mean)
    with pytest.raises(ModelError, match="10"):
        held.days(10)


def test_adapters_that_do_not_help_on_validation_are_left_out(trained: Path, tmp_path: Path) -> None:
    for name in ("stockllm", "classifier"):
        shutil.copytree(trained / name, tmp_path / name)
    artifact = train_day_reader(run(tmp_path, days=DAYS | {"weights": [0.0]}), _examples())
    assert not list(artifact.folder.glob("seed-*"))
    trunk, letters = load_artifact(tmp_path / "stockllm"), _examples().ranks.letters
    reader, row = DayReader(trunk, artifact, letters), int(_examples().valid_rows[2])
    hits = _examples().nearest(6, 3).of_day(letters.days[row].item())
    models = RankEnsemble(sorted(trunk.folder.glob("seed-*")))
    scores = models.scores(letters.letters[row + 1 - models.memory : row + 1])[-1]
    wanted = scores + reader.ensemble.product * factor_product(letters.letters[row], hits)
    there = letters.ranked[row]
    assert np.allclose(reader.of_universe(row, hits)[there], wanted[there], atol=1e-5)
