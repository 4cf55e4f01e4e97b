"""StockLLM on ranks that learns to read hits: trained, stopped, refused, and used by the retrievers that there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from safetensors.numpy import load_file

from ragsignal.artifacts.artifact import Artifact
from ragsignal.config import RanksTraining
from ragsignal.data.prices import Prices
from ragsignal.data.synthetic import planted_market
from ragsignal.data.windows import cut_queries
from ragsignal.errors import ConfigError, ModelError
from ragsignal.evaluation.run import evaluate_spec
from ragsignal.llm.rank_ensemble import RankEnsemble
from ragsignal.llm.rank_hits import reads_hits
from ragsignal.llm.ranks import RankScorer, day_scorer
from ragsignal.retrieval.retrievers import NoRetriever, RandomRetriever
from ragsignal.signals.pipeline import RagPipeline
from ragsignal.signals.store import SignalStore
from ragsignal.study.materials import Materials
from ragsignal.study.study import Study
from ragsignal.training.ranks.examples import rank_examples
from ragsignal.training.ranks.hits import TrainingHits
from ragsignal.training.ranks.train import train_on_ranks
from ragsignal.training.run import TrainingRun
from ragsignal.types import Query
from tests.markets import bars, poisoned, queries_of
from tests.specs import HOLD, spec, train_spec

SYMBOLS = tuple(f"S{number:02}" for number in range(24))
CORPUS = {"indicators": ["adj_close"], "stride": 5, "target": "relative"}
TINY: dict[str, Any] = {
    "hidden": 16,
    "layers": 1,
    "heads": 2,
    "window": 4,
    "seeds": 2,
    "steps": 12,
    "eval_steps": 4,
    "days": 8,
    "stocks": 24,
    "k": [0, 3],
}
Report = Callable[[str, int, int], None]


class Killed(Exception):  # noqa: N818 - not an error, an event
    """Stands in for a process that ends."""


def run_of(
    out: Path, materials: Materials | None = None, report: Report = lambda *_: None, **ranks: Any
) -> TrainingRun:
    wanted = train_spec(
        out=out,
        data={"symbols": list(SYMBOLS), "start": date(2014, 1, 2), "end": date(2014, 12, 31)},
        split={"valid_from": date(2014, 10, 1)},
        corpus=CORPUS,
        stockllm={"reader": "ranks"},
        classifier={"kind": "boosting"},
        boosting={"members": 1, "trees": 5, "least_rows": 20},
        ranks=TINY | ranks,
    )
    run = TrainingRun(wanted, report, "ragsignal train stockllm tiny.toml")
    run.materials = materials or Materials(wanted.data, wanted.corpus, market())
    return run


def market() -> Prices:
    return planted_market(SYMBOLS, date(2012, 6, 1), date(2014, 12, 31), seed=3)


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    """Prices, corpus and letters, which all runs of this file share."""
    return run_of(tmp_path_factory.mktemp("none")).materials


@pytest.fixture(scope="module")
def trained(materials: Materials, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A reader that was trained with hits by a run that nobody interrupts."""
    return train_on_ranks(run_of(tmp_path_factory.mktemp("trained"), materials))


