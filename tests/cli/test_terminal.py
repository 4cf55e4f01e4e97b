"""What a person sees at a terminal, and what a program or a log gets."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import ragsignal
from ragsignal.cli import terminal
from ragsignal.cli.app import app
from ragsignal.cli.terminal import answer, note, people, say
from tests.specs import write_spec

COMMANDS = Path(ragsignal.__file__).parent / "cli"


def _run(*words: str | Path, code: int = 0) -> tuple[str, str]:
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == code, done.output
    return done.stdout, done.stderr


@pytest.mark.parametrize(
    ("at_terminal", "asked", "printed"), [(True, False, False), (True, True, True), (False, False, True)]
)
def test_json_is_for_programs(
    at_terminal: bool,
    asked: bool,
    printed: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: at_terminal)
    monkeypatch.setattr(terminal, "_json_wanted", asked)
    answer({"a": 1})
    assert (capsys.readouterr().out == '{\n "a": 1\n}\n') == printed


def test_every_command_takes_json_and_says_so(tmp_path: Path) -> None:
    out, _ = _run("data", "check", tmp_path / "nothing", "--json", code=1)
    assert terminal._json_wanted
    assert not out or json.loads(out)
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for path in [[name, it] for it in getattr(command, "commands", ())] or [[name]]:
            assert "--json prints the result as JSON" in " ".join(_run(*path, "--help")[0].split())


def test_the_version_is_the_packages() -> None:
    assert _run("--version")[0] == f"ragsignal {ragsignal.__version__}\n"


def test_commands_stand_in_the_order_of_use() -> None:
    help_page = _run("--help")[0].split("Commands")[1]
    order = [
        help_page.index(f"│ {name} ")
        for name in ("data", "backtest", "inspect", "evaluate", "audit", "sweep", "weights")
    ]
    assert order == sorted(order)


def test_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    say("a table [strategy] in {x}")
    note("pip install 'ragsignal[ray]'")
    said = capsys.readouterr().err
    assert said == "a table [strategy] in {x}\nnote: pip install 'ragsignal[ray]'\n"
    assert "by [strategy]" in " ".join(_run("sweep", "--help")[0].replace("│", " ").split())
    assert not [
        path.name for path in COMMANDS.glob("*.py") if "rich.markup" in path.read_text() or "[/]" in path.read_text()
    ]


def test_a_log_says_how_long_the_rest_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 40.0, 45.0, 110.0, 300.0])
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
    show = terminal._progress_lines()
    for done in (0, 10, 11, 12, 100):
        show("signals", done, 100)
    lines = [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "signals: 0 of 100",
        "signals: 10 of 100, about 6 min left",  # 40 s for a tenth
        "signals: 12 of 100, about 13 min left",  # within a tenth, after more than a minute of silence
        "signals: 100 of 100",
    ]


def test_a_command_to_copy_is_whole_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "name": "embedded:a",
        "role": "base",
        "installed": False,
        "intact": None,
        "install": "pip install --no-deps a-rather-long-name==0.1.2",
    }
    monkeypatch.setattr("ragsignal.artifacts.embedded_status", lambda: [row])
    monkeypatch.setattr("ragsignal.artifacts.shipped_status", list)
    monkeypatch.setattr(people, "_width", 40)
    assert "pip install --no-deps a-rather-long-name==0.1.2\n" in _run("weights", "list")[1]


def test_a_holiday_is_answered_with_the_days_around_it(tmp_path: Path) -> None:
    spec = write_spec(tmp_path)
    out, said = _run("inspect", spec, "--symbol", "AAA", "--date", "2015-06-06", "--json")
    assert json.loads(out)["as_of"] == "2015-06-05"
    assert "2015-06-06 is no trading day of AAA: shown is 2015-06-05, the last one before it; next: 2015-06-08" in said
    assert "no trading day" not in _run("inspect", spec, "--symbol", "AAA", "--date", "2015-06-05")[1]


@pytest.mark.parametrize(
    ("grid", "meant"),
    [("enter=0,0.1", "'strategy.enter'"), ("k=1,2", "'retrieval.k'"), ("commission_bps=0,5", "'costs.commission_bps'")],
)
def test_a_grid_without_a_table_is_answered_with_one(grid: str, meant: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["sweep", str(write_spec(tmp_path)), "--grid", grid])
    assert f"a place is TABLE.KEY. Did you mean {meant}?" in str(done.exception)
