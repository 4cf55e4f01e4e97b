"""Where things that can be made again are kept: ``$RAGSIGNAL_CACHE``, else the user's cache folder.

Also the one way to write a whole file or folder, so that no reader ever sees half of one.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from platformdirs import user_cache_path

from ragsignal.errors import StoreError
from ragsignal.utils.disk import needs_room
from ragsignal.utils.locks import locked

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)  # what a rename says of a folder with something in it
_REPLACED = re.compile(r"\.(.+)\.[0-9a-f]{32}\.old")


def cache_folder() -> Path:
    """The folder of converted weights, corpora, embeddings and signals.

    Raises
    ------
    StoreError
        If it is not there and cannot be created.
    """
    chosen = os.environ.get("RAGSIGNAL_CACHE")
    folder = Path(chosen).expanduser() if chosen else user_cache_path("ragsignal")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot create the cache folder {folder}: {error}; set RAGSIGNAL_CACHE to one that can"
        ) from error
    return folder


def write_folder(folder: Path, write: Callable[[Path], None], replace: bool = False) -> None:
    """Let ``write`` fill a draft beside ``folder``, then rename it; of many writers at once each has its own draft.

    Parameters
    ----------
    folder : Path
        Its parents are made if need be.
    write : callable
        Receives the empty draft. If it raises, nothing is left behind and ``folder`` stays as it was.
    replace : bool
        What happens where ``folder`` holds files already. False: it stays and what was written is dropped, for content
        that is the same whoever writes it. True: it goes, for content that was made anew; of several writers the last
        one's stays, whole.
    """
    with draft_in(folder.parent, folder.name) as draft:
        write(draft)
        if not rename_folder(draft, folder) and replace:
            _replace(draft, folder)


@contextmanager
def draft_in(parent: Path, name: str) -> Iterator[Path]:
    """Give an empty hidden folder in ``parent``, to be filled and renamed; what is left of it afterwards is deleted.

    Drafts that killed processes left in ``parent`` are deleted too; those of living ones are locked by them.

    Raises
    ------
    StoreError
        If the disk is full.
    """
    with needs_room(parent):
        parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(parent)
        while True:
            # Not the process id: in containers that share a folder all processes may have the same.
            draft = parent / f".{name}.{uuid.uuid4().hex}.part"
            draft.mkdir()
            with locked(draft, alone=False, wait=True):
                if not draft.exists():  # before it was locked, another process took it for a leftover
                    continue
                try:
                    yield draft
                finally:
                    shutil.rmtree(draft, ignore_errors=True)
                return


def rename_folder(draft: Path, folder: Path) -> bool:
    """Rename ``draft`` to ``folder``; False where a folder with something in it is there, which stays."""
    try:
        draft.rename(folder)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        return False
    return True


def _replace(draft: Path, folder: Path) -> None:
    """Put ``draft`` in the place of ``folder`` by two renames: a reader finds a whole folder, or briefly none."""
    done = False
    while not done:
        old = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.old")
        with suppress(FileNotFoundError):  # another writer is between its two renames
            folder.rename(old)
        try:
            done = rename_folder(draft, folder)
        except OSError:
            old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _clear_leftovers(parent: Path) -> None:
    """Delete the drafts of killed processes, and put back what one had moved away for its draft."""
    for draft in parent.glob(".*.part"):
        if draft.is_dir() and not draft.is_symlink():
            with locked(draft, alone=True, wait=False) as unused:
                if unused:
                    shutil.rmtree(draft, ignore_errors=True)
    for old in parent.glob(".*.old"):
        name = _REPLACED.fullmatch(old.name)
        if name and (parent / name[1]).exists():
            shutil.rmtree(old, ignore_errors=True)
        elif name:
            with suppress(OSError):  # a living writer was first
                old.rename(parent / name[1])


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file beside ``path``, then rename it: a reader finds the old one or the new one, whole.

    Raises
    ------
    StoreError
        If the disk is full.
    """
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    with needs_room(path):
        try:
            write(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
