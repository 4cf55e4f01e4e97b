"""Run record, comparison page, quantstats tear sheets.

:func:`write_report` turns a :class:`~ragsignal.trading.results.RunResult` into a run folder::

    record.json         everything that rebuilds the run; what may differ between two runs stands under ``times`` alone
    equity.parquet      wide: a row a bar, a column a variant
    orders.parquet      stacked, with a ``variant`` column
    signals.parquet     stacked, with a ``variant`` column; ``hits`` names what was retrieved: sequences one by one, of
                        days one name for the whole set, ``days:`` and the set's digest in the store
    equity.csv          these tables again, and trades.csv, the round trips; large ones where they are asked for
    index.html          the comparison, which loads nothing from a network
    assets/             what it loads instead: plotly.js, and data of single symbols when somebody asks for them
    tearsheets/         one quantstats page a variant
    explained/          pages of explanations, which `ragsignal explain --out` adds later

Computes no figure of its own: metrics and findings arrive in the result.
"""

from __future__ import annotations

from pathlib import Path

from ragsignal.errors import ConfigError
from ragsignal.report.alphas.page import SEARCH_PAGE, render_search, render_session, write_run
from ragsignal.report.answers import answers_in_words
from ragsignal.report.comparison import RunComparison, compare
from ragsignal.report.csv_files import write_csv
from ragsignal.report.decisions_file import export_decisions
from ragsignal.report.explained.beside import is_run, links_pages, open_folder, write_explanations
from ragsignal.report.explained.view import Explained, explain
from ragsignal.report.ladder import write_ladder
from ragsignal.report.page import write_page
from ragsignal.report.record import RECORD, record_of, write_tables
from ragsignal.report.run import Run, backtest
from ragsignal.report.tearsheet import write_tearsheets
from ragsignal.trading import RunResult
from ragsignal.utils import Record, write_json

__all__ = [
    "SEARCH_PAGE",
    "Explained",
    "Run",
    "RunComparison",
    "answers_in_words",
    "backtest",
    "compare",
    "explain",
    "export_decisions",
    "is_run",
    "links_pages",
    "open_folder",
    "record_of",
    "render_search",
    "render_session",
    "write_explanations",
    "write_ladder",
    "write_report",
    "write_run",
]


def write_report(result: RunResult, folder: Path, every_csv: bool = False) -> Record:
    """Write the report of ``result`` into ``folder``, which is made where it is not there.

    :class:`~ragsignal.utils.runs.NewRun` gives a folder in which it appears whole or not at all.
    With ``every_csv`` large tables are written as CSV too.

    Returns
    -------
    dict
        The record, as in ``record.json``.

    Raises
    ------
    ConfigError
        If ``folder`` holds something: no report is overwritten.
    """
    record = record_of(result)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is no empty folder, and nothing is overwritten; name a new one")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RECORD, record)
    write_tables(result, folder)
    write_csv(folder, every_csv)
    write_tearsheets(result, folder)
    write_page(result, folder)
    return record
