"""A small market whose files grow, a day at each look at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from ragsignal.config import RunSpec
from ragsignal.data import load_prices
from ragsignal.trading import VariantResult, run_spec
from ragsignal.trading.live import FolderSource, LiveMarket, LiveOptions, Polled, run_market
from ragsignal.trading.live.journal import LiveJournal
from ragsignal.trading.live.run import about_of, checked_variant
from tests.specs import MOMENTUM, VOTE, Tables, spec

START = date(2015, 1, 5)
HEADER = ["open", "high", "low", "close", "volume"]


@cache
def _frames() -> dict[str, pd.DataFrame]:
    return dict(load_prices(spec().data).between(None, date(2015, 12, 31)).frames)


def frames() -> dict[str, pd.DataFrame]:
    """Bars of the planted market of :func:`tests.specs.spec`, 2010 to 2015."""
    return _frames()


def days(count: int | None = None) -> list[date]:
    """The first days from :data:`START` on."""
    return [stamp.date() for stamp in frames()["AAA"].loc[pd.Timestamp(START) :].index][:count]


def line(symbol: str, day: date) -> str:
    """A bar as a line of its file."""
    return ",".join([str(day), *(repr(float(it)) for it in frames()[symbol].loc[pd.Timestamp(day)])]) + "\n"


def write_history(folder: Path, through: date | None = None, years: int = 1) -> Path:
    """Files of the bars before :data:`START`, or through a day."""
    folder.mkdir(parents=True, exist_ok=True)
    last = pd.Timestamp(START) - pd.Timedelta(days=1) if through is None else pd.Timestamp(through)
    for symbol, frame in frames().items():
        frame.loc[f"{START.year - years}" : last].to_csv(folder / f"{symbol}.csv", index_label="date", header=HEADER)
    return folder


def append(folder: Path, day: date, symbols: Sequence[str] = ("AAA", "BBB")) -> None:
    """Add a day to files, as a program that downloads would."""
    for symbol in symbols:
        with (folder / f"{symbol}.csv").open("a") as file:
            file.write(line(symbol, day))


def live_spec(folder: Path, **changes: Any) -> RunSpec:
    """The small spec on a folder, without an end."""
    data: Tables = {"source": "folder", "path": str(folder), "end": "2099-12-31"} | changes.pop("data", {})
    return spec(data=data, **changes)


class GrowingFolder(FolderSource):
    """Appends the next of some days before each look."""

    def __init__(self, folder: Path, to_come: Iterator[date], symbols: Sequence[str] = ("AAA", "BBB")) -> None:
        super().__init__(folder, symbols)
        self._folder, self._to_come = folder, to_come

    def poll(self) -> Polled:
        """Grow, and look."""
        day = next(self._to_come, None)
        if day is not None:
            append(self._folder, day)
        return super().poll()


def at_once(**changes: Any) -> LiveOptions:
    """Options of a run that ends where nothing comes any more."""
    return LiveOptions(**{"poll": 0.0, "once": True, "clock": lambda: datetime(2090, 1, 1, tzinfo=UTC), **changes})


def run(
    spec: RunSpec, variant: str, journal: Path, source: FolderSource, options: LiveOptions | None = None
) -> tuple[VariantResult | None, LiveMarket]:
    """A live run on a source of the test's own."""
    with LiveJournal.opened(journal) as opened:
        chosen = checked_variant(spec, variant)
        opened.begin(about_of(spec, chosen))
        market = LiveMarket(spec, chosen, source, opened, options or at_once())
        return run_market(market, journal.with_suffix(".jsonl"), lambda _: None), market


def streamed(folder: Path, variant: str, to_come: Iterator[date]) -> VariantResult:
    """The result of a run in which ``to_come`` come one at a time."""
    result, _ = run(live_spec(folder), variant, folder.parent / "journal.sqlite", GrowingFolder(folder, to_come))
    assert result is not None
    return result


def backtest(folder: Path, variant: str, last: date) -> VariantResult:
    """The same as a backtest on the files as they are in the end."""
    table = {"vote": VOTE, "momentum": MOMENTUM}[variant]
    return run_spec(live_spec(folder, data={"end": last}, variant=[table], benchmark=variant)).variants[0]


def assert_same(left: VariantResult, right: VariantResult) -> None:
    """Signal for signal, order for order, account for account: not a bit may differ."""
    pd.testing.assert_frame_equal(left.signals, right.signals, check_exact=True)
    pd.testing.assert_frame_equal(left.orders, right.orders, check_exact=True)
    pd.testing.assert_series_equal(left.equity, right.equity, check_exact=True)
    pd.testing.assert_series_equal(left.exposure, right.exposure, check_exact=True)
    assert left.metrics == right.metrics
