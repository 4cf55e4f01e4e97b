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
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ragsignal.artifacts import CARD, load_artifact
from ragsignal.errors import ConfigError, StoreError
from ragsignal.llm import load_stockllm
from ragsignal.training.examples import Example, check_labels, draw
from ragsignal.training.finseer.answers import (
    LogOddsScorer,
    answer_block,
    matrix,
    read_part,
    seconds_of,
    write_part,
)
from ragsignal.training.finseer.candidate_pools import CandidatePools, generator
from ragsignal.training.finseer.teacher import is_tied, lift, main_effect_share, scores, shuffle, split_half
from ragsignal.training.run import Learned, TrainingRun
from ragsignal.types import Recipe
from ragsignal.utils import day_of, file_digest, json_digest, write_folder

FORMAT = 1
"""Raised when the same recipe would give other scores, or other columns."""

_DERIVED = [("lift", pa.float32()), ("score", pa.float32()), ("shuffled", pa.float32())]
_AGAIN = "type: ragsignal train feedback SPEC"


@dataclass(frozen=True)
class Teacher:
    """A model that is asked, the digest of its artifact, and the last day of which it has learned."""

    scorer: LogOddsScorer
    digest: str
    trained_through: date


class FeedbackMeta(TypedDict):
    """What ``feedback.json`` says of the scores.

    ``digest`` is the recipe's; ``span`` the queries'; ``trained_through`` the last day of which labels or teacher know;
    ``too_early`` counts training queries that saw too few candidates, ``tied`` those whose scores all tie;
    ``diagnostics`` are those of :mod:`ragsignal.training.finseer.teacher`; ``seconds`` is model time, over all runs.
    """

    recipe: Recipe
    digest: str
    span: dict[str, str | int]
    trained_through: str
    too_early: int
    blocks: int
    tied: int
    diagnostics: dict[str, float | None]
    seconds: float


@dataclass(frozen=True)
class Feedback:
    """Teacher scores as they were stored.

    Parameters
    ----------
    table : DataFrame
        ``block, symbol, as_of, rise, candidate_id, row`` (of the corpus), ``log_odds`` (with the candidate), ``base``
        (without any), ``lift`` (towards the true label), ``score`` (lift less the query's mean and the candidate's main
        effect), ``shuffled`` (``score``, permuted within the query); sorted by block and query, then by row.
    meta : FeedbackMeta
    """

    table: pd.DataFrame
    meta: FeedbackMeta


def run_feedback(run: TrainingRun) -> Path:
    """Ask the trained StockLLM of ``run`` about candidates of its training queries.

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
    return score_candidates(run, _trained_teacher(run))


def score_candidates(run: TrainingRun, teacher: Teacher) -> Path:
    """Let any teacher score every block that is not done yet, and join them; see :func:`run_feedback`."""
    settings, folder = run.spec.feedback, run.folder("feedback")
    _check_folder(folder)
    examples, too_early = _chosen(run)
    recipe = _recipe(run, teacher, examples)
    digest = json_digest(recipe)
    answers = _answers(run, teacher.scorer, examples, digest)
    scored = [
        _scored(table, settings.candidates, generator(settings.seed, "shuffle", number))
        for number, table in enumerate(answers)
    ]
    meta: FeedbackMeta = {
        "recipe": recipe,
        "digest": digest,
        "span": Learned.of(examples).span.model_dump(mode="json"),
        "trained_through": max(teacher.trained_through, *(day_of(it.available_at) for it in examples)).isoformat(),
        "too_early": too_early,
        "blocks": len(answers),
        "tied": sum(is_tied(row) for table in scored for row in matrix(table, "score", settings.candidates)),
        "diagnostics": _diagnostics([matrix(it, "log_odds", settings.candidates) for it in answers], settings.seed),
        "seconds": round(sum(map(seconds_of, answers)), 3),
    }
    _write(folder, pa.concat_tables(scored), meta)
    return folder


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
        digest = file_digest(folder / "scores.parquet")
    except FileNotFoundError as error:
        raise StoreError(f"no teacher scores in {folder}: there is no {error.filename}; {_AGAIN}") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read the teacher scores in {folder}: {error}; {_AGAIN}") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise StoreError(f"{folder}/feedback.json is not of format {FORMAT}, which this version reads; {_AGAIN}")
    if meta.get("scores_sha256") != digest:
        raise StoreError(
            f"{folder}/scores.parquet has SHA-256 {digest}, but feedback.json says {meta.get('scores_sha256')}: "
            f"it was altered, or the two are of different runs; {_AGAIN}"
        )
    table = pq.read_table(folder / "scores.parquet", partitioning=None).to_pandas()
    return Feedback(table, cast(FeedbackMeta, meta))


def _trained_teacher(run: TrainingRun) -> Teacher:
    folder = run.folder("stockllm")
    if not (folder / CARD).is_file():
        raise ConfigError(
            f"no trained StockLLM in {folder}: its answers are the teacher scores; "
            "type first: ragsignal train stockllm SPEC"
        )
    artifact = load_artifact(folder, "stockllm")
    scorer = load_stockllm(run.spec.llm, run.template, artifact, run.weights)
    return Teacher(scorer, artifact.digest, artifact.card.trained_through)


def _check_folder(folder: Path) -> None:
    """Refuse to put the scores in the place of somebody else's files; before the hours, not after."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "feedback.json").is_file():
        raise StoreError(f"{folder} holds other files than teacher scores; move them away, or name another out folder")


