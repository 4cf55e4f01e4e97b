"""Probes of a spec's retrievers: what a linear and a kNN reader can tell from frozen vectors, beside the base rate.

    training queries ─► vectors, classes ─► probes ─► class probabilities of test queries ─► figures, by whole days

A retriever is worth no more than what its metric knows. A probe asks for that without a language model: seconds for
an encoder of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ragsignal.config import ProbeSpec, RunSpec
from ragsignal.data import UNKNOWN_STATE, StateBuckets, days_of, movement_of
from ragsignal.errors import ConfigError
from ragsignal.evaluation.days import rank_correlations
from ragsignal.evaluation.probed import ProbedMetric, metrics_of
from ragsignal.evaluation.protocol import overlap_of
from ragsignal.evaluation.queries import cut_when_asked
from ragsignal.evaluation.questions import LEAST_SYMBOLS, Questions
from ragsignal.evaluation.run import prepare
from ragsignal.retrieval import KnownWindows, linear_probe, nearest_probe
from ragsignal.statistics import (
    ClassFigure,
    ClassForecasts,
    class_figures,
    correlation_of_days,
    holm,
    loss_difference,
    mean_of_days,
)
from ragsignal.study import Study, Trial, configuration_of, count, data_digests, notes_on_training
from ragsignal.types import BoolArray, FloatArray, IntArray, Query, Recipe
from ragsignal.utils import Progress, silent, versions_of

MOVEMENT, STATE = "movement", "state"
_MOVEMENTS = 3
_LIBRARIES = ("torch", "sentence-transformers", "faiss-cpu", "scikit-learn", "numpy", "pandas")


@dataclass(frozen=True, slots=True)
class ProbeFigure:
    """A figure of one probe for one label, beside what the base rate reaches.

    ``gain`` is how much better than the base rate it is, whatever the figure, between ``low`` and ``high`` (95 %);
    ``p`` its p-value, and ``p_family`` the same corrected for all figures of the page (Holm).
    """

    label: str
    probe: str
    measure: str
    value: float
    base: float
    gain: float
    low: float
    high: float
    p: float
    p_family: float = float("nan")

    @property
    def verdict(self) -> str:
        """What can be said, in words."""
        if np.isinf(self.low):
            return "too few days: nothing can be said"
        if not (self.low > 0.0 or self.high < 0.0):
            return "not distinguishable from the base rate"
        side = "better" if self.gain > 0 else "worse"
        return f"{side} than the base rate" + ("" if self.p_family < 0.05 else ", not after correction for all figures")


@dataclass(frozen=True)
class ProbeRow:
    """A metric with its figures; ``days`` and ``queries`` are those that it was judged on.

    ``forecasts`` are class probabilities by label and probe.
    """

    name: str
    variants: list[str]
    recipe: Recipe
    dim: int
    windows: int
    queries: int
    days: int
    figures: list[ProbeFigure]
    forecasts: dict[tuple[str, str], ClassForecasts] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProbeDifference:
    """How much less log-loss a metric has than the first one, in nats on the same queries: above zero, it knows more.

    ``low`` and ``high`` bound it (95 %), whole days resampled for both sides alike.
    """

    name: str
    less: str
    label: str
    probe: str
    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Probes:
    """What probing a spec comes to; ``left_out`` says why a variant has no row."""

    spec: RunSpec
    settings: ProbeSpec
    digests: dict[str, str]
    versions: dict[str, str]
    edges: tuple[float, ...]
    trained: tuple[str, str, str]
    tested: tuple[str, str]
    rows: list[ProbeRow]
    differences: list[ProbeDifference]
    left_out: dict[str, str]
    notes: list[str]


@dataclass(frozen=True, eq=False)
class _Windows:
    """Queries in the order of time with their labels; ``value`` is the state's number, ``day`` counts from 0."""

    queries: Sequence[Query]
    outcome: FloatArray
    value: FloatArray
    labels: Mapping[str, IntArray]
    day: IntArray

    @property
    def n_days(self) -> int:
        """Days with a query."""
        return int(self.day.max()) + 1

    def only(self, kept: BoolArray) -> _Windows:
        labels = {name: label[kept] for name, label in self.labels.items()}
        return replace(
            self,
            queries=[self.queries[place] for place in np.flatnonzero(kept).tolist()],
            outcome=self.outcome[kept],
            value=self.value[kept],
            labels=labels,
            day=np.unique(self.day[kept], return_inverse=True)[1].ravel().astype(np.int64),
        )


