"""What retrieved days are worth by themselves: votes of days that were found in several ways, 2004 to 2010, no model.

RAGSIGNAL_US_PRICES=table.parquet python -m benchmarks.days OUT.json     # four minutes of one core, 3 GB

The letters of all stocks are made once, and the retrievers and readers of the package run over them. Nothing here sees
a day after 2010: the shipped models are judged on later ones. The nearest five-day shapes are voted on by the 100 most
traded stocks of 2003 alone, on every fifth day; votes of days stand beside them on the same stocks and days.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragsignal.config import CorpusSpec, DataSpec, Horizon, UniverseSpec
from ragsignal.data import (
    MarketDays,
    Prices,
    RankLetters,
    build_market_days,
    cut_queries,
    daily_ranks,
    label_tables,
    name_symbols,
)
from ragsignal.llm import DayVote, VoteScorer
from ragsignal.retrieval import (
    DayRetriever,
    DenseRetriever,
    NearestDays,
    RandomDays,
    RecentDays,
    ShapeEncoder,
    StateMetric,
)
from ragsignal.statistics import block_length, day_weights, interval_of_draws, widening
from ragsignal.study import Materials
from ragsignal.types import FloatArray, IntArray, Prompt, Query

FIRST, LAST = date(2004, 1, 2), date(2010, 12, 31)
BEGIN = date(2000, 1, 3)  # letters begin two years before
HORIZONS: tuple[Horizon, ...] = (1, 5)
K = (100, 200, 400, 800)
OPPOSITE = (0, 200)
SEEDS = (0, 1, 2)
ALL = 100_000  # more days than there are
SHAPES = (32, 100)
STEP = 5  # days from one on which shapes are asked for to the next
GAPS = (
    ("state 400/0", "random 400/0"),
    ("state 400/0", "recent 400/0"),
    ("state 400/0", "all past days"),
    ("state 400/0", "shapes 32"),
    ("state 400/200", "random 400/200"),
    ("state 400/200", "recent 400/200"),
    ("state 400/200", "all past days"),
    ("state 400/200", "state 400/0"),
)
"""Differences that are paired by day."""
_AT_ONCE = 1_000  # queries: a hundred hits of each are some 100 MB

Daily = dict[str, FloatArray]
"""Information coefficient by day, (n_days,), by measure: ``c2c`` and ``o2o``."""


@dataclass(frozen=True)
class Row:
    """A mean information coefficient with its standard error; or, ``less`` another one, their difference with its p."""

    name: str
    less: str
    stocks: str
    horizon: int
    measure: str
    days: int
    value: float
    error: float
    p: float


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Days to score, as rows of the letters, and returns (n_days, n_symbols) after them by measure; NaN if unknown."""

    rows: IntArray
    horizon: int
    returns: Mapping[str, FloatArray]

    def part(self, columns: IntArray) -> Outcomes:
        """Every fifth day, and the outcomes of some stocks."""
        returns = {name: table[::STEP][:, columns] for name, table in self.returns.items()}
        return replace(self, rows=self.rows[::STEP], returns=returns)

    def ics(self, scores: FloatArray) -> Daily:
        """Spearman's correlation of scores (n_days, n_symbols) and each return."""
        return {name: _correlations(scores, table) for name, table in self.returns.items()}


