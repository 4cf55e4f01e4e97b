"""Forecasts that cost nothing: rules on past returns, and two models of scikit-learn on factors everybody has.

All learn from labels that were known before the test (:func:`~ragsignal.evaluation.questions.training_rows`), rules
their hit rate only. The one that a variant must beat is chosen on the last quarter of the training days, by baselines
fitted on the days before it: never on the test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.data import FACTORS, Panel
from ragsignal.errors import DataError
from ragsignal.evaluation.forecasts import Forecast, of_probability
from ragsignal.evaluation.metrics import METRICS, Sample
from ragsignal.evaluation.questions import Mask, Questions, known_through

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
    known = np.isfinite(last).any(axis=1)
    median = np.full(len(last), np.nan)
    median[known] = np.nanmedian(last[known], axis=1)
    return np.asarray(last - median[:, None])


RULES: dict[str, Callable[[Panel], Table]] = {
    "always-rise": lambda panel: np.ones(panel.values.shape[:2]),
    "reversal-1d": lambda panel: -_factor(panel, "ret_1"),
    "reversal-4d": lambda panel: -_change_of_four(panel),
    "momentum-20d": lambda panel: _factor(panel, "mom_20"),
    "relative-reversal": lambda panel: -_above_the_day(panel),
}
"""Scores (n_days, n_symbols): above 0 says rise, below 0 fall."""


def free_baselines(questions: Questions, learn: Mask, answer: Mask) -> list[Forecast]:
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
    scores = {name: rule(questions.panel) for name, rule in RULES.items()}
    scores["majority"] = np.full_like(scores["always-rise"], 1.0 if rose.mean() > 0.5 else -1.0)
    rules = [_rule(name, score[learn], score[answer], rose) for name, score in scores.items()]
    return [*rules, _logistic(questions.panel, learn, answer, rose), _boosting(questions.panel, learn, answer, rose)]


def best_baselines(questions: Questions, learn: Mask, embargo: int, measures: tuple[str, ...]) -> dict[str, str | None]:
    """For every measure the baseline that was best at the end of the training period; None where nothing has it."""
    learn_early, answer = _inner_split(questions, learn, embargo)
    fitted = free_baselines(questions, learn_early, answer)
    rows = np.nonzero(answer)[0]
    day = np.unique(rows, return_inverse=True)[1].ravel().astype(np.int64)
    common = np.all([it.answered for it in fitted], axis=0)  # on the same labels for all
    outcome = questions.outcomes[answer]
    samples = {
        it.name: Sample(day, len(np.unique(rows)), outcome, it.probability, it.score, it.rise).where(common)
        for it in fitted
    }
    return {measure: _best(samples, measure) for measure in measures}


def _best(samples: dict[str, Sample], measure: str) -> str | None:
    metric = METRICS[measure]
    values = {name: metric.sign * metric.value(sample) for name, sample in samples.items()}
    known = {name: value for name, value in values.items() if np.isfinite(value)}
    return max(known, key=known.__getitem__) if known else None


def _inner_split(questions: Questions, learn: Mask, embargo: int) -> tuple[Mask, Mask]:
    """Labels to fit on, and cells to choose on, ``embargo`` bars apart."""
    rows = np.flatnonzero(learn.any(axis=1))
    first = int(rows[int(len(rows) * (1.0 - HELD_BACK))])
    before = learn & known_through(questions, questions.panel.days[max(0, first - 1 - embargo)])
    after = learn.copy()
    after[:first] = False
    return before, after


def _rule(name: str, learned: Table, answered: Table, rose: Mask) -> Forecast:
    """Give a rule the probability that it earned: its hit rate p in training (Laplace) where it says rise, else 1 - p.

    A rule that was mostly wrong keeps its direction: its probability then leans against what it says.
    """
    counted = np.isfinite(learned) & (learned != 0.0)
    hits = int(((learned > 0) == rose)[counted].sum())
    p = (hits + 1) / (int(counted.sum()) + 2)
    side = np.sign(answered).astype(np.float64)  # NaN stays NaN: no bar, no answer
    facts = {"training_hit_rate": p, "training_labels": int(counted.sum())}
    return Forecast(name, "baseline", 0.5 + (p - 0.5) * side, answered.astype(np.float64), 0.5 * (1.0 + side), facts)


def _logistic(panel: Panel, learn: Mask, answer: Mask, rose: Mask) -> Forecast:
    """Regression on the last five returns, in standard deviations."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    returns = panel.values[:, :, [FACTORS.index(f"ret_{n}") for n in range(1, 6)]].astype(np.float64)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return _model("logistic", model, returns[learn], returns[answer], rose)


def _boosting(panel: Panel, learn: Mask, answer: Mask, rose: Mask) -> Forecast:
    """Gradient boosting on the 17 factors, as they are and as ranks of the day; small trees, as the signal is weak."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=50, early_stopping=False, random_state=0
    )
    learned, answered = (np.hstack([panel.values[cells], panel.ranks[cells]]) for cells in (learn, answer))
    ever = np.isfinite(learned).any(axis=0)  # a market of one symbol has no ranks
    return _model("boosting", model, learned[:, ever], answered[:, ever], rose, needs_all=False)


def _model(name: str, model: Any, learned: Table, answered: Table, rose: Mask, needs_all: bool = True) -> Forecast:
    """Fit and ask a classifier of scikit-learn; a row without the factors it needs is neither learned nor answered."""
    judge = np.all if needs_all else np.any
    usable, asked = judge(np.isfinite(learned), axis=1), judge(np.isfinite(answered), axis=1)
    if len(np.unique(rose[usable])) < 2:
        raise DataError(
            f"{name}: {int(usable.sum())} training labels have their factors and are not of both sides; lengthen the "
            "training period (data.start, evaluation.train_start)"
        )
    model.fit(learned[usable], rose[usable])
    probability = np.full(len(answered), np.nan)
    if asked.any():
        probability[asked] = model.predict_proba(answered[asked])[:, 1]
    return of_probability(name, "baseline", probability, training_labels=int(usable.sum()))
