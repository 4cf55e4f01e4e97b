"""Words that may come next in a formula, as a tree of characters, and what each of them makes necessary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from ragsignal.data import Kind


class Slot(NamedTuple):
    """A place for a part of a formula: what it has to be, how many operators stand around it, and its role."""

    wants: Kind
    level: int
    role: str = "argument"


class Tail(NamedTuple):
    """What may follow an operand: a sign and another operand; ``must`` where without it the part would be none.

    ``deepest`` is the greatest number of operators around anything in the operand, the outer ones included; ``signs``
    says which of them: ``all``, ``arithmetic``, ``comparing``, or ``scaling`` behind a number.
    """

    level: int
    deepest: int
    must: bool = False
    signs: str = "all"

    @property
    def reaches(self) -> int:
        """How many operators stand around the operand with the sign."""
        return self.level + 1 if self.must else self.deepest + 1

    @property
    def is_bare(self) -> bool:
        """Whether the operand is a field."""
        return self.deepest < self.level + 1 + self.must


class Literal(NamedTuple):
    """One of some texts."""

    texts: tuple[str, ...]


class Mark(NamedTuple):
    """A place where nothing or a blank stands: ``start``, ``end`` or ``over``."""

    name: str


Symbol: TypeAlias = Slot | Tail | Literal | Mark | str
"""What is still to come; a str stands for itself."""


class Word(NamedTuple):
    """What follows from a word: what has to come next, in order, and how many operators it stands in."""

    then: tuple[Symbol, ...] = ()
    reaches: int = 0


class Node:
    """A node of the tree: the characters that may come, the word that may end here, and the least left to write.

    ``best`` counts characters to the end of the nearest word and of all that it makes necessary.
    """

    __slots__ = ("best", "children", "word")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.word: Word | None = None
        self.best = float("inf")


def tree_of(words: Mapping[str, Word], costs: Mapping[str, float]) -> Node:
    """The tree of some words; ``costs`` are the characters that must follow each of them."""
    root = Node()
    for text, word in words.items():
        node, left = root, len(text) + costs[text]
        node.best = min(node.best, left)
        for character in text:
            node = node.children.setdefault(character, Node())
            left -= 1
            node.best = min(node.best, left)
        node.word = word
    return root
