"""``ragsignal news check``: a table of news."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from ragsignal.cli.options import Settings, SpecPath
from ragsignal.cli.terminal import Commands, answer, note, people, say
from ragsignal.errors import ConfigError
from ragsignal.utils import first_names

if TYPE_CHECKING:
    from ragsignal.data import NewsTable, Problem
    from ragsignal.study import Study

news_app = Commands(help="Check a table of news.")


@news_app.callback()
def news() -> None:
    """Check a table of news."""


@news_app.command("check")
def news_check(spec: SpecPath, settings: Settings = None) -> None:
    """Say what the table of news of SPEC holds for its bars, and list what is wrong with it; exit 1 for a problem."""
    from ragsignal.config import load_spec
    from ragsignal.data import inspect_news, planted_news_table
    from ragsignal.study import Study, news_rules

    study = Study(load_spec(spec, settings or ()))
    if study.spec.news is None:
        raise ConfigError(f'{spec} has no table [news]; write one, with path = "news.csv", and data.close')
    rules, symbols = news_rules(study.spec.news, study.spec.data), study.prices.symbols
    path = study.spec.news.path or planted_news_table(study.spec.data, symbols)
    table, problems = inspect_news(path, symbols, rules)
    if table is None:
        _print_problems(problems, str(path))
        answer({"problems": [asdict(it) for it in problems]})
        raise typer.Exit(1)
    record = _record(table, study)
    _print_record(record, table)
    answer({"problems": []} | record)


def _record(table: NewsTable, study: Study) -> dict[str, Any]:
    import numpy as np

    from ragsignal.data import bars_of, days_of

    items, traded = table.items, study.materials.traded.frames
    days, rows = bars_of(items, {symbol: days_of(frame) for symbol, frame in study.prices.frames.items()})
    moments = np.sort(items.available_at).astype("datetime64[s]")
    of_a_bar = np.c_[rows, items.places][rows >= 0]
    in_window = (days[of_a_bar[:, 0]] >= np.datetime64(study.spec.data.start)) & np.isin(
        of_a_bar[:, 1], [place for place, symbol in enumerate(items.symbols) if symbol in traded]
    )
    return asdict(table.counts) | {
        "items": len(items),
        "of_a_bar": len(of_a_bar),
        "bars": sum(map(len, traded.values())),
        "bars_with_news": len(np.unique(of_a_bar[in_window], axis=0)),
        "first": str(moments[0]),
        "last": str(moments[-1]),
        "digest": items.digest,
    }


_ROWS = {
    "rows": "rows of the table",
    "outside": "of other symbols, left out",
    "unnamed": "without a symbol, left out",
    "late": "of after data.end, left out",
    "duplicates": "that say again what was there, left out",
    "items": "items of the spec's symbols",
    "revisions": "revisions among them",
    "day_only": "without a zone or a time of day: they count for the session after their day",
    "of_a_bar": "that belong to a bar; the others came before the first bar of their symbol, or after its last",
    "bars": "bars in the traded window",
    "bars_with_news": "of them with news",
}


def _print_record(record: dict[str, Any], table: NewsTable) -> None:
    shown = Table(show_header=False, title=f"available from {record['first']} to {record['last']} UTC")
    shown.add_column(justify="right")
    shown.add_column()
    for key, words in _ROWS.items():
        shown.add_row(f"{record[key]:,}", words)
    people.print(shown)
    names, sources = table.counts.without, list(table.counts.sources.items())
    if sources:
        say("sources: " + ", ".join(f"{name or 'none'} {number:,}" for name, number in sources[:5]))
    if names:
        note(f"no item of {len(names):,} symbols: {first_names(names)}")


def _print_problems(problems: list[Problem], path: str) -> None:
    shown = Table("rule", "rows", "repair", title=f"{len(problems)} problem(s) in {path}")
    for it in problems:
        shown.add_row(it.rule, ", ".join(it.rows), it.repair)
    people.print(shown)
