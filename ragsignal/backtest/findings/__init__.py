"""What a run comes to: figures beside the table of variants, as JSON-able data without a word for the page.

:func:`findings_of` is called by the engine once all variants are traded::

    answers.py      did retrieval help, did the LLM help, is the benchmark better, how sure can one be
    family.py       every paired difference that the page prints, their p-values corrected for their number
    regimes.py      bull and bear, high and low volatility, by what was known at the previous close
    costs.py        the same orders at other costs, and the cost that eats all gains
    calibration.py  does P(rise) mean what it says, and is it right where it is sure
    symbols.py      each symbol alone
    null.py         the same beside random retrieval, and beside the same signals on other days

Only the family carries claims. All other parts describe: their many cells are not corrected for their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ragsignal.backtest.findings.answers import answers_of
from ragsignal.backtest.findings.calibration import calibration_of
from ragsignal.backtest.findings.costs import costs_of
from ragsignal.backtest.findings.family import family_of
from ragsignal.backtest.findings.null import null_of
from ragsignal.backtest.findings.regimes import regimes_of
from ragsignal.backtest.findings.symbols import symbols_of
from ragsignal.backtest.results import VariantResult
from ragsignal.config import RunSpec
from ragsignal.utils import plain

__all__ = ["findings_of"]


def findings_of(spec: RunSpec, variants: Sequence[VariantResult], closes: pd.DataFrame) -> dict[str, Any]:
    """Work out everything that the report says beyond the figures of each variant.

    Parameters
    ----------
    spec : RunSpec
    variants : sequence of VariantResult
        All variants of the spec, in its order.
    closes : DataFrame of float (n_bars, n_symbols)
        Adjusted closes over the run's bars.

    Returns
    -------
    dict
        JSON-able and the same for the same run; None for what does not exist.
    """
    family = family_of(spec, variants)
    told: dict[str, Any] = plain(
        {
            "benchmark": spec.benchmark,
            "answers": answers_of(spec, variants, family),
            "comparisons": family,
            "regimes": regimes_of(variants, closes),
            "costs": costs_of(spec, variants),
            "calibration": calibration_of(spec, variants),
            "symbols": symbols_of(spec, variants),
            "null": null_of(spec, variants),
        },
        "findings",
    )
    return told
