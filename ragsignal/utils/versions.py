"""Which software made a result: this package, Python, and the libraries that decide numbers."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from functools import cache
from importlib import metadata

from ragsignal.version import VERSION


def versions_of(libraries: Iterable[str]) -> dict[str, str]:
    """Versions of Python, of this package and of ``libraries``, by name."""
    own = {"python": platform.python_version(), "ragsignal": VERSION}
    return own | libraries_of(*libraries)


def libraries_of(*names: str) -> dict[str, str]:
    """Versions of the named libraries alone, as recipes have them."""
    return {name: _version(name) for name in names}


_version = cache(metadata.version)  # a millisecond each, and a recipe is asked for with every bar
