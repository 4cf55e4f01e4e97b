"""An encoder of words that needs no model, and knowledge of templates with it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragsignal.alpha.ideas.knowledge import Knowledge, Known
from ragsignal.alpha.ideas.templates import template_formulas
from ragsignal.data import BAR_FIELDS, Kind

WIDTH = 4096


class CountsWords:
    """Vectors of the words of a sentence: alike where they share words."""

    digest = "counts words"

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.encoded += len(texts)
        rows = np.zeros((len(texts), WIDTH), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in {it.rstrip("s") for it in re.findall(r"[a-z]{3,}", text.lower())} | {""}:
                row[int(hashlib.sha256(word.encode()).hexdigest(), 16) % WIDTH] += 1.0 if word else 0.3
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def made_knowledge(
    folder: Path, fields: Mapping[str, Kind] = BAR_FIELDS, floor: float = 0.25, more: Sequence[Known] = ()
) -> Knowledge:
    """Templates, and what else is known."""
    return Knowledge([*more, *template_formulas(fields)], CountsWords(), folder / "vectors.sqlite", floor)
