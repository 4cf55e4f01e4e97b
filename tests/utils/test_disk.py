"""A full disk is one clear error, and what was there stays."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from ragsignal.errors import StoreError
from ragsignal.signals.store import SignalStore
from ragsignal.trading.sweep.record import Journal
from ragsignal.utils.disk import disk_is_full
from ragsignal.utils.files import write_file, write_folder
from ragsignal.utils.runs import NewRun
from tests.specs import HOLD, write_spec

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
KIB = 1024
ROOT = Path(__file__).parents[2]


def refuse(folder: Path) -> None:
    raise FULL


def test_a_full_disk_says_what_and_where_and_keeps_what_was_there(tmp_path: Path) -> None:
    runs, folder, file = tmp_path / "runs", tmp_path / "artifact", tmp_path / "table"
    old, _ = NewRun(runs).write(lambda draft: (draft / "a").write_text("old"))
    write_folder(folder, lambda draft: (draft / "a").write_text("old") and None)
    file.write_text("old")
    for write in (
        lambda: NewRun(runs).write(refuse),
        partial(write_folder, folder, refuse, replace=True),
        partial(write_file, file, refuse),
    ):
        with pytest.raises(StoreError, match=r"no room left for .*No space left .*Free space"):
            write()
    assert (runs / "latest").resolve() == old
    assert {path.name for path in runs.iterdir()} == {old.name, "latest"}
    assert (folder / "a").read_text() == file.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "artifact", "table"}


def test_a_limit_on_the_size_of_files_is_no_damaged_store(tmp_path: Path) -> None:
    code = f"""
import resource, sqlite3
from ragsignal.utils.disk import disk_is_full
store = sqlite3.connect({str(tmp_path / "store")!r})
store.execute("create table signals (value)")
store.execute("pragma journal_mode = wal")
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    store.execute("insert into signals values (?)", ("a" * 500_000,))
    store.commit()
except sqlite3.Error as error:
    print(error, disk_is_full(error))
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "disk I/O error True\n"


@pytest.mark.parametrize(
    "words",
    [
        "Error while serializing: I/O error: No space left on device (os error 28)",
        "[enforce fail at inline_container.cc:672] . PytorchStreamWriter failed writing file data/0: file write failed",
        "database or disk is full",
    ],
)
def test_libraries_that_raise_no_os_error_are_understood(words: str) -> None:
    assert disk_is_full(RuntimeError(words))
    assert not disk_is_full(RuntimeError("out of memory"))


def limited(folder: Path, size: int, program: str) -> subprocess.CompletedProcess[str]:
    """A process none of whose files may grow beyond ``size`` bytes; writing more fails as on a full disk."""
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n{program}"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RAGSIGNAL_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)


TABLE = """
import numpy as np, pandas as pd
from pathlib import Path
from ragsignal.errors import StoreError
from ragsignal.utils.runs import NewRun

def fill(draft):
    (draft / "record.json").write_text("{}")
    pd.DataFrame(np.random.default_rng(0).normal(size=(9000, 9))).to_parquet(draft / "equity.parquet")

try:
    NewRun(Path("runs")).write(fill)
except StoreError as error:
    print("told:", error)
"""


def test_tables_that_do_not_fit_leave_no_run(tmp_path: Path) -> None:
    done = limited(tmp_path, 64 * KIB, TABLE)
    assert "told: no room left for" in done.stdout, done.stderr
    assert list((tmp_path / "runs").iterdir()) == []


COMMAND = """
import sys
from ragsignal.cli import main
sys.argv = ["ragsignal", "backtest", "small.toml"]
main()
"""


@pytest.mark.slow
def test_a_backtest_on_a_full_disk_is_an_error_without_a_traceback_and_the_store_stays(tmp_path: Path) -> None:
    write_spec(tmp_path, variant=[HOLD])
    done = limited(tmp_path, 200 * KIB, COMMAND)  # tables fit, the page does not
    assert done.returncode == 1, done.stderr
    assert "StoreError no room left for" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "runs" / "small").iterdir()) == []


def test_a_journal_that_cannot_grow_keeps_its_rows(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "points.jsonl")
    journal.add("first", {"return": 1.0})
    program = (
        "from pathlib import Path\nfrom ragsignal.trading.sweep.record import Journal\n"
        "Journal(Path('points.jsonl')).add('second', {'return': list(range(999))})"
    )
    done = limited(tmp_path, KIB, program)
    assert "StoreError: no room left for" in done.stderr
    assert set(Journal(tmp_path / "points.jsonl").rows) == {"first"}


def test_a_full_store_advises_room_and_not_to_move_it_away(tmp_path: Path) -> None:
    store = SignalStore(tmp_path / "signals.sqlite")
    with store._tables._database.connection() as connection:
        connection.execute("PRAGMA max_page_count = 20")  # SQLite then says what it says of a full disk
    with pytest.raises(StoreError, match="no room left for the signal store"):
        store.put_recipe({"text": "x" * 999_999})
    assert store.put_recipe({"text": "short"})
