"""Selection and verdict: what of the search holds on days that it did not see.

The selection window ranks the candidates and drops those that do not hold; what is left is looked at on the holdout
once. Measured on noise and on planted markets: benchmarks/alpha_noise.py, benchmarks/alpha_planted.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ragsignal import statistics
from ragsignal.alpha.evolution import Evolution, Individual
from ragsignal.alpha.figures import decay_of, ic_by_year, net_returns, window_figures
from ragsignal.alpha.likeness import FormulaPool
from ragsignal.alpha.result import CLAIM_LEVEL, CandidateAlpha, JudgedAlpha, Population
from ragsignal.alpha.scoring import FormulaScore, FormulaScorer
from ragsignal.alpha.windows import SearchMarket
from ragsignal.config import AlphaSpec
from ragsignal.data import OPERATORS, Call, Formula, digest_of, text_of
from ragsignal.types import FloatArray

HOLDS_FROM = 1.0
"""T-statistic on the selection window, with the sign of the search, from which a candidate goes on."""
_MOST = 100  # formulas in the tests of the population: more take minutes
_BLOCKS = 16  # of the cross-validation: 12,870 ways to halve the days, as in the paper


def best_of_selection(
    elite: Sequence[Individual], selection: FormulaScorer, alpha: AlphaSpec
) -> tuple[tuple[CandidateAlpha, ...], list[Individual]]:
    """Rank the candidates on the selection window; returns all of them, best first, and those that are kept."""
    scored = {it.digest: selection.score(it.formula).score for it in elite}
    ordered = sorted(elite, key=lambda it: (-_held(it, scored[it.digest]), it.digest))
    kept = [it for it in ordered if _held(it, scored[it.digest]) >= HOLDS_FROM][: alpha.keep]
    rows = [_candidate(it, scored[it.digest], it in kept) for it in ordered]
    return tuple(rows), kept


class Judge:
    """Looks at kept formulas, and at the population that they come from.

    Parameters
    ----------
    market : SearchMarket
    loop : Evolution
        The finished search.
    known : sequence of Formula
        Formulas that kept ones are compared with.
    """

    def __init__(self, market: SearchMarket, loop: Evolution, known: Sequence[Formula]) -> None:
        self._market, self._loop, self._known = market, loop, known
        self._spec = market.spec

    @cached_property
    def _seen(self) -> FormulaScorer:
        return FormulaScorer(self._market.part("seen"))

    def kept(self, chosen: Sequence[Individual]) -> tuple[JudgedAlpha, ...]:
        """Judge the kept formulas: the one place that reads the holdout."""
        if not chosen:
            return ()
        scorers = [FormulaScorer(self._market.part(name)) for name in ("search", "selection", "holdout")]
        whole = FormulaScorer(self._market.part("all"))
        formulas = [oriented(it) for it in chosen]
        figures = [tuple(window_figures(scorer, it, self._spec) for scorer in scorers) for it in formulas]
        adjusted = statistics.holm([it[-1].p for it in figures])
        return tuple(
            JudgedAlpha(
                name=f"{self._spec.name}-{number}",
                formula=text_of(formula),
                digest=digest_of(formula),
                known_through=whole.part.known_through,
                windows=windows,
                by_year=ic_by_year(whole, formula),
                decay=decay_of(self._seen, formula),
                correlation=self._correlation(scorers[0], formula, formulas),
                deflated_sharpe=self.deflated(formula, len(self._loop.individuals)),
                p_holm=float(p),
                claim=bool(p < CLAIM_LEVEL and windows[-1].ic > 0.0),
            )
            for number, (formula, windows, p) in enumerate(zip(formulas, figures, adjusted, strict=True), 1)
        )

    def population(self, population: Sequence[Individual]) -> Population:
        """Tests of the choice among the last generation and the elite."""
        formulas = [oriented(it) for it in population[:_MOST]]
        if len(formulas) < 2:
            return Population(len(formulas), math.nan, math.nan, math.nan)
        selection = FormulaScorer(self._market.part("selection"))
        return Population(
            len(formulas),
            statistics.backtest_overfitting(self._returns(self._seen, formulas, costs=False), _BLOCKS),
            statistics.backtest_overfitting(self._returns(selection, formulas, costs=False), _BLOCKS),
            statistics.superior_predictive_ability(self._returns(selection, formulas, costs=True)),
        )

    def _returns(self, scorer: FormulaScorer, formulas: Sequence[Formula], *, costs: bool) -> FloatArray:
        return np.column_stack([net_returns(scorer, it, self._spec, costs=costs) for it in formulas])

    def _correlation(self, search: FormulaScorer, formula: Formula, formulas: Sequence[Formula]) -> float:
        pool = FormulaPool(2.0, 2.0)
        for other in (*self._known, *formulas):
            if other != formula:
                pool.hold(other, search.score(other))
        return pool.correlation(search.score(formula))

    def deflated(self, formula: Formula, trials: int) -> float:
        """Deflated Sharpe ratio after costs on search and selection days, over so many formulas of either sign."""
        ratios = [it.score.sharpe for it in self._loop.individuals.values() if it.score.sharpe is not None]
        if len(ratios) < 2:
            return math.nan
        returns = net_returns(self._seen, formula, self._spec, costs=True)
        return statistics.deflated_sharpe(returns, 2 * trials, float(np.var(ratios, ddof=1)))


def oriented(it: Individual) -> Formula:
    """The formula with the sign that it had on the search window: a higher value ranks higher."""
    if it.score.ic >= 0.0:
        return it.formula
    if isinstance(it.formula, Call) and it.formula.operator == _MINUS.name:
        return it.formula.arguments[0]
    return Call(_MINUS.name, (it.formula,))


_MINUS = OPERATORS["neg"]


def _held(it: Individual, score: FormulaScore) -> float:
    """T-statistic on the selection window with the sign of the search; below all others where it is dead."""
    return -math.inf if score.dead else score.t * float(np.sign(it.score.ic))


def _candidate(it: Individual, selection: FormulaScore, kept: bool) -> CandidateAlpha:
    sign = float(np.sign(it.score.ic)) or 1.0
    formula = oriented(it)
    return CandidateAlpha(
        formula=text_of(formula),
        digest=digest_of(formula),
        search_ic=sign * it.score.ic,
        search_t=sign * it.score.t,
        selection_ic=sign * selection.ic,
        selection_t=sign * selection.t,
        kept=kept,
    )
