"""What a scorer answers on one block: every query with every candidate and with none, as a table and as a file.

A finished block is a Parquet part. It holds what the model said and nothing derived from it, so that the mathematics
can be done again without the model.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ragsignal.errors import ModelError, StoreError
from ragsignal.retrieval import Corpus
from ragsignal.training.examples import Example
from ragsignal.types import Hit, Prompt, Query, Recipe
from ragsignal.utils import as_stamps, is_intraday, write_file

COLUMNS = [
    ("block", pa.int32()),
    ("symbol", pa.string()),
    ("as_of", pa.date32()),
    ("rise", pa.bool_()),
    ("candidate_id", pa.string()),
    ("row", pa.int64()),
    ("log_odds", pa.float32()),
    ("base", pa.float32()),
]
"""Names and types of an answer: one row a query and candidate; ``base`` is the answer without any candidate."""
_OF_MOMENTS = [(name, pa.timestamp("us") if name == "as_of" else kind) for name, kind in COLUMNS]

_SECONDS = b"ragsignal.seconds"


class LogOddsScorer(Protocol):
    """The part of :class:`ragsignal.llm.stockllm.StockLLM` that a teacher needs."""

    @property
    def recipe(self) -> Recipe:
        """Identity of the model, its template and its numeric type."""
        ...

    def context_digest(self, query: Query) -> str:
        """What is read besides query and hits; empty for nothing."""
        ...

    def render(self, query: Query, hits: Sequence[Hit]) -> Prompt:
        """The prompt for ``query`` and ``hits``."""
        ...

    def log_odds(self, prompts: Sequence[Prompt]) -> NDArray[np.float64]:
        """(n,) raw log P(rise)/P(fall), not calibrated."""
        ...


def answer_block(
    scorer: LogOddsScorer, corpus: Corpus, block: Sequence[Example], rows: NDArray[np.int64], number: int
) -> Any:  # pyarrow carries no types
    """Return a block's answers, one row a query and candidate; the table's metadata holds the seconds they took."""
    began = time.perf_counter()
    hits = [(Hit(corpus.candidate(int(row)), 0.0, 0),) for row in rows]
    odds = _log_odds(scorer, [example.query for example in block], [(), *hits])  # the bare query first
    each, times = len(rows), len(block)
    as_of, names = as_stamps([example.query.as_of for example in block]), COLUMNS
    if is_intraday(as_of):
        as_of, names = as_of.astype("datetime64[us]"), _OF_MOMENTS
    columns = {
        "block": np.full(times * each, number),
        "symbol": np.repeat([example.query.symbol for example in block], each),
        "as_of": np.repeat(as_of, each),
        "rise": np.repeat([example.rise for example in block], each),
        "candidate_id": [shown[0].candidate.id for shown in hits] * times,
        "row": np.tile(rows, times),
        "log_odds": odds[:, 1:].ravel(),
        "base": np.repeat(odds[:, 0], each),
    }
    seconds = {_SECONDS: str(time.perf_counter() - began)}
    return pa.table([pa.array(columns[name], kind) for name, kind in names], pa.schema(names, seconds))


def _log_odds(scorer: LogOddsScorer, queries: Sequence[Query], shown: Sequence[tuple[Hit, ...]]) -> NDArray[np.float64]:
    """(n_queries, n_shown) answers, asked in calls whose prompts begin alike, as that beginning is read once a call.

    A template that shows candidates first shares more among the queries of one candidate; one that shows the query
    first, among the candidates of one query. Either way about half of the tokens are read once.
    """
    prompts = [[scorer.render(query, hits) for hits in shown] for query in queries]
    if _alike(prompts[0][-1], prompts[0][-2]) > _alike(prompts[0][-1], prompts[-1][-1]):
        odds = np.stack([scorer.log_odds(row) for row in prompts])
    else:
        odds = np.stack([scorer.log_odds(column) for column in zip(*prompts, strict=True)], axis=1)
    if not np.isfinite(odds).all():
        raise ModelError(
            f"{int((~np.isfinite(odds)).sum())} of {odds.size} answers on the block of {queries[0].as_of} are not "
            "finite: the training diverged; train StockLLM again with a smaller stockllm.learning_rate"
        )
    return odds


def _alike(left: Prompt, right: Prompt) -> int:
    """Characters that two prompts begin with in common."""
    return next((at for at, (one, other) in enumerate(zip(left.text, right.text, strict=False)) if one != other), 0)


def write_part(table: Any, path: Path) -> None:
    """Write a block whole: a run that goes on finds all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, partial(pq.write_table, table))


def read_part(path: Path) -> Any:
    """Read a finished block.

    Raises
    ------
    StoreError
        If the file is damaged, or no such block.
    """
    again = "delete it, and type: ragsignal train feedback SPEC"
    try:
        table = pq.read_table(path, partitioning=None)  # else a folder named a=b would add a column a
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"cannot read the finished block {path}: {error}; {again}") from error
    if table.schema.remove_metadata() not in (pa.schema(COLUMNS), pa.schema(_OF_MOMENTS)) or _SECONDS not in (
        table.schema.metadata or {}
    ):
        raise StoreError(f"{path} has other columns than a finished block; {again}")
    return table


def seconds_of(table: Any) -> float:
    """Model time of a block, in seconds."""
    return float(table.schema.metadata[_SECONDS])


def matrix(table: Any, name: str, candidates: int) -> NDArray[Any]:
    """(n_queries, candidates): a column of a table in which every query has its candidates in a row."""
    column: NDArray[Any] = table[name].to_numpy().reshape(-1, candidates)
    return column