def probe_spec(spec: RunSpec, progress: Progress = silent) -> Probes:
    """Probe every retriever of a spec that has a metric.

    Parameters
    ----------
    spec : RunSpec
        ``[probe]`` and ``[evaluation]`` say how; ``data.start`` to ``data.end`` is the test.
    progress : callable, optional
        Called with how far the work is: ``progress(what, done, total)``.

    Raises
    ------
    ConfigError
        If no variant has a retriever with a metric, or the training period is unusable.
    DataError
        If the prices have nothing to ask, or the market's state cannot be cut into buckets.
    LookAheadError
        If a retriever was fitted on the test.
    ModelError
        If an artifact or base weights cannot be used.
    """
    study, questions, learn = prepare(spec, progress)
    spec = study.spec
    metrics, left_out = metrics_of(study)
    learn = _whole_windows(study, questions, learn)
    days = questions.panel.days
    buckets = StateBuckets.fit(study.materials.states, spec.probe.state, spec.probe.buckets, days[learn.any(axis=1)])
    known = _drawn(_windows(study, questions, learn, buckets), spec.probe)
    asked = _windows(study, questions, questions.is_query, buckets)
    rows = []
    for number, metric in enumerate(metrics):
        progress("probes", number, len(metrics))
        rows.append(_row(metric, known, asked, spec))
    progress("probes", len(metrics), len(metrics))
    _count(study, metrics)
    return Probes(
        spec=spec,
        settings=spec.probe,
        digests=data_digests(study, spec.variants),
        versions=versions_of(_LIBRARIES),
        edges=buckets.edges,
        trained=(*_span(known), str(questions.available_at[learn].max())),
        tested=_span(asked),
        rows=_corrected(rows),
        differences=_differences(rows),
        left_out=left_out,
        notes=notes_on_training(study),
    )


def _whole_windows(study: Study, questions: Questions, learn: BoolArray) -> BoolArray:
    """Cells that a query can be cut for, and whose outcome is known."""
    cells = learn & np.isfinite(questions.outcomes)
    frames, lookback = study.prices.frames, study.spec.corpus.lookback
    for column, symbol in enumerate(questions.panel.symbols):
        cells[np.searchsorted(questions.panel.days, days_of(frames[symbol])[:lookback]), column] = False
    return cells


def _windows(study: Study, questions: Questions, cells: BoolArray, buckets: StateBuckets) -> _Windows:
    """The queries of cells (n_days, n_symbols) whose state is known."""
    rows, _ = np.nonzero(cells)
    value = study.materials.states.of(buckets.variable, questions.panel.days)[rows]
    state, outcome = buckets.of(value), questions.outcomes[cells]
    frames = study.prices.select(study.spec.data.symbols).frames
    movement = movement_of(outcome, questions.scale).astype(np.int64) + 1
    whole = _Windows(
        queries=cut_when_asked(frames, questions.panel, cells, study.spec.corpus.lookback),
        outcome=outcome,
        value=value,
        labels={MOVEMENT: movement, STATE: state},
        day=rows,
    )
    return whole.only(state != UNKNOWN_STATE)


def _drawn(windows: _Windows, settings: ProbeSpec) -> _Windows:
    """At most ``settings.windows`` of the windows, drawn by chance, in the order of time."""
    n = len(windows.queries)
    if n <= settings.windows:
        return windows
    kept = np.zeros(n, dtype=bool)
    kept[np.random.default_rng(settings.seed).choice(n, settings.windows, replace=False)] = True
    return windows.only(kept)


