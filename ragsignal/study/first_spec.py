"""A first spec for somebody's prices, with a strategy to edit: what can be read off the prices is chosen from them.

Two kinds of signal can be made without further downloads, and the number of stocks says which of them makes sense:

- Ranks: StockLLM with retrieved days compares the stocks of a day, and needs 20 of them on a day.
- Sequences: for fewer stocks, the vote of the nearest past windows. Docs: docs/retrieval.md says what each is worth.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from ragsignal.artifacts import load_artifact
from ragsignal.config import DataSpec, RawTable, checked
from ragsignal.data import LEAST_STOCKS, Prices, load_prices
from ragsignal.errors import ConfigError, DataError

FirstSource = Literal["sample", "folder", "table", "sql"]
SPEC, STRATEGY = "spec.toml", "my_strategy.py"
HISTORY = 250
"""Bars before the window: what ranks need of each stock, and a year of windows to retrieve from."""
LEAST_WINDOW = 100
"""Bars to trade: below, no interval is given."""
_MOST = 100  # symbols: of more, those that were traded most before the window, so that a run takes minutes
_ALWAYS = {"start": date(1800, 1, 1), "end": date(2999, 12, 31)}


@dataclass(frozen=True)
class FirstSpec:
    """What was chosen.

    Parameters
    ----------
    prices : str
        Path of a folder or a table, or URL of a database, as it was given; empty for the bundled sample.
    source : {"sample", "folder", "table", "sql"}
    n_symbols : int
    start, end : date
        The window that is traded.
    reads_ranks : bool
        Whether signals compare the stocks of a day; else each is made of one stock's sequences.
    trained : bool
        Whether trained models may be used: they have seen no day of the window.
    table, query : str, optional
        Where in a database the bars are.
    """

    prices: str
    source: FirstSource
    n_symbols: int
    start: date
    end: date
    reads_ranks: bool
    trained: bool
    table: str | None = None
    query: str | None = None

    @property
    def name(self) -> str:
        """Name of the run: that of the folder, file or database of prices."""
        place = Path(self.prices.partition("?")[0]) if self.source == "sql" else Path(self.prices).resolve()
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", place.stem).strip("-._")
        return (stem or "first") if self.prices else "sample"

    def spec_text(self) -> str:
        """The spec as TOML."""
        head = _HEAD.format(name=self.name, source=self.source, path=self._place(), start=self.start, end=self.end)
        if self.n_symbols > _MOST:
            head += _UNIVERSE.format(top=_MOST, as_of=self.start - timedelta(days=1))
        retriever = "finseer" if self.trained else "shape"
        body = _RANKS if self.reads_ranks else _SEQUENCES.format(**_FOUND_BY[retriever])
        return head + body + _HOLD

    def _place(self) -> str:
        """The lines that say where the prices are."""
        keys = {"url": self.prices, "table": self.table, "query": self.query}
        if self.source != "sql":
            keys = {"path": self.prices or None}
        return "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items() if value)

    def strategy_text(self) -> str:
        """The strategy as Python."""
        return _RANK_STRATEGY if self.reads_ranks else _SEQUENCE_STRATEGY

    def why(self) -> str:
        """Say in a sentence which signal was chosen, and why."""
        window = f"{self.n_symbols} symbols, {self.start} to {self.end}"
        if self.reads_ranks:
            return f"{window}: StockLLM compares the stocks of a day, with and without retrieved days like today"
        few = f"fewer than {LEAST_STOCKS} symbols cannot be ranked" if self.n_symbols < LEAST_STOCKS else _TOO_EARLY
        return f"{window}: the vote of the nearest past windows of these symbols ({few})"


def choose_first_spec(prices: str | None = None, table: str | None = None, query: str | None = None) -> FirstSpec:
    """Choose signal and window for the prices in a folder or a table, or a database's; None for the bundled ones.

    Raises
    ------
    ConfigError
        If a database's URL cannot stand in a spec, or not one of ``table`` and ``query`` is given.
    DataError
        If the prices cannot be read, or have too few bars.
    """
    source: FirstSource = "sample"
    keys: RawTable = {"path": Path(prices)} if prices else {}
    if table or query or "://" in (prices or ""):
        source, keys = "sql", {"url": prices, "table": table, "query": query}
    elif prices:
        source = "table" if Path(prices).is_file() else "folder"
    given = {name: value for name, value in keys.items() if value is not None}
    raw = {"source": source, **given, "symbols": "all", **_ALWAYS}
    history = load_prices(checked(raw, DataSpec, "ragsignal init"))
    trained_through = load_artifact("shipped:finseer-numeric").card.trained_through
    start, end = _window(history, trained_through)
    trained, n = start > trained_through, len(history.symbols)
    return FirstSpec(prices or "", source, n, start, end, trained and n >= LEAST_STOCKS, trained, table, query)


def write_first_spec(spec: FirstSpec, folder: Path) -> list[Path]:
    """Write the spec and its strategy into a folder.

    Raises
    ------
    ConfigError
        If one of the files is there already: nothing is written over.
    """
    files = [folder / SPEC, folder / STRATEGY]
    there = [str(file) for file in files if file.exists()]
    if there:
        raise ConfigError(f"not written over: {' and '.join(there)}; move what is there, or go to an empty folder")
    for file, text in zip(files, (spec.spec_text(), spec.strategy_text()), strict=True):
        file.write_text(text, encoding="utf-8")
    return files


def _window(history: Prices, trained_through: date) -> tuple[date, date]:
    """From the day on which half of the symbols have a history, after what models have seen if enough days are left."""
    begins = sorted(frame.index[HISTORY].date() for frame in history.frames.values() if len(frame) > HISTORY)
    days = sorted({day.date() for frame in history.frames.values() for day in frame.index})
    if not begins:
        most = max(len(frame) for frame in history.frames.values())
        raise DataError(
            f"{HISTORY + LEAST_WINDOW} bars a symbol were expected, to learn from and to trade; {most} are there"
        )
    first = begins[(len(history.symbols) - 1) // 2] if len(begins) > (len(history.symbols) - 1) // 2 else begins[-1]
    unseen = max(first, trained_through + timedelta(days=1))
    for start in (unseen, first):
        window = [day for day in days if day >= start]
        if len(window) >= LEAST_WINDOW:
            return window[0], window[-1]
    raise DataError(
        f"{len([day for day in days if day >= first])} bars are left to trade after {HISTORY} bars of history, and "
        f"{LEAST_WINDOW} were expected; give a longer history"
    )


_TOO_EARLY = "shipped models have seen the days of these prices, or too few days come after them"
_HEAD = """\
# A first experiment: edit, and run again. All keys: docs/spec.md.
name = "{name}"
benchmark = "buy-and-hold"

