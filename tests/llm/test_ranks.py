"""Readers of rank letters: bar by bar as in a batch, blind to later days, honest about what they cannot rank."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from ragsignal.artifacts.artifact import Artifact, load_artifact
from ragsignal.data import rank_factors
from ragsignal.data.rank_factors import RANK_FACTORS
from ragsignal.data.rank_letters import RANK_LETTERS, RankLetters, build_rank_letters
from ragsignal.data.windows import cut_queries
from ragsignal.errors import ModelError
from ragsignal.llm.boosting import Boosting
from ragsignal.llm.rank_ensemble import RankEnsemble
from ragsignal.llm.ranks import NO_UNIVERSE, TOO_LITTLE_HISTORY, RankPrompt, RankScorer, day_scorer, spelled
from ragsignal.retrieval.retrievers import NoRetriever
from ragsignal.signals.pipeline import TOO_FEW_BARS, RagPipeline
from ragsignal.signals.store import SignalStore
from ragsignal.trading.indicator import RagMomentum
from ragsignal.types import Prompt, Query, Score, Signal
from tests.markets import bars
from tests.tiny import tiny_boosting, tiny_finseer, tiny_rank_llm
from tests.universe import CALENDAR, N_DAYS, universe, universe_letters

FRAMES = universe()
LETTERS = universe_letters()
FIRST = 249
STRANGER = bars(N_DAYS, 500, days=CALENDAR)
Rag: Any = RagMomentum


@pytest.fixture(scope="module")
def stockllm(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return tiny_rank_llm(tmp_path_factory.mktemp("ranks") / "stockllm")


@pytest.fixture(scope="module", params=["stockllm", "boosting"])
def artifact(request: pytest.FixtureRequest, stockllm: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return stockllm if request.param == "stockllm" else tiny_boosting(tmp_path_factory.mktemp("ranks") / "boosting")


def pipeline_of(artifact: Artifact, letters: RankLetters = LETTERS, store: SignalStore | None = None) -> RagPipeline:
    """A pipeline with a reader that has read nothing yet."""
    scorer = RankScorer(artifact, day_scorer(artifact), letters)
    store = SignalStore(":memory:") if store is None else store  # an empty store is false
    return RagPipeline(NoRetriever(), scorer.prompter, scorer, store, lookback=5)


def queries_of(symbol: str, frame: pd.DataFrame, with_bars: bool = False) -> list[Query]:
    """The queries of all bars, as a feed of that name asks them."""
    names = ("open", "high", "low", "close", "volume")
    columns = tuple(frame[name].tolist() for name in names) if with_bars else None
    return cut_queries(symbol, pd.DatetimeIndex(frame.index).date.tolist(), frame["close"].tolist(), 5, columns)


def changed(day: int, change: Callable[[np.ndarray], np.ndarray]) -> RankLetters:
    """Letters of which those from a day on are others."""
    letters = LETTERS.letters.copy()
    letters[day:] = change(letters[day:])
    return replace(LETTERS, letters=letters)


def same(left: Sequence[Signal], right: Sequence[Signal]) -> bool:
    """Law 2, of fresh model passes."""
    pairs = list(zip(left, right, strict=True))
    return all(
        abs(one.probability - other.probability) < 1e-4
        and abs(one.rank - other.rank) < 1e-6
        and (one.abstained, one.key) == (other.abstained, other.key)
        for one, other in pairs
    )


def chances(signals: Sequence[Signal]) -> list[tuple[float, float]]:
    return [(signal.probability, signal.rank) for signal in signals]


# ------------------------------------------------------------------------------------------- batch is bar by bar


def test_one_query_at_a_time_says_what_all_at_once_do(artifact: Artifact) -> None:
    asked = [*queries_of("S00", FRAMES["S00"])[-90::12], *queries_of("S03", FRAMES["S03"])[-40::9]]
    asked += queries_of("X", STRANGER, with_bars=True)[-70::12]
    whole = pipeline_of(artifact).signals(asked)
    single = [pipeline_of(artifact).signals([query])[0] for query in asked]
    assert same(whole, single)
    assert same(whole, pipeline_of(artifact).signals(asked[::-1])[::-1])
    assert len({signal.probability for signal in whole}) > len(asked) // 2


def test_from_the_store_a_signal_is_exactly_the_one_that_was_made_and_no_model_is_called(
    artifact: Artifact, tmp_path: Path
) -> None:
    asked = queries_of("S07", FRAMES["S07"])
    first = pipeline_of(artifact, store=SignalStore(tmp_path / "signals.sqlite"))
    made = first.signals(asked)
    before = _bytes_of(tmp_path / "signals.sqlite")
    second = pipeline_of(artifact, store=SignalStore(tmp_path / "signals.sqlite"))
    second.scorer = _Deaf(second.scorer)  # type: ignore[assignment]
    assert second.signals(asked) == made
    assert second.cost.found == len(asked) - 5
    assert second.cost.model_calls == 0
    assert _bytes_of(tmp_path / "signals.sqlite") == before


class _Deaf:
    """A scorer of the same recipe that cannot score."""

    is_model, batch_size = True, 10

    def __init__(self, scorer: Any) -> None:
        self.recipe = scorer.recipe

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        raise AssertionError(f"{len(prompts)} prompts were to be read again")


def _bytes_of(path: Path) -> list[Any]:
    with sqlite3.connect(path) as store:
        return store.execute("SELECT * FROM signals ORDER BY key").fetchall()


def test_another_artifact_or_other_letters_are_a_miss(stockllm: Artifact, tmp_path: Path) -> None:
    query = queries_of("S00", FRAMES["S00"])[-1]
    key = pipeline_of(stockllm).signals([query])[0].key
    other = tiny_rank_llm(tmp_path / "other", seeds=1)
    assert pipeline_of(other).signals([query])[0].key != key
    letters = changed(N_DAYS - 1, lambda held: (held + 1) % 17)
    assert pipeline_of(stockllm, letters).signals([query])[0].key != key


# ------------------------------------------------------------------------------------------------------- as of


@pytest.mark.parametrize("day", [FIRST + 3, 255, 256, 300])
def test_no_later_letter_moves_a_score(artifact: Artifact, day: int) -> None:
    asked = [query for symbol in ("S00", "S20") for query in queries_of(symbol, FRAMES[symbol])[FIRST : day + 1]]
    other = changed(day + 1, lambda held: (held + 5) % 17)
    assert same(pipeline_of(artifact).signals(asked), pipeline_of(artifact, other).signals(asked))
    later = queries_of("S00", FRAMES["S00"])[day + 1]
    assert not same(pipeline_of(artifact).signals([later]), pipeline_of(artifact, other).signals([later]))


def test_a_score_depends_on_the_days_that_it_remembers_and_on_no_earlier_one(artifact: Artifact) -> None:
    model = day_scorer(artifact)
    assert model.memory == (5 if artifact.card.kind == "stockllm" else 1)
    letters, states = LETTERS.letters[FIRST:300], LETTERS.states[FIRST:300]
    scores, last = model.scores(letters, states), letters.shape[0] - 1
    for back in range(model.memory + 2):
        other = letters.copy()
        other[last - back] = (other[last - back] + 3) % 17
        moved = np.abs(model.scores(other, states)[last] - scores[last]).max()
        assert (moved > 1e-6) == (back < model.memory), back


def test_the_digest_of_a_query_changes_with_every_letter_that_its_signal_depends_on(stockllm: Artifact) -> None:
    query = queries_of("S00", FRAMES["S00"])[300]
    digest = pipeline_of(stockllm).prompter.context_digest(query)
    for day, changes in ((295, False), (296, True), (300, True), (301, False)):
        letters = LETTERS.letters.copy()
        letters[day, 9] ^= 1  # of another stock: the rank depends on it
        prompter = pipeline_of(stockllm, replace(LETTERS, letters=letters)).prompter
        assert (prompter.context_digest(query) != digest) is changes, day


# -------------------------------------------------------------------------------------------------- what is said


def test_ranks_are_the_order_of_the_probabilities_of_the_day(artifact: Artifact) -> None:
    pipeline = pipeline_of(artifact)
    signals = pipeline.signals([queries_of(symbol, frame)[-1] for symbol, frame in FRAMES.items()])
    views = sorted((it for it in signals if it.abstained is None), key=lambda it: it.probability)
    assert len(views) == LETTERS.ranked[-1].sum()
    ranks = [it.rank for it in views]
    assert ranks == sorted(ranks)
    assert -1.0 <= ranks[0] < -0.8
    assert 0.8 < ranks[-1] <= 1.0
    assert sum(ranks) == pytest.approx(0.0, abs=1e-9)


def test_what_cannot_be_ranked_abstains_with_a_reason_and_zeros(artifact: Artifact) -> None:
    late = bars(60, 1, days=CALENDAR[-60:])
    reasons = {
        TOO_FEW_BARS: queries_of("S00", FRAMES["S00"])[3],
        NO_UNIVERSE: queries_of("S00", bars(10, 1, days=pd.bdate_range("2031-01-01", periods=10)))[9],
        TOO_LITTLE_HISTORY: queries_of("X", late, with_bars=True)[-1],
    }
    for reason, query in reasons.items():
        (signal,) = pipeline_of(artifact).signals([query])
        assert signal.abstained == reason
        assert (signal.value, signal.probability, signal.rank) == (0.0, 0.5, 0.0)
    (early, flat, idle) = pipeline_of(artifact).signals(
        [
            queries_of("S03", FRAMES["S03"])[240],
            queries_of("S00", FRAMES["S00"])[200],
            queries_of("S05", FRAMES["S05"])[-1],
        ]
    )
    assert (early.abstained, flat.abstained, idle.abstained) == (TOO_LITTLE_HISTORY, NO_UNIVERSE, TOO_LITTLE_HISTORY)


def test_a_stranger_without_bars_is_an_error_that_says_what_to_do(stockllm: Artifact) -> None:
    with pytest.raises(ModelError, match=r"X is not one of the 26 stocks .* add it to data\.symbols"):
        pipeline_of(stockllm).signals(queries_of("X", STRANGER)[-1:])


def test_another_feed_of_a_stocks_name_is_placed_by_its_own_bars(stockllm: Artifact) -> None:
    """Prices of S10 in a feed that is called S00: the letters are those of S10, as far as a place among 26 goes."""
    prompter = pipeline_of(stockllm).prompter
    impostor = queries_of("S00", FRAMES["S10"], with_bars=True)[-1]
    prompt = prompter.render(impostor, ())
    assert isinstance(prompt, RankPrompt)
    assert prompt.own is not None
    assert np.abs(prompt.own[-1, 0].astype(int) - LETTERS.letters[-1, LETTERS.symbols.index("S10")]).max() <= 1
    honest = prompter.render(queries_of("S00", FRAMES["S00"], with_bars=True)[-1], ())
    assert isinstance(honest, RankPrompt)
    assert (honest.own, honest.column) == (None, 0)
    assert prompter.context_digest(impostor) != prompter.context_digest(queries_of("S00", FRAMES["S00"])[-1])


def test_a_stock_of_the_universe_whose_feed_was_rescaled_by_a_dividend_is_still_that_stock(stockllm: Artifact) -> None:
    rescaled = queries_of("S00", FRAMES["S00"] * [0.7, 0.7, 0.7, 0.7, 1 / 0.7], with_bars=True)[-1]
    prompt = pipeline_of(stockllm).prompter.render(rescaled, ())
    assert isinstance(prompt, RankPrompt)
    assert prompt.column == 0


def test_the_text_for_people_spells_the_letters_of_the_day(stockllm: Artifact) -> None:
    prompt = pipeline_of(stockllm).prompter.render(queries_of("S00", FRAMES["S00"])[-1], ())
    assert len(prompt.text) == len(RANK_FACTORS)
    assert [("ABCDEFGHIJKLMNOP-").index(letter) for letter in prompt.text] == LETTERS.letters[-1, 0].tolist()
    assert spelled(np.array([0, 15, RANK_LETTERS], dtype=np.uint8)) == "AP-"


# ------------------------------------------------------------------------------------------------- saved, loaded


def test_boosting_is_saved_as_text_and_read_back_the_same(tmp_path: Path) -> None:
    artifact = tiny_boosting(tmp_path / "boosting")
    model, again = Boosting.load(artifact.folder), Boosting.load(artifact.folder)
    again.save(tmp_path)
    assert {path.name for path in artifact.folder.iterdir()} >= {"boosting-0.txt", "boosting-1.txt", "scales.json"}
    assert np.array_equal(Boosting.load(tmp_path).scores(LETTERS.letters[-3:]), model.scores(LETTERS.letters[-3:]))
    (tmp_path / "boosting-1.txt").write_text("no trees")
    with pytest.raises(ModelError, match="cannot be read as boosting on rank letters"):
        Boosting.load(tmp_path)


def test_a_boostings_score_is_the_mean_of_its_members_in_their_own_deviations(tmp_path: Path) -> None:
    model = Boosting.load(tiny_boosting(tmp_path / "boosting").folder)
    rows = LETTERS.letters[-1]
    numbers = np.where(rows == RANK_LETTERS, np.nan, rows.astype(np.float64))
    parts = [np.asarray(it.predict(numbers)) / scale for it, scale in zip(model.boosters, model.scales, strict=True)]
    assert model.row_scores(rows) == pytest.approx(np.mean(parts, axis=0))


def test_a_language_model_is_saved_as_safetensors_and_its_seeds_are_averaged(stockllm: Artifact) -> None:
    files = set(load_artifact(stockllm.folder).card.files)
    assert files == {f"seed-{seed}/{name}" for seed in (0, 1) for name in ("config.json", "model.safetensors")}
    config = json.loads((stockllm.folder / "seed-0" / "config.json").read_text())
    assert tuple(config["factors"]) == RANK_FACTORS
    letters = LETTERS.letters[-9:]
    single = [RankEnsemble([stockllm.folder / f"seed-{seed}"]).scores(letters) for seed in (0, 1)]
    assert day_scorer(stockllm).scores(letters) == pytest.approx(np.mean(single, axis=0), abs=1e-6)
    assert np.abs(single[0] - single[1]).max() > 1e-3


def test_what_was_trained_on_other_letters_is_refused(tmp_path: Path) -> None:
    other = tiny_rank_llm(tmp_path / "other", template={"reader": "ranks/0"})
    with pytest.raises(ModelError, match="was trained on template"):
        RankScorer(other, day_scorer(other), LETTERS)
    assert other.card.reads_ranks
    assert not tiny_finseer(tmp_path / "numeric").card.reads_ranks


# -------------------------------------------------------------------------------------------------- in Backtrader


class Lines(bt.Strategy):  # type: ignore[misc]
    """Notes all four lines of the indicators of all feeds, bar by bar."""

    params: tuple[tuple[str, Any], ...] = (("source", None),)

    def __init__(self) -> None:
        self.rags = [Rag(data, source=self.p.source) for data in self.datas]
        self.notes: list[list[float]] = []

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        self.notes.append([getattr(rag.l, name)[0] for rag in self.rags for name in _LINES])


_LINES = ("signal", "probability", "rank", "abstained")


def test_once_and_next_draw_the_same_lines_for_a_stock_of_the_universe_and_for_a_stranger(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_factors, "HISTORY", 62)  # a stranger is placed at each bar: 250 of them take a minute
    frames = universe(24, 75)
    letters = build_rank_letters(frames)
    feeds = {"S00": frames["S00"], "X": bars(75, 500, days=CALENDAR[:75])}

    def lines(**modes: Any) -> np.ndarray:
        cerebro = bt.Cerebro(stdstats=False, **modes)
        for name, frame in feeds.items():
            cerebro.adddata(bt.feeds.PandasData(dataname=frame, openinterest=None), name=name)
        cerebro.addstrategy(Lines, source=pipeline_of(artifact, letters))
        (ran,) = cerebro.run()
        return np.array(ran.notes)

    batch, stepwise, thrifty = lines(), lines(runonce=False), lines(exactbars=1)
    assert batch.shape == (75, 8)
    for other in (stepwise, thrifty):
        assert np.abs(batch - other)[:, [0, 1, 4, 5]].max() < 2e-4
        assert np.abs(batch - other)[:, [2, 3, 6, 7]].max() < 1e-6
    abstained = batch[:, [3, 7]]
    assert abstained[:60].all()
    assert not abstained[64:].any()
    assert len(np.unique(batch[64:, 6])) > 3  # the stranger moves among the stocks
