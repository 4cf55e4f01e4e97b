"""From ``[data]`` of a spec to prices: which reader, which folder, which made-up market."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import assert_never

from ragsignal.config import EVERY, MADE_UP, DataSpec
from ragsignal.data.bar_names import BarNames
from ragsignal.data.prices import Prices, load_sample, read_folder, read_sql, read_table
from ragsignal.data.readers import csv_path, download
from ragsignal.data.resample import on_clock
from ragsignal.data.sql import SqlSource
from ragsignal.data.synthetic import made_up_bars, planted_on
from ragsignal.data.synthetic_news import planted_news, planted_news_items
from ragsignal.data.synthetic_states import planted_days
from ragsignal.errors import ConfigError, DataError
from ragsignal.utils import Progress, cache_folder, json_digest, silent, write_file

_FIRST_DAY = date(1970, 1, 1)
_SYNTHETIC_LEAD = timedelta(days=5 * 365)
_LEAD_OF_WEEKS, _LEAD_OF_MONTHS, _LEAD_OF_HOURS = (timedelta(days=years * 365) for years in (10, 30, 1))


def load_prices(spec: DataSpec, extra_symbols: Sequence[str] = (), progress: Progress = silent) -> Prices:
    """Prices of ``spec.symbols`` and ``extra_symbols``, the whole history and not only ``start`` to ``end``.

    Of ``symbols = "all"`` everything that the source has, and so all ``extra_symbols`` that can be had. Bars are of the
    clock of the spec: weeks and months made of daily bars, hours named by the moments of their ends. ``progress`` is
    told how far the reading of a database is.

    Raises
    ------
    DataError
        If prices are missing or cannot be trusted; lists every problem.
    ConfigError
        If ``spec`` gives a path to a source that reads none.
    """
    symbols = None if spec.symbols == EVERY else tuple(dict.fromkeys((*spec.symbols, *extra_symbols)))
    prices = _as_they_are(spec, symbols, progress)
    return prices if spec.source in MADE_UP else on_clock(prices, spec)


def _as_they_are(spec: DataSpec, symbols: Sequence[str] | None, progress: Progress) -> Prices:
    drop = spec.bad_bars == "drop"
    match spec.source:
        case "folder":
            return read_folder(_given_path(spec), symbols, drop=drop, names=BarNames.of(spec))
        case "table":
            return read_table(_given_path(spec), symbols, drop=drop, names=BarNames.of(spec))
        case "sql":
            source = SqlSource(spec.url or "", spec.table, spec.query)
            return read_sql(source, symbols, drop=drop, names=BarNames.of(spec), progress=progress)
        case "yfinance":
            return _load_downloaded(spec, _listed(spec, symbols))
        case "sample":
            _refuse_path(spec)
            return load_sample(symbols)
        case "planted" | "planted-days" | "planted-news" | "noise":
            _refuse_path(spec)
            return _make_up(spec, _listed(spec, symbols))
        case _:
            assert_never(spec.source)


def _listed(spec: DataSpec, symbols: Sequence[str] | None) -> Sequence[str]:
    if symbols is None:
        raise ConfigError(f'data.symbols = "all": source = "{spec.source}" has no list of symbols; name them')
    return symbols


def _given_path(spec: DataSpec) -> Path:
    if spec.path is None:
        raise ConfigError(f'source = "{spec.source}" needs a path')
    return spec.path


def _refuse_path(spec: DataSpec) -> None:
    if spec.path is not None:
        raise ConfigError(f'source = "{spec.source}" reads no path, but data.path is {spec.path}; delete that line')


def _make_up(spec: DataSpec, symbols: Sequence[str]) -> Prices:
    # Years before the start, so that there is something to retrieve on the first traded day.
    lead = {"week": _LEAD_OF_WEEKS, "month": _LEAD_OF_MONTHS}.get(spec.bar or "", _SYNTHETIC_LEAD)
    start = spec.start - (_LEAD_OF_HOURS if spec.bar_minutes else lead)
    daily = {"planted-days": planted_days, "planted-news": planted_news}.get(spec.source)
    if daily is not None:
        return daily(symbols, start, spec.end, seed=spec.seed, strength=spec.strength)
    bars = made_up_bars(start, spec.end, spec.bar_period, spec.bar_minutes, spec.all_week)
    return planted_on(bars, symbols, seed=spec.seed, strength=0.0 if spec.source == "noise" else spec.strength)


def planted_news_table(spec: DataSpec, symbols: Sequence[str]) -> Path:
    """Write the news of a market ``planted-news`` as a table, where that was not done before, and return its path.

    Parameters
    ----------
    spec : DataSpec
    symbols : sequence of str

    Raises
    ------
    ConfigError
        If the spec's prices are those of another source.
    """
    if spec.source != "planted-news":
        raise ConfigError(
            f'[news] has no path: write path = "FILE.csv"; only source = "planted-news" brings news of its own, and '
            f"data.source is {spec.source!r}"
        )
    start = spec.start - _SYNTHETIC_LEAD
    made_of = [sorted(symbols), str(start), str(spec.end), spec.seed]
    path = cache_folder() / "planted-news" / f"{json_digest(made_of)[:32]}.csv"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        items = planted_news_items(sorted(symbols), start, spec.end, spec.seed)
        write_file(path, lambda scratch: items.to_csv(scratch, index=False))
    return path


def _load_downloaded(spec: DataSpec, symbols: Sequence[str]) -> Prices:
    """Download what is not there yet, into a folder named after the last day: a rerun reads the same bars."""
    if spec.end >= date.today():
        raise DataError(f"data.end is {spec.end}, whose bar is not closed yet; the last day must lie before today")
    folder = (spec.path or cache_folder() / "prices") / f"through-{spec.end}"
    absent = [symbol for symbol in symbols if not csv_path(folder, symbol).is_file()]
    if absent:
        download(absent, _FIRST_DAY, spec.end, folder)
    return read_folder(folder, symbols, drop=spec.bad_bars == "drop")
