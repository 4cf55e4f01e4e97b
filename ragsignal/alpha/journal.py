"""What a search has done, a line a generation: one that is killed goes on from its last whole line.

Each search has a file of its own, so that another one begins anew and takes nothing away. The first line says which
search it is. Every line begins with a digest of the rest, so that a line that was cut short by a kill, the last one, is
told from one that was changed.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NoReturn

from ragsignal.errors import StoreError
from ragsignal.utils import json_digest, locked, needs_room

Line = dict[str, Any]
"""A generation as JSON holds it."""


class SearchJournal:
    """The lines of one search.

    Parameters
    ----------
    folder : Path, optional
        None keeps nothing.
    search : str
        Digest of all that decides the search.

    Attributes
    ----------
    others : tuple of Path
        Journals of other searches that are not done.

    Raises
    ------
    StoreError
        If it is damaged, or cannot be written.
    """

    def __init__(self, folder: Path | None, search: str) -> None:
        self.path: Path | None = None
        self.lines, self.others = list[Line](), tuple[Path, ...]()
        self._in_use = ExitStack()
        if folder is None:
            return
        self.path = path = folder / f"search-{search[:12]}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            text = self._opened(path)
            self.others = tuple(sorted({*folder.glob("search-*.jsonl")} - {path}))
        except OSError as error:
            raise StoreError(f"the journal {path} cannot be used: {error}; name another out in the spec") from error
        whole = self._read(text)
        if whole and whole[0] != {"search": search}:
            self._refuse(1)
        self.lines = whole[1:]
        self._cut(path, text)
        if not whole:
            self._append({"search": search})

    def add(self, line: Line) -> None:
        """Keep one generation."""
        self.lines.append(line)
        if self.path is not None:
            self._append(line)

    def close(self) -> None:
        """Let go of the file."""
        self._in_use.close()

    def drop(self) -> None:
        """Let go of the file and delete it: the search is done."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self.close()

    def _opened(self, path: Path) -> bytes:
        """What the file holds, which nobody else uses from here on."""
        while True:
            path.touch()
            self._in_use.enter_context(locked(path, alone=True, wait=True))
            with suppress(FileNotFoundError):  # who had it is done, and it is gone
                return path.read_bytes()
            self.close()

    def _read(self, text: bytes) -> list[Line]:
        """All whole lines; what follows the last line break was cut short by a kill."""
        return [self._line(number, raw) for number, raw in enumerate(text.split(b"\n")[:-1], 1)]

    def _line(self, number: int, raw: bytes) -> Line:
        try:
            digest, line = json.loads(raw)
            sound = isinstance(line, dict) and json_digest(line) == digest
        except (ValueError, TypeError):
            sound = False
        if not sound:
            self._refuse(number)
        assert isinstance(line, dict)
        return line

    def _refuse(self, number: int) -> NoReturn:
        self.close()
        raise StoreError(
            f"the journal {self.path} is damaged in line {number}: what stands there is not what was written; "
            "delete the file, and the search begins anew"
        )

    def _cut(self, path: Path, text: bytes) -> None:
        end = text.rfind(b"\n") + 1
        if end < len(text):
            with path.open("r+b") as file:
                file.truncate(end)

    def _append(self, line: Line) -> None:
        assert self.path is not None
        text = (json.dumps([json_digest(line), line]) + "\n").encode()
        with needs_room(self.path), self.path.open("ab") as file:  # buffered: what is written in part is an error
            file.write(text)
