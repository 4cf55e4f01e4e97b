"""A text is read once, whatever signal it is for, and an answer is never another text's or another model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.errors import ModelError
from ragsignal.retrieval.encoders import ShapeEncoder
from ragsignal.retrieval.retrievers import DenseRetriever
from ragsignal.signals.memo import ReadOnce, SentimentOnce
from ragsignal.signals.store import SignalStore
from ragsignal.types import FloatArray, Prompt, Recipe, Score
from ragsignal.utils import json_digest
from tests.fakes import HashScorer, corpus_of, every_query, market, pipeline_of

FRAMES = market()
QUERY = every_query(FRAMES)[-1]


def prompt(text: str, system: str = "") -> Prompt:
    return Prompt(QUERY, (), text, system)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), max_size=4))
def test_answers_are_those_of_the_scorer_and_each_text_is_read_once(calls: list[list[str]]) -> None:
    inner = HashScorer()
    memory = ReadOnce(inner, SignalStore(":memory:"))
    for texts in calls:
        prompts = [prompt(text) for text in texts]
        truth = [score.probability for score in HashScorer().score(prompts)]
        assert [score.probability for score in memory.score(prompts)] == truth
    read = [it.text for it in inner.seen]
    assert sorted(read) == sorted({text for texts in calls for text in texts})


def test_the_first_prompt_of_a_text_pays_and_the_others_are_told_apart() -> None:
    first, second = ReadOnce(HashScorer(), SignalStore(":memory:")).score([prompt("a"), prompt("a")])
    assert (first.reused, first.seconds, first.tokens) == (False, 0.25, 1)
    assert (second.reused, second.seconds, second.tokens) == (True, 0.0, 1)
    assert first.probability == second.probability


@pytest.mark.parametrize(
    ("salt", "asked"), [("", prompt("b")), ("", prompt("a", system="x")), ("other weights", prompt("a"))]
)
def test_another_text_another_role_and_another_model_are_read(salt: str, asked: Prompt) -> None:
    store = SignalStore(":memory:")
    ReadOnce(HashScorer(), store).score([prompt("a")])
    other = HashScorer(salt=salt)
    ReadOnce(other, store).score([asked])
    assert len(other.seen) == 1


def test_prompts_without_text_are_not_taken_for_each_other() -> None:
    inner = HashScorer()
    ReadOnce(inner, SignalStore(":memory:")).score([prompt(""), prompt("")])
    assert len(inner.seen) == 2


class Wrong(HashScorer):
    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        return [Score(float("nan"))] * len(prompts)


def test_what_is_no_probability_is_an_error_and_is_not_kept() -> None:
    store = SignalStore(":memory:")
    with pytest.raises(ModelError, match=r"P\(rise\) = nan"):
        ReadOnce(Wrong(), store).score([prompt("a")])
    assert not ReadOnce(HashScorer(), store).score([prompt("a")])[0].reused


def test_a_signal_of_another_recipe_with_the_same_prompt_is_made_anew_without_a_model_call() -> None:
    corpus, store = corpus_of(FRAMES), SignalStore(":memory:")
    first = pipeline_of(corpus, ReadOnce(HashScorer(), store), store)
    queries = every_query(FRAMES)
    here = first.signals(queries)
    # one more trading day held back changes the address of every signal, and hits only where the last day had one
    second = pipeline_of(corpus, ReadOnce(HashScorer(), store), store)
    second.retriever = DenseRetriever(corpus, ShapeEncoder(), k=3, embargo=1)
    there = second.signals(queries)
    assert second.cost.found == 0
    assert {it.key for it in here if it.key}.isdisjoint(it.key for it in there)
    same = sum(a.hits == b.hits for a, b in zip(here, there, strict=True) if a.abstained is None)
    assert 0 < same == second.cost.reused
    assert second.cost.model_calls == sum(it.abstained is None for it in there) - same


# ------------------------------------------------------------------------------------------------ news


@dataclass
class Tones:
    """Sentiment by the digest of a text; counts what it reads."""

    salt: str = ""
    read: list[str] = field(default_factory=list)

    @property
    def recipe(self) -> Recipe:
        return {"scorer": "tones", "salt": self.salt}

    def sentiment(self, texts: Sequence[str]) -> FloatArray:
        self.read += texts
        digests = [int(json_digest([self.salt, text])[:8], 16) for text in texts]
        return np.array([2 * digest / 0xFFFFFFFF - 1 for digest in digests], dtype=np.float64)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["up", "down", "", "a\x00b", "a"]), max_size=6), max_size=4))
def test_each_text_of_news_is_read_once_and_says_the_same_again(calls: list[list[str]]) -> None:
    inner, store = Tones(), SignalStore(":memory:")
    first = [SentimentOnce(inner, store).sentiment(texts).tolist() for texts in calls]
    for texts, found in zip(calls, first, strict=True):
        np.testing.assert_allclose(found, Tones().sentiment(texts), atol=1e-15)
        assert SentimentOnce(inner, store).sentiment(texts).tolist() == found  # to the last bit
    assert sorted(inner.read) == sorted({text for texts in calls for text in texts})


def test_another_scorer_of_news_is_asked_and_what_it_says_is_kept_apart() -> None:
    store, other = SignalStore(":memory:"), Tones("other weights")
    one = SentimentOnce(Tones(), store).sentiment(["up"])
    assert SentimentOnce(other, store).sentiment(["up"]) != one
    assert other.read == ["up"]


def test_a_killed_run_has_kept_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragsignal.signals.memo._KEPT_AT_ONCE", 2)
    store, steps, inner = SignalStore(":memory:"), list[tuple[int, int]](), Tones()

    def killed(done: int, total: int) -> None:
        steps.append((done, total))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SentimentOnce(inner, store, killed).sentiment(list("abcdef"))
    again = Tones()
    SentimentOnce(again, store).sentiment(list("abcdef"))
    assert (inner.read, again.read) == (list("abcd"), list("ef"))
    assert steps == [(0, 6), (2, 6), (4, 6)]


@pytest.mark.parametrize("value", [float("nan"), 1.5, -1.5])
def test_what_is_no_sentiment_is_an_error_and_is_not_kept(value: float) -> None:
    store, broken = SignalStore(":memory:"), Tones()
    broken.sentiment = lambda texts: np.full(len(texts), value)  # type: ignore[method-assign]
    with pytest.raises(ModelError, match=r"sentiment .* in \[-1, 1\] was expected"):
        SentimentOnce(broken, store).sentiment(["up"])
    assert SentimentOnce(Tones(), store).sentiment(["up"]) == Tones().sentiment(["up"])
