"""Whatever a language model wants to say, a formula comes out: one that parses, within its limits, of past bars."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.alpha.ideas.draw import Sampling, draw
from ragsignal.alpha.ideas.grammar import Limits, TextGrammar
from ragsignal.alpha.ideas.tokens import Masks, vocabulary_of
from ragsignal.data import BAR_FIELDS, OPERATORS, Kind, Window, depth, parse, parts, text_of
from ragsignal.errors import ConfigError, ModelError
from tests.tokenizers import SaysAnything, byte_pairs, sentence_pieces

FIELDS = {**BAR_FIELDS, "sector": Kind.GROUP, "traded": Kind.TRUTH, "close_2": Kind.SERIES}
GRAMMARS = [TextGrammar(FIELDS, it) for it in (Limits(1, (5,)), Limits(3), Limits(6, (2, 504)))]
WHOLE = "rank((ts_delta(close, 5) - ts_mean(volume, 20)) / high) * -1"

some_words = st.lists(
    st.one_of(
        st.sampled_from(
            ["rank", " rank", "(close", "), ", "))", ", 5)", "ts_", "ts_delta(", " * -1", ")\n", "\n\n", " "]
        ),
        st.text("ts_deltrank(), 0125.-*<close\n", min_size=2, max_size=6),
    ),
    max_size=30,
)
tokenizers = st.tuples(st.sampled_from([byte_pairs, sentence_pieces]), some_words)


@settings(max_examples=40, deadline=None)
@given(
    tokenizers,
    st.integers(0, 2**31),
    st.floats(0, 1e4),
    st.booleans(),
    st.sampled_from(GRAMMARS),
    st.integers(4, 60),
)
def test_whatever_the_logits_and_the_tokenizer_the_text_is_a_formula(
    made: tuple[Callable[[list[str]], Any], list[str]],
    seed: int,
    scale: float,
    broken: bool,
    grammar: TextGrammar,
    tokens: int,
) -> None:
    tokenizer = made[0](made[1])
    width = len(tokenizer) + seed % 3 - 1  # models have more rows than their tokenizer, or fewer
    masks = Masks(grammar, vocabulary_of(tokenizer, width), "tiny")
    for text in draw(SaysAnything(width, seed, scale, broken), masks, "", [[seed, 0], [seed, 1]], Sampling(1, tokens)):
        formula = parse(text, FIELDS)
        assert 1 <= depth(formula) <= grammar.limits.depth
        assert {part.bars for part in parts(formula) if isinstance(part, Window)} <= set(grammar.limits.windows)
        assert parse(text_of(formula), FIELDS) == formula


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_way_to_the_end_is_as_short_as_is_said(data: st.DataObject) -> None:
    grammar = TextGrammar(FIELDS, Limits(4))
    state, text, cost = grammar.start, "", grammar.closing(grammar.start)
    for _ in range(data.draw(st.integers(0, 40))):
        nexts = {it: after for it in sorted(grammar.alphabet) if (after := grammar.step(state, it)) is not None}
        if not nexts:
            break
        character = data.draw(st.sampled_from(sorted(nexts)))
        state, text = nexts[character], text + character
        assert grammar.closing(state) >= cost - 1  # a character brings the end nearer by one at most
        cost = grammar.closing(state)
    while cost:  # and there is one that does
        character, state = next(
            (it, after)
            for it in sorted(grammar.alphabet)
            if (after := grammar.step(state, it)) is not None and grammar.closing(after) == cost - 1
        )
        text, cost = text + character, cost - 1
    parse(text.strip(), FIELDS)


def test_all_operators_of_the_registry_can_be_written() -> None:
    grammar = TextGrammar(FIELDS, Limits(3))
    kinds = {Kind.SERIES: "close", Kind.TRUTH: "traded", Kind.GROUP: "sector", Kind.WINDOW: "5", Kind.NUMBER: "0.5"}
    for name, operator in OPERATORS.items():
        written = f"{name}({', '.join(kinds[it] for it in operator.takes)})"
        whole = {Kind.GROUP: f"group_rank(close, {written})", Kind.TRUTH: f"rank({written})"}.get(
            operator.gives, written
        )
        text = text_of(parse(whole, FIELDS))
        if operator.sign not in ("**", "==", "&", "|", "~"):
            state = grammar.read(text)
            assert state is not None, text
            assert grammar.closing(state) == 0, text


@pytest.mark.parametrize(
    "text",
    [
        "ts_delta(close, -5)",  # a later bar
        "ts_delay(close, 0)",
        "ts_mean(close, 7)",  # no window of the list
        "rank(price)",  # no field
        "close",  # says no more than its name
        "5",
        "rank(5)",
        "rank(close, 5)",
        "rank(rank(rank(rank(close))))",  # too deep
        "close - open - low",  # a sign more than a level takes
        "rank(sector)",  # a group where a series is expected
        "where(close, open, low)",
        "close + + open",
        "rank(close) + 2",  # ranks as rank(close) does
        "where(volume > 2, open, close)",  # volume is compared with volumes, or with 0
        "close > open",  # tells two kinds of stocks apart, and ranks none
    ],
)
def test_what_is_no_formula_cannot_be_written(text: str) -> None:
    grammar = TextGrammar(FIELDS, Limits(3))
    state = grammar.read(text)
    assert state is None or grammar.closing(state) > 0


@pytest.mark.parametrize(
    "text",
    [WHOLE, " " + WHOLE, "where(traded, -close, 0.5)", "-rank(close) * 2", "rank(open < 0)", "2 * (open - close)"],
)
def test_what_is_one_can(text: str) -> None:
    grammar = TextGrammar(FIELDS, Limits(5))
    state = grammar.read(text)
    assert state is not None
    assert grammar.closing(state) == 0
    ended = grammar.step(state, "\n")
    assert ended is not None
    assert grammar.is_over(ended)


@pytest.mark.parametrize("make", [byte_pairs, sentence_pieces])
def test_a_tokens_text_is_what_it_adds(make: Callable[[list[str]], Any]) -> None:
    tokenizer = make([" rank", "rank", "(close"])
    texts = vocabulary_of(tokenizer, len(tokenizer)).texts
    assert {" rank", "rank", "(close", " ", "(", "a"} <= set(texts)
    assert "<end>" not in texts
    assert "</s>" not in texts
    ids = tokenizer("x rank(close", add_special_tokens=False)["input_ids"]
    assert "".join(texts[number] for number in ids).strip() == "x rank(close"


def test_equal_seeds_give_equal_texts_and_others_do_not() -> None:
    tokenizer = byte_pairs(["rank(", "close"])
    masks = Masks(TextGrammar(), vocabulary_of(tokenizer, len(tokenizer)), "tiny")

    def drawn(seed: int) -> list[str]:
        seeds = [[seed, number] for number in range(4)]
        return draw(SaysAnything(len(tokenizer), 0), masks, "", seeds, Sampling())

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_a_formula_ends_in_time_where_few_tokens_are_left() -> None:
    tokenizer = byte_pairs([])
    masks = Masks(TextGrammar(limits=Limits(6)), vocabulary_of(tokenizer, len(tokenizer)), "tiny")
    shortest = int(masks.grammar.closing(masks.grammar.start))
    for tokens in (shortest, shortest + 1, 20, 40):
        texts = draw(
            SaysAnything(len(tokenizer), tokens), masks, "", [[0, it] for it in range(20)], Sampling(1, tokens)
        )
        assert all(len(text) <= tokens for text in texts)
        assert all(parse(text) for text in texts)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Limits(depth=0), r"depth = 0: a formula may have 1 to 12 operators"),
        (lambda: Limits(depth=40), r"depth = 40"),
        (lambda: Limits(windows=(5, -1)), r"windows = \(5, -1\): bars .* a window below 1 would reach a later bar"),
        (lambda: Limits(windows=()), r"windows = \(\): bars that end with the present one were expected"),
        (lambda: Limits(numbers=(float("inf"),)), r"numbers = \(inf,\): a formula holds finite numbers"),
        (
            lambda: TextGrammar({"adj close": Kind.SERIES}),
            r"the field 'adj close' cannot be written .* letters, digits",
        ),
        (lambda: TextGrammar({"in": Kind.SERIES}), r"the field 'in' cannot be written"),
        (lambda: TextGrammar({"größe": Kind.SERIES}), r"the field 'größe' cannot be written"),
        (lambda: TextGrammar({}), r"no formula can be written of the fields \(none\) and the operators"),
        (
            lambda: TextGrammar({"sector": Kind.GROUP}),
            r"no formula can be written of the fields sector .* expected a series",
        ),
        (lambda: TextGrammar(operators={}), r"and the operators \(none\)"),
        (lambda: Sampling(temperature=0), r"temperature = 0: a number of 0.01 to 100 was expected"),
        (lambda: Sampling(tokens=1000), r"tokens = 1000: 1 to 200 tokens a formula were expected, such as 48"),
        (lambda: Sampling(rows=0), r"rows = 0: at least one formula"),
    ],
)
def test_wrong_limits_are_answered_in_a_line(wrong: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        wrong()
    assert "\n" not in str(error.value)


def test_too_few_tokens_for_any_formula() -> None:
    tokenizer = byte_pairs([])
    masks = Masks(TextGrammar(), vocabulary_of(tokenizer, len(tokenizer)), "tiny")
    with pytest.raises(ConfigError, match=r"tokens = 3: the shortest formula may take 4 tokens; write at least"):
        draw(SaysAnything(len(tokenizer), 0), masks, "", [[0]], Sampling(tokens=3))


def test_a_tokenizer_without_brackets() -> None:
    tokenizer = sentence_pieces(["rank("], without="(")
    with pytest.raises(ModelError, match=re.escape("the tokenizer of tiny has no token for '(', which formulas")):
        Masks(TextGrammar(), vocabulary_of(tokenizer, len(tokenizer)), "tiny")
