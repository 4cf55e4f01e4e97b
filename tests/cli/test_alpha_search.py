"""``ragsignal alpha search``: words on stderr, JSON on stdout, the run's files, one line for what is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragsignal.alpha import Search
from ragsignal.cli import main
from tests.searches import SMALL_SEARCH, search_spec
from tests.specs import changed, write

Answered = tuple[int, Any, str]
Command = Callable[..., Answered]


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))

    def run(*words: str, **tables: Any) -> Answered:
        path = write(tmp_path / "hunt.toml", changed(SMALL_SEARCH, **tables))
        monkeypatch.setattr(sys, "argv", ["ragsignal", "alpha", "search", str(path), "--jobs", "1", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(out) if out.strip() else None, " ".join(err.split())

    return run


def test_a_search_writes_its_files_and_says_what_came_out(searched: Command, tmp_path: Path) -> None:
    code, answered, words = searched("--set", "alpha.generations=2")
    assert code == 0
    folder = Path(answered["run_dir"])
    assert {it.name for it in folder.iterdir()} == {"alphas.toml", "audit.json", "search.html", "search.json"}
    assert folder == (tmp_path / "runs" / "hunt" / "latest").resolve()
    assert not [*(tmp_path / "runs" / "hunt").glob("*.jsonl")]
    assert answered["verdict"] == "not distinguishable from noise"
    assert answered["evaluated"] == 24
    assert "Not distinguishable from noise" in words
    assert "generation 2: 24 of 24 formulas, best rank correlation" in words
    assert "24 formulas were evaluated, each a trial" in words
    record = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    assert record["kept"] == answered["kept"]
    assert {it["verdict"] for it in answered["audit"]} <= {"passed"}
    assert len(answered["audit"]) == (1 + 2 * len(record["kept"]) if record["kept"] else 0)


def test_the_cost_is_told_and_nothing_searched(searched: Command, tmp_path: Path) -> None:
    code, answered, words = searched("--dry-run")
    assert code == 0
    assert answered["evaluations"] == 36
    assert "36 formulas at most on 1 process: about" in words
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("alpha.keep=100", "keep = 100 is more than candidates"),
        ("alpha.search_end=2013-06-28", "must lie before selection_end"),
        ("alpha.fields=['clsoe']", "no field 'clsoe'. Did you mean 'close'"),
        ("alpha.horizn=5", "Did you mean 'horizon'"),
        ("data.end=2012-12-31", "the holdout window has"),
    ],
)
def test_what_is_wrong_is_told_without_a_traceback(searched: Command, setting: str, said: str) -> None:
    code, answered, words = searched("--set", setting)
    assert (code, answered) == (2, None)
    assert said in words
    assert "Traceback" not in words


def test_a_damaged_journal_fails_with_exit_code_1(searched: Command, tmp_path: Path) -> None:
    journal = tmp_path / "runs" / "hunt" / f"search-{Search(search_spec()).digest[:12]}.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text("garbage\n")
    code, answered, words = searched()
    assert (code, answered) == (1, None)
    assert "is damaged in line 1" in words
    code, answered, words = searched("--set", "alpha.generations=1")
    assert code == 0
    assert "note: a search that is not done lies beside this one" in words
    assert str(journal) in words
    assert journal.read_text() == "garbage\n"
