"""A run has a folder of its own, which appears whole; ``latest`` leads to the last one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ragsignal.errors import ConfigError
from ragsignal.utils.runs import NewRun, find_run

# Of a process that writes half a run and waits to be killed, or to be let go on.
WRITER = """
import sys, time
from pathlib import Path
from ragsignal.utils.runs import NewRun

runs = Path(sys.argv[1])

def fill(draft):
    (draft / "half").write_text("mine")
    (runs / "writing").write_text(draft.name)
    while not (runs / "go").exists():
        time.sleep(0.01)
    (draft / "rest").write_text("mine")

NewRun(runs).write(fill)
"""


def write(runs: Path, text: str) -> Path:
    def fill(draft: Path) -> None:
        for name in ("a", "b"):
            (draft / name).write_text(text)

    return NewRun(runs).write(fill)[0]


def names(runs: Path) -> set[str]:
    return {path.name for path in runs.iterdir()}


def test_each_run_has_an_id_and_latest_leads_to_the_last(tmp_path: Path) -> None:
    first, last = write(tmp_path / "runs" / "it", "1"), write(tmp_path / "runs" / "it", "2")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d{4}-[0-9a-f]{4}", run.name) for run in (first, last))
    assert (first / "a").read_text() == "1"
    latest = first.parent / "latest"
    assert os.readlink(latest) == last.name  # relative: the folder may be moved
    assert (latest / "a").read_text() == "2"
    assert names(first.parent) == {first.name, last.name, "latest"}


def test_many_writers_of_one_folder_leave_as_many_whole_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["aaaa"] * 9 + [f"{number:04x}" for number in range(99)])  # ids may meet
    monkeypatch.setattr("secrets.token_hex", lambda _: next(drawn))
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda number: write(tmp_path, str(number)), range(16)))
    assert len(set(runs)) == 16
    assert [(run / "a").read_text() + (run / "b").read_text() for run in runs] == [2 * str(it) for it in range(16)]
    assert (tmp_path / "latest").resolve() in runs
    assert names(tmp_path) == {run.name for run in runs} | {"latest"}


def test_an_old_report_beside_the_runs_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("of before")
    run = write(tmp_path, "1")
    assert (tmp_path / "record.json").read_text() == "of before"
    assert names(tmp_path) == {"record.json", "latest", run.name}


def _start(runs: Path) -> tuple[subprocess.Popen[bytes], Path]:
    running = subprocess.Popen([sys.executable, "-c", WRITER, str(runs)])
    while not (runs / "writing").exists():
        assert running.poll() is None
        time.sleep(0.01)
    time.sleep(0.05)
    return running, runs / (runs / "writing").read_text()


def test_the_draft_of_a_killed_run_is_deleted_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    old = write(tmp_path, "1")
    running, draft = _start(tmp_path)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert (tmp_path / "latest").resolve() == old
    assert (draft / "half").exists()
    (tmp_path / "writing").unlink()
    running, living = _start(tmp_path)
    assert not draft.exists()
    new = write(tmp_path, "2")
    assert (living / "half").exists()
    assert (tmp_path / "latest").resolve() == new
    (tmp_path / "go").touch()
    assert running.wait() == 0
    assert names(tmp_path / "latest") == {"half", "rest"}


def test_where_no_link_is_permitted_latest_is_a_file_that_names_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    write(tmp_path, "1")
    last = write(tmp_path, "2")
    assert (tmp_path / "latest").read_text() == last.name + "\n"
    assert find_run(tmp_path / "latest") == find_run(tmp_path) == find_run(last) == last


def test_a_run_is_found_by_its_folder_by_latest_and_by_the_name_of_all(tmp_path: Path) -> None:
    run = write(tmp_path / "it", "1")
    assert {find_run(path).resolve() for path in (run, tmp_path / "it" / "latest", tmp_path / "it")} == {run}
    with pytest.raises(ConfigError, match=r"no run in .*nothing"):
        find_run(tmp_path / "nothing")


def test_what_cannot_be_written_to_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "mine" / "latest").mkdir(parents=True)
    for runs, message in [
        (tmp_path / "file" / "it", "no run can be written"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "mine", "rename it"),
    ]:
        with pytest.raises(ConfigError, match=message):
            NewRun(runs)
