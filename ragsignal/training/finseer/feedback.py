"""Teacher scores: what the trained StockLLM makes of single candidates, on queries of the training period only.

Queries are scored in blocks that share a pool of candidates (:mod:`ragsignal.training.finseer.teacher` says why). Each
block is kept as a Parquet part as soon as it is done, under a name that holds the digest of everything that decides it:
a run that was stopped goes on where it was, and never mixes two recipes. The end joins the parts::

    feedback/scores.parquet     one row a query and candidate
    feedback/feedback.json      recipe, span, counts, diagnostics

:func:`load_feedback` reads them for the distillation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ragsignal.artifacts import load_artifact
from ragsignal.errors import ConfigError, StoreError
from ragsignal.llm import StockLLM
from ragsignal.training.examples import Example, draw
from ragsignal.training.finseer import teacher
from ragsignal.training.finseer.answers import COLUMNS, LogOddsScorer, ask, matrix, read_part, seconds_of, write_part
from ragsignal.training.finseer.pools import Pools, generator
from ragsignal.types import Recipe
from ragsignal.utils import file_digest, json_digest, write_folder

if TYPE_CHECKING:
    from ragsignal.training.run import Bench

FORMAT = 1
"""Raised when the same recipe would give other scores, or other columns."""

_DERIVED = [("lift", pa.float32()), ("score", pa.float32()), ("shuffled", pa.float32())]
_AGAIN = "type: ragsignal train feedback SPEC"


@dataclass(frozen=True)
class Teacher:
    """A model whose opinion is asked, the digest of its artifact, and the last day of which it has learned."""

    scorer: LogOddsScorer
    digest: str
    trained_through: date


class Group(NamedTuple):
    """One query: its candidates' rows in the corpus, with their scores and the shuffled control."""

    symbol: str
    as_of: date
    rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    shuffled: NDArray[np.float32]


@dataclass(frozen=True)
class Feedback:
    """Teacher scores as they were stored.

    Parameters
    ----------
    table : DataFrame
        ``block, symbol, as_of, rise, candidate_id, row`` (of the corpus), ``log_odds`` (with the candidate), ``base``
        (without any), ``lift`` (towards the true label), ``score`` (lift less the query's mean and the candidate's main
        effect), ``shuffled`` (``score``, permuted within the query); sorted by block and query, then by row.
    meta : dict
        ``recipe`` (model, template, corpus, queries, settings) and its ``digest``; ``span`` of the queries;
        ``trained_through``, the last day of which labels or teacher know; ``blocks``; ``too_early``, training queries
        that saw too few candidates; ``tied``, queries whose scores all tie; ``diagnostics`` (see
        :mod:`ragsignal.training.finseer.teacher`); ``seconds`` of model time, over all runs that it took.
    """

    table: pd.DataFrame
    meta: dict[str, Any]

    def groups(self) -> Iterator[Group]:
        """One group a query, in the order of the table; those whose scores all tie are among them."""
        for _, group in self.table.groupby(["symbol", "as_of"], sort=False):
            columns = (group[name].to_numpy() for name in ("row", "score", "shuffled"))
            yield Group(group["symbol"].iloc[0], group["as_of"].iloc[0], *columns)


def run_feedback(bench: Bench) -> Path:
    """Ask the trained StockLLM of ``bench`` about candidates of its training queries.

    Returns
    -------
    Path
        The folder of ``scores.parquet`` and ``feedback.json``.

    Raises
    ------
    ConfigError
        If StockLLM was not trained yet, or too few queries see enough candidates.
    ModelError
        If the artifact is damaged or does not fit, or the model answers with NaN.
    LookAheadError
        If a label was not known in the training period.
    StoreError
        If a finished part is damaged, or the folder holds something else.
    """
    return score_candidates(bench, _trained_teacher(bench))


def score_candidates(bench: Bench, asked: Teacher) -> Path:
    """Let any teacher score every block that is not done yet, and join them; see :func:`run_feedback`."""
    spec = bench.spec.feedback
    _check_folder(bench.folder("feedback"))
    examples, too_early = _chosen(bench)
    blocks = _split_evenly(examples, spec.block)
    recipe = _recipe(bench, asked, examples)
    digest = json_digest(recipe)
    parts = [bench.scratch("feedback") / f"{digest[:16]}-{number:05d}.parquet" for number in range(len(blocks))]
    pools = Pools(bench.corpus, spec.candidates, spec.seed)
    told, done, total = partial(bench.progress, "teacher scores"), 0, len(examples) * (spec.candidates + 1)
    told(done, total)  # the cost, in prompts, before the first of them
    for number, (block, part) in enumerate(zip(blocks, parts, strict=True)):
        if not part.exists():
            rows = pools.rows(number, [example.query for example in block])
            write_part(ask(asked.scorer, bench.corpus, block, rows, number), part)
        done += len(block) * (spec.candidates + 1)
        told(done, total)
    meta = {
        "recipe": recipe,
        "digest": digest,
        "span": _span(examples),
        "trained_through": max(asked.trained_through, *(it.available_at for it in examples)).isoformat(),
        "too_early": too_early,
    }
    return _join(bench, parts, meta)


