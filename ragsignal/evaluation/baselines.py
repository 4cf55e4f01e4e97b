"""Forecasts that cost nothing: rules on past returns, and two models of scikit-learn on factors everybody has.

All learn from labels that were known before the test (:func:`~ragsignal.evaluation.questions.training_rows`), rules
their hit rate only. The one that a variant must beat is chosen on the last quarter of the training days, by baselines
fitted on the days before it: never on the test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.data import FACTORS, Panel
from ragsignal.errors import DataError
from ragsignal.evaluation.forecasts import Facts, Forecast, of_probability
from ragsignal.evaluation.metrics import METRICS, Sample
from ragsignal.evaluation.questions import Questions
from ragsignal.types import BoolArray

MOST_LABELS = 300_000
"""Labels that the two models learn from at most, drawn by chance out of all."""

HELD_BACK = 0.25
"""Share of the training days, the last ones, on which the best baseline is chosen."""

Table = NDArray[np.floating[Any]]


def _factor(panel: Panel, name: str) -> Table:
    return panel.values[:, :, FACTORS.index(name)]


def _change_of_four(panel: Panel) -> Table:
    """Return of the last four bars."""
    steps = [1.0 + _factor(panel, f"ret_{n}") for n in range(1, 5)]
    return np.asarray(np.prod(steps, axis=0) - 1.0)


def _above_the_day(panel: Panel) -> Table:
    """Last return less the median of all symbols that traded that day."""
    last = _factor(panel, "ret_1")
    traded = np.isfinite(last).any(axis=1)
    median = np.full(len(last), np.nan)
    median[traded] = np.nanmedian(last[traded], axis=1)
    return np.asarray(last - median[:, None])


RULES: dict[str, Callable[[Panel], Table]] = {
    "always-rise": lambda panel: np.ones(panel.values.shape[:2]),
    "reversal-1d": lambda panel: -_factor(panel, "ret_1"),
    "reversal-4d": lambda panel: -_change_of_four(panel),
    "momentum-20d": lambda panel: _factor(panel, "mom_20"),
    "relative-reversal": lambda panel: -_above_the_day(panel),
}
"""Scores (n_days, n_symbols): above 0 says rise, below 0 fall."""


@dataclass(frozen=True, eq=False)
class _Fit:
    """Cells (n_days, n_symbols) whose labels are learned, cells that are answered, and which learned labels rose."""

    panel: Panel
    learn: BoolArray
    answer: BoolArray
    rose: BoolArray


def free_baselines(questions: Questions, learn: BoolArray, answer: BoolArray) -> list[Forecast]:
    """Fit every free baseline on the labels of ``learn`` and let it answer the cells of ``answer``.

    Parameters
    ----------
    learn, answer : (n_days, n_symbols) bool
        Outcomes are read in ``learn`` only.

    Raises
    ------
    DataError
        If the labels of ``learn`` are all rises, or all falls: nothing can be fitted.
    """
    rose = questions.outcomes[learn] > 0
    if not 0 < rose.sum() < len(rose):
        word = "rises" if rose.any() else "falls"
        raise DataError(f"the {len(rose)} training labels are all {word}; lengthen the training period")
    fit = _Fit(questions.panel, learn, answer, rose)
    scores = {name: rule(questions.panel) for name, rule in RULES.items()}
    scores["majority"] = np.full_like(scores["always-rise"], 1.0 if rose.mean() > 0.5 else -1.0)
    drawn = _thinned(fit, questions)
    return [*(_rule(name, score, fit) for name, score in scores.items()), _logistic(drawn), _boosting(drawn)]


def _thinned(fit: _Fit, questions: Questions) -> _Fit:
    places = np.flatnonzero(fit.learn)
    if len(places) <= MOST_LABELS:
        return fit
    learn = np.zeros_like(fit.learn)
    learn.flat[np.random.default_rng(0).choice(places, MOST_LABELS, replace=False)] = True
    return replace(fit, learn=learn, rose=questions.outcomes[learn] > 0)


def best_baselines(
    questions: Questions, learn: BoolArray, embargo: int, measures: tuple[str, ...]
) -> dict[str, str | None]:
    """For every measure the baseline that was best at the end of the training period; None where nothing has it."""
    learn_early, answer = _inner_split(questions, learn, embargo)
    forecasts = free_baselines(questions, learn_early, answer)
    held_back = replace(questions, is_query=answer, queries=())
    common = np.all([forecast.answered for forecast in forecasts], axis=0)  # on the same labels for all
    samples = {forecast.name: forecast.on(held_back, common) for forecast in forecasts}
    return {measure: _best(samples, measure) for measure in measures}


def _best(samples: dict[str, Sample], measure: str) -> str | None:
    metric = METRICS[measure]
    values = {name: metric.sign * metric.value(sample) for name, sample in samples.items()}
    finite = {name: value for name, value in values.items() if np.isfinite(value)}
    return max(finite, key=finite.__getitem__) if finite else None


def _inner_split(questions: Questions, learn: BoolArray, embargo: int) -> tuple[BoolArray, BoolArray]:
    """Labels to fit on, and cells to choose on, ``embargo`` bars apart."""
    rows = np.flatnonzero(learn.any(axis=1))
    first = int(rows[int(len(rows) * (1.0 - HELD_BACK))])
    before = learn & questions.known_through(questions.panel.days[max(0, first - 1 - embargo)])
    after = learn.copy()
    after[:first] = False
    return before, after


def _rule(name: str, scores: Table, fit: _Fit) -> Forecast:
    """Give a rule the probability that it earned: its hit rate p in training (Laplace) where it says rise, else 1 - p.

    A rule that was mostly wrong keeps its direction: its probability then leans against what it says.
    """
    learned, answered = scores[fit.learn], scores[fit.answer].astype(np.float64)
    counted = np.isfinite(learned) & (learned != 0.0)
    labels = int(counted.sum())
    p = (int(((learned > 0) == fit.rose)[counted].sum()) + 1) / (labels + 2)
    side = np.sign(answered)  # NaN stays NaN: no bar, no answer
    facts: Facts = {"training_hit_rate": p, "training_labels": labels}
    return Forecast(name, "baseline", 0.5 + (p - 0.5) * side, answered, 0.5 * (1.0 + side), facts)


def _logistic(fit: _Fit) -> Forecast:
    """Regression on the last five returns, in standard deviations; it needs all of them."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    returns = fit.panel.values[:, :, [FACTORS.index(f"ret_{n}") for n in range(1, 6)]].astype(np.float64)
    returns[~np.isfinite(returns).all(axis=2)] = np.nan
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return _model("logistic", model, returns[fit.learn], returns[fit.answer], fit.rose)