def main(out: Path) -> None:
    """Measure, say on stderr how far it is, write ``out`` and print a table."""
    data = DataSpec.model_validate(_data())
    few = name_symbols(DataSpec.model_validate(_data() | {"universe": UniverseSpec(top=100, as_of=date(2003, 12, 31))}))
    prices = name_symbols(data)[1].between(None, LAST)
    materials = Materials(data.model_copy(update={"symbols": prices.symbols}), _corpus(), prices)
    letters = materials.rank_letters
    _say(repr(letters))
    frames = prices.between(letters.days[0].item(), None).frames
    rows: list[Row] = []
    votes: dict[int, tuple[dict[str, FloatArray], Outcomes]] = {}
    for horizon in HORIZONS:
        outcomes = _outcomes(letters, frames, horizon)
        found = dict(_of_days(letters, build_market_days(letters, frames, "relative", horizon), outcomes.rows))
        rows += _rows({name: outcomes.ics(scores) for name, scores in found.items()}, "all", horizon, 1)
        votes[horizon] = found, outcomes
        _write(rows, out)
    rows += _beside_shapes(*votes[1], letters, prices.select(few[0].symbols))  # last: it takes longest
    _write(rows, out)
    print(table_of(rows))


def _write(rows: list[Row], out: Path) -> None:
    out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def _data() -> dict[str, object]:
    path = Path(os.environ["RAGSIGNAL_US_PRICES"])
    return {"source": "table", "path": path, "symbols": ["all"], "bad_bars": "drop", "start": BEGIN, "end": LAST}


def _corpus() -> CorpusSpec:
    return CorpusSpec(indicators=("adj_close",), target="relative")


def _outcomes(letters: RankLetters, frames: Mapping[str, object], horizon: int) -> Outcomes:
    rows = np.flatnonzero((letters.days >= np.datetime64(FIRST)) & (letters.days <= np.datetime64(LAST)))
    returns = {
        name: label_tables(frames, letters.days, letters.symbols, target, horizon)[0][rows]  # type: ignore[arg-type]
        for name, target in (("c2c", "movement"), ("o2o", "open_to_open"))
    }
    return Outcomes(rows, horizon, returns)


# ---- days


def _of_days(letters: RankLetters, days: MarketDays, rows: IntArray) -> Iterator[tuple[str, FloatArray]]:
    """Scores (n_days, n_symbols) of every way to find days, by its name."""
    vote = DayVote(letters)
    for name, retriever in _retrievers(days):
        began = time.perf_counter()
        scores = [vote.of_universe(row, retriever.of_day(letters.days[row].item())) for row in rows.tolist()]
        yield name, np.stack(scores).astype(np.float32)
        _say(f"horizon {days.horizon}, {name}: {time.perf_counter() - began:.0f} s")


def _retrievers(days: MarketDays) -> Iterator[tuple[str, DayRetriever]]:
    metric = StateMetric.euclidean(days.states[days.days < np.datetime64(FIRST)])
    for opposite in OPPOSITE:
        for k in K:
            yield f"state {k}/{opposite}", NearestDays(days, metric, k=k, opposite=opposite)
        for seed in SEEDS:
            yield f"random 400/{opposite} #{seed}", RandomDays(days, metric, k=400, opposite=opposite, seed=seed)
        yield f"recent 400/{opposite}", RecentDays(days, metric, k=400, opposite=opposite)
    yield "all past days", RecentDays(days, metric, k=ALL)


# ---- shapes


def _beside_shapes(
    found: Mapping[str, FloatArray], outcomes: Outcomes, letters: RankLetters, prices: Prices
) -> list[Row]:
    """Votes of the nearest shapes, and of days, on the same few stocks."""
    columns = np.array([letters.symbols.index(symbol) for symbol in prices.symbols])
    part = outcomes.part(columns)
    ics = {name: part.ics(scores[::STEP][:, columns]) for name, scores in found.items()}
    for k in SHAPES:
        ics[f"shapes {k}"] = part.ics(_of_shapes(letters.days[part.rows], prices, k))
        _say(f"shapes {k}")
    return _rows(ics, "100", outcomes.horizon, STEP)


