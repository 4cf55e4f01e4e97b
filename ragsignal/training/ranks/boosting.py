"""Boosting on rank letters: the free baseline that StockLLM is measured against, and the teacher that it learns from.

rank examples ─► LightGBM regressors, other rows and factors by seed ─► calibration on validation ─► artifact
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ragsignal.artifacts import Artifact, refuse_foreign, save_artifact
from ragsignal.config import BoostingTraining
from ragsignal.data import RANK_LETTERS, Letters
from ragsignal.errors import DataError
from ragsignal.llm import RANKS_RECIPE, STATES_RECIPE, Boosting, as_numbers, beside_bars
from ragsignal.training.calibration import fit_calibration, validation_metrics
from ragsignal.training.ranks.examples import RankExamples, rank_examples
from ragsignal.training.run import TrainingResult, TrainingRun
from ragsignal.types import FloatArray, Recipe
from ragsignal.utils import Progress

if TYPE_CHECKING:
    from lightgbm import Booster


def train_boosting(run: TrainingRun, examples: RankExamples | None = None) -> Artifact:
    """Fit, calibrate and save the averaged boosting of ``run.spec.boosting``.

    Returns
    -------
    Artifact
        Of kind ``classifier``, in ``run.folder("classifier")``.

    Raises
    ------
    DataError, LookAheadError
        As :func:`~ragsignal.training.ranks.examples.rank_examples`.
    """
    refuse_foreign(run.folder("classifier"))
    examples = examples or rank_examples(run)
    check_splits(int(examples.train.sum()), run.spec.boosting, "the training days hold", "begin data.start earlier")
    rows, targets = examples.letters.letters[examples.train], examples.targets[examples.train]
    states, valid_states = None, None
    if run.spec.boosting.state:
        states, valid_states = examples.states_of(examples.train), examples.states_of(examples.valid)
    model = fit_boosting(rows, targets, run.spec.boosting, run.progress, states)
    scores = model.row_scores(examples.letters.letters[examples.valid], valid_states)
    calibration = fit_calibration(scores, examples.rises, "platt")
    table = np.full(examples.targets.shape, np.nan)
    table[examples.valid] = scores
    result = TrainingResult(
        recipe=boosting_recipe(run),
        metrics={
            "ic": float(np.nanmean(examples.information_coefficients(table))),
            **validation_metrics(scores, examples.rises, calibration),
        },
        base=None,
        template=RANKS_RECIPE | (STATES_RECIPE if run.spec.boosting.state else {}) | beside_bars(examples.letters),
        train=examples.learned(examples.train),
        valid=examples.learned(examples.valid),
        reads_bins=False,
        calibration=calibration,
    )
    return save_artifact(run.folder("classifier"), run.card("classifier", result), model.save)


def check_splits(labels: int, boosting: BoostingTraining, what: str, repair: str) -> None:
    """Refuse labels of which no tree can make a split: all scores would be one number, and nothing would be learned.

    Parameters
    ----------
    labels : int
        Stock-days that are learned from.
    boosting : BoostingTraining
    what, repair : str
        Begin, and end, of the message.

    Raises
    ------
    DataError
    """
    least = 2 * boosting.least_rows
    if labels * boosting.rows < least:
        raise DataError(
            f"{what} {labels:,} labels, of which a tree of boosting sees {boosting.rows:g}, and needs {least:,} to "
            f"split; {repair}, or lower boosting.least_rows"
        )


def boosting_recipe(run: TrainingRun) -> Recipe:
    """All that decides the trees, besides prices and split."""
    return {"kind": "boosting", **run.spec.boosting.model_dump(mode="json"), **run.further_recipe}


def fit_boosting(
    rows: Letters, targets: FloatArray, spec: BoostingTraining, progress: Progress, states: FloatArray | None = None
) -> Boosting:
    """Fit ``spec.members`` regressors, each on other rows and, at each split, other factors.

    Parameters
    ----------
    rows : (n, n_factors) uint8
    targets : (n,) float64
    spec : BoostingTraining
    progress : callable
        Told how many trees there are.
    states : (n, 8) float64, optional
        State of the market on each row's day, where the models are to read it.
    """
    import lightgbm

    bins = _BINS if states is None else _BINS_WITH_STATES
    data = lightgbm.Dataset(as_numbers(rows, states), targets, params={"max_bin": bins, "min_data_in_bin": 1})
    boosters, total = [], spec.members * spec.trees
    for member in range(spec.members):
        done = member * spec.trees

        def tell(state: Any, done: int = done) -> None:
            progress("boosting", done + state.iteration + 1, total)

        boosters.append(
            lightgbm.train(_parameters(spec, member) | {"max_bin": bins}, data, spec.trees, callbacks=[tell])
        )
    every = slice(None, None, max(1, len(rows) // _ROWS))
    sample = as_numbers(rows[every], None if states is None else states[every])
    return Boosting(boosters, [_scale(booster, sample) for booster in boosters], states is not None)


_ROWS = 100_000  # of the training rows, that the scale of a member's scores is measured on
_BINS = 2 * RANK_LETTERS  # a bin a letter
_BINS_WITH_STATES = 4 * RANK_LETTERS  # a state has as many values as there are days


def _scale(booster: Booster, numbers: Any) -> float:
    return float(np.std(np.asarray(booster.predict(numbers))))


def _parameters(spec: BoostingTraining, member: int) -> dict[str, object]:
    return {
        "objective": "regression",
        "learning_rate": spec.learning_rate,
        "num_leaves": spec.leaves,
        "min_data_in_leaf": spec.least_rows,
        "lambda_l2": 1.0,
        "feature_fraction_bynode": spec.factors,
        "bagging_fraction": spec.rows,
        "bagging_freq": 1,
        "seed": spec.seed + member,
        "deterministic": True,  # the same trees whatever the number of threads
        "force_row_wise": True,
        "verbose": -1,
    }