def load_feedback(folder: str | Path) -> Feedback:
    """Read what :func:`run_feedback` wrote, and check that it is whole.

    Raises
    ------
    StoreError
        If a file is missing, damaged, of another format, or the two are of different runs.
    """
    folder = Path(folder)
    try:
        meta = json.loads((folder / "feedback.json").read_text(encoding="utf-8"))
        found = file_digest(folder / "scores.parquet")
    except FileNotFoundError as error:
        raise StoreError(f"no teacher scores in {folder}: there is no {error.filename}; {_AGAIN}") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read the teacher scores in {folder}: {error}; {_AGAIN}") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise StoreError(f"{folder}/feedback.json is not of format {FORMAT}, which this version reads; {_AGAIN}")
    if meta.get("scores_sha256") != found:
        raise StoreError(
            f"{folder}/scores.parquet has SHA-256 {found}, but feedback.json says {meta.get('scores_sha256')}: "
            f"it was altered, or the two are of different runs; {_AGAIN}"
        )
    return Feedback(table=pq.read_table(folder / "scores.parquet", partitioning=None).to_pandas(), meta=meta)


def _trained_teacher(bench: Bench) -> Teacher:
    folder, llm = bench.folder("stockllm"), bench.spec.llm
    if not (folder / "card.json").is_file():
        raise ConfigError(
            f"no trained StockLLM in {folder}: its answers are the teacher scores; "
            "type first: ragsignal train stockllm SPEC"
        )
    artifact = load_artifact(folder, "stockllm")
    scorer = StockLLM(
        bench.weights,
        bench.template,
        adapter=artifact,
        dtype=llm.dtype,
        device=llm.device,
        batch_size=llm.batch_size,
    )
    return Teacher(scorer, artifact.digest, artifact.card.trained_through)


def _check_folder(folder: Path) -> None:
    """Refuse to put the scores in the place of somebody else's files; before the hours, not after."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "feedback.json").is_file():
        raise StoreError(f"{folder} holds other files than teacher scores; move them away, or name another out folder")


def _chosen(bench: Bench) -> tuple[list[Example], int]:
    """The queries to score, in date order, and how many came too early to see a whole pool."""
    spec = bench.spec.feedback
    able = [example for example in bench.train if bench.corpus.visible(example.query.as_of) >= spec.candidates]
    if len(able) < 2:
        raise ConfigError(
            f"feedback: {len(able)} of {len(bench.train)} training queries see {spec.candidates} candidates or more, "
            "but two at least are needed; lower feedback.candidates, or let [corpus] begin earlier"
        )
    chosen = draw(able, spec.queries, spec.seed)
    bench.split.train.check(np.array([example.available_at for example in chosen], dtype="datetime64[D]"))
    return chosen, len(bench.train) - len(able)


def _split_evenly(examples: Sequence[Example], size: int) -> list[list[Example]]:
    """Consecutive blocks of ``size`` or a little less, their sizes one apart at most: no rest of a single query."""
    places = np.array_split(np.arange(len(examples)), math.ceil(len(examples) / size))
    return [[examples[place] for place in block] for block in places]


def _recipe(bench: Bench, asked: Teacher, examples: Sequence[Example]) -> Recipe:
    """Everything that decides a score."""
    asked_of = [it.query for it in examples]
    queries = [[it.symbol, it.as_of, it.closes, asked.scorer.context_digest(it)] for it in asked_of]
    return {
        "feedback": FORMAT,
        "stockllm": asked.digest,
        "scorer": asked.scorer.recipe,
        "template": bench.template.recipe,
        "corpus": bench.corpus.digest,
        "queries": json_digest([queries, [it.rise for it in examples]]),
        "settings": bench.spec.feedback.model_dump(mode="json"),
    }


def _span(examples: Sequence[Example]) -> dict[str, Any]:
    days = [example.query.as_of for example in examples]
    return {"first": min(days).isoformat(), "last": max(days).isoformat(), "queries": len(days)}


def _join(bench: Bench, parts: Sequence[Path], meta: dict[str, Any]) -> Path:
    """Read the parts, work the scores out, and write both files."""
    spec, folder = bench.spec.feedback, bench.folder("feedback")
    tables = [read_part(part) for part in parts]
    scored = [_scored(table, spec.candidates, generator(spec.seed, "shuffle", n)) for n, table in enumerate(tables)]
    scores = np.concatenate([matrix(table, "score", spec.candidates) for table in scored])
    record = meta | {
        "blocks": len(parts),
        "tied": sum(map(teacher.is_tied, scores)),
        "diagnostics": _diagnostics([matrix(table, "log_odds", spec.candidates) for table in tables], spec.seed),
        "seconds": round(sum(seconds_of(table) for table in tables), 3),
    }

    def write(scratch: Path) -> None:
        pq.write_table(pa.concat_tables(scored), scratch / "scores.parquet")
        sealed = {"format": FORMAT, "scores_sha256": file_digest(scratch / "scores.parquet"), **record}
        (scratch / "feedback.json").write_text(json.dumps(sealed, indent=1) + "\n", encoding="utf-8")

    write_folder(folder, write, replace=True)
    return folder


def _scored(table: Any, candidates: int, rng: np.random.Generator) -> Any:
    """A block's answers, with lift, score and control."""
    log_odds = matrix(table, "log_odds", candidates).astype(np.float64)
    base, rise = (matrix(table, name, candidates)[:, 0] for name in ("base", "rise"))
    score = teacher.scores(log_odds, rise)
    derived = (teacher.lift(log_odds, base, rise), score, teacher.shuffle(score, rng))
    columns = [pa.array(matrix.ravel(), pa.float32()) for matrix in derived]
    return pa.table([*table.columns, *columns], schema=pa.schema(COLUMNS + _DERIVED))


def _diagnostics(blocks: Sequence[NDArray[np.float32]], seed: int) -> dict[str, float | None]:
    """What a reader of the scores should know first; None where there is nothing to measure."""
    exact = [block.astype(np.float64) for block in blocks]
    values = {
        "main_effect_share": teacher.main_effect_share(exact),
        "residual_split_half": teacher.split_half(exact, generator(seed, "halves")),
    }
    return {name: None if math.isnan(value) else round(value, 4) for name, value in values.items()}
