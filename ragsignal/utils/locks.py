"""Whether another process still uses a file or a folder: it holds a lock, which the system takes back when it dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def locked(path: Path, *, alone: bool, wait: bool) -> Iterator[bool]:
    """Lock ``path`` for as long as the block runs and the process lives.

    Parameters
    ----------
    path : Path
        A file or a folder. A rename keeps its lock.
    alone : bool
        False shares it with others that do not want it alone.
    wait : bool
        Whether to wait for those who have it.

    Yields
    ------
    bool
        Whether it was locked: not where ``path`` is gone, another process has it, or the system knows no such locks
        (Windows, some network file systems).
    """
    descriptor = None
    try:
        with suppress(OSError):
            descriptor = _open_locked(path, alone, wait)
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _unlock(descriptor)


def _unlock(descriptor: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a forked worker may hold the descriptor too
    os.close(descriptor)


def _open_locked(path: Path, alone: bool, wait: bool) -> int | None:
    if sys.platform == "win32":
        return None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
