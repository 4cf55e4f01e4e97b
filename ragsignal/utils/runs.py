"""A folder for each run: ``NAME/2026-11-26T1012-ab12/``, and ``NAME/latest``, which leads to the last one.

The name of a run is its local start time and four random hex digits. ``latest`` is a relative symbolic link; where the
system permits none, a text file with the run's name. Nothing that a run wrote is overwritten by another one.
"""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from ragsignal.errors import ConfigError
from ragsignal.utils.files import draft_in, rename_folder

LATEST = "latest"

T = TypeVar("T")


class NewRun:
    """The folder of a run that begins now; it appears whole, when the run has written it.

    Parameters
    ----------
    runs : Path
        Where the runs of one name lie.

    Raises
    ------
    ConfigError
        If nothing can be written there: asked before the work, not after it.
    """

    def __init__(self, runs: Path) -> None:
        _check(runs)
        self._runs = runs
        self._began = datetime.now()

    def write(self, fill: Callable[[Path], T]) -> tuple[Path, T]:
        """Let ``fill`` write the files of the run into an empty draft, name it, and let ``latest`` lead to it.

        If ``fill`` raises or the process is killed, no run appears, and ``latest`` leads where it did.

        Returns
        -------
        tuple
            The folder of the run, and what ``fill`` returned.
        """
        with draft_in(self._runs, "run") as draft:
            answer = fill(draft)
            folder = self._folder()
            while not rename_folder(draft, folder):
                folder = self._folder()
        _lead_to(folder)
        return folder, answer

    def _folder(self) -> Path:
        return self._runs / f"{self._began:%Y-%m-%dT%H%M}-{secrets.token_hex(2)}"


def find_run(path: Path) -> Path:
    """The folder of a run, where ``path`` is it, its ``latest``, or a folder of runs that has a ``latest``.

    Raises
    ------
    ConfigError
        If there is no such folder.
    """
    found = path / LATEST if os.path.lexists(path / LATEST) else path
    if found.is_file() and found.name == LATEST:
        found = found.with_name(found.read_text(encoding="utf-8").strip())
    if not found.is_dir():
        raise ConfigError(f"no run in {path}: expected a folder that a run wrote, runs/NAME/{LATEST} for example")
    return found


def _lead_to(folder: Path) -> None:
    """Replace ``latest`` in one step."""
    link = folder.with_name(f".{LATEST}.{uuid.uuid4().hex}")
    try:
        link.symlink_to(folder.name, target_is_directory=True)
    except (OSError, NotImplementedError):
        link.write_text(folder.name + "\n", encoding="utf-8")
    link.replace(folder.with_name(LATEST))


def _check(runs: Path) -> None:
    try:
        runs.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"no run can be written to {runs}: {error}; choose another folder: --out, or out in the spec"
        ) from error
    there = runs if runs.exists() else runs.parent
    if not there.is_dir():
        raise ConfigError(f"{there} is a file; runs need a folder: choose another one: --out, or out in the spec")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"{there} may not be written to; choose another folder: --out, or out in the spec")
    latest = runs / LATEST
    if latest.is_dir() and not latest.is_symlink():
        raise ConfigError(
            f"{latest} is a folder, where the link to the last run has to stand; rename it, or choose another folder "
            "with --out"
        )
