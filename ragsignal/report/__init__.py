"""Run record, comparison page, quantstats tear sheets.

:func:`write_report` turns a :class:`~ragsignal.trading.results.RunResult` into a run folder::

    record.json         everything that rebuilds the run; what may differ between two runs stands under ``times`` alone
    equity.parquet      wide: a row a bar, a column a variant
    orders.parquet      stacked, with a ``variant`` column
    signals.parquet     stacked, with a ``variant`` column; ``hits`` names what was retrieved: sequences one by one, of
                        days one name for the whole set, ``days:`` and the set's digest in the store
    index.html          the comparison, which loads nothing from a network
    assets/             what it loads instead: plotly.js, and data of single symbols when somebody asks for them
    tearsheets/         one quantstats page a variant

Computes no figure of its own: metrics and findings arrive in the result.
"""

from __future__ import annotations

from pathlib import Path

from ragsignal.report.answers import answers_in_words
from ragsignal.report.page import write_page
from ragsignal.report.record import RECORD, check_target, record_of, replacing, write_tables
from ragsignal.report.tearsheet import write_tearsheets
from ragsignal.trading import RunResult
from ragsignal.utils import Record, write_json

__all__ = ["answers_in_words", "check_target", "record_of", "write_report"]


def write_report(result: RunResult, folder: Path) -> Record:
    """Write the report of ``result`` to ``folder``; an older report there stands until the new one is whole.

    Returns
    -------
    dict
        The record, as in ``record.json``.

    Raises
    ------
    ConfigError
        If ``folder`` holds something, but no report.
    """
    record = record_of(result)
    with replacing(folder) as draft:
        write_json(draft / RECORD, record)
        write_tables(result, draft)
        write_tearsheets(result, draft)
        write_page(result, draft)
    return record
