"""The page of a search: it needs no script to be read, loads nothing, and computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ragsignal.alpha import SearchResult, SessionFile, describe, write_search
from ragsignal.data import parse
from ragsignal.errors import ConfigError
from ragsignal.report.alphas import drawings
from ragsignal.report.templating import TEMPLATES, joined
from ragsignal.report.words import number, percent
from ragsignal.utils import Record, write_file

SEARCH_PAGE = "search.html"
"""The name of the page beside the record of a search."""
_LISTED = 20


def write_run(result: SearchResult, folder: Path, audits: Mapping[str, str] | None = None) -> Record:
    """Write the files of a search, and its page; returns the record.

    Parameters
    ----------
    result : SearchResult
    folder : Path
    audits : mapping of str to str, optional
        Verdict of the audit of each kept formula by its name.
    """
    record = write_search(result, folder, audits or {})
    text = render_search(record)
    write_file(folder / SEARCH_PAGE, lambda draft: draft.write_text(text, encoding="utf-8", newline="\n"))
    return record


def render_search(record: Record, session: SessionFile | None = None) -> str:
    """The page of a search as HTML, and of the session that it came of.

    Parameters
    ----------
    record : dict
        What ``search.json`` holds.
    session : SessionFile, optional
    """
    return _rendered(record, session, record["spec"]["name"])


def render_session(session: SessionFile, name: str) -> str:
    """The page of a session without a search as HTML."""
    return _rendered(None, session, name)


def _rendered(record: Record | None, session: SessionFile | None, name: str) -> str:
    return TEMPLATES.get_template("alphas.html.j2").render(
        name=name,
        it=record,
        session=session,
        windows=drawings.stretches([_window(it) for it in record["windows"]]) if record else [],
        kept=record["kept"] if record else [],
        beside=_beside_the_kept(record) if record else [],
        candidates=record["candidates"][:_LISTED] if record else [],
        draw=drawings,
        say=said,
        number=number,
        percent=percent,
        style=joined("style.css", "explained.css", "alphas.css"),
        script=joined("page.js"),
    )


def _beside_the_kept(record: Record) -> list[str]:
    """What is said of the search besides its verdict and its kept formulas, which have places of their own."""
    names = tuple(f"{kept['name']}: " for kept in record["kept"])
    return [line for line in record["times"]["words"][1:] if not line.startswith(names)]


def said(formula: str) -> str:
    """A formula in words; empty where it can no longer be read."""
    try:
        return describe(parse(formula))
    except ConfigError:
        return ""


def _window(window: dict[str, Any]) -> tuple[str, date, date]:
    return window["name"], date.fromisoformat(window["first"]), date.fromisoformat(window["last"])
