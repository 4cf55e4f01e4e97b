"""How much more data it would take to see a difference: what "not distinguishable" is worth.

All at the two-sided 5 % level; ``power`` is the chance that a difference of that size is then found.
"""

from __future__ import annotations

import math

from ragsignal.statistics.intervals import LEVEL


def years_for_sharpe(difference: float, correlation: float, power: float = 0.8) -> float:
    """Years of data that show a difference of two annual Sharpe ratios.

    Parameters
    ----------
    difference : float
        Of the annual ratios; infinite years for 0.
    correlation : float
        Of the two strategies' returns.

    References
    ----------
    For small Sharpe ratios and independent normal returns the variance of the difference is
    ``2 (1 - correlation) / years``: Memmel (2003), Performance hypothesis testing with the Sharpe ratio, without the
    terms in the squared ratios.
    """
    return _division(2.0 * (1.0 - correlation) * _distance(power) ** 2, difference**2)


def days_for(difference: float, error: float, n_days: int, power: float = 0.8) -> float:
    """Days of data that show such a difference, if its standard error falls with the root of their number.

    Parameters
    ----------
    difference, error : float
        Both in one unit; ``error`` is the standard error that ``n_days`` days gave (:attr:`Interval.error`).
    """
    return _division(n_days * (_distance(power) * error) ** 2, difference**2)


def detectable(error: float, power: float = 0.8) -> float:
    """Smallest difference that a run with this standard error would show, in the unit of ``error``."""
    return _distance(power) * error


def _distance(power: float) -> float:
    """Standard errors between no difference and one that is found with that chance: 2.80 for 80 %."""
    from scipy.special import ndtri

    return float(ndtri(1.0 - (1.0 - LEVEL) / 2.0) + ndtri(power))


def _division(above: float, below: float) -> float:
    if math.isnan(above) or math.isnan(below):
        return math.nan
    return above / below if below > 0.0 else math.inf
