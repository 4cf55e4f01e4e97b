"""``ragsignal alpha page``: the page of a search, or of a session with its last search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragsignal.cli.terminal import answer, say
from ragsignal.errors import ConfigError

if TYPE_CHECKING:
    from ragsignal.alpha import Session, SessionFile

PageOf = Annotated[Path, typer.Argument(help="The folder of a search, or a session.")]
PageOut = Annotated[Path | None, typer.Option("--out", help="Where the page is written; default: beside it.")]


def page(of: PageOf, out: PageOut = None) -> None:
    """Write the page of a search, or of a session with its last search."""
    from ragsignal.alpha import ENDING, read_session

    if of.name.endswith(ENDING):
        path = _write_session(of, read_session(of), out)
    else:
        from ragsignal.alpha import read_search
        from ragsignal.report import SEARCH_PAGE, render_search
        from ragsignal.utils import find_run

        record = read_search(of)
        path = _write(render_search(record), out or find_run(of) / SEARCH_PAGE)
    say(f"page: {path}")
    answer({"page": str(path)})


def write_session_page(session: Session, out: Path | None) -> Path:
    """Write the page of a session, by default beside its file."""
    return _write_session(session.path, session.file, out)


def _write_session(path: Path, session: SessionFile, out: Path | None) -> Path:
    from ragsignal.alpha import ENDING, read_search
    from ragsignal.report import render_search, render_session

    name = path.name.removesuffix(ENDING)
    last = path.parent / session.search[-1].folder if session.search else None
    text = render_session(session, name) if last is None else render_search(read_search(last), session)
    return _write(text, out or path.with_name(f"{name}.session.html"))


def _write(text: str, out: Path) -> Path:
    from ragsignal.utils import write_file

    if out.is_dir():
        raise ConfigError(f"{out} is a folder; name the file of the page: --out {out / 'page.html'}")
    try:
        write_file(out, lambda draft: draft.write_text(text, encoding="utf-8", newline="\n"))
    except OSError as error:
        raise ConfigError(
            f"the page {out} cannot be written: {error.strerror}; name a file in a folder that is there and may be "
            "written to: --out FILE"
        ) from error
    return out
