"""How far a model's log-odds may be believed: fitted on validation days, never on those it was trained on.

An adapter trained on a few thousand days is about three times too sure of itself. A slope and an intercept mend that
(:func:`fit_calibration`), and :func:`expected_calibration_error` says what is left. What they fit is applied by
:func:`ragsignal.llm.calibration.calibrated`.
"""

from __future__ import annotations

from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from ragsignal.artifacts import Calibration
from ragsignal.errors import DataError
from ragsignal.llm import calibrated, probability_of
from ragsignal.statistics import equal_mass_bins

Method = Literal["platt", "temperature", "none"]

# A slope at or below zero on validation days is noise, not knowledge: the order of the scores stays as it was learned.
_LEAST_SLOPE = 0.01


class ValidationMetrics(TypedDict):
    """Figures of one set of validation queries.

    ``base_rate`` is the share of rises, ``log_loss_of_base_rate`` what knowing nothing costs, ``report`` scikit-learn's
    classification report at P(rise) = 0.5.
    """

    queries: int
    base_rate: float
    log_loss: float
    log_loss_uncalibrated: float
    log_loss_of_base_rate: float
    brier: float
    auc: float
    ece: float
    report: dict[str, float | dict[str, float]]


def fit_calibration(log_odds: NDArray[np.float64], rise: NDArray[np.bool_], method: Method) -> Calibration:
    """Fit what makes log-odds honest.

    Parameters
    ----------
    log_odds : (n,) float64
        Raw scores of validation queries.
    rise : (n,) bool
        What followed.
    method : {"platt", "temperature", "none"}
        ``platt``: slope and intercept (Platt 1999), the mean probability being the share of rises;
        ``temperature``: a slope only (Guo et al. 2017, section 4.2); ``none``: as they are.

    Returns
    -------
    Calibration
        Its slope is 0.01 at least; the intercept is in log-odds.

    Raises
    ------
    DataError
        If there is no rise, no fall, or a score that is not a number.
    """
    if method == "none":
        return {"method": method, "slope": 1.0, "intercept": 0.0}
    _check(log_odds, rise)
    slope = max(_fitted_slope(log_odds, rise, with_intercept=method == "platt"), _LEAST_SLOPE)
    intercept = _balancing_intercept(slope * log_odds, float(rise.mean())) if method == "platt" else 0.0
    return {"method": method, "slope": slope, "intercept": intercept}


def expected_calibration_error(probability: NDArray[np.float64], rise: NDArray[np.bool_], bins: int = 10) -> float:
    """Mean distance between the predicted and the seen share of rises, over bins of equal mass.

    Naeini et al. (AAAI 2015) and Guo et al. (ICML 2017), eq. 3, with quantiles for edges: daily forecasts crowd
    around 0.5, where bins of equal width would leave one. Equal probabilities share a bin, so ties are never split.

    Parameters
    ----------
    probability : (n,) float64
    rise : (n,) bool
    bins : int
        Ten by default; fewer are filled where many probabilities are equal.

    Returns
    -------
    float
        In [0, 1]; with n days it is about sqrt(bins / n) / 2.5 for a forecaster without any fault.
    """
    number = equal_mass_bins(probability, bins)
    gaps = np.bincount(number, weights=probability - rise)  # n_bin * (said - seen)
    return float(np.abs(gaps).sum() / len(probability))


def validation_metrics(
    log_odds: NDArray[np.float64], rise: NDArray[np.bool_], calibration: Calibration
) -> ValidationMetrics:
    """Compute the figures of one set of validation queries, for an artifact's card.

    Parameters
    ----------
    log_odds : (n,) float64
        Raw scores.
    rise : (n,) bool
        What followed, both outcomes present.
    calibration : Calibration
        Fitted on the same queries, so that ``log_loss``, ``brier`` and ``ece`` flatter; ``auc`` does not depend on it.
    """
    from sklearn import metrics

    chance, share = probability_of(calibrated(log_odds, calibration)), float(rise.mean())
    return {
        "queries": len(rise),
        "base_rate": share,
        "log_loss": float(metrics.log_loss(rise, chance)),
        "log_loss_uncalibrated": float(metrics.log_loss(rise, probability_of(log_odds))),
        "log_loss_of_base_rate": float(metrics.log_loss(rise, np.full(len(rise), share))),
        "brier": float(metrics.brier_score_loss(rise, chance)),
        "auc": float(metrics.roc_auc_score(rise, log_odds)),
        "ece": expected_calibration_error(chance, rise),
        "report": metrics.classification_report(
            rise, chance > 0.5, labels=[False, True], target_names=["fall", "rise"], output_dict=True, zero_division=0.0
        ),
    }


def _check(log_odds: NDArray[np.float64], rise: NDArray[np.bool_]) -> None:
    rises = int(rise.sum())
    if rises in (0, len(rise)):
        raise DataError(
            f"cannot calibrate on {len(rise)} validation queries of which {rises} rose: both outcomes are needed; "
            "choose an earlier split.valid_from, or more symbols"
        )
    if not np.isfinite(log_odds).all():
        raise DataError(
            f"{int((~np.isfinite(log_odds)).sum())} of {len(log_odds)} validation scores are not numbers: the training "
            "diverged; use a smaller learning_rate"
        )


def _fitted_slope(log_odds: NDArray[np.float64], rise: NDArray[np.bool_], with_intercept: bool) -> float:
    """Return the slope of a logistic regression without penalty.

    Its targets are Platt's, (rises + 1) / (rises + 2) and 1 / (falls + 2), which n days can show; with 1 and 0 the
    slope of scores that separate the two outcomes would be infinite.
    """
    from sklearn.linear_model import LogisticRegression

    scale = float(log_odds.std() if with_intercept else np.sqrt(np.mean(log_odds**2)))
    if scale <= 1e-12 * max(1.0, float(np.abs(log_odds).max())):  # one score for all: nothing to learn from
        return 0.0
    centre = float(log_odds.mean()) if with_intercept else 0.0
    scores = np.tile((log_odds - centre) / scale, 2)[:, None]  # scaled, because lbfgs stalls on scores in the thousands
    rises, falls = int(rise.sum()), int((~rise).sum())
    target = np.where(rise, (rises + 1) / (rises + 2), 1 / (falls + 2))
    model = LogisticRegression(C=np.inf, fit_intercept=with_intercept, tol=1e-8, max_iter=1000)
    model.fit(scores, np.repeat([True, False], len(rise)), sample_weight=np.concatenate([target, 1 - target]))
    return float(model.coef_[0, 0]) / scale


def _balancing_intercept(scores: NDArray[np.float64], share: float) -> float:
    """Return the intercept with which the mean probability is ``share``: so it is at the maximum of the likelihood."""
    from scipy.optimize import brentq

    centre = float(np.log(share / (1 - share)))
    low, high = centre - float(scores.max()) - 1.0, centre - float(scores.min()) + 1.0
    return float(brentq(lambda intercept: float(probability_of(scores + intercept).mean()) - share, low, high))
