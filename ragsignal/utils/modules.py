"""Modules that a spec or a command names: beside the spec, then in the current folder, then where Python looks."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from ragsignal.utils.digest import file_digest

_read: dict[str, str] = {}
"""Digest of the file of each module that was imported here, by the module's name."""


def import_beside(name: str, folder: Path | None = None) -> ModuleType:
    """Import a module from ``folder``, from the current folder, or from where Python finds it, in this order.

    A module is read anew if its file has changed, or if the same name stood for a file of another folder before: two
    specs may each have a ``my_strategy.py`` of their own.

    Raises
    ------
    ModuleNotFoundError
        If there is no such module; other errors are those of the module itself.
    """
    places = module_folders(folder)
    for place in reversed(places):  # a module beside the spec may import its neighbours, also later
        if place in sys.path:
            sys.path.remove(place)
        sys.path.insert(0, place)
    importlib.invalidate_caches()  # of a folder in which a file was written a moment ago
    found = find_beside(name, folder)
    if found is not None and _is_other(name, found):
        _forget(name)
    module = importlib.import_module(name)
    if found is not None and (digest := _digest_of(name)):
        _read[name] = digest
    return module


def module_folders(folder: Path | None = None) -> list[str]:
    """The folders in which a module is looked up before Python's own places, in order."""
    return list(dict.fromkeys(map(str, filter(None, (folder, Path.cwd())))))


def find_beside(name: str, folder: Path | None = None) -> ModuleSpec | None:
    """Find the top package of a module in :func:`module_folders`; None where it is in neither, or is this package."""
    top = name.partition(".")[0]
    return None if top == __package__.partition(".")[0] else PathFinder.find_spec(top, module_folders(folder))


def _is_other(name: str, found: ModuleSpec) -> bool:
    loaded = sys.modules.get(name.partition(".")[0])
    if loaded is None:
        return False
    file = getattr(loaded, "__file__", None)
    moved = file is not None and found.origin is not None and os.path.realpath(found.origin) != os.path.realpath(file)
    return moved or _digest_of(name) != _read.get(name, _digest_of(name))


def _digest_of(name: str) -> str | None:
    file = getattr(sys.modules.get(name), "__file__", None)
    return file_digest(Path(file)) if file and Path(file).is_file() else None


def _forget(name: str) -> None:
    """Take a module out of Python's memory, with its package and the single files beside it, which it may import."""
    top = name.partition(".")[0]
    folder = Path(getattr(sys.modules[top], "__file__", None) or "").parent
    for other, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        beside = file and Path(file).parent == folder and "." not in other and other in _neighbours(folder)
        if other == top or other.startswith(f"{top}.") or beside:
            del sys.modules[other]
            _read.pop(other, None)


def _neighbours(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.py") if path.stem != "__init__"}
