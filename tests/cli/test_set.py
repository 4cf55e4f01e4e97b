"""``--set`` on each command that takes it: the record shows the value, and a typo is exit code 2."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragsignal.cli import main
from ragsignal.cli.app import app
from ragsignal.cli.options import typed
from tests.specs import HOLD, VOTE, write_spec, write_train_spec

SET = ["--set", "data.end=2015-03-31", "--set", "variant.vote.retrieval.k=7"]


def test_a_spec_with_a_space_in_its_path_is_quoted_in_the_command_that_repeats_it() -> None:
    command = typed("ragsignal backtest", Path("my specs/a.toml"), ["costs.cash=1"])
    assert command == "ragsignal backtest 'my specs/a.toml' --set costs.cash=1"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "folder", "record"),
    [
        ("backtest", "small", "record.json"),
        ("evaluate", "small-evaluation", "record.json"),
        ("audit", "small-audit", "audit.json"),
    ],
)
def test_the_record_shows_what_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, folder: str, record: str
) -> None:
    monkeypatch.setattr("ragsignal.report.write_tearsheets", lambda *_: None)
    path = write_spec(tmp_path, variant=[VOTE, HOLD])
    done = CliRunner().invoke(app, [command, str(path), *SET, "--out", str(tmp_path / "runs")])
    assert done.exit_code == 0, done.output
    spec = json.loads((tmp_path / "runs" / folder / "latest" / record).read_text())["spec"]
    assert spec["data"]["end"] == "2015-03-31"
    assert spec["variant"][0]["retrieval"] == {"k": 7}


@pytest.mark.slow
def test_a_training_learns_what_was_set_and_its_card_says_so(tmp_path: Path) -> None:
    words = ["--set", "data.end=2015-09-30", "--set", "name=other", "--set", "classifier.examples=50"]
    path = write_train_spec(tmp_path)
    done = CliRunner().invoke(app, ["train", "classifier", str(path), *words])
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "artifacts" / "classifier" / "card.json").read_text())
    assert card["name"] == "other-classifier"
    assert date.fromisoformat(card["trained_through"]) <= date(2015, 9, 30)
    assert card["command"].endswith(" ".join(words))


COMMANDS = [
    ["backtest"],
    ["evaluate"],
    ["audit"],
    *(
        ["train", what]
        for what in ("stockllm", "feedback", "finseer", "recall", "classifier", "advise", "walk-forward", "methods")
    ),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_typo_in_a_place_is_exit_code_2_with_the_nearest_one(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trains = words[0] == "train" and words[1] not in ("walk-forward", "methods")
    path = write_train_spec(tmp_path) if trains else write_spec(tmp_path)
    monkeypatch.setattr("sys.argv", ["ragsignal", *words, str(path), "--set", "data.strat=2015-01-02"])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 2
    assert "Did you mean 'start'?" in capsys.readouterr().err
