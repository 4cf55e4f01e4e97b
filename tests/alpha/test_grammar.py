"""What is drawn, crossed and mutated is a formula that can be written, read and evaluated, and is not too deep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.alpha.grammar import Grammar
from ragsignal.alpha.levels import LevelProbe
from ragsignal.alpha.likeness import common_share, inner_parts
from ragsignal.alpha.variation import crossover, mutate
from ragsignal.data import BAR_FIELDS, OPERATORS, Call, Formula, Kind, depth, digest_of, parse, parts, text_of
from tests.searches import search_spec

DEPTH = 4
GRAMMAR = Grammar.of(search_spec(alpha={"depth": DEPTH}).alpha)
SEEDS = st.integers(0, 2**32 - 1)


def is_sound(formula: Formula) -> bool:
    """Whether a formula can be written and read."""
    return digest_of(parse(text_of(formula))) == digest_of(formula) and isinstance(formula, Call)


@settings(deadline=None, max_examples=150)
@given(SEEDS, st.integers(1, DEPTH))
def test_what_is_drawn_can_be_read_and_is_no_deeper_than_it_may_be(seed: int, levels: int) -> None:
    formula = GRAMMAR.ramped(np.random.default_rng(seed), levels)
    assert is_sound(formula)
    assert depth(formula) <= max(levels, 1 + GRAMMAR.least[Kind.GROUP])  # groups have to be made first


@settings(deadline=None, max_examples=150)
@given(SEEDS)
def test_children_can_be_read_and_are_no_deeper_than_they_may_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = GRAMMAR.ramped(rng, DEPTH), GRAMMAR.ramped(rng, DEPTH)
    for child in (crossover(rng, left, right, DEPTH), mutate(rng, left, GRAMMAR, DEPTH)):
        if child is not None:
            assert is_sound(child)
            assert depth(child) <= DEPTH


def test_every_operator_is_drawn() -> None:
    rng = np.random.default_rng(0)
    drawn = {it.operator for _ in range(4000) for it in parts(GRAMMAR.ramped(rng, DEPTH)) if isinstance(it, Call)}
    assert drawn == set(OPERATORS)


def test_only_the_fields_that_are_named_are_read() -> None:
    grammar = Grammar.of(search_spec(alpha={"fields": ["returns"]}).alpha)
    rng = np.random.default_rng(0)
    texts = {text_of(grammar.ramped(rng, 3)) for _ in range(200)}
    assert not any(name in text for text in texts for name in BAR_FIELDS if name != "returns")


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("close", True),
        ("ts_delta(close, 5)", True),
        ("rank(open - close)", True),
        ("close + volume", True),
        ("volume", True),
        ("returns", False),
        ("ts_delta(close, 5) / close", False),
        ("rank(ts_delta(close, 5) / ts_mean(close, 20))", False),
        ("rank(volume / ts_mean(volume, 20)) - rank(ts_mean(returns, 5))", False),
        ("close < open", False),
        ("log(close / open)", False),
    ],
)
def test_formulas_of_price_levels_are_told_from_those_of_ratios(text: str, reads: bool) -> None:
    assert LevelProbe(60).reads_levels(parse(text)) is reads


@pytest.mark.parametrize(
    ("text", "compares"),
    [
        ("where(close < 2, returns, -returns)", True),
        ("ts_count(close < 0.25, 20)", True),
        ("max(close, 0.5) / close", True),
        ("ts_sum(returns >= close, 5)", True),
        ("vwap < volume", True),
        ("where(returns < 0.02, returns, -returns)", False),
        ("ts_delta(close, 5) / close", False),
        ("min(returns, volume)", False),
        ("rank(volume / ts_mean(volume, 20)) - rank(ts_mean(returns, 5))", False),
        ("ts_corr(log(close), log(volume), 10)", False),
        ("ts_skew(log(close), 10)", False),
    ],
)
def test_formulas_that_compare_price_levels_with_what_does_not_move_with_them_are_told(
    text: str, compares: bool
) -> None:
    assert LevelProbe(60).compares_levels(parse(text)) is compares


def test_the_common_part_is_the_largest_one_whatever_the_order_of_operands() -> None:
    known = inner_parts([parse("rank(close / open) * volume")])
    assert common_share(parse("rank(close / open)"), known) == 1.0
    assert common_share(parse("volume * rank(close / open)"), known) == 1.0
    assert common_share(parse("-rank(close / open)"), known) == 4 / 5
    assert common_share(parse("high / low"), known) == 0.0