[data]
source = "{source}"
{path}symbols = "all"
start = {start}                # what comes before it is history
end = {end}

[costs]                           # basis points a side
cash = 1000000.0                  # so that whole shares hide nothing
commission_bps = 5.0
slippage_bps = 5.0

[strategy]                        # beside this file: edit it
class = "my_strategy:MyStrategy"

"""
_UNIVERSE = """\
[data.universe]                   # of all symbols those that were traded most, as it was known then
top = {top}
as_of = {as_of}

"""
_RANKS = """\
[corpus]
target = "relative"               # a stock's return less the median of the day

[evaluation]
target = "relative"

[retrieval]
retriever = "none"

[llm]
model = "shipped:stockllm"        # reads each stock's ranks among the stocks of the day

[[variant]]                       # with 400 days whose market was like today's, and 200 that were most unlike it
name = "rag"
retrieval = { candidates = "days", retriever = "finseer", k = 400, opposite = 200 }
llm = { model = "shipped:stockllm", adapter = "shipped:stockllm-days" }

[[variant]]                       # the same reader with days that chance has drawn: what the choice of days is worth
name = "rag-random"
retrieval = { candidates = "days", retriever = "random", k = 400, opposite = 200 }
llm = { model = "shipped:stockllm", adapter = "shipped:stockllm-days" }

[[variant]]                       # without retrieval
name = "stockllm"

[[variant]]                       # a rule that reads prices alone
name = "momentum"
signal = "none"
strategy = { class = "ragsignal.strategies:MomentumBook" }
"""
_SEQUENCES = """\
[corpus]
indicators = ["adj_close"]        # what a window is of; 34 are known
stride = 5                        # bars between two windows: as long as one, so that hits are different episodes

[retrieval]
retriever = "{retriever}"{note}
k = 25

[[variant]]                       # the outcomes of the 25 nearest past windows vote
name = "rag"
signal = "vote"

[[variant]]                       # windows that chance has drawn: what the choice is worth
name = "rag-random"
signal = "vote"
retrieval = {{ retriever = "random" }}

# A language model that reads five of them, as in the paper: `ragsignal weights list` says how to install its weights,
# `ragsignal backtest spec.toml --dry-run` what it costs; a later data.start makes it cheaper.
# [[variant]]
# name = "llm"
# retrieval = {{ k = 5 }}
# llm = {{ model = "embedded:SmolLM2-135M-Instruct", adapter = "shipped:stockllm-text" }}

[[variant]]                       # a rule that reads prices alone
name = "momentum"
signal = "none"
strategy = {{ class = "ragsignal.strategies:PriceMomentum", params = {{ long_only = true }} }}
"""
_FOUND_BY = {
    "finseer": {
        "retriever": "finseer",
        "note": '             # trained on days before the window\nencoder = "shipped:finseer-numeric"',
    },
    "shape": {"retriever": "shape", "note": "               # nothing that was trained: models have seen these days"},
}
_HOLD = """
[[variant]]
name = "buy-and-hold"
signal = "none"
strategy = { class = "ragsignal.strategies:BuyAndHold" }
"""
_RANK_STRATEGY = '''\
"""A strategy to edit: hold the stocks that rank highest, and move a little a day, as every order costs."""

from ragsignal.strategies import SlowBook


class MyStrategy(SlowBook):
    """Long the best fifth by the signal, a twentieth of the way a day; orders fill at the next open."""

    params = (("quantile", 0.2), ("speed", 0.05), ("long_only", True))

    def view(self, data):
        """What stocks are ordered by: the model's rank of the stock among those of the day, from -1 to 1."""
        return self.signals[data].rank[0]  # also there: .signal, .probability, .evidence(), .retrieved()
'''
_SEQUENCE_STRATEGY = '''\
"""A strategy to edit: long while the signal is strong, in cash otherwise."""

from ragsignal.strategies import SignalTrader


class MyStrategy(SignalTrader):
    """Enter above `enter`, leave below `leave`; orders fill at the next open. Each symbol has an equal part."""

    params = (("enter", 0.2), ("leave", -0.2))  # P(rise) - P(fall): 0.2 is P(rise) = 0.6

    def side(self, data):
        """Wanted part of the symbol's money: 0.0 is none, 1.0 is all, -1.0 would be short."""
        signal = self.signals[data].signal[0]  # also there: .probability, .abstained, .evidence(), .retrieved()
        held = self.targets.get(data, 0.0) > 0.0
        return 1.0 if signal > (self.p.leave if held else self.p.enter) else 0.0
'''
