"""Which tokens may come next: the automaton over characters, walked along a tree of a tokenizer's vocabulary."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ragsignal.alpha.ideas.grammar import State, TextGrammar
from ragsignal.errors import ModelError
from ragsignal.types import BoolArray, FloatArray, IntArray

_KEPT = 1 << 14  # states whose tokens are remembered; some kB each


class TokenVocabulary:
    """A tokenizer's vocabulary.

    Parameters
    ----------
    texts : sequence of str
        What each token adds to a text, by its number; empty of those that add none.
    ends : collection of int
        Tokens that end a text.
    """

    def __init__(self, texts: Sequence[str], ends: Collection[int]) -> None:
        self.texts = tuple(texts)
        self.ends = tuple(sorted(ends))
        self.tree: _Branch = _Branch()
        for number, text in enumerate(texts):
            if text and number not in ends:
                branch = self.tree
                for character in text:
                    branch = branch.children.setdefault(character, _Branch())
                branch.tokens.append(number)


class _Branch:
    __slots__ = ("children", "tokens")

    def __init__(self) -> None:
        self.children: dict[str, _Branch] = {}
        self.tokens: list[int] = []


def vocabulary_of(tokenizer: Any, width: int) -> TokenVocabulary:
    """The vocabulary of a tokenizer of transformers, whatever its kind.

    A token's text is what it adds behind another one: so the blank before a word stays, which byte pairs write as
    ``Ġ`` and SentencePiece as ``▁`` (and leaves out at the beginning of a text), and bytes are characters.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
    width : int
        Numbers that the model gives a token: a model may know fewer tokens than its tokenizer, or more.
    """
    known = sorted(number for number in tokenizer.get_vocab().values() if number < width)
    special = set(tokenizer.all_special_ids)
    anchor = next((it for it in tokenizer("(", add_special_tokens=False)["input_ids"][-1:]), known[0])
    options = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    before = tokenizer.decode([anchor], **options)
    decoded = tokenizer.batch_decode([[anchor, number] for number in known], **options)
    texts = [""] * width
    for number, text in zip(known, decoded, strict=True):
        if number not in special and text.startswith(before):
            texts[number] = text[len(before) :]
    end = tokenizer.eos_token_id
    return TokenVocabulary(texts, [] if end is None or end >= width else [end])


class Masks:
    """The tokens that may come next in a formula.

    Parameters
    ----------
    grammar : TextGrammar
    vocabulary : TokenVocabulary
    name : str
        Of the model, for messages.

    Raises
    ------
    ModelError
        If the vocabulary lacks a character of formulas as a token of its own: then a text might have no next token.
    """

    def __init__(self, grammar: TextGrammar, vocabulary: TokenVocabulary, name: str) -> None:
        missing = sorted(
            it
            for it in grammar.alphabet
            if it not in vocabulary.tree.children or not vocabulary.tree.children[it].tokens
        )
        if missing:
            raise ModelError(
                f"the tokenizer of {name} has no token for {', '.join(map(repr, missing))}, which formulas are written "
                "with; name a model that reads single characters, such as embedded:SmolLM2-135M-Instruct"
            )
        self.grammar, self.vocabulary = grammar, vocabulary
        self._ends = np.array(vocabulary.ends, dtype=np.int64)
        self._found: dict[State, tuple[IntArray, FloatArray, BoolArray]] = {}

    def allowed(self, state: State, left: int) -> IntArray:
        """Numbers of the tokens that may come next, of which there are ``left`` more at most.

        A token may come if the formula can be whole within those that are left after it; each character that it lacks
        is a token by itself, so there always is one where there was one before.

        Returns
        -------
        array of int64
            Empty where the formula is whole and can only end.
        """
        if state not in self._found:
            if len(self._found) >= _KEPT:
                self._found.clear()
            self._found[state] = self._walk(state)
        tokens, costs, ended = self._found[state]
        within = costs <= left - 1
        if self.grammar.closing(state) > 0:
            return tokens[within]
        if not np.any(within & ~ended):
            return tokens[:0]
        return np.concatenate([tokens[within], self._ends])

    def after(self, state: State, token: int) -> State | None:
        """The state after a token; None after one that ends the text."""
        if token in self.vocabulary.ends:
            return None
        reached: State | None = state
        for character in self.vocabulary.texts[token]:
            assert reached is not None
            reached = self.grammar.step(reached, character)
        assert reached is not None
        return None if self.grammar.is_over(reached) else reached

    def _walk(self, state: State) -> tuple[IntArray, FloatArray, BoolArray]:
        """All tokens that may come, the characters that the formula lacks after each, and whether it is over then."""
        tokens: list[int] = []
        costs: list[float] = []
        ended: list[bool] = []
        open_ends = [(self.vocabulary.tree, state)]
        while open_ends:
            branch, reached = open_ends.pop()
            if branch.tokens:
                tokens += branch.tokens
                costs += [self.grammar.closing(reached)] * len(branch.tokens)
                ended += [self.grammar.is_over(reached)] * len(branch.tokens)
            for character, child in branch.children.items():
                further = self.grammar.step(reached, character)
                if further is not None:
                    open_ends.append((child, further))
        order = np.argsort(tokens, kind="stable")
        return np.array(tokens, dtype=np.int64)[order], np.array(costs)[order], np.array(ended, dtype=bool)[order]
