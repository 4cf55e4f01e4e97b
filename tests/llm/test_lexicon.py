"""Sentiment by VADER's compound: goldens, and a missing wheel."""

from __future__ import annotations

import sys

import pytest

from ragsignal.errors import ModelError
from ragsignal.llm.lexicon import Lexicon


def test_good_words_are_above_zero_and_bad_ones_below() -> None:
    found = Lexicon().sentiment(["Strong growth, great profit!", "Fraud and a terrible loss", "Annual meeting"])
    assert found.round(4).tolist() == [0.9215, -0.8481, 0.0]


def test_no_text_has_no_sentiment() -> None:
    assert Lexicon().sentiment([]).shape == (0,)


def test_a_missing_wheel_is_answered_with_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    with pytest.raises(ModelError, match="pip install vaderSentiment"):
        Lexicon()