def _of_shapes(days: NDArray[np.datetime64], prices: Prices, k: int) -> FloatArray:
    """Share of rises among the nearest k windows, (n_days, n_symbols)."""
    spec = DataSpec.model_validate(_data() | {"symbols": list(prices.symbols)})
    retriever = DenseRetriever(Materials(spec, _corpus(), prices).corpus, ShapeEncoder(), k)
    vote = VoteScorer()
    scores = np.full((len(days), len(prices.symbols)), np.nan)
    asked = list(_queries(prices, set(days.tolist())))
    for start in range(0, len(asked), _AT_ONCE):
        queries = asked[start : start + _AT_ONCE]
        hits = retriever.retrieve(queries)
        answers = vote.score([Prompt(query, found) for query, found in zip(queries, hits, strict=True)])
        for query, answer in zip(queries, answers, strict=True):
            row = int(np.searchsorted(days, np.datetime64(query.as_of)))
            scores[row, prices.symbols.index(query.symbol)] = answer.probability
    return scores


def _queries(prices: Prices, wanted: set[date]) -> Iterator[Query]:
    for symbol, frame in prices.frames.items():
        dates = [moment.date() for moment in frame.index.to_pydatetime()]
        queries = cut_queries(symbol, dates, frame["close"].tolist(), 5)
        yield from (query for query in queries if query.as_of in wanted and len(query.closes) > 5)


# ---- figures


def _correlations(scores: FloatArray, outcomes: FloatArray) -> FloatArray:
    known = np.isfinite(scores) & np.isfinite(outcomes)
    ours, theirs = (_centred(np.where(known, table, np.nan)) for table in (scores, outcomes))
    above, below = (ours * theirs).sum(axis=1), np.sqrt((ours**2).sum(axis=1) * (theirs**2).sum(axis=1))
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


def _centred(table: FloatArray) -> FloatArray:
    return np.nan_to_num(daily_ranks(table) - 0.5)


def _rows(ics: Mapping[str, Daily], stocks: str, horizon: int, step: int) -> list[Row]:
    """A row a name and measure, then the differences; draws that differ by seed as their mean too."""
    whole = dict(ics)
    for opposite in OPPOSITE:
        name = f"random 400/{opposite}"
        draws = [ics[f"{name} #{seed}"] for seed in SEEDS]
        whole[name] = {measure: np.mean([daily[measure] for daily in draws], axis=0) for measure in draws[0]}
    sides = [(name, "", daily) for name, daily in whole.items()]
    pairs = [(left, right) for left, right in GAPS if left in whole and right in whole]
    sides += [
        (left, right, {measure: whole[left][measure] - whole[right][measure] for measure in whole[left]})
        for left, right in pairs
    ]
    overlap = -(-horizon // step)
    return [
        _row(Row(name, less, stocks, horizon, measure, 0, 0.0, 0.0, 0.0), values, overlap)
        for name, less, daily in sides
        for measure, values in daily.items()
    ]


def _row(row: Row, daily: FloatArray, overlap: int) -> Row:
    """Fill in mean, standard error and p of a figure of days, ``overlap`` of which in a row share an outcome."""
    known = daily[np.isfinite(daily)]
    n, block = len(known), block_length(len(known), overlap)
    weights = day_weights(n, overlap=overlap)
    draws = weights @ known / weights.sum(axis=1)
    value = float(known.mean())
    interval = interval_of_draws(value, draws, n, block)
    return replace(row, days=n, value=value, error=float(draws.std() * widening(n, block)), p=interval.p)


def table_of(rows: list[Row]) -> str:
    """Lay out rows as a table for a page."""
    lines = ["| days, less | stocks | horizon | IC c2c | IC o2o |", "|---|--:|--:|--:|--:|"]
    for close, open_ in zip(rows[::2], rows[1::2], strict=True):
        name = f"{close.name} less {close.less}" if close.less else close.name
        cells = [f"{it.value:+.4f} ± {it.error:.4f}" + (f", p {it.p:.3f}" if it.less else "") for it in (close, open_)]
        lines.append(f"| {name} | {close.stocks} | {close.horizon} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def _say(words: str) -> None:
    print(time.strftime("%H:%M:%S"), words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