def _chosen(run: TrainingRun) -> tuple[list[Example], int]:
    """Return the queries to score, in date order, and how many came too early to see a whole pool."""
    settings = run.spec.feedback
    able = [example for example in run.train if run.corpus.visible(example.query.as_of) >= settings.candidates]
    if len(able) < 2:
        raise ConfigError(
            f"feedback: {len(able)} of {len(run.train)} training queries see {settings.candidates} candidates or more, "
            "but two at least are needed; lower feedback.candidates, or let [corpus] begin earlier"
        )
    chosen = draw(able, settings.queries, settings.seed)
    check_labels(run.split.train, chosen)
    return chosen, len(run.train) - len(able)


def _recipe(run: TrainingRun, teacher: Teacher, examples: Sequence[Example]) -> Recipe:
    """Everything that decides a score."""
    queries = [example.query for example in examples]
    read = [[it.symbol, it.as_of, it.closes, teacher.scorer.context_digest(it)] for it in queries]
    return {
        "feedback": FORMAT,
        "stockllm": teacher.digest,
        "scorer": teacher.scorer.recipe,
        "template": run.template.recipe,
        "corpus": run.corpus.digest,
        "queries": json_digest([read, [example.rise for example in examples]]),
        "settings": run.spec.feedback.model_dump(mode="json"),
    }


def _answers(run: TrainingRun, scorer: LogOddsScorer, examples: Sequence[Example], digest: str) -> list[Any]:
    """Return the answers of every block; those of a finished one are read, not asked for again."""
    settings, scratch = run.spec.feedback, run.scratch("feedback")
    blocks = _split_evenly(examples, settings.block)
    pools = CandidatePools(run.corpus, settings.candidates, settings.seed)
    prompts, done, total = settings.candidates + 1, 0, len(examples) * (settings.candidates + 1)
    progress = partial(run.progress, "teacher scores")
    progress(done, total)  # the cost, in prompts, before the first of them
    parts = [scratch / f"{digest[:16]}-{number:05d}.parquet" for number in range(len(blocks))]
    for number, (block, part) in enumerate(zip(blocks, parts, strict=True)):
        if not part.exists():
            rows = pools.rows(number, [example.query for example in block])
            write_part(answer_block(scorer, run.corpus, block, rows, number), part)
        done += len(block) * prompts
        progress(done, total)
    return [read_part(part) for part in parts]


def _split_evenly(examples: Sequence[Example], size: int) -> list[list[Example]]:
    """Consecutive blocks of ``size`` or a little less, their sizes one apart at most: no rest of a single query."""
    places = np.array_split(np.arange(len(examples)), math.ceil(len(examples) / size))
    return [[examples[place] for place in block] for block in places]


def _scored(table: Any, candidates: int, rng: np.random.Generator) -> Any:
    """Return a block's answers with lift, score and control."""
    log_odds = matrix(table, "log_odds", candidates).astype(np.float64)
    base, rise = (matrix(table, name, candidates)[:, 0] for name in ("base", "rise"))
    score = scores(log_odds, rise)
    derived = (lift(log_odds, base, rise), score, shuffle(score, rng))
    columns = [pa.array(each.ravel(), pa.float32()) for each in derived]
    schema = pa.schema([*table.schema, *pa.schema(_DERIVED)])
    return pa.table([*table.columns, *columns], schema=schema)


def _diagnostics(blocks: Sequence[NDArray[np.float32]], seed: int) -> dict[str, float | None]:
    """What a reader of the scores should know first; None where there is nothing to measure."""
    exact = [block.astype(np.float64) for block in blocks]
    values = {
        "main_effect_share": main_effect_share(exact),
        "residual_split_half": split_half(exact, generator(seed, "halves")),
    }
    return {name: None if math.isnan(value) else round(value, 4) for name, value in values.items()}


def _write(folder: Path, table: Any, meta: FeedbackMeta) -> None:
    def write(scratch: Path) -> None:
        pq.write_table(table, scratch / "scores.parquet")
        sealed = {"format": FORMAT, "scores_sha256": file_digest(scratch / "scores.parquet"), **meta}
        (scratch / "feedback.json").write_text(json.dumps(sealed, indent=1) + "\n", encoding="utf-8")

    write_folder(folder, write, replace=True)
