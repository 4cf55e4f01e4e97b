"""``ragsignal alpha chat``: a session in the terminal, a line a command; what is no command is an idea.

It reads from a pipe as from a keyboard, so that a session can be written down and run again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragsignal.cli.alpha_ideas import IdeaModel, IdeaUrl, ideas_table
from ragsignal.cli.terminal import answer, note, people, progress_bars, say
from ragsignal.errors import ConfigError, RagSignalError

if TYPE_CHECKING:
    from ragsignal.alpha import Entry, Session
    from ragsignal.utils import Progress

SessionPath = Annotated[
    Path, typer.Argument(help="A session (NAME.session.toml), or a search spec, for which one is begun beside it.")
]
_HELP = """\
idea WORDS            propose formulas; words that are no command are an idea too
add [NAME =] FORMULA  add a formula of your own
test [NAME ...]       score formulas on the search window: those without a result, or those that are named
show                  list formulas and results
explain NAME          say a formula's parts in words
like NAME             list the formulas of session and library that it is like
drop NAME             set a formula aside
note NAME WORDS       write words beside a formula
search                search from these formulas on; the holdout is looked at once, at the end
page [FILE]           write the page of the session
quit                  leave; everything is in the file"""
_ALONE = ("show", "search", "help", "quit", "exit")
_SHOWN = 200  # characters of a line that was read


def chat(spec: SessionPath, model: IdeaModel = None, url: IdeaUrl = None) -> None:
    """Propose, add, test and search formulas, a line a command; all of it is kept in a session file."""
    from ragsignal.alpha import ENDING, Session

    path = spec if spec.name.endswith(ENDING) else spec.with_name(spec.stem + ENDING)
    ideas = ideas_table(None, {"model": model, "url": url}) if model or url else None
    with progress_bars() as progress:
        session = Session.open(path, None if path == spec else spec, ideas, progress)
        say(f"session {path} of {session.file.spec}: {len(session.file.formula)} formulas; help lists what can be said")
        lines = Chat(session, progress)
        for line in _lines():
            if not lines.take(line):
                break
    file = session.file
    answer({"session": str(path), "formulas": [it.model_dump(mode="json") for it in file.formula]})


def _lines() -> Iterator[str]:
    """Lines of a keyboard, with a prompt, or of a pipe, which are shown as they are read."""
    if sys.stdin.isatty():
        while True:
            try:
                yield input("> ")
            except (EOFError, KeyboardInterrupt):
                return
    for line in sys.stdin:
        say(f"> {_short(line.rstrip())}")
        yield line


class Chat:
    """Answers lines; a mistake is told, and ends nothing."""

    def __init__(self, session: Session, progress: Progress) -> None:
        self.session, self.progress = session, progress
        self._commands: dict[str, Callable[[str], None]] = {
            "idea": self._idea,
            "add": self._add,
            "test": self._test,
            "show": self._show,
            "explain": self._explain,
            "like": self._like,
            "drop": self._drop,
            "note": self._note,
            "search": self._search,
            "page": self._page,
            "help": lambda _: say(_HELP),
        }

    def take(self, line: str) -> bool:
        """Answer a line; tells whether more are read."""
        words, *behind = line.split(maxsplit=1)[:2] or [""]
        command, rest = words.lower(), "".join(behind).strip()
        if command in ("quit", "exit") and not rest:
            return False
        if not command:
            return True
        try:
            self._answer(command, rest, line.strip())
        except RagSignalError as error:
            note(str(error))
        except KeyboardInterrupt:
            note("stopped; what was done is in the file, and a search from the same formulas goes on where it was")
        return True

    def _answer(self, command: str, rest: str, line: str) -> None:
        from ragsignal.config import did_you_mean

        if rest and command in _ALONE:  # "search for calm stocks" must not look at the holdout
            raise ConfigError(
                f"{command} takes no words behind it; write {command} alone, or, if this is an idea: idea "
                f"{_short(line)}"
            )
        if command in self._commands:
            self._commands[command](rest)
            return
        if not rest:  # a single word is a command that was misspelt
            raise ConfigError(
                f"there is no command {_short(command)!r}.{did_you_mean(command, [*self._commands, 'quit'])}"
            )
        self._idea(line)

    def _idea(self, rest: str) -> None:
        from ragsignal.alpha import describe
        from ragsignal.data import parse

        added, proposed = self.session.idea(rest)
        for entry in added:
            say(f"{entry.name}: {entry.formula}  {describe(parse(entry.formula))}")
        there = len(proposed.proposals) - len(added)
        if there:
            note(f"{there} more are in the session already")
        if not proposed.proposals:
            note("no formula came of it; say it in other words, or add one of your own: add rank(volume)")
        for reason, times in list(proposed.reasons.items())[:3]:
            note(f"{times} refused: {reason}")

    def _add(self, rest: str) -> None:
        name, text = _named(rest)
        say(_line(self.session.add(text, name)))

    def _test(self, rest: str) -> None:
        names = [] if rest in ("", "all") else rest.split()
        tested = self.session.test(names)
        if not tested:
            note("every formula has its result; add one, or say an idea")
        for entry in sorted(tested, key=lambda it: -abs(it.tested.t if it.tested else 0.0)):
            say(_line(entry))
        if tested:
            say("These days choose the formulas; what they are worth is judged on others: search")

    def _show(self, rest: str) -> None:  # noqa: ARG002 - every command takes the rest of its line
        file = self.session.file
        for number, idea in enumerate(file.idea, 1):
            say(f"idea {number}: {idea.words} ({idea.source})")
        for entry in file.formula:
            say(_line(entry))
        for done in file.search:
            say(f"search {done.day}: {done.verdict}: {done.folder}")
        if not file.formula:
            note("no formula yet: say an idea, or add one")

    def _explain(self, rest: str) -> None:
        for part in self.session.explain(_one(rest, "explain")):
            say(f"{part.text}: {part.words}")

    def _like(self, rest: str) -> None:
        alike = [it for it in self.session.like(_one(rest, "like")) if max(it.correlation, it.shared) > 0.0]
        if not alike:
            note(f"{rest} is like no other formula: it ranks nothing on search days, and no part of it stands in one")
        for it in alike:
            say(f"{it.name}: rank correlation {it.correlation:.2f}, shares {100 * it.shared:.0f} %: {it.formula}")

    def _drop(self, rest: str) -> None:
        say(_line(self.session.drop(_one(rest, "drop"))))

    def _note(self, rest: str) -> None:
        name, _, words = rest.partition(" ")
        say(_line(self.session.note(_one(name, "note"), words.strip())))

    def _search(self, rest: str) -> None:  # noqa: ARG002 - every command takes the rest of its line
        from ragsignal.alpha import search_words
        from ragsignal.cli.alpha_search import say_generation, table_of, write_audited
        from ragsignal.parallel import open_pool

        with open_pool(os.cpu_count()) as pool:
            write = partial(write_audited, self.session.prepared)
            folder, result = self.session.search(pool, say_generation, write, note)
        people.print(table_of(result))
        for line in search_words(result):
            say(line)
        say(f"record: {folder}")

    def _page(self, rest: str) -> None:
        from ragsignal.cli.alpha_page import write_session_page

        say(f"page: {write_session_page(self.session, Path(rest) if rest else None)}")


def _short(line: str) -> str:
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}... ({len(line):,} characters)"


def _named(text: str) -> tuple[str | None, str]:
    """``NAME = FORMULA`` taken apart; a comparison has two signs, and a name no bracket."""
    name, sign, formula = text.partition("=")
    if sign and not formula.startswith("=") and name.rstrip()[-1:] not in ("<", ">", "") and "(" not in name:
        return name.strip(), formula.strip()
    return None, text


def _one(name: str, command: str) -> str:
    if not name:
        raise ConfigError(f"{command} needs the name of a formula: {command} f1 (show lists them)")
    return name


def _line(entry: Entry) -> str:
    tested = entry.tested
    told = "not tested"
    if tested is not None:
        told = f"ranks nothing ({tested.dead} values)" if tested.dead else f"IC {tested.ic:+.4f}, t {tested.t:+.1f}"
    beside = [told, entry.came_from, *(["dropped"] if entry.status == "dropped" else []), *filter(None, [entry.note])]
    return f"{entry.name}: {entry.formula}  [{'; '.join(beside)}]"
