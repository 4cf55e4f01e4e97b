"""What a run says of its models: worse than their base rate, or equal on equal processors only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragsignal.artifacts.artifact import Artifact, save_artifact
from ragsignal.cli import train
from ragsignal.study.frame import RunFrame
from ragsignal.study.provenance import notes_on_training
from ragsignal.study.study import Study
from tests.artifacts.test_artifact import write_weights
from tests.specs import spec
from tests.tiny import rank_card

WORSE = {"log_loss": 0.6940, "log_loss_of_base_rate": 0.6930}
BETTER = {"log_loss": 0.6920, "log_loss_of_base_rate": 0.6930}
SENTENCE = "untrained is no better than its base rate: on its validation days its log-loss is 0.69400, and 0.69300"


def _artifact(folder: Path, metrics: dict[str, Any]) -> Artifact:
    return save_artifact(folder, rank_card("classifier", metrics=metrics), write_weights)


@pytest.mark.parametrize(("metrics", "warned"), [(WORSE, True), (BETTER, False)])
def test_a_run_says_of_a_model_that_is_worse_than_its_base_rate_that_it_is(
    metrics: dict[str, Any], warned: bool, tmp_path: Path
) -> None:
    folder = _artifact(tmp_path / "classifier", metrics).folder
    bars = {"name": "bars", "signal": "classifier", "classifier": str(folder)}
    notes = notes_on_training(Study(spec(variant=[bars], benchmark="bars")))
    assert any(note.startswith(SENTENCE) for note in notes) is warned


@pytest.mark.parametrize(("metrics", "warned"), [(WORSE, True), (BETTER, False)])
def test_a_training_command_says_so_too(
    metrics: dict[str, Any], warned: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train.warn([_artifact(tmp_path / "classifier", metrics)])
    assert (SENTENCE in capsys.readouterr().err) is warned


@pytest.mark.parametrize(
    ("signal", "llm", "said"),
    [
        ("llm", {}, True),
        ("llm", {"dtype": "bfloat16"}, True),
        ("llm", {"dtype": "float32"}, False),
        ("llm", {"model": "shipped:stockllm"}, False),
        ("vote", {}, False),
    ],
)
def test_a_run_of_a_text_model_says_on_which_machines_its_signals_are_equal(
    signal: str, llm: dict[str, Any], said: bool
) -> None:
    variant = {"name": "one", "signal": signal}
    notes = notes_on_training(Study(spec(variant=[variant], llm=llm, benchmark="one")))
    assert any("equal on equal processors" in note for note in notes) is said


def test_the_processor_is_among_the_times_that_a_record_may_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path))
    machine = RunFrame().times()["machine"]
    assert isinstance(machine, dict)
    assert machine["processor"]
    assert machine["instructions"] == torch.backends.cpu.get_cpu_capability()
    assert machine["threads"] >= 1
