"""A training run at a longer horizon: its examples, its split, its card."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragsignal.errors import ConfigError
from ragsignal.training.classifier import train_classifier
from ragsignal.training.run import TrainingRun
from tests.specs import train_spec


def run_at(horizon: int, out: Path, embargo: int = 5) -> TrainingRun:
    split = {"embargo": embargo}
    return TrainingRun(train_spec(out=str(out), corpus={"horizon": horizon}, split=split))


def test_no_answer_of_either_part_is_known_before_its_horizon_or_after_its_end(tmp_path: Path) -> None:
    run = run_at(5, tmp_path)
    calendar = [day.date() for day in run.prices.frames["AA"].index]
    for part, examples in ((run.split.train, run.train), (run.split.valid, run.valid)):
        for example in examples:
            assert example.available_at == calendar[calendar.index(example.query.as_of) + 5]
        assert max(example.available_at for example in examples) == part.known_by


def test_an_embargo_shorter_than_the_horizon_stops_the_training(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="known 10 bars later: write embargo = 10 or more"):
        _ = run_at(10, tmp_path).train


@pytest.mark.parametrize(("horizon", "said"), [(1, None), (5, 5)])
def test_a_card_names_its_horizon_unless_it_is_one_bar(tmp_path: Path, horizon: int, said: int | None) -> None:
    card = train_classifier(run_at(horizon, tmp_path)).card
    assert card.recipe.get("horizon") == said