def _boosting(fit: _Fit) -> Forecast:
    """Gradient boosting on the 17 factors, as they are and as ranks of the day; small trees, as the signal is weak."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=50, early_stopping=False, random_state=0
    )
    learned, answered = (
        np.hstack([fit.panel.values[cells], fit.panel.ranks[cells]]) for cells in (fit.learn, fit.answer)
    )
    ever = np.isfinite(learned).any(axis=0)  # a market of one symbol has no ranks
    return _model("boosting-17", model, learned[:, ever], answered[:, ever], fit.rose)


def _model(name: str, model: Any, learned: Table, answered: Table, rose: BoolArray) -> Forecast:
    """Fit and ask a classifier of scikit-learn; a row without any factor is neither learned nor answered."""
    usable, answerable = (np.isfinite(rows).any(axis=1) for rows in (learned, answered))
    if len(np.unique(rose[usable])) < 2:
        raise DataError(
            f"{name}: {int(usable.sum())} training labels have their factors and are not of both sides; lengthen the "
            "training period (data.start, evaluation.train_start)"
        )
    model.fit(learned[usable], rose[usable])
    probability = np.full(len(answered), np.nan)
    if answerable.any():
        probability[answerable] = model.predict_proba(answered[answerable])[:, 1]
    return of_probability(name, "baseline", probability, training_labels=int(usable.sum()))
