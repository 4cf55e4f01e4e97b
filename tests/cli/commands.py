"""``ragsignal`` in the test's own process, which has its libraries already; and in a fresh one, as a user starts it."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ragsignal.report
from ragsignal.cli import main

ROOT = Path(__file__).parents[2]
_NO_SHEETS = "import ragsignal.report; ragsignal.report.write_tearsheets = lambda *_: None"


def fresh(*words: str | Path, sheets: bool = False) -> list[str]:
    """Command line of a fresh process; without tear sheets, unless they are wanted."""
    program = f"{'' if sheets else _NO_SHEETS}\nfrom ragsignal.cli import main; main()"
    return [sys.executable, "-c", program, *map(str, words)]


def run_here(*words: str | Path, code: int = 0) -> tuple[Any, str]:
    """Return what a command answered and said; without tear sheets, which cost two seconds each."""
    answer, said = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(answer), contextlib.redirect_stderr(said):
        patch.setattr(ragsignal.report, "write_tearsheets", lambda *_: None)
        patch.setattr(sys, "argv", ["ragsignal", *map(str, words)])
        with pytest.raises(SystemExit) as done:
            main()
    assert (done.value.code or 0) == code, said.getvalue()
    return _read(answer.getvalue()), said.getvalue()


def run_fresh(*words: str | Path, code: int = 0, sheets: bool = False) -> tuple[Any, str]:
    """As ``run_here``, in a process of its own: other hashes of strings, nothing imported yet."""
    done = subprocess.run(fresh(*words, sheets=sheets), cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    return _read(done.stdout), done.stderr


def _read(stdout: str) -> Any:
    return json.loads(stdout) if stdout.strip() else None
