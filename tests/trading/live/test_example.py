"""The program that a user runs."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ragsignal.config import load_spec
from tests.specs import MOMENTUM, write_spec
from tests.trading.live.made import append, days, write_history

EXAMPLES = Path(__file__).parents[3] / "examples"
COME = days(5)


def program() -> ModuleType:
    found = importlib.util.spec_from_file_location("live_paper", EXAMPLES / "live_paper.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    folder = write_history(tmp_path / "prices", through=COME[3])
    data = {"source": "folder", "path": str(folder), "end": "2099-12-31"}
    return write_spec(tmp_path, data=data, variant=[MOMENTUM], benchmark="momentum")


def ran(monkeypatch: pytest.MonkeyPatch, spec: Path, *words: str) -> int:
    journal = str(spec.parent / "journal.sqlite")
    monkeypatch.setattr(sys, "argv", ["live_paper.py", str(spec), "--once", "--journal", journal, *words])
    status: int = program().main()
    return status


def test_it_trades_what_is_there_and_goes_on_the_next_time(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(monkeypatch, spec, "--variant", "momentum", "--poll", "0") == 0
    first = json.loads(capsys.readouterr().out)
    assert first["last_day"] == str(COME[3])
    append(spec.parent / "prices", COME[4])
    assert ran(monkeypatch, spec, "--variant", "momentum", "--poll", "0") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["last_day"] == str(COME[4])
    assert told.err.count("stopped: last bar") == 1


def test_a_mistake_is_one_line_and_a_status(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(monkeypatch, spec, "--variant", "momentun") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    (spec.parent / "prices" / "AAA.csv").unlink()
    assert ran(monkeypatch, spec, "--variant", "momentum") == 1


def test_ctrl_c_before_the_first_day_is_a_line(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ragsignal.trading.live.folder.FolderSource.poll", interrupted)
    assert ran(monkeypatch, spec, "--variant", "momentum") == 130
    assert capsys.readouterr().err.endswith("stopped; start it again, and it goes on where it was\n")


def test_the_spec_beside_it_can_be_read() -> None:
    assert load_spec(EXAMPLES / "live.toml").find_variant(None).name == "stockllm"
