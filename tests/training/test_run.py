"""A training run: two processes that train into one folder do so one after the other."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ragsignal.errors import ConfigError
from ragsignal.training.run import TrainingRun
from tests.specs import train_spec


def test_two_trainings_into_one_folder_wait_for_each_other(tmp_path: Path) -> None:
    told: list[str] = []
    waiting, order = threading.Event(), []

    def progress(what: str, done: int, total: int) -> None:
        told.append(what)
        waiting.set()

    def second() -> None:
        with TrainingRun(train_spec(out=str(tmp_path / "artifacts")), progress).alone():
            order.append("second")

    thread = threading.Thread(target=second)
    with TrainingRun(train_spec(out=str(tmp_path / "artifacts"))).alone():
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert told == [f"wait for another training into {tmp_path / 'artifacts'}"]


def test_processes_of_one_training_on_several_devices_do_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TrainingRun(train_spec(out=str(tmp_path)))
    with run.alone():
        monkeypatch.setenv("RANK", "1")
        with run.alone():
            assert run.work.is_dir()


def test_a_folder_that_cannot_be_made_is_told_with_the_key_to_change(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match="change the spec's key out"),
        TrainingRun(train_spec(out=str(tmp_path / "file"))).alone(),
    ):
        pass
