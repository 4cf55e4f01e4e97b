"""Teacher scores: mathematics with known answers, blocks that survive a kill, and nothing from after a query's day."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ragsignal.config import CorpusSpec, FeedbackTraining, LLMSpec
from ragsignal.data.split import SplitPart
from ragsignal.errors import ConfigError, LookAheadError, ModelError, StoreError
from ragsignal.retrieval.corpus import Corpus
from ragsignal.retrieval.encoders import zscore_rows
from ragsignal.training.examples import Example, examples_of
from ragsignal.training.finseer import feedback, teacher
from ragsignal.training.finseer.candidate_pools import CandidatePools
from ragsignal.training.finseer.feedback import Teacher, load_feedback, run_feedback, score_candidates
from ragsignal.training.finseer.ranking import gather
from ragsignal.training.run import TrainingRun
from ragsignal.types import Hit, Prompt, Query
from tests.fakes import LOOKBACK, corpus_of, market

pytestmark = pytest.mark.slow

FRAMES = market(("AA", "BB", "CC"), "2020-01-01", "2020-05-29")
CORPUS = corpus_of(FRAMES)
PART = SplitPart("train", ("AA", "BB", "CC"), date(2020, 1, 10), date(2020, 4, 30), date(2020, 4, 30))
ASKED = CorpusSpec(lookback=LOOKBACK)
SETTINGS = FeedbackTraining(queries=22, candidates=8, block=6, seed=3)
quick = settings(max_examples=40, deadline=None)


@dataclass
class Reader:
    """A scorer whose log-odds are a hash of the prompt, or a function of query and candidate; may die midway."""

    salt: str = ""
    dies_after: int = 10**9
    calls: list[list[Prompt]] = field(default_factory=list)

    @property
    def recipe(self) -> dict[str, Any]:
        return {"scorer": "reader", "salt": self.salt}

    def context_digest(self, query: Query) -> str:
        return f"{query.symbol} {self.salt}"

    def render(self, query: Query, hits: tuple[Hit, ...]) -> Prompt:
        return Prompt(query, hits, text=f"{[hit.candidate.id for hit in hits]} {query.closes}")

    def log_odds(self, prompts: Sequence[Prompt]) -> NDArray[np.float64]:
        if len(self.calls) == self.dies_after:
            raise KeyboardInterrupt
        self.calls.append(list(prompts))
        return np.array([self.of(prompt) for prompt in prompts])

    def of(self, prompt: Prompt) -> float:
        digest = hashlib.sha256((self.salt + prompt.text).encode()).digest()
        return int.from_bytes(digest[:4]) / 2.0**31 - 1.0


class Analyst(Reader):
    """Believes a candidate by its likeness to the query, on top of a bias for some candidates."""

    def of(self, prompt: Prompt) -> float:
        if not prompt.hits:
            return 0.3
        candidate = prompt.hits[0].candidate
        shapes = zscore_rows(np.array([prompt.query.closes[1:], candidate.values]))
        bias = int(hashlib.sha256(candidate.id.encode()).hexdigest()[:4], 16) / 2.0**14
        return float(shapes[0] @ shapes[1]) * int(candidate.movement) + bias


@dataclass
class FakeBench:
    """The part of a TrainingRun that teacher scores need, over a market of five months."""

    out: Path
    settings: FeedbackTraining = SETTINGS
    part: SplitPart = PART
    told_of: list[tuple[str, int, int]] = field(default_factory=list)
    corpus: Corpus = CORPUS

    @cached_property
    def train(self) -> list[Example]:
        return examples_of(FRAMES, ASKED, PART)

    @property
    def spec(self) -> Any:
        return SimpleNamespace(feedback=self.settings, llm=LLMSpec(batch_size=7))

    weights = "the weights"
    template = SimpleNamespace(recipe={"template": "fake/1"})

    @property
    def split(self) -> Any:
        return SimpleNamespace(train=self.part)

    def folder(self, kind: str) -> Path:
        return self.out / kind

    def scratch(self, kind: str) -> Path:
        return self.out / ".work" / kind

    def progress(self, what: str, done: int, total: int) -> None:
        self.told_of.append((what, done, total))


def score(bench: FakeBench, reader: Reader | None = None, digest: str = "d1") -> Path:
    asked = Teacher(Reader() if reader is None else reader, digest, date(2020, 4, 2))
    return score_candidates(cast(TrainingRun, bench), asked)


def parts_of(bench: FakeBench) -> list[Path]:
    return sorted(bench.scratch("feedback").glob("*.parquet"))


matrices = st.tuples(st.integers(2, 6), st.integers(3, 8)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-8, 8, width=32))
)
rows = st.lists(st.floats(-8, 8, width=32) | st.sampled_from([0.0, 1.0]), min_size=2, max_size=20).map(np.array)


# --- the mathematics


@quick
@given(matrices, st.data())
def test_scores_do_not_know_what_moves_a_whole_query_or_helps_all_queries_alike(
    block: NDArray[np.float64], data: st.DataObject
) -> None:
    n_queries, n_candidates = block.shape
    rise = data.draw(arrays(np.bool_, n_queries))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    helps_all = teacher.signs(rise)[:, None] * rng.normal(size=n_candidates)
    found = teacher.scores(block, rise)
    np.testing.assert_allclose(
        teacher.scores(block + rng.normal(size=(n_queries, 1)) + helps_all, rise), found, atol=1e-9
    )
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(teacher.scores(block, ~rise), -found, atol=1e-12)


def test_lift_is_towards_what_happened() -> None:
    found = teacher.lift(np.array([[1.0, 3.0], [1.0, 3.0]]), np.array([2.0, 2.5]), np.array([True, False]))
    np.testing.assert_array_equal(found, [[-1.0, 1.0], [1.5, -0.5]])


def test_scores_of_a_small_block_by_hand() -> None:
    block = np.array([[5.0, 1.0], [2.0, 4.0]])  # rows 3, 3; columns 3.5, 2.5; all 3
    np.testing.assert_array_equal(teacher.residual(block), [[1.5, -1.5], [-1.5, 1.5]])
    np.testing.assert_array_equal(teacher.scores(block, np.array([True, True])), [[1.5, -1.5], [-1.5, 1.5]])
    # signed: [[5, 1], [-2, -4]]; rows 3, -3; columns 1.5, -1.5; all 0
    np.testing.assert_array_equal(teacher.scores(block, np.array([True, False])), [[0.5, -0.5], [-0.5, 0.5]])


def test_a_reader_that_copies_what_followed_a_candidate_teaches_which_queries_went_the_same_way() -> None:
    rise = np.array([True, True, False, False])
    copies = np.tile([2.0, -2.0], (4, 1))  # every query is pushed up by the first candidate, down by the second
    np.testing.assert_array_equal(teacher.scores(copies, rise), [[2, -2], [2, -2], [-2, 2], [-2, 2]])


def test_the_share_of_the_main_effect_is_found_in_blocks_of_known_make() -> None:
    rng = np.random.default_rng(0)
    candidate, query = rng.normal(size=(60, 1, 32)), 5 * rng.normal(size=(60, 16, 1))
    noise = rng.normal(size=(60, 16, 32))
    assert teacher.main_effect_share(list(candidate + query + 0 * noise)) == pytest.approx(1.0)
    assert teacher.main_effect_share(list(query + noise)) == pytest.approx(0.0, abs=0.01)
    assert teacher.main_effect_share(list(2 * candidate + query + noise)) == pytest.approx(0.8, abs=0.02)
    assert np.isnan(teacher.main_effect_share([np.zeros((3, 4)) + query[0, :3]]))
    assert np.isnan(teacher.main_effect_share([]))


def test_split_halves_agree_on_structure_and_not_on_noise() -> None:
    rng = np.random.default_rng(1)
    sizes = [2, 3, 16, 15, 16, 5] * 5
    noise = [rng.normal(size=(n, 32)) * rng.uniform(0.5, 2, (n, 1)) for n in sizes]
    kinds = [rng.normal(size=(n, 2)) @ rng.normal(size=(2, 32)) for n in sizes]
    bias = [9 * rng.normal(size=32) + 9 * rng.normal(size=(n, 1)) for n in sizes]

    def both(*parts: list[NDArray[np.float64]]) -> float:
        return teacher.split_half([sum(blocks, np.zeros(1)) for blocks in zip(*parts, strict=True)], rng)

    assert abs(both(noise, bias)) < 0.08
    assert both(kinds, bias) > 0.85
    assert 0.4 < both(kinds, noise, bias) < 0.8
    assert np.isnan(both(bias))  # nothing but main effects: nothing is left
    assert np.isnan(teacher.split_half([], rng))
    lone = np.zeros((5, 9))
    lone[2, 4] = 1.0  # one half has a residual, the other has none
    assert np.isnan(teacher.split_half([lone], rng))


def test_queries_of_unequal_noise_do_not_look_alike() -> None:
    rng = np.random.default_rng(2)
    loud = np.where(np.arange(16) < 8, 4.0, 1.0)[:, None]
    assert abs(teacher.split_half([rng.normal(size=(16, 32)) * loud for _ in range(60)], rng)) < 0.08


@quick
@given(matrices, st.integers(0, 9))
def test_the_shuffled_control_has_the_same_scores_of_every_query(block: NDArray[np.float64], seed: int) -> None:
    shuffled = teacher.shuffle(block, np.random.default_rng(seed))
    np.testing.assert_array_equal(np.sort(shuffled, axis=1), np.sort(block, axis=1))
    np.testing.assert_array_equal(shuffled, teacher.shuffle(block, np.random.default_rng(seed)))


@quick
@given(rows, st.integers(1, 25))
def test_a_selection_is_distinct_and_strictly_ordered_whatever_ties(row: NDArray[np.float64], wanted: int) -> None:
    found = teacher.select(row, wanted)
    if row.max() - row.min() < 1e-6:
        assert found is None
        return
    assert found is not None
    positive, negatives = found
    ordered = sorted(range(len(row)), key=lambda place: (-row[place], place))
    assert [positive, *negatives[::-1]] == [ordered[0], *ordered[max(1, len(row) - wanted) :]]
    assert len({positive, *negatives.tolist()}) == 1 + min(wanted, len(row) - 1)
    assert negatives.dtype == np.int64


def test_scores_that_are_no_numbers_select_nothing() -> None:
    for bad in (np.array([0.0, np.nan]), np.array([np.inf, 1.0]), np.array([1.0])):
        with pytest.raises(ValueError, match="finite"):
            teacher.select(bad, 1)
    with pytest.raises(ValueError, match="negatives"):
        teacher.select(np.array([0.0, 1.0]), 0)


# --- pools


def test_a_pool_is_half_nearest_distinct_and_known_before_its_first_query() -> None:
    queries = [example.query for example in examples_of(FRAMES, ASKED, PART)[90:102]]
    found = CandidatePools(CORPUS, 8, seed=1).rows(0, queries[::-1])
    visible = CORPUS.visible(queries[0].as_of)
    assert len(found) == 8
    assert (np.diff(found) > 0).all()
    assert found[-1] < visible < CORPUS.visible(queries[-1].as_of)
    windows = zscore_rows(np.array([query.closes[1:] for query in queries]))
    likeness = windows @ zscore_rows(np.asarray(CORPUS.values[:visible])).T
    best = set(likeness.round(6).argmax(axis=1).tolist())
    assert len(best & set(found.tolist())) == 4  # of 12 queries' nearest, the first four
    assert not np.array_equal(found, CandidatePools(CORPUS, 8, seed=2).rows(0, queries[::-1]))
    assert not np.array_equal(found, CandidatePools(CORPUS, 8, seed=1).rows(1, queries[::-1]))
    assert np.array_equal(found, CandidatePools(CORPUS, 8, seed=1).rows(0, queries[::-1]))


def test_a_flat_window_has_no_nearest_candidates_in_a_pool() -> None:
    query = examples_of(FRAMES, ASKED, PART)[-1].query
    flat = replace(query, closes=(50.0,) * len(query.closes))
    pools = CandidatePools(CORPUS, 8, seed=1)
    assert pools.rows(0, [query, flat]).tolist() == pools.rows(0, [query]).tolist()
    alone = pools.rows(0, [flat])
    assert len(set(alone.tolist())) == 8
    assert alone.tolist() != list(range(8))  # the oldest


def test_a_pool_may_be_all_that_is_visible() -> None:
    example = next(it for it in examples_of(FRAMES, ASKED, PART) if CORPUS.visible(it.query.as_of) >= 9)
    visible = CORPUS.visible(example.query.as_of)
    assert CandidatePools(CORPUS, visible, seed=1).rows(0, [example.query]).tolist() == list(range(visible))


# --- the run


def test_a_table_holds_full_blocks_of_training_queries_and_older_candidates(tmp_path: Path) -> None:
    bench, reader = FakeBench(tmp_path), Reader()
    found = load_feedback(score(bench, reader))
    table = found.table
    assert list(table.columns) == [
        *("block", "symbol", "as_of", "rise", "candidate_id", "row"),
        *("log_odds", "base", "lift", "score", "shuffled"),
    ]
    assert len(table) == 22 * 8
    assert table.groupby("block")[["symbol", "as_of"]].apply(lambda part: len(part.drop_duplicates())).tolist() == [
        *(6, 6, 5, 5)
    ]
    for _, block in table.groupby("block"):
        pool = block["row"].to_numpy().reshape(-1, 8)
        assert (pool == pool[0]).all()
        assert pool.max() < CORPUS.visible(block["as_of"].min())
        log_odds = block["log_odds"].to_numpy(np.float64).reshape(-1, 8)
        rise = block["rise"].to_numpy().reshape(-1, 8)[:, 0]
        np.testing.assert_allclose(block["score"].to_numpy().reshape(-1, 8), teacher.scores(log_odds, rise), atol=1e-6)
    sign = np.where(table["rise"], 1, -1)
    np.testing.assert_allclose(table["lift"], sign * (table["log_odds"] - table["base"]), atol=1e-6)
    truth = {(it.query.symbol, it.query.as_of): it for it in bench.train}
    for row in table.itertuples():
        example = truth[str(row.symbol), cast(date, row.as_of)]
        candidate = CORPUS.candidate(cast(int, row.row))
        assert row.rise == example.rise
        assert row.candidate_id == candidate.id
        assert row.log_odds == np.float32(reader.of(reader.render(example.query, (Hit(candidate, 0.0, 0),))))
        assert row.base == np.float32(reader.of(reader.render(example.query, ())))


def test_the_meta_says_what_the_scores_are_made_of(tmp_path: Path) -> None:
    found = load_feedback(score(FakeBench(tmp_path)))
    days = found.table["as_of"]
    assert found.meta["recipe"]["stockllm"] == "d1"
    assert found.meta["recipe"]["corpus"] == CORPUS.digest
    assert found.meta["recipe"]["settings"] == SETTINGS.model_dump()
    assert found.meta["span"] == {"first": str(days.min()), "last": str(days.max()), "queries": 22}
    assert date.fromisoformat(found.meta["trained_through"]) > days.max()  # a label is known a day later
    assert (found.meta["blocks"], found.meta["tied"]) == (4, 0)
    assert found.meta["diagnostics"]["main_effect_share"] < 0.1
    assert abs(found.meta["diagnostics"]["residual_split_half"]) < 0.4
    assert found.meta["seconds"] >= 0


def test_a_teacher_that_learned_later_dates_the_scores(tmp_path: Path) -> None:
    folder = score_candidates(cast(TrainingRun, FakeBench(tmp_path)), Teacher(Reader(), "d", date(2021, 2, 3)))
    assert load_feedback(folder).meta["trained_through"] == "2021-02-03"


def test_a_teacher_that_goes_by_likeness_is_told_from_its_bias(tmp_path: Path) -> None:
    settings = FeedbackTraining(queries=96, candidates=32, block=16)
    found = load_feedback(score(FakeBench(tmp_path, settings), Analyst())).meta["diagnostics"]
    assert found["main_effect_share"] > 0.5
    assert found["residual_split_half"] > 0.5


def test_groups_give_every_query_once_with_its_candidates(tmp_path: Path) -> None:
    found = load_feedback(score(FakeBench(tmp_path)))
    groups = gather(found, FakeBench(tmp_path).train, CORPUS.digest)
    assert len({(group.example.query.symbol, group.example.query.as_of) for group in groups}) == len(groups) == 22
    np.testing.assert_array_equal(np.concatenate([group.rows for group in groups]), found.table["row"])
    np.testing.assert_array_equal(np.concatenate([group.scores for group in groups]), found.table["score"])
    for group in groups:
        assert (np.diff(group.rows) > 0).all()
        assert sorted(group.shuffled) == sorted(group.scores)
    assert any((group.shuffled != group.scores).any() for group in groups)


def test_prompts_that_begin_alike_are_asked_together(tmp_path: Path) -> None:
    reader = Reader()
    score(FakeBench(tmp_path), reader)
    assert len(reader.calls) == 4 * 9
    assert all(len({prompt.hits for prompt in call}) == 1 for call in reader.calls)
    assert {hit.score for call in reader.calls for prompt in call for hit in prompt.hits} == {0.0}


class QueryFirst(Reader):
    """Writes the query before the candidate, as the wide templates do."""

    def render(self, query: Query, hits: tuple[Hit, ...]) -> Prompt:
        return Prompt(query, hits, text=f"{query.closes} {[hit.candidate.id for hit in hits]}")


def test_where_the_query_comes_first_each_query_is_asked_about_all_candidates(tmp_path: Path) -> None:
    reader = QueryFirst()
    score(FakeBench(tmp_path / "query"), reader)
    assert all(len({prompt.query for prompt in call}) == 1 for call in reader.calls)
    assert sum(map(len, reader.calls)) == 22 * 9


def test_the_cost_is_told_before_the_first_prompt(tmp_path: Path) -> None:
    bench = FakeBench(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        score(bench, Reader(dies_after=0))
    assert bench.told_of == [("teacher scores", 0, 22 * 9)]
    score(bench)
    assert bench.told_of[1:] == [("teacher scores", done * 9, 198) for done in (0, 6, 12, 17, 22)]


@pytest.mark.parametrize("calls", [0, 8, 9, 20, 35])
def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path: Path, calls: int) -> None:
    whole, killed = FakeBench(tmp_path / "whole"), FakeBench(tmp_path / "killed")
    score(whole)
    with pytest.raises(KeyboardInterrupt):
        score(killed, Reader(dies_after=calls))
    assert not killed.folder("feedback").exists()
    assert len(parts_of(killed)) == calls // 9
    again = Reader()
    score(killed, again)
    assert len(again.calls) == 9 * (4 - calls // 9)
    left, right = (bench.folder("feedback") for bench in (whole, killed))
    assert (left / "scores.parquet").read_bytes() == (right / "scores.parquet").read_bytes()
    metas = [json.loads((folder / "feedback.json").read_text()) | {"seconds": 0} for folder in (left, right)]
    assert metas[0] == metas[1]


def test_a_finished_run_asks_nothing_again(tmp_path: Path) -> None:
    bench, again = FakeBench(tmp_path), Reader()
    before = score(bench).joinpath("scores.parquet").read_bytes()
    assert score(bench, again).joinpath("scores.parquet").read_bytes() == before
    assert again.calls == []


def test_blocks_of_another_recipe_are_never_mixed_in(tmp_path: Path) -> None:
    first = load_feedback(score(FakeBench(tmp_path))).meta["digest"]
    other = FakeBench(tmp_path, SETTINGS.model_copy(update={"seed": 4}))
    runs = [
        (FakeBench(tmp_path), Reader(salt="x"), "d1"),
        (FakeBench(tmp_path), Reader(), "d2"),
        (other, Reader(), "d1"),
    ]
    digests = []
    for bench, reader, digest in runs:
        digests.append(load_feedback(score(bench, reader, digest)).meta["digest"])
        assert len(reader.calls) == 4 * 9
    assert len({first, *digests}) == 4


def test_scores_do_not_depend_on_what_the_corpus_learns_later(tmp_path: Path) -> None:
    short = corpus_of({name: frame.loc[:"2020-05-04"] for name, frame in FRAMES.items()})
    assert len(short) < len(CORPUS)
    tables = [
        load_feedback(score(FakeBench(tmp_path / name, corpus=corpus))).table
        for name, corpus in (("long", CORPUS), ("short", short))
    ]
    assert tables[0].equals(tables[1])


def test_queries_that_see_too_few_candidates_are_left_out_and_counted(tmp_path: Path) -> None:
    bench = FakeBench(tmp_path, FeedbackTraining(queries=1000, candidates=60, block=16))
    found = load_feedback(score(bench))
    assert found.meta["too_early"] > 0
    assert found.meta["too_early"] + found.meta["span"]["queries"] == len(bench.train)
    assert CORPUS.visible(found.table["as_of"].min()) >= 60


def test_queries_whose_candidates_all_tie_are_counted(tmp_path: Path) -> None:
    class Bored(Reader):
        def of(self, prompt: Prompt) -> float:
            return prompt.query.closes[-1] + 2e-8 * len(prompt.hits)

    found = load_feedback(score(FakeBench(tmp_path), Bored()))
    assert found.meta["tied"] == 22
    assert found.meta["diagnostics"] == {"main_effect_share": None, "residual_split_half": None}
    groups = gather(found, FakeBench(tmp_path).train, CORPUS.digest)
    assert all(teacher.select(group.scores, 3) is None for group in groups)


# --- what is refused


def test_without_a_trained_stockllm_the_next_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ragsignal train stockllm SPEC"):
        run_feedback(cast(TrainingRun, FakeBench(tmp_path)))


def test_the_trained_stockllm_is_the_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = FakeBench(tmp_path)
    bench.folder("stockllm").mkdir()
    (bench.folder("stockllm") / "card.json").write_text("{}")
    card = SimpleNamespace(trained_through=date(2020, 4, 2))
    artifact = SimpleNamespace(digest="of the artifact", card=card)
    made: list[Any] = []

    def make(*places: Any, **options: Any) -> Reader:
        made.append((places, options))
        return Reader()

    def load(*asked: Any) -> Any:
        made.append(asked)
        return artifact

    monkeypatch.setattr(feedback, "load_artifact", load)
    monkeypatch.setattr(feedback, "load_stockllm", make)
    found = load_feedback(run_feedback(cast(TrainingRun, bench)))
    assert made[0] == (bench.folder("stockllm"), "stockllm")
    assert made[1] == ((bench.spec.llm, bench.template, artifact, bench.weights), {})
    assert found.meta["recipe"]["stockllm"] == "of the artifact"


def test_labels_that_were_not_known_in_the_training_period_are_refused(tmp_path: Path) -> None:
    early = replace(PART, known_by=date(2020, 3, 2))
    reader = Reader()
    with pytest.raises(LookAheadError, match="2020-03-02"):
        score(FakeBench(tmp_path, part=early), reader)
    assert reader.calls == []


def test_too_small_a_corpus_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"feedback\.candidates"):
        score(FakeBench(tmp_path, FeedbackTraining(candidates=10**6)))


def test_an_answer_that_is_no_number_is_refused(tmp_path: Path) -> None:
    class Diverged(Reader):
        def of(self, prompt: Prompt) -> float:
            return float("nan") if prompt.hits else 0.0

    with pytest.raises(ModelError, match="48 of 54 answers"):
        score(FakeBench(tmp_path), Diverged())
    assert parts_of(FakeBench(tmp_path)) == []


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "feedback").mkdir()
    (tmp_path / "feedback" / "thesis.txt").write_text("years")
    with pytest.raises(StoreError, match="other files"):
        score(FakeBench(tmp_path))
    assert (tmp_path / "feedback" / "thesis.txt").read_text() == "years"


def test_a_damaged_part_is_named_with_the_way_out(tmp_path: Path) -> None:
    bench = FakeBench(tmp_path)
    score(bench)
    part = parts_of(bench)[1]
    whole = part.read_bytes()
    part.write_bytes(whole[:-20])
    with pytest.raises(StoreError, match=f"{part.name}.*delete it"):
        score(bench)
    pq.write_table(pq.read_table(parts_of(bench)[0]).drop(["base"]), part)
    with pytest.raises(StoreError, match="other columns"):
        score(bench)
    part.unlink()
    score(bench)
    kept = pq.read_table(part)
    part.write_bytes(whole)
    assert kept.equals(pq.read_table(part))


def test_scores_that_are_missing_or_altered_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="ragsignal train feedback SPEC"):
        load_feedback(tmp_path)
    folder = score(FakeBench(tmp_path))
    text = (folder / "feedback.json").read_text()
    (folder / "feedback.json").write_text(text[:40])
    with pytest.raises(StoreError, match="cannot read"):
        load_feedback(folder)
    (folder / "feedback.json").write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(StoreError, match="format 1"):
        load_feedback(folder)
    (folder / "feedback.json").write_text(text)
    scores = (folder / "scores.parquet").read_bytes()
    (folder / "scores.parquet").write_bytes(scores[:50] + bytes([scores[50] ^ 1]) + scores[51:])
    with pytest.raises(StoreError, match="altered"):
        load_feedback(folder)
    (folder / "scores.parquet").unlink()
    with pytest.raises(StoreError, match="no teacher scores"):
        load_feedback(folder)


def test_a_folder_whose_name_looks_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    found = load_feedback(score(FakeBench(tmp_path / "run=7")))
    assert "run" not in found.table


@pytest.mark.parametrize(("queries", "block"), [(2, 4), (5, 4), (9, 4), (17, 16), (33, 16), (480, 16)])
def test_no_block_is_a_single_query(queries: int, block: int) -> None:
    found: list[Any] = list(feedback._split_evenly(cast(Sequence[Example], range(queries)), block))
    assert [place for part in found for place in part] == list(range(queries))
    assert 2 <= min(map(len, found)) <= max(map(len, found)) <= block
