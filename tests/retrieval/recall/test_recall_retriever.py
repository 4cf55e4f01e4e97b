"""The retriever: order, options, its own refusal of the future, and inputs that cannot be used."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragsignal.artifacts.artifact import Artifact, save_artifact
from ragsignal.config import CorpusSpec
from ragsignal.data.bins import shipped_bins
from ragsignal.errors import ConfigError, LookAheadError, ModelError
from ragsignal.retrieval.corpus import Corpus, build_corpus
from ragsignal.retrieval.recall.reader import RecallReader
from ragsignal.retrieval.recall.retriever import Naming, RecallRetriever
from ragsignal.types import Query
from tests.markets import Frames, bars, queries_of
from tests.tiny import TINY_VOCABULARY, tiny_recall

FRAMES: Frames = {name: bars(70, seed) for seed, name in enumerate("ABC")}
SPEC = CorpusSpec(indicators=("adj_close", "volume", "alpha101"))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return tiny_recall(tmp_path_factory.mktemp("recall") / "r")


@pytest.fixture(scope="module")
def reader(artifact: Artifact) -> RecallReader:
    return RecallReader(artifact, shipped_bins())


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return build_corpus(FRAMES, SPEC)


@pytest.fixture(scope="module")
def queries() -> list[Query]:
    return queries_of(FRAMES, "A", every=7)[2:]


def by_hand(reader: RecallReader, retriever: RecallRetriever, query: Query) -> list[tuple[float, int]]:
    """Minus the score, and minus the row, of every visible candidate, best first; without a trie, a beam or a cache."""
    import torch

    from ragsignal.retrieval.recall.model import load_model, token_log_probabilities

    corpus, weight = retriever.corpus, retriever.naming.title_weight
    visible = corpus.visible(query.as_of)
    tokens = reader.tokens(corpus)
    names = tokens.of_rows(np.arange(visible))
    context = tokens.of_queries([query], corpus.available_at[[visible - 1]])
    if weight == 0.0:
        names = np.column_stack([np.full(visible, tokens.vocabulary.any_title), names[:, 2:]])
    whole = torch.from_numpy(np.hstack([np.repeat(context, visible, axis=0), names]))
    with torch.inference_mode():
        steps = token_log_probabilities(load_model(reader._artifact.folder), whole, names.shape[1]).numpy()
    title, prefix = (steps[:, :1], steps[:, 1:]) if weight == 0.0 else (steps[:, :2], steps[:, 2:])
    scores = np.round(weight * title.mean(axis=1) + (1 - weight) * prefix.mean(axis=1), 6)
    return sorted(zip((-scores).tolist(), (-np.arange(visible)).tolist(), strict=True))


@pytest.mark.parametrize("weight", [0.9, 0.5, 1.0, 0.0])
def test_kept_wide_enough_it_ranks_all_candidates_by_their_names(
    reader: RecallReader, corpus: Corpus, queries: list[Query], weight: float
) -> None:
    naming = Naming(titles=10_000, beam=1000, title_weight=weight)
    retriever = RecallRetriever(corpus, reader, k=10_000, naming=naming)
    for query in (queries[0], queries[-1]):
        (hits,) = retriever.retrieve([query])
        wanted = by_hand(reader, retriever, query)
        np.testing.assert_allclose([hit.score for hit in hits], [-score for score, _ in wanted], atol=2e-6)


def test_of_one_name_the_latest_known_come_first(reader: RecallReader, corpus: Corpus, queries: list[Query]) -> None:
    retriever = RecallRetriever(corpus, reader, k=30, naming=Naming(title_weight=1.0))
    for hits in retriever.retrieve(queries):
        for _, group in itertools.groupby(hits, lambda hit: hit.score):
            days = [hit.candidate.available_at for hit in group]
            assert days == sorted(days, reverse=True)


def test_what_is_kept_narrows_the_search_and_is_widened_where_it_holds_too_few(
    reader: RecallReader, corpus: Corpus, queries: list[Query]
) -> None:
    narrow = RecallRetriever(corpus, reader, k=3, naming=Naming(titles=1, beam=5))
    for hits in narrow.retrieve(queries):
        assert len({hit.sequence.sequence for hit in hits}) == 1
    many = RecallRetriever(corpus, reader, k=100, naming=Naming(titles=1, beam=1))
    assert all(len(hits) == 100 for hits in many.retrieve(queries[-3:]))


def test_titles_alone_and_prefixes_alone_are_other_retrievers(
    reader: RecallReader, corpus: Corpus, queries: list[Query]
) -> None:
    makers = [Naming(title_weight=weight) for weight in (0.9, 1.0, 0.0)]
    retrievers = [RecallRetriever(corpus, reader, naming=naming) for naming in makers]
    found = [[[hit.candidate.id for hit in hits] for hits in it.retrieve(queries)] for it in retrievers]
    assert found[0] != found[1] != found[2] != found[0]
    assert [len(it.trie.levels) for it in retrievers] == [5, 2, 4]


def test_every_option_that_decides_is_in_the_recipe_and_no_other(reader: RecallReader, corpus: Corpus) -> None:
    def recipe(**changes: Any) -> Any:
        return RecallRetriever(corpus, reader, naming=Naming(**changes)).recipe

    options = [{}, {"titles": 3}, {"beam": 3}, {"title_weight": 0.5}, {"title_weight": 1.0}, {"title_weight": 0.0}]
    recipes = [recipe(**changes) for changes in options]
    assert all(recipes.count(it) == 1 for it in recipes)
    assert recipe(title_weight=1.0, beam=3) == recipe(title_weight=1.0)
    assert recipe(title_weight=0.0, titles=3) == recipe(title_weight=0.0)


def test_one_trie_serves_all_queries(
    reader: RecallReader, corpus: Corpus, queries: list[Query], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragsignal.retrieval.recall import retriever as module

    built: list[int] = []
    real = module.build_trie
    monkeypatch.setattr(module, "build_trie", lambda *arrays: built.append(1) or real(*arrays))
    retriever = RecallRetriever(corpus, reader)
    for query in queries:
        retriever.retrieve([query])
    assert built == [1]


# --- the future


def test_a_prefix_that_reaches_into_the_future_is_refused(
    reader: RecallReader, corpus: Corpus, queries: list[Query], monkeypatch: pytest.MonkeyPatch
) -> None:
    retriever = RecallRetriever(corpus, reader)
    monkeypatch.setattr(retriever, "_visible", lambda _: len(corpus))
    with pytest.raises(LookAheadError, match=rf"A as of {queries[0].as_of} would name candidates that were known on"):
        retriever.retrieve(queries[:1])


# --- what cannot be used


def test_other_letters_than_those_of_training_are_refused(artifact: Artifact) -> None:
    bins = replace(shipped_bins(), fitted_through=date(2009, 12, 30))
    with pytest.raises(ModelError, match=r"was trained on template .* write in the spec what it was trained on"):
        RecallReader(artifact, bins)


def test_an_indicator_without_a_title_is_refused(tmp_path: Path, corpus: Corpus) -> None:
    few = TINY_VOCABULARY.__class__(("adj_close",), 5, 3, (0.0,), (0.02,))
    reader = RecallReader(tiny_recall(tmp_path / "r", vocabulary=few), shipped_bins())
    with pytest.raises(ModelError, match=r"knows no title for alpha101, volume; leave them out of corpus.indicators"):
        RecallRetriever(corpus, reader)


def test_windows_of_another_length_are_refused(reader: RecallReader) -> None:
    longer = build_corpus(FRAMES, SPEC.model_copy(update={"lookback": 8}))
    with pytest.raises(ModelError, match=r"reads windows of 5 letters, but these have 8; set corpus.lookback"):
        RecallRetriever(longer, reader)


def test_a_corpus_without_closes_is_refused(reader: RecallReader, queries: list[Query]) -> None:
    with pytest.raises(ConfigError, match=r"add adj_close to corpus\.indicators"):
        RecallRetriever(build_corpus(FRAMES, CorpusSpec(indicators=("volume",))), reader).retrieve(queries)


@pytest.mark.parametrize("content", ["", "[]", '{"sequences": ["adj_close"]}'])
def test_damaged_tokens_are_named_with_the_way_out(tmp_path: Path, content: str) -> None:
    made = tiny_recall(tmp_path / "r")
    bad = save_artifact(tmp_path / "bad", made.card, lambda it: (it / "titles.json").write_text(content))  # type: ignore[arg-type, return-value]
    with pytest.raises(ModelError, match=r"titles.json cannot be read as the tokens of a recall: .* train it again"):
        _ = RecallReader(bad, shipped_bins()).vocabulary


def test_weights_of_another_size_than_their_tokens_are_named(
    tmp_path: Path, artifact: Artifact, corpus: Corpus, queries: list[Query]
) -> None:
    def write(folder: Path) -> None:
        for name in ("model.safetensors", "titles.json"):
            (folder / name).write_bytes((artifact.folder / name).read_bytes())
        config = json.loads((artifact.folder / "config.json").read_text()) | {"num_hidden_layers": 2}
        (folder / "config.json").write_text(json.dumps(config))

    bad = RecallReader(save_artifact(tmp_path / "bad", artifact.card, write), shipped_bins())
    with pytest.raises(ModelError, match=r"does not fit the model of its config.json: it lacks .* train it again"):
        RecallRetriever(corpus, bad).retrieve(queries)
