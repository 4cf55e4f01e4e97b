"""The file of a session: ideas, formulas and what came of them, as a person can read and edit it.

It is rewritten in one fixed form after each change: comments that somebody added are lost, everything else stays.
"""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ragsignal.config import Name, Table, checked
from ragsignal.data import digest_of, parse
from ragsignal.errors import ConfigError
from ragsignal.utils import write_file

Status = Literal["proposed", "tested", "kept", "dropped"]
_HEAD = (
    "# A session of formulas. It may be edited while no command runs: a formula that is changed loses its result.\n"
    "# Results are of the search window alone; what formulas are worth, only the holdout of a search says.\n"
)


class Idea(Table):
    """An idea in words, and what proposed formulas for it."""

    words: str
    source: str = "templates"


class SearchFigures(Table):
    """A formula on the search window: mean daily rank correlation, its t-statistic, and the days it is of.

    ``digest`` is that of the formula that was tested; ``dead`` says why it ranks nothing.
    """

    digest: str
    ic: float = 0.0
    t: float = 0.0
    days: int = 0
    dead: str = ""


class Entry(Table):
    """A formula of a session; ``came_from`` is ``own``, ``idea 2``, or ``search`` with its run."""

    name: Name
    formula: str
    came_from: str = "own"
    status: Status = "proposed"
    note: str = ""
    tested: SearchFigures | None = None

    @property
    def digest(self) -> str:
        """That of the formula; empty of one that cannot be read, which is told when it is used."""
        try:
            return digest_of(parse(self.formula))
        except ConfigError:
            return ""


class Searched(Table):
    """A search that was run out of the session: its folder, and its verdict."""

    folder: str
    verdict: str
    day: Annotated[date, Field(strict=False)]


class SessionFile(Table):
    """All of a session; ``spec`` is the path of its search spec, relative to the file."""

    spec: str
    idea: tuple[Idea, ...] = Field(default=(), strict=False)
    formula: tuple[Entry, ...] = Field(default=(), strict=False)
    search: tuple[Searched, ...] = Field(default=(), strict=False)

    def find(self, name: str) -> Entry | None:
        """The formula of a name."""
        return next((it for it in self.formula if it.name == name), None)

    def having(self, entry: Entry) -> SessionFile:
        """The session with a formula in the place of the one of its name, or behind all others."""
        if self.find(entry.name) is None:
            return self.model_copy(update={"formula": (*self.formula, entry)})
        return self.model_copy(update={"formula": tuple(entry if it.name == entry.name else it for it in self.formula)})


def read_session(path: Path) -> SessionFile:
    """Read a session.

    Raises
    ------
    ConfigError
        If there is no such file, or it is no session: every mistake with its place.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"no session at {path}; `ragsignal alpha chat SPEC` begins one for a search spec") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(
            f"{path} is not a TOML file: {error}; mend the line, or move the file away to begin anew"
        ) from None
    if "spec" not in raw or "data" in raw:
        raise ConfigError(
            f"{path} is no session, which begins with spec = the path of a search spec; `ragsignal alpha chat SPEC` "
            "begins one"
        )
    read = checked(raw, SessionFile, path)
    names = [it.name for it in read.formula]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{path}: two formulas are called {twice[0]}; give each a name of its own")
    return read.model_copy(update={"formula": tuple(_as_edited(it) for it in read.formula)})


def _as_edited(entry: Entry) -> Entry:
    """The formula without its result, where it is no longer the one that was tested."""
    if entry.tested is None or entry.tested.digest == entry.digest:
        return entry
    return entry.model_copy(update={"tested": None, "status": "proposed"})


def write_session(path: Path, session: SessionFile) -> None:
    """Write a session whole, in the place of the one that was there."""
    text = _HEAD + "".join(_lines(session.model_dump(exclude_defaults=True)))
    write_file(path, lambda draft: draft.write_text(text, encoding="utf-8", newline="\n"))


def _lines(session: dict[str, Any]) -> list[str]:
    lines = [f"\nspec = {_toml(session['spec'])}\n"]
    for table in ("idea", "formula", "search"):
        for row in session.get(table, ()):
            lines += [f"\n[[{table}]]\n", *(f"{key} = {_toml(value)}\n" for key, value in row.items())]
    return lines


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(it)}" for key, it in value.items()) + " }"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)
