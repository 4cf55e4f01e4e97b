"""From a spec to parts: what is refused, what is shared, and that a changed spec is another pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ragsignal.config import load_spec
from ragsignal.data.windows import cut_query
from ragsignal.errors import ConfigError, LookAheadError, ModelError
from ragsignal.llm.vote import VoteScorer
from ragsignal.retrieval.retrievers import DenseRetriever, DTWRetriever, NoRetriever, RandomRetriever
from ragsignal.study.study import Study, load_pipeline
from tests import specs
from tests.fakes import market
from tests.specs import Tables, changed
from tests.tiny import tiny_finseer

STUDY: Tables = {
    "name": "small",
    "benchmark": "hold",
    "data": {
        "source": "folder",
        "path": "prices",
        "symbols": ["AA"],
        "start": date(2020, 2, 3),
        "end": date(2020, 3, 13),
    },
    "corpus": {"symbols": ["BB", "CC"], "indicators": ["adj_close"]},
    "retrieval": {"retriever": "shape", "k": 3, "embargo": 2, "exclude_own_symbol": True},
    "strategy": {"class": "ragsignal.strategies:LongShort"},
    "variant": [
        {"name": "hold", "signal": "none"},
        {"name": "shape", "signal": "vote"},
        {"name": "dtw", "signal": "vote", "retrieval": {"retriever": "dtw", "k": 4}},
        {"name": "random", "signal": "vote", "retrieval": {"retriever": "random", "seed": 7}},
        {"name": "blind", "signal": "vote", "retrieval": {"retriever": "none"}},
        {"name": "letters", "signal": "vote", "retrieval": {"retriever": "embedding"}},
    ],
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    (tmp_path / "prices").mkdir()
    for symbol, frame in market(("AA", "BB", "CC")).items():
        frame.to_csv(tmp_path / "prices" / f"{symbol}.csv", index_label="Date")
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))

    return lambda **changes: specs.write(tmp_path / "spec.toml", changed(STUDY, **changes))


def opened(path: Path) -> Study:
    return Study(load_spec(path))


def test_each_retriever_is_built_as_its_variant_says(write: Write) -> None:
    study = opened(write())
    made = {name: study.pipeline(study.spec.find_variant(name)) for name in ("shape", "dtw", "random")}
    kinds = {name: type(it.retriever) for name, it in made.items()}
    assert kinds == {"shape": DenseRetriever, "dtw": DTWRetriever, "random": RandomRetriever}
    shared = {"embargo": 2, "exclude_own_symbol": True}
    assert made["shape"].retriever.recipe == {"retriever": "dense/1", "encoder": "shape/1", "k": 3, **shared}
    assert made["dtw"].retriever.recipe == {"retriever": "dtw/2", "k": 4, **shared}
    assert made["random"].retriever.recipe == {"retriever": "random/1", "seed": 7, "k": 3, **shared}
    assert all(isinstance(it.scorer, VoteScorer) and it.lookback == 5 for it in made.values())
    shape = study.spec.find_variant("shape")
    alone = replace(shape, signal="llm", retrieval=shape.retrieval.model_copy(update={"retriever": "none"}))
    assert isinstance(study.parts._retriever(alone), NoRetriever)


def test_variants_of_a_workshop_share_prices_corpus_retriever_and_store(write: Write) -> None:
    study = opened(write())
    shape, again, drawn = (study.pipeline(study.spec.find_variant(name)) for name in ("shape", "shape", "random"))
    assert shape.retriever is again.retriever
    assert shape.store is drawn.store
    assert shape.retriever.corpus is drawn.retriever.corpus  # type: ignore[attr-defined]


def test_the_corpus_holds_its_own_symbols_and_nothing_after_the_last_day_of_the_spec(write: Write) -> None:
    study = opened(write())
    assert study.corpus.symbols == ("BB", "CC")
    assert study.prices.symbols == ("AA", "BB", "CC")
    assert (
        study.corpus.available_at.max() <= study.corpus.calendar.max() == study.prices.frames["AA"].index[-1].to_numpy()
    )
    assert str(study.prices.frames["AA"].index[-1].date()) == "2020-03-13"


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("hold", 'has signal = "none": it trades prices alone'),
        ("blind", 'a vote needs hits, but its retriever is "none"'),
    ],
)
def test_a_variant_that_can_have_no_signal_says_why(write: Write, variant: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"variant '{variant}'.*{words}"):
        load_pipeline(write(), variant)


def test_a_variant_that_does_not_exist_is_named(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"no variant 'shap'\. Did you mean 'shape'"):
        load_pipeline(write(), "shap")


def test_a_spec_that_does_not_exist_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no spec at"):
        load_pipeline(tmp_path / "none.toml")


def test_letters_that_were_fitted_on_the_traded_window_are_refused(write: Write) -> None:
    path = write(data={"start": date(2009, 12, 31)})  # the last day of the shipped letters
    with pytest.raises(LookAheadError, match=r"fitted through 2009-12-31\), but the backtest starts on 2009-12-31"):
        load_pipeline(path, "letters")
    assert load_pipeline(path, "shape").trained_through is None  # reads no letters


def with_finseer(encoder: Path | str) -> list[Tables]:
    finseer = {"name": "finseer", "signal": "vote", "retrieval": {"retriever": "finseer", "encoder": encoder}}
    return [*STUDY["variant"], finseer]


def test_a_trained_retriever_finds_hits(write: Write, tmp_path: Path) -> None:
    artifact = tiny_finseer(tmp_path / "numeric")  # an untrained tower; its card says through 2010-02-02
    study = opened(write(variant=with_finseer(artifact.folder)))
    pipeline = study.pipeline(study.spec.find_variant("finseer"))
    frame = study.prices.frames["AA"]
    query = cut_query("AA", [day.date() for day in frame.index], frame["close"].tolist(), 5)
    (signal,) = pipeline.signals([query])
    assert len(signal.hits) == 3
    assert pipeline.trained_through == artifact.card.trained_through
    assert artifact.digest in str(pipeline.recipe)


def test_what_was_trained_inside_the_window_is_refused_unless_the_spec_says_that_it_proves_nothing(
    write: Write, tmp_path: Path
) -> None:
    artifact = tiny_finseer(tmp_path / "numeric", trained_through=date(2020, 2, 3))  # the first day that is traded
    variants = with_finseer(artifact.folder)
    with pytest.raises(LookAheadError, match=r"retriever .*numeric \(fitted through 2020-02-03\), but the backtest .*"):
        load_pipeline(write(variant=variants), "finseer")
    allowed = write(variant=variants, allow_in_sample=True)
    pipeline = load_pipeline(allowed, "finseer")
    assert pipeline.trained_through is None
    study = opened(allowed)
    assert study.in_sample(study.spec.find_variant("finseer")) == [
        f"retriever {artifact.folder} (fitted through 2020-02-03)"
    ]
    assert study.in_sample(study.spec.find_variant("shape")) == []


def test_an_artifact_that_is_not_shipped_is_answered_with_those_that_are(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragsignal.artifacts.artifact.shipped_artifacts", lambda: ["one", "two"])
    with pytest.raises(ModelError, match=r"no shipped artifact 'nope'; there are: shipped:one, shipped:two"):
        load_pipeline(write(variant=with_finseer("shipped:nope")), "finseer")


def test_one_spec_is_one_pipeline_however_its_path_is_spelled(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write()
    monkeypatch.chdir(tmp_path)
    first = load_pipeline(path)
    assert (
        load_pipeline(str(path)) is load_pipeline("spec.toml") is load_pipeline(tmp_path / "." / "spec.toml") is first
    )
    assert load_pipeline(path, "random") is not first


def test_a_spec_that_was_edited_is_another_pipeline(write: Write) -> None:
    before = load_pipeline(write())
    after = load_pipeline(write(retrieval={"k": 6}))
    assert (before.retriever.recipe["k"], after.retriever.recipe["k"]) == (3, 6)
    assert load_pipeline(write()) is before


def test_another_cache_folder_is_another_store(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write()
    assert load_pipeline(path).store.place == tmp_path / "cache" / "signals.sqlite"
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "other"))
    assert load_pipeline(path).store.place == tmp_path / "other" / "signals.sqlite"
