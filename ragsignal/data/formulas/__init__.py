"""Formulas over panels of bars: read, written, checked, evaluated; none of them can look ahead."""

from __future__ import annotations

import ragsignal.data.formulas.cross_section
import ragsignal.data.formulas.elements
import ragsignal.data.formulas.groups
import ragsignal.data.formulas.over_time  # noqa: F401 - the last of four that make the operators known
from ragsignal.data.formulas.evaluate import Evaluator
from ragsignal.data.formulas.formula import (
    LONGEST,
    Call,
    Field,
    Formula,
    Kind,
    Number,
    Window,
    depth,
    fields_of,
    parts,
    size,
)
from ragsignal.data.formulas.kept import ALPHA, AlphaDays, alpha_days, is_alpha
from ragsignal.data.formulas.library import STAND_INS, LibraryFormula, library
from ragsignal.data.formulas.panel import FieldPanel, field_panel
from ragsignal.data.formulas.parse import BAR_FIELDS, parse
from ragsignal.data.formulas.registry import OPERATORS, Operator, check_call, fits, kind_of, memory
from ragsignal.data.formulas.words import ExplainedPart, explain, words_of
from ragsignal.data.formulas.write import canonical, digest_of, text_of

__all__ = [
    "ALPHA",
    "BAR_FIELDS",
    "LONGEST",
    "OPERATORS",
    "STAND_INS",
    "AlphaDays",
    "Call",
    "Evaluator",
    "ExplainedPart",
    "Field",
    "FieldPanel",
    "Formula",
    "Kind",
    "LibraryFormula",
    "Number",
    "Operator",
    "Window",
    "alpha_days",
    "canonical",
    "check_call",
    "depth",
    "digest_of",
    "explain",
    "field_panel",
    "fields_of",
    "fits",
    "is_alpha",
    "kind_of",
    "library",
    "memory",
    "parse",
    "parts",
    "size",
    "text_of",
    "words_of",
]
