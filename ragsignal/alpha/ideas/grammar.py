"""All formulas that may be written, as an automaton over characters.

It writes calls, and between brackets at most one sign at a level, with the blanks of
:func:`ragsignal.data.text_of`; so that no rule of precedence is needed, and what it takes to its end is
always read by :func:`ragsignal.data.parse`. It is made of the operators' registry: kinds of arguments, the least
windows, signs. A window is one of a list of numbers above 0, so that none that is negative can be written.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ragsignal.alpha.ideas.lexicon import Literal, Mark, Node, Slot, Symbol, Tail, Word, tree_of
from ragsignal.data import (
    BAR_FIELDS,
    OPERATORS,
    Call,
    Field,
    Formula,
    Kind,
    Number,
    Operator,
    Window,
    check_call,
    text_of,
)
from ragsignal.errors import ConfigError

_START, _END, _OVER = Mark("start"), Mark("end"), Mark("over")
_DEEPEST = 12  # the parser reads 40 operators within each other, and nobody reads as many
_SERIES = (Kind.SERIES, Kind.TRUTH)


@dataclass(frozen=True)
class Limits:
    """How large a formula may be.

    Parameters
    ----------
    depth : int
        Operators within each other, 1 to 12.
    windows : tuple of int
        In bars, each above 0.
    numbers : tuple of float
        Besides 0, which only stands beside a comparison.
    """

    depth: int = 4
    windows: tuple[int, ...] = (1, 2, 3, 5, 10, 20, 60, 120, 250)
    numbers: tuple[float, ...] = (-1.0, 0.5, 2.0)

    def __post_init__(self) -> None:
        if not 1 <= self.depth <= _DEEPEST:
            raise ConfigError(f"depth = {self.depth}: a formula may have 1 to {_DEEPEST} operators within each other")
        if not self.windows or min(self.windows) < 1:
            raise ConfigError(
                f"windows = {self.windows}: bars that end with the present one were expected, such as (5, 20); a "
                "window below 1 would reach a later bar, or none"
            )
        if not all(map(math.isfinite, self.numbers)):
            raise ConfigError(f"numbers = {self.numbers}: a formula holds finite numbers")


class State(NamedTuple):
    """How far a text is: what is to come (the next one last), where in its tree, and the least after that."""

    stack: tuple[Symbol, ...]
    node: Node
    rest: float


class TextGrammar:
    """The formulas of some fields and operators.

    Parameters
    ----------
    fields : mapping of str to Kind
        Of the panel.
    limits : Limits, optional
    operators : mapping of str to Operator
        Those of :data:`~ragsignal.data.OPERATORS`, or some of them.

    Attributes
    ----------
    alphabet : frozenset of str
        The characters that formulas are written with; a new line may end one besides.
    start : State
        Of an empty text.

    Raises
    ------
    ConfigError
        If a field cannot be written in a formula, or no formula can be.
    """

    def __init__(
        self,
        fields: Mapping[str, Kind] = BAR_FIELDS,
        limits: Limits = Limits(),
        operators: Mapping[str, Operator] = OPERATORS,
    ) -> None:
        self.fields, self.limits = dict(fields), limits
        for name in fields:
            if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
                raise ConfigError(
                    f"the field {name!r} cannot be written in a formula; give it a name of letters, digits and '_'"
                )
        infix = {name for name, it in operators.items() if it.sign in _SIGNS and it.takes == (Kind.SERIES,) * 2}
        negation = {name for name, it in operators.items() if it.sign == "-" and it.takes == (Kind.SERIES,)}
        self._signs = {f" {operators[name].sign} ": operators[name].gives for name in sorted(infix)}
        self._negates = bool(negation)
        self._called = {name: it for name, it in operators.items() if name not in infix | negation}
        self._trees: dict[Symbol, Node] = {}
        self._literals = {name: self._allowed_literals(it) for name, it in self._called.items()}
        texts = [*self.fields, *self._called, *self._signs, *self._numbers(zero=True), *map(str, limits.windows)]
        self.alphabet = frozenset("".join(texts) + "(), -")
        self.start = self._entered((_END, Slot(Kind.SERIES, 0, "whole"), _START))
        if not self.closing(self.start) < math.inf:
            raise ConfigError(
                f"no formula can be written of the fields {', '.join(fields) or '(none)'} and the operators "
                f"{', '.join(operators) or '(none)'}; expected a series such as close, and an operator on it"
            )

    def step(self, state: State, character: str) -> State | None:
        """The state after one more character; None where it may not come."""
        while True:
            child = state.node.children.get(character)
            if child is not None:  # a word that nothing can prolong is over at once
                return State(state.stack, child, state.rest) if child.children else self._after(state, child)
            if state.node.word is None:
                return None
            state = self._after(state, state.node)

    def read(self, text: str) -> State | None:
        """The state after a text from the start; None where it is not the beginning of a formula."""
        state: State | None = self.start
        for character in text:
            state = None if state is None else self.step(state, character)
        return state

    def closing(self, state: State) -> float:
        """The least number of characters by which the formula would be whole; 0 where it is."""
        return state.node.best + state.rest

    def is_over(self, state: State) -> bool:
        """Whether the formula was ended by a new line."""
        return state.stack[-1] == _OVER

    def _after(self, state: State, node: Node) -> State:
        """The state after a word."""
        word = node.word
        assert word is not None
        below = tuple(_raised(it, word.reaches) for it in state.stack[:-1])
        return self._entered(below + word.then[::-1])

    def _entered(self, stack: tuple[Symbol, ...]) -> State:
        return State(stack, self._tree(stack[-1]), sum(self._tree(it).best for it in stack[:-1]))

    def _tree(self, symbol: Symbol) -> Node:
        """The words that may come for a symbol; those after which nothing could be finished are left out."""
        if symbol not in self._trees:
            words = dict(self._words(symbol))
            # after the end come new lines only, which lead nowhere else
            costs = {text: sum(self._tree(it).best for it in word.then if it != _OVER) for text, word in words.items()}
            tree = tree_of({text: words[text] for text in words if costs[text] < math.inf}, costs)
            if isinstance(symbol, Mark):
                tree.best = 0.0  # a text may end here without a word
            self._trees[symbol] = tree
        return self._trees[symbol]

    def _words(self, symbol: Symbol) -> Iterator[tuple[str, Word]]:
        if isinstance(symbol, str):
            yield symbol, Word()
        elif isinstance(symbol, Literal):
            yield from ((text, Word()) for text in symbol.texts)
        elif isinstance(symbol, Tail):
            yield from self._tail(symbol)
        elif isinstance(symbol, Slot):
            yield from self._slot(symbol)
        elif symbol == _START:
            yield from (("", Word()), (" ", Word()))
        else:  # a text ends with a new line; what comes after it is cut off
            yield "\n", Word((_OVER,))

    def _slot(self, slot: Slot) -> Iterator[tuple[str, Word]]:
        """Words that begin what a slot wants."""
        level = slot.level
        if slot.wants is Kind.GROUP:
            yield from self._plain((Kind.GROUP,), level)
        elif slot.wants is Kind.TRUTH:
            for text, word in self._operand(level + 1):
                tail = Tail(level, word.reaches, must=True, signs="comparing")
                yield text, Word((*word.then, tail), word.reaches)
            yield from self._plain((Kind.TRUTH,), level)
        elif slot.role in ("argument", "last", "whole"):
            yield from self._side(slot)
        elif slot.role == "zero":
            yield from (*self._operand(level, negated=False), ("0", Word()))
        else:
            yield from self._operand(level, negated=slot.role == "left")
            if slot.role in ("scaled", "compared"):
                yield from ((text, Word()) for text in self._numbers(zero=slot.role == "compared"))

    def _side(self, slot: Slot) -> Iterator[tuple[str, Word]]:
        """Words that begin an operand after which a sign may come."""
        level, whole = slot.level, slot.role == "whole"
        for text, word in self._operand(level, kinds=(Kind.SERIES,) if whole else _SERIES):
            # a field alone says no more than its name, and a condition alone tells two kinds of stocks apart
            tail = Tail(level, word.reaches, must=whole and text in self.fields, signs="arithmetic" if whole else "all")
            yield text, Word((*word.then, tail), word.reaches)
        for text in self._numbers():
            last = slot.role == "last"
            yield text, Word(() if last else (Tail(level, level, must=True, signs="scaling"),), level + (not last))

    def _operand(
        self, level: int, negated: bool = True, kinds: tuple[Kind, ...] = _SERIES
    ) -> Iterator[tuple[str, Word]]:
        """Words that begin a series, a condition, a bracket or a minus sign."""
        if level > self.limits.depth:
            return
        yield from self._plain(kinds, level)
        if level == self.limits.depth:
            return
        inner = Slot(Kind.SERIES, level + 1, "left")
        yield "(", Word((inner, Tail(level, level, must=True, signs="arithmetic"), ")"), level + 1)
        if negated and self._negates:
            yield "-", Word((Slot(Kind.SERIES, level + 1, "negated"),), level + 1)

    def _plain(self, kinds: tuple[Kind, ...], level: int) -> Iterator[tuple[str, Word]]:
        """Fields and calls that give one of some kinds."""
        if level > self.limits.depth:
            return
        yield from ((name, Word((), level)) for name, kind in self.fields.items() if kind in kinds)
        if level == self.limits.depth:
            return
        for name, operator in self._called.items():
            if operator.gives in kinds:
                yield f"{name}(", Word(self._arguments(operator, level + 1), level + 1)

    def _arguments(self, operator: Operator, level: int) -> tuple[Symbol, ...]:
        """What has to follow the name of an operator and its bracket."""
        symbols: list[Symbol] = []
        windows, numbers = self._literals[operator.name]
        last = len(operator.takes) - 1
        for place, kind in enumerate(operator.takes):
            series_before = operator.family == "element" and Kind.SERIES in operator.takes[:place]
            role = "last" if place == last and series_before else "argument"
            given = {Kind.WINDOW: Literal(windows), Kind.NUMBER: Literal(numbers)}
            symbols += [given.get(kind, Slot(kind, level, role)), ", " if place < last else ")"]
        return tuple(symbols) or (")",)

    def _tail(self, tail: Tail) -> Iterator[tuple[str, Word]]:
        if not tail.must:
            yield "", Word()
        if tail.reaches > self.limits.depth:
            return
        for sign, gives in self._signs.items():
            compares, scales = gives is Kind.TRUTH, sign in (" * ", " / ")
            wanted = {"all": True, "arithmetic": not compares, "comparing": compares, "scaling": scales}[tail.signs]
            if wanted:
                # a field is compared with no number but 0, and a sum with a number ranks stocks as before
                role = ("zero" if tail.is_bare else "compared") if compares else "scaled" if scales else "right"
                role = "right" if tail.signs == "scaling" else role
                yield sign, Word((Slot(Kind.SERIES, tail.level + 1, role),), tail.reaches)

    def _numbers(self, zero: bool = False) -> tuple[str, ...]:
        return tuple(text_of(Number(value)) for value in (*self.limits.numbers, *((0.0,) if zero else ())))

    def _allowed_literals(self, operator: Operator) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Windows and numbers that the operator takes, as texts."""
        windows = [Window(bars) for bars in self.limits.windows]
        numbers = [Number(value) for value in (*self.limits.numbers, 0.0)]
        usable = [it for it in windows if any(_takes(operator, it, number) for number in numbers)]
        fitting = [it for it in numbers if any(_takes(operator, window, it) for window in windows)]
        return tuple(map(text_of, usable)), tuple(map(text_of, fitting))


_SIGNS = ("+", "-", "*", "/", "<", ">", "<=", ">=")


def _takes(operator: Operator, window: Window, number: Number) -> bool:
    """Whether an operator can be called with this window and number."""
    given: dict[Kind, Formula] = {Kind.WINDOW: window, Kind.NUMBER: number}
    try:
        check_call(Call(operator.name, tuple(given.get(kind, Field("x", kind)) for kind in operator.takes)))
    except ConfigError:
        return False
    return True


def _raised(symbol: Symbol, reaches: int) -> Symbol:
    """A symbol under which something stands in so many operators."""
    return symbol._replace(deepest=max(symbol.deepest, reaches)) if isinstance(symbol, Tail) else symbol
