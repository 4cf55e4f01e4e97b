"""Stable digests: the same content gives the same 64 hex digits on every machine and in every process."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 20


def json_digest(value: Any) -> str:
    """SHA-256 of ``value`` as canonical JSON (sorted keys, no spaces, dates as ISO text)."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """One spelling of ``value``; raises ``TypeError`` on what JSON (and dates) cannot hold, ``ValueError`` on NaN."""
    return _ENCODER.encode(value)


def array_digest(array: NDArray[Any]) -> str:
    """SHA-256 of shape, dtype and bytes; raises ``TypeError`` on objects, whose bytes are addresses in memory."""
    if array.dtype.hasobject:
        raise TypeError(f"cannot fingerprint an array of {array.dtype}: make it numbers, or use json_digest")
    digest = hashlib.sha256(f"{array.shape}{array.dtype.str}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _iso(value: Any) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeError(f"cannot fingerprint a {type(value).__name__}: {value!r}")


# One for all calls: to set one up takes as long as to write an address, and a run has an address a bar.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_iso, allow_nan=False)
