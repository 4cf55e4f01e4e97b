"""Where things that can be made again are kept: ``$RAGSIGNAL_CACHE``, else the user's cache folder.

Also the one way to write a whole file or folder, so that no reader ever sees half of one.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path

from ragsignal.errors import StoreError


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
    """Let ``write`` fill a scratch folder beside ``folder``, then rename it.

    Parameters
    ----------
    folder : Path
        Its parents are made if need be.
    write : callable
        Receives the empty scratch folder. If it raises, nothing is left behind and ``folder`` stays as it was.
    replace : bool
        What happens where ``folder`` holds files already. False: it stays and what was written is dropped, for content
        that is the same whoever writes it. True: it goes, for content that was made anew.
    """
    # Not the process id: in containers that share a cache all processes may have the same.
    scratch = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.part")
    scratch.mkdir(parents=True)
    try:
        write(scratch)
        if replace:
            old = scratch.with_suffix(".old")
            swap_folder(scratch, folder, old)
            shutil.rmtree(old, ignore_errors=True)
        else:
            _claim(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file beside ``path``, then rename it: a reader finds the old one or the new one, whole."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        write(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _claim(scratch: Path, folder: Path) -> None:
    try:
        scratch.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was first
            raise


def swap_folder(new: Path, folder: Path, old: Path) -> None:
    """Put ``new`` in the place of ``folder`` by two renames: a reader finds a whole folder, or briefly none.

    What was in ``folder`` lies in ``old`` afterwards; if the second rename fails, it is put back.
    """
    try:
        folder.rename(old)
    except FileNotFoundError:
        new.rename(folder)
        return
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
