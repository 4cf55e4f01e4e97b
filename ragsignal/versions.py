"""Which software made a result: this package, Python, and the libraries that decide numbers."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib import metadata

VERSION = "0.1.0"


def versions_of(libraries: Iterable[str]) -> dict[str, str]:
    """Versions of Python, of this package and of ``libraries``, by name."""
    own = {"python": platform.python_version(), "ragsignal": VERSION}
    return own | {name: metadata.version(name) for name in libraries}
