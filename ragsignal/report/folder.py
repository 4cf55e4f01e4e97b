"""Replace a run folder as a whole: the old report stands until the new one is complete.

The new one grows in a hidden sibling and takes the old one's place by two renames. Both siblings have fixed names,
so whatever a kill leaves behind is put right by the next write.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragsignal.errors import ConfigError

RECORD = "record.json"
OWN = {RECORD, "equity.parquet", "orders.parquet", "signals.parquet", "index.html", "tearsheets"}


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give an empty draft folder; on success it becomes ``folder``, on an error ``folder`` stays as it was.

    Files in an older report that are no report's own (notes, say) move into the new one.

    Raises
    ------
    ConfigError
        If ``folder`` is a file, or holds something but no report: it would be lost.
    """
    folder = folder.resolve()
    draft, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    if old.exists() and not folder.exists():  # killed between the two renames below
        old.rename(folder)
    check_target(folder)
    for leftover in (draft, old):
        shutil.rmtree(leftover, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        _swap(draft, folder, old)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def check_target(folder: Path) -> None:
    """Raise ``ConfigError`` if a report cannot be written to ``folder``, or would lose what is there."""
    try:
        folder.resolve().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"no report can be written to {folder}: {error}; choose another folder with --out") from error
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"{folder} is a file; a report needs a folder: name another one")
    if any(folder.iterdir()) and not (folder / RECORD).exists():
        raise ConfigError(
            f"{folder} holds files but no {RECORD}, so it is no report and is not overwritten; "
            "name a new or an empty folder"
        )


def _swap(draft: Path, folder: Path, old: Path) -> None:
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    if old.exists():
        for entry in old.iterdir():
            if entry.name not in OWN:
                entry.rename(folder / entry.name)
        shutil.rmtree(old)
