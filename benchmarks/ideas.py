"""Formulas drawn from the embedded language model: how many parse and differ, and seconds of a processor.

python benchmarks/ideas.py [DRAWS]
"""

from __future__ import annotations

import sys
import time
from typing import Any

from ragsignal.alpha.ideas.brief import polish, prompt_of
from ragsignal.alpha.ideas.causal import CausalModel
from ragsignal.alpha.ideas.draw import Sampling, draw
from ragsignal.alpha.ideas.grammar import Limits, TextGrammar
from ragsignal.alpha.ideas.opened import open_knowledge
from ragsignal.alpha.ideas.tokens import Masks
from ragsignal.artifacts import resolve
from ragsignal.config import IdeasSpec
from ragsignal.data import BAR_FIELDS, digest_of, parse


class Timed:
    """Counts a model's seconds and tokens."""

    def __init__(self, model: CausalModel) -> None:
        self._model = model
        self.seconds, self.tokens = 0.0, 0

    def begin(self, prompt: str, rows: int, tokens: int) -> Any:
        return self._timed(self._model.begin, rows, prompt, rows, tokens)

    def go_on(self, rows: Any, tokens: Any) -> Any:
        return self._timed(self._model.go_on, len(rows), rows, tokens)

    def _timed(self, call: Any, rows: int, *arguments: Any) -> Any:
        began = time.process_time()
        logits = call(*arguments)
        self.seconds += time.process_time() - began
        self.tokens += rows
        return logits


def main(draws: int) -> None:
    brief = polish("momentum of volume", BAR_FIELDS, open_knowledge(IdeasSpec()))
    model = CausalModel(resolve("embedded:SmolLM2-135M-Instruct"))
    began = time.process_time()
    vocabulary = model.vocabulary
    masks = Masks(TextGrammar(BAR_FIELDS, Limits()), vocabulary, model.ref)
    print(f"vocabulary of {len(vocabulary.texts):,} tokens and grammar: {time.process_time() - began:.1f} s")
    timed, began, texts = Timed(model), time.process_time(), []
    for start in range(0, draws, 8):
        seeds = [(0, number) for number in range(start, min(draws, start + 8))]
        texts += draw(timed, masks, prompt_of(brief), seeds, Sampling())
    spent = time.process_time() - began
    formulas = [parse(text) for text in texts]  # raises where one does not parse
    print(f"{len(formulas)} of {draws} draws parse, {len(set(map(digest_of, formulas)))} are distinct")
    print(f"{spent / draws:.2f} s a formula, {timed.tokens / draws:.1f} tokens a formula")
    print(f"grammar: {1e3 * (spent - timed.seconds) / timed.tokens:.2f} ms a token; ", end="")
    print(f"model: {1e3 * timed.seconds / timed.tokens:.1f} ms a token, eight side by side")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
