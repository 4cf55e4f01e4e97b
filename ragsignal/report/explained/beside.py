"""Pages of explanations in a folder; beside a run they lie in ``explained``, and its report links them.

``assets/explained.js`` of the run says which there are. It is made anew from the pages that lie there, so that no link
leads to a page that is gone when the next one is written.
"""

from __future__ import annotations

import html
import json
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ragsignal.errors import ConfigError, DataError
from ragsignal.explanation import Explanation
from ragsignal.report.explained.page import render_explanation
from ragsignal.report.record import RECORD
from ragsignal.report.sidecar import FOLDER, write_sidecar
from ragsignal.utils import LATEST, find_run, stamp_text, write_file

PAGES, SIDECAR = "explained", "explained"
"""The folder beside a run's report, and the sidecar that lists what lies in it."""

_SIGN = re.compile(r'<meta name="ragsignal-explained" content="([^"]*)">')
_HEAD = 4096  # characters in which it stands


def open_folder(out: Path) -> Path:
    """The folder that is meant by ``out``, of ``runs/NAME`` and ``runs/NAME/latest`` that of the run.

    Raises
    ------
    ConfigError
        If no page can be written there: asked before the work, not after it.
    """
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir() and out.name != LATEST:
        raise ConfigError(f"{there} is a file; pages need a folder: name another one with --out")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"{there} may not be written to; choose another folder with --out")
    return find_run(out) if out.name == LATEST or os.path.lexists(out / LATEST) else out


def write_explanations(explanations: Sequence[Explanation], folder: Path, command: str = "") -> list[Path]:
    """Write a page for each explanation, into ``folder/explained`` if ``folder`` is a run of a backtest.

    A page of the same signal that lies there is replaced. ``command`` is what makes explanations of the spec again;
    each page adds its own symbol, day and variant.

    Returns
    -------
    list of Path
        The pages, in the order of the explanations.

    Raises
    ------
    ConfigError
        As :func:`open_folder`.
    DataError
        If it is a run, and a signal is not the one that it traded: the page would explain something else.
    """
    folder = open_folder(folder)
    run = is_run(folder)
    if run:
        _check_signals(explanations, folder)
    pages = folder / PAGES if run else folder
    pages.mkdir(parents=True, exist_ok=True)
    paths = [pages / page_name(it) for it in explanations]
    for it, path in zip(explanations, paths, strict=True):
        text = render_explanation(it, command and f"{command} {_place(it)}")
        write_file(path, lambda draft, text=text: draft.write_text(text, encoding="utf-8"))  # type: ignore[misc]
    if links_pages(folder):
        list_pages(folder)
    return paths


def page_name(it: Explanation) -> str:
    """``rag-AAPL-2013-06-12.html``, of bars of hours ``...-2013-06-12T1530.html``.

    Of a symbol that is no file name everywhere, with the signal's key.
    """
    plain = re.sub(r"[^A-Za-z0-9.-]", "_", it.symbol)
    mark = "" if plain == it.symbol else f"-{it.key[:8]}"
    bar = stamp_text(it.as_of).replace(" ", "T").replace(":", "")
    return f"{re.sub(r'[^A-Za-z0-9.-]', '_', it.variant)}-{plain}-{bar}{mark}.html"


def _place(it: Explanation) -> str:
    symbol, bar, variant = (shlex.quote(word) for word in (it.symbol, stamp_text(it.as_of), it.variant))
    return f"--symbol {symbol} --date {bar} --variant {variant}"


def is_run(folder: Path) -> bool:
    """Whether a backtest wrote its report there."""
    return (folder / RECORD).is_file() and (folder / "signals.parquet").is_file()


def links_pages(folder: Path) -> bool:
    """Whether a run's report was written to link pages of explanations."""
    return (folder / FOLDER / f"{SIDECAR}.js").is_file()


def list_pages(folder: Path) -> None:
    """Write which pages lie beside a run: by variant, symbol and day the name of the page."""
    pages: dict[str, dict[str, dict[str, str]]] = {}
    for path in sorted((folder / PAGES).glob("*.html")):
        with path.open(encoding="utf-8", errors="replace") as file:
            found = _SIGN.search(file.read(_HEAD))
        if found:
            variant, symbol, day = json.loads(html.unescape(found[1]))
            pages.setdefault(variant, {}).setdefault(symbol, {})[day] = path.name
    write_sidecar(folder, SIDECAR, pages)


def _check_signals(explanations: Sequence[Explanation], folder: Path) -> None:
    wanted = pd.read_parquet(folder / "signals.parquet", columns=["variant", "date", "symbol", "key"])
    wanted = wanted[wanted["variant"].isin({it.variant for it in explanations})]
    bars = pd.DatetimeIndex(wanted["date"])
    keys = dict(zip(zip(wanted["variant"], wanted["symbol"], bars, strict=True), wanted["key"], strict=True))
    for it in explanations:
        place = (it.variant, it.symbol, pd.Timestamp(it.as_of))
        name = f"{it.variant} on {it.symbol} at {stamp_text(it.as_of)}"
        if place not in keys:
            raise DataError(
                f"{folder} has no signal of {name}: it is no bar, symbol or variant that the run traded; name one of "
                f"its report, or write the page elsewhere: --out explained"
            )
        if keys[place] != it.key:
            raise DataError(
                f"the signal of {name} is not the one that {folder} traded (spec, prices or model are others than "
                f"then); give the --set options of that run, or write the page elsewhere: --out explained"
            )