@pytest.fixture(scope="module")
def untaught(materials: Materials, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A reader that was trained without hits."""
    return train_on_ranks(run_of(tmp_path_factory.mktemp("untaught"), materials, k=[0]))


def weights_of(artifact: Artifact) -> dict[str, Any]:
    files = sorted(artifact.folder.glob("seed-*/model.safetensors"))
    return {f"{file.parent.name}/{name}": array for file in files for name, array in load_file(file).items()}


def query(materials: Materials, symbol: str, day: date = date(2014, 12, 15)) -> Query:
    return next(it for it in queries_of(dict(materials.prices.frames), symbol) if it.as_of == day)


# --- training


def test_the_card_says_that_hits_were_learned_and_how_many(trained: Artifact, untaught: Artifact) -> None:
    card = trained.card
    assert (card.recipe["k"], card.recipe["candidates"]) == ([0, 3], ["random", "shape"])
    assert (card.recipe["lookback"], card.template["hits"]) == (5, "hits/1")
    assert reads_hits(trained)
    assert weights_of(trained)["seed-0/hit_embedding.weight"].shape == (16, 9)
    assert untaught.card.recipe["k"] == [0]
    assert not reads_hits(untaught)
    assert not any("hit" in name for name in weights_of(untaught))


def test_what_hits_give_away_is_learned(materials: Materials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path, materials, seeds=1, steps=120, eval_steps=120, learning_rate=2e-2, k=[0, 1])
    targets, letters = rank_examples(run).targets, materials.rank_letters

    def leaking(_: TrainingHits, symbols: Sequence[str], day: np.datetime64, __: object) -> list[Any]:
        row, columns = int(np.searchsorted(letters.days, day)), [letters.symbols.index(symbol) for symbol in symbols]
        return [np.full((1, 9), target, dtype=np.float32) for target in targets[row, columns]]

    monkeypatch.setattr(TrainingHits, "draw", leaking)
    model = day_scorer(train_on_ranks(run))
    assert isinstance(model, RankEnsemble)
    days = letters.letters[-4:].transpose(1, 0, 2)
    good, bad = (model.scores_with_hits(days, np.full((24, 1, 9), sign, dtype=np.float32)) for sign in (1, -1))
    assert (good - bad).min() > 0.05


def test_a_stopped_run_goes_on_with_the_same_hits_and_ends_the_same(
    materials: Materials, trained: Artifact, tmp_path: Path
) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if (what, done) == ("StockLLM, seed 2 of 2", 10):
            raise Killed

    with pytest.raises(Killed):
        train_on_ranks(run_of(tmp_path, materials, stop))
    heard: list[tuple[str, int]] = []
    resumed = train_on_ranks(run_of(tmp_path, materials, lambda what, done, _: heard.append((what, done))))
    assert [done for what, done in heard if what == "StockLLM, seed 2 of 2"] == [9, 10, 11, 12]
    expected = weights_of(trained)
    assert weights_of(resumed).keys() == expected.keys()
    for name, array in weights_of(resumed).items():
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize("candidates", [["random"], ["shape"]])
def test_hits_to_learn_from_do_not_know_what_comes_later(
    materials: Materials, tmp_path: Path, candidates: list[str]
) -> None:
    day = np.datetime64("2014-05-14")
    other = Prices(poisoned(dict(materials.prices.frames), after=day.item()))
    runs = [
        run_of(tmp_path, each, candidates=candidates, k=[0, 4])
        for each in (materials, Materials(materials.data, materials.candidates, other))
    ]
    for seed in range(4):
        left, right = (TrainingHits(run).draw(SYMBOLS[:6], day, np.random.default_rng(seed)) for run in runs)
        assert (left is None) == (right is None)
        for plain, changed in zip(left or (), right or (), strict=True):
            assert plain.shape == (4, 9)
            np.testing.assert_array_equal(plain, changed)


def test_scores_without_hits_are_always_learned() -> None:
    with pytest.raises(ValidationError, match=r"k must hold 0: .* write k = \[0, 5\]"):
        RanksTraining(k=(5,))


# --- reading


def pipeline(materials: Materials, artifact: Artifact, retriever: Any, store: Path) -> RagPipeline:
    scorer = RankScorer(artifact, day_scorer(artifact), materials.rank_letters)
    return RagPipeline(retriever, scorer.prompter, scorer, SignalStore(store))


def test_with_hits_a_batch_is_bar_by_bar(materials: Materials, trained: Artifact, tmp_path: Path) -> None:
    queries = [query(materials, symbol, date(2014, 12, day)) for symbol in SYMBOLS[:8] for day in (10, 11)]
    retriever = RandomRetriever(materials.corpus, k=3)
    together = pipeline(materials, trained, retriever, tmp_path / "batch").signals(queries)
    single = pipeline(materials, trained, retriever, tmp_path / "single")
    alone = [single.signals([each])[0] for each in queries]
    assert [signal.probability for signal in together] == pytest.approx([it.probability for it in alone], abs=1e-4)
    assert [signal.rank for signal in together] == pytest.approx([it.rank for it in alone], abs=1e-4)
    assert [signal.hits for signal in together] == [signal.hits for signal in alone]


def test_hits_move_a_signal_and_its_key(materials: Materials, trained: Artifact, tmp_path: Path) -> None:
    retrievers: dict[str, Any] = {"none": NoRetriever()}
    retrievers |= {f"seed {seed}": RandomRetriever(materials.corpus, 3, seed=seed) for seed in (0, 1)}
    asked, store = [query(materials, symbol) for symbol in SYMBOLS], tmp_path / "store"
    made = {name: pipeline(materials, trained, it, store).signals(asked) for name, it in retrievers.items()}
    chances = {name: np.array([signal.probability for signal in signals]) for name, signals in made.items()}
    assert np.abs(chances["none"] - chances["seed 0"]).max() > 1e-6
    assert np.abs(chances["seed 1"] - chances["seed 0"]).max() > 1e-6
    assert len({signals[0].key for signals in made.values()}) == 3
    assert all(-1.0 < signal.rank < 1.0 for signals in made.values() for signal in signals)


def test_prompts_of_different_numbers_of_hits_are_read_together(materials: Materials, trained: Artifact) -> None:
    scorer = RankScorer(trained, day_scorer(trained), materials.rank_letters)
    prompter, asked = scorer.prompter, [query(materials, symbol) for symbol in SYMBOLS[:4]]
    found = RandomRetriever(materials.corpus, k=3).retrieve(asked)
    prompts = [
        prompter.render(each, hits[:count]) for each, hits, count in zip(asked, found, (0, 1, 3, 1), strict=True)
    ]
    alone = [scorer.score([prompt])[0].probability for prompt in prompts]
    assert [score.probability for score in scorer.score(prompts)] == pytest.approx(alone, abs=1e-6)


def test_the_rank_is_the_place_among_the_others_without_hits(materials: Materials, trained: Artifact) -> None:
    model = day_scorer(trained)
    assert isinstance(model, RankEnsemble)
    scorer = RankScorer(trained, model, materials.rank_letters)
    asked = query(materials, "S03")
    (hits,) = RandomRetriever(materials.corpus, k=3).retrieve([asked])
    score = scorer.score([scorer.prompter.render(asked, hits)])[0]
    others = [
        scorer.score([scorer.prompter.render(query(materials, name), ())])[0] for name in SYMBOLS if name != "S03"
    ]
    below = sum(other.probability < score.probability for other in others)
    assert score.rank == pytest.approx(2 * (below + 0.5) / 24 - 1, abs=1e-9)


def test_a_feed_that_is_not_of_the_universe_reads_hits_by_its_own_letters(
    materials: Materials, trained: Artifact
) -> None:
    frame = bars(len(materials.rank_letters.days), seed=5, days=pd.DatetimeIndex(materials.rank_letters.days))
    days, closes = [day.date() for day in frame.index], frame["close"].tolist()
    columns = tuple(frame[name].tolist() for name in ("open", "high", "low", "close", "volume"))
    foreign, own = cut_queries("ZZ", days, closes, 5, columns)[-1], query(materials, "S00")
    scorer = RankScorer(trained, day_scorer(trained), materials.rank_letters)
    found = RandomRetriever(materials.corpus, k=3).retrieve([foreign, own])
    both = scorer.score(list(map(scorer.prompter.render, (foreign, own), found)))
    without, alone = (scorer.score([scorer.prompter.render(foreign, hits)])[0] for hits in ((), found[0]))
    assert both[0].probability == pytest.approx(alone.probability, abs=1e-6)
    assert abs(alone.probability - without.probability) > 1e-7
    assert -1.0 < alone.rank < 1.0


def test_a_reader_that_was_not_trained_with_hits_reads_none(materials: Materials, untaught: Artifact) -> None:
    scorer = RankScorer(untaught, day_scorer(untaught), materials.rank_letters)
    asked = query(materials, "S00")
    (hits,) = RandomRetriever(materials.corpus, k=3).retrieve([asked])
    with pytest.raises(ModelError, match=r"was trained without hits and can read none; write retriever = \"none\""):
        scorer.score([scorer.prompter.render(asked, hits)])


# --- a run


def run_spec(artifact: Artifact, **retrieval: Any) -> Any:
    return spec(
        data={"symbols": list(SYMBOLS), "start": date(2015, 3, 2), "end": date(2015, 3, 31)},
        corpus=CORPUS,
        retrieval={"k": 3} | retrieval,
        llm={"model": str(artifact.folder)},
        evaluation={"target": "relative", "perturbed": 0},
        variant=[
            {"name": "shape"},
            {"name": "random", "retrieval": {"retriever": "random"}},
            {"name": "dtw", "retrieval": {"retriever": "dtw"}},
            {"name": "alone", "retrieval": {"retriever": "none"}},
            HOLD,
        ],
    )


def test_a_retriever_before_a_reader_without_hits_is_refused_before_any_work(untaught: Artifact) -> None:
    study = Study(run_spec(untaught))
    with pytest.raises(
        ConfigError, match=r"variant 'shape': retrieval\.retriever is 'shape', but .* was trained without"
    ):
        study.pipeline(study.spec.find_variant("shape"))
    assert "prices" not in vars(study.materials)
    study.parts.check(study.spec.find_variant("alone"))


def test_a_run_with_retrievers_gives_figures_of_each(trained: Artifact) -> None:
    evaluation = evaluate_spec(run_spec(trained))
    figures = {row.forecast.name: row.figures["all"].estimates for row in evaluation.forecasters}
    assert all(np.isfinite(figures[name]["auc"].value) for name in ("shape", "random", "dtw", "alone"))
    chances = evaluation.predictions[["shape", "random", "dtw", "alone"]].to_numpy()
    assert np.isfinite(chances).all()
    assert all(np.abs(chances[:, column] - chances[:, 3]).max() > 0 for column in range(3))
