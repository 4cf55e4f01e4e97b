"""Figures of a formula are those of the textbooks, on the window and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from ragsignal.alpha import Search
from ragsignal.alpha.figures import DECAY, decay_of, window_figures
from ragsignal.alpha.scoring import FormulaScorer, centred_ranks, correlations, earned_by, turnover_of, weights_of
from ragsignal.data import load_prices, parse
from tests.searches import FADE, foreseen_market, search_spec


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 15), st.floats(0, 0.6))
def test_ranks_are_those_of_scipy_whatever_is_tied_or_missing(seed: int, symbols: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 6, (4, symbols)).astype(float)
    where = rng.random(values.shape) >= missing
    found = centred_ranks(values, where)
    for row, known, ranks in zip(values, where, found, strict=True):
        if known.any():
            expected = rankdata(row[known])
            assert ranks[known] == pytest.approx((expected - expected.mean()) / known.sum())
        assert (ranks[~known] == 0.0).all()


def test_the_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(0)
    values, labels = rng.integers(0, 9, (5, 30)).astype(float), rng.standard_normal((5, 30))
    everywhere = np.ones(values.shape, dtype=bool)
    series, there = correlations(centred_ranks(values, everywhere), centred_ranks(labels, everywhere), everywhere)
    assert there.all()
    assert series == pytest.approx([spearmanr(*pair).statistic for pair in zip(values, labels, strict=True)])
    constant, ranked = correlations(np.zeros(values.shape), centred_ranks(labels, everywhere), everywhere)
    assert not ranked.any()
    assert np.isnan(constant).all()


def test_a_portfolio_is_half_long_and_half_short_and_pays_for_what_it_trades() -> None:
    ranks = np.array([[-0.5, 0.0, 0.5], [0.5, 0.0, -0.5], [0.0, 0.0, 0.0]])
    weights = weights_of(ranks)
    assert weights.tolist() == [[-0.5, 0.0, 0.5], [0.5, 0.0, -0.5], [0.0, 0.0, 0.0]]
    assert turnover_of(weights).tolist() == [1.0, 2.0, 1.0]
    earned = np.array([[0.01, 0.0, 0.03], [np.nan, 0.0, 0.02], [0.0, 0.0, 0.0]])
    assert earned_by(weights, earned, 10.0) == pytest.approx([0.01 - 0.001, -0.01 - 0.002, -0.001])
    held = weights_of(ranks, 2)
    assert held[:2].tolist() == [[-0.25, 0.0, 0.25], [0.0, 0.0, 0.0]]


def test_what_a_position_earns_is_from_the_next_open_to_the_one_after_it() -> None:
    spec = search_spec()
    prices = load_prices(spec.data)
    part = Search(spec, prices).part
    frame = prices.frames["S03"]
    day = part.days[10]
    bar = int(np.searchsorted(frame.index.to_numpy(), day))
    opens = frame["open"].to_numpy()
    assert part.earned[10, 3] == opens[bar + 2] / opens[bar + 1] - 1
    assert part.labels[10, 3] == part.earned[10, 3]  # the default target


def test_a_formula_that_knows_what_follows_has_a_rank_correlation_of_one_and_loses_it_a_bar_later() -> None:
    spec = search_spec()
    search = Search(spec, foreseen_market(spec))
    for name in ("search", "selection", "holdout"):
        figures = window_figures(FormulaScorer(search.market.part(name)), parse(FADE), spec)
        assert figures.ic == pytest.approx(1.0)
        assert figures.days == search.market.part(name).labelled
        assert list(figures.quantiles) == sorted(figures.quantiles)
        assert figures.gross_sharpe > figures.sharpe > 0
        assert figures.p < 0.01
    decay = decay_of(FormulaScorer(search.market.part("seen")), parse(FADE))
    assert len(decay) == DECAY
    assert decay[0] == pytest.approx(1.0)
    assert max(decay[2:]) < 0.3


@pytest.mark.parametrize(("text", "dead"), [("close / close", "constant"), ("ts_mean(returns, 300)", "few")])
def test_a_formula_that_ranks_nothing_is_dead(text: str, dead: str) -> None:
    scored = FormulaScorer(Search(search_spec()).part).score(parse(text))
    assert scored.score.dead == dead
    assert np.isnan(scored.score.ic)


def test_the_fitness_knows_no_sign_and_alike_formulas_are_told() -> None:
    scorer = FormulaScorer(Search(search_spec()).part)
    plain, turned, other = (scorer.score(parse(it)) for it in (FADE, f"-({FADE})", "volume / ts_mean(volume, 5)"))
    assert plain.score.ic == pytest.approx(-turned.score.ic)
    assert plain.correlation(turned) == pytest.approx(1.0)
    assert plain.correlation(other) < 0.3
