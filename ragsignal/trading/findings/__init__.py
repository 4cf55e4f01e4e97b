"""What a run comes to: figures beside the table of variants, as records without a word for the page.

:func:`findings_of` is called by the engine once all variants are traded::

    answers.py      did retrieval help, did the LLM help, is the benchmark better, how sure can one be
    family.py       every paired difference that the page prints, their p-values corrected for their number
    regimes.py      bull and bear, high and low volatility, by what was known at the previous close
    costs.py        the same orders at other costs, and the cost that eats all gains
    calibration.py  does P(rise) mean what it says, and is it right where it is sure
    symbols.py      each symbol alone
    retrieved.py    what variants that read days retrieved on some days, after :func:`findings_of`
    null.py         the same beside random retrieval, and beside the same signals on other days

Only the family carries claims. All other parts describe: their many cells are not corrected for their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from ragsignal.config import RunSpec
from ragsignal.trading.findings.answers import Answers, answers_of
from ragsignal.trading.findings.calibration import VariantCalibration, calibration_of
from ragsignal.trading.findings.costs import OtherCosts, costs_of
from ragsignal.trading.findings.days import grids_of
from ragsignal.trading.findings.family import PairedDifference, family_of
from ragsignal.trading.findings.null import Chance, null_of
from ragsignal.trading.findings.regimes import Regimes, regimes_of
from ragsignal.trading.findings.symbols import SymbolFigures, symbols_of
from ragsignal.trading.variant import VariantResult
from ragsignal.utils import rounded

__all__ = ["RunFindings", "findings_of"]


@dataclass(frozen=True)
class RunFindings:
    """Everything that the report says beyond the figures of each variant; mappings are by variant.

    ``ruined`` says on which day (ISO) an account was; such a one has no figure of returns, and no comparison of them.
    """

    benchmark: str
    answers: Answers
    comparisons: list[PairedDifference]
    regimes: Regimes
    costs: OtherCosts
    calibration: dict[str, VariantCalibration]
    symbols: dict[str, list[SymbolFigures]]
    null: Chance
    ruined: dict[str, str] = field(default_factory=dict)


def findings_of(spec: RunSpec, variants: Sequence[VariantResult], closes: pd.DataFrame) -> RunFindings:
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
    RunFindings
        Rounded as in the record, so that the page shows the same digits; None for what does not exist.
    """
    family = family_of(spec, variants)
    grids = grids_of(variants)
    cost = (spec.costs.commission_bps + spec.costs.slippage_bps) / 1e4
    findings: RunFindings = rounded(
        RunFindings(
            benchmark=spec.benchmark,
            answers=answers_of(spec, variants, family),
            comparisons=family,
            regimes=regimes_of(variants, closes),
            costs=costs_of(spec, variants),
            calibration=calibration_of(grids, cost),
            symbols=symbols_of(grids, cost),
            null=null_of(spec, variants),
            ruined={variant.name: str(variant.ruined) for variant in variants if variant.ruined},
        )
    )
    return findings
