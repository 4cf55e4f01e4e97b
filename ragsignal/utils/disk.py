"""A full disk: every library says it in words of its own; users read one sentence, and what was there stays."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragsignal.errors import StoreError

_FULL = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG")} - {None}
_WORDS = (
    "no space left on device",  # safetensors, faiss, LightGBM
    "disk quota exceeded",
    "disk is full",  # SQLite
    "file too large",  # a limit of the shell, ulimit -f
    "file write failed",  # torch.save, which knows no more
)
# all but the first are "disk I/O error": a limit on the size of files
_SQLITE_WRITES = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")


def disk_is_full(error: BaseException) -> bool:
    """Whether ``error`` comes of a full disk, a quota, or a limit on the size of files."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    if getattr(error, "sqlite_errorname", "") in _SQLITE_WRITES:
        return True
    return any(words in str(error).lower() for words in _WORDS)


def full_disk(place: Path | str, error: BaseException) -> StoreError:
    """The error to raise in the place of ``error``."""
    return StoreError(
        f"no room left for {place}: {error}; nothing that was there before is lost, and signals that are made "
        "stay in the store. Free space on that disk, or write elsewhere (runs: --out; training: the spec's key out; "
        "cache and store: RAGSIGNAL_CACHE), and type the command again"
    )


@contextmanager
def needs_room(place: Path) -> Iterator[None]:
    """Raise ``StoreError`` in the place of whatever a library says of a full disk while the block writes ``place``."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        if disk_is_full(error):
            raise full_disk(place, error) from error
        raise