def _row(probed: ProbedMetric, known: _Windows, asked: _Windows, spec: RunSpec) -> ProbeRow:
    (known, learned), (asked, vectors) = (_with_vectors(probed, windows) for windows in (known, asked))
    figures: list[ProbeFigure] = []
    answered: dict[tuple[str, str], ClassForecasts] = {}
    for label, classes in ((MOVEMENT, _MOVEMENTS), (STATE, spec.probe.buckets)):
        seen = KnownWindows(learned, known.labels[label], classes)
        probes = {
            "linear": linear_probe(seen, vectors),
            "kNN": nearest_probe(seen, vectors, spec.probe.k, probed.metric.cosine),
        }
        for probe, answers in probes.items():
            forecasts = ClassForecasts(
                answers, seen.shares, asked.labels[label], asked.day, asked.n_days, overlap_of(spec.evaluation)
            )
            answered[label, probe] = forecasts
            found = class_figures(forecasts) | {"rank_ic": _rank_ic(label, forecasts, asked)}
            figures += [_figure(label, probe, measure, figure) for measure, figure in found.items()]
    return ProbeRow(
        name=probed.name,
        variants=probed.variants,
        recipe=probed.metric.recipe,
        dim=vectors.shape[1],
        windows=len(learned),
        queries=len(vectors),
        days=asked.n_days,
        figures=figures,
        forecasts=answered,
    )


def _differences(rows: Sequence[ProbeRow]) -> list[ProbeDifference]:
    """Each metric against the first, where both were judged on the same queries."""
    first, found = rows[0], []
    for row in rows[1:]:
        for (label, probe), forecasts in row.forecasts.items() if row.queries == first.queries else ():
            gap = loss_difference(forecasts, first.forecasts[label, probe])
            found.append(ProbeDifference(row.name, first.name, label, probe, gap.difference, gap.low, gap.high, gap.p))
    return found


def _with_vectors(probed: ProbedMetric, windows: _Windows) -> tuple[_Windows, NDArray[np.float32]]:
    """Windows that the metric knows something of, and their vectors."""
    vectors = probed.metric.vectors(windows.queries)
    there: BoolArray = np.asarray(np.isfinite(vectors).all(axis=1))
    if not there.any():
        raise ConfigError(
            f"the metric of variant {probed.name!r} has no vector for any query from {_span(windows)[0]} to "
            f"{_span(windows)[1]}; give earlier prices, or move evaluation.train_start or data.start"
        )
    return (windows, vectors) if there.all() else (windows.only(there), vectors[there])


def _rank_ic(label: str, forecasts: ClassForecasts, asked: _Windows) -> ClassFigure:
    """Of movement P(rise) less P(fall) against outcomes within each day; of the state over days, as a day has one."""
    if label == MOVEMENT:
        score = forecasts.probabilities[:, 2] - forecasts.probabilities[:, 0]
        daily = rank_correlations(score, asked.outcome, asked.day, forecasts.n_days)
        return mean_of_days(forecasts, daily, _ranking(forecasts))
    expected = forecasts.probabilities @ np.arange(forecasts.probabilities.shape[1])
    size = forecasts.by_day(np.ones(len(expected)))
    return correlation_of_days(forecasts, forecasts.by_day(expected) / size, forecasts.by_day(asked.value) / size)


def _ranking(forecasts: ClassForecasts) -> FloatArray:
    """1 on days with enough queries to rank, else 0."""
    enough = forecasts.by_day(np.ones(len(forecasts.labels))) >= LEAST_SYMBOLS
    return np.asarray(enough, dtype=np.float64)


def _figure(label: str, probe: str, measure: str, figure: ClassFigure) -> ProbeFigure:
    gain = figure.gain
    return ProbeFigure(label, probe, measure, figure.value, figure.base, gain.difference, gain.low, gain.high, gain.p)


def _corrected(rows: Sequence[ProbeRow]) -> list[ProbeRow]:
    """Put the p-values corrected for all figures beside the others."""
    adjusted = iter(holm([figure.p for row in rows for figure in row.figures]).tolist())
    return [replace(row, figures=[replace(it, p_family=next(adjusted)) for it in row.figures]) for row in rows]


def _span(windows: _Windows) -> tuple[str, str]:
    return str(windows.queries[0].as_of), str(windows.queries[-1].as_of)


def _count(study: Study, metrics: Sequence[ProbedMetric]) -> None:
    """Count in the ledger of trials what was looked at: whoever chooses by these figures has seen these days."""
    spec = study.spec
    trial = partial(configuration_of, spec)
    trials = [
        Trial(trial(spec.find_variant(probed.name), {"probe": probed.metric.recipe}), "probe", None)
        for probed in metrics
    ]
    count(spec, trials)
