"""The trie and the search: nothing of the future can be named, and a wide beam is exact."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragsignal.retrieval.recall.search import Asked, Named, Width, search
from ragsignal.retrieval.recall.trie import Trie, build_trie
from ragsignal.types import FloatArray, IntArray

SIZE = 4  # tokens
SYMBOLS = 3
CASES, WORLDS = 50, 200


@dataclass
class Table:
    """A scorer of tokens whose opinions are drawn by the whole path that it has read."""

    seed: int
    paths: list[tuple[int, ...]] = field(default_factory=list)

    def begin(self, contexts: IntArray) -> FloatArray:
        return self._read([tuple(row) for row in contexts.tolist()])

    def extend(self, parents: IntArray, tokens: IntArray) -> FloatArray:
        return self._read(
            [(*self.paths[it], token) for it, token in zip(parents.tolist(), tokens.tolist(), strict=True)]
        )

    def _read(self, paths: list[tuple[int, ...]]) -> FloatArray:
        self.paths = paths
        return np.array([self.of(path) for path in paths]).reshape(-1, SIZE)

    def of(self, path: tuple[int, ...]) -> FloatArray:
        bits = hash((self.seed, *path))  # of integers: the same in every process
        odds = np.array([bits >> 12 * place & 4095 for place in range(SIZE)]) / 1000.0
        return odds - np.log(np.exp(odds).sum())


@dataclass
class World:
    """Candidates with random paths, symbols and days, and queries as of random days, some without their own symbol."""

    seed: int

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        n, self.depth = int(rng.integers(1, 40)), int(rng.integers(2, 5))
        self.title_depth = int(rng.integers(1, self.depth + 1))
        self.tokens = rng.integers(0, SIZE, (n, self.depth))
        self.days = np.datetime64("2020-01-01") + np.sort(rng.integers(0, 30, n))
        self.symbols = rng.integers(0, SYMBOLS, n).astype(np.int32)
        contexts = np.column_stack([np.arange(CASES), rng.integers(0, SIZE, (CASES, 2))])
        seen = np.datetime64("2020-01-01") + rng.integers(-2, 32, CASES)
        self.asked = Asked(contexts, seen, rng.integers(-1, SYMBOLS, CASES))
        self.width = Width(int(rng.integers(1, 5)), int(rng.integers(1, 5)))
        self.scorer = Table(self.seed)

    @property
    def trie(self) -> Trie:
        return build_trie(self.tokens, self.days, self.symbols)

    def search(self, width: Width) -> Named:
        return search(self.trie, self.scorer, self.asked, width, self.title_depth)

    def may_see(self, number: int, rows: IntArray) -> IntArray:
        """Of some candidates those that a query may see, the plain way."""
        known = self.days[rows] <= self.asked.seen[number]
        return rows[known & (self.symbols[rows] != self.asked.own[number])]


WIDE = Width(10_000, 10_000)


@settings(max_examples=WORLDS, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_ten_thousand_searches_name_nothing_that_was_not_known(seed: int) -> None:
    check_that_nothing_unknown_is_named(seed)  # 200 worlds of 50 queries


def check_that_nothing_unknown_is_named(seed: int) -> None:
    """Every leaf that is named, and every node on the way to it, holds a candidate that the query may see."""
    world = World(seed)
    trie, named = world.trie, world.search(world.width)
    for number, leaf in zip(named.owner.tolist(), named.leaf.tolist(), strict=True):
        assert len(world.may_see(number, trie.below(leaf)))
    paths = {tuple(path) for path in world.tokens.tolist()}
    for path in world.scorer.paths:  # what was read last: the way to each leaf, its last token aside
        number = path[0]
        below = [row for row, held in enumerate(world.tokens.tolist()) if tuple(held[: len(path) - 3]) == path[3:]]
        assert len(path) == 3 or len(world.may_see(number, np.array(below)))
    assert all(any(it[: len(path) - 3] == path[3:] for it in paths) for path in world.scorer.paths)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_a_wide_search_names_all_that_may_be_seen_by_its_exact_score(seed: int) -> None:
    world = World(seed)
    trie, named = world.trie, world.search(WIDE)
    found = {
        (number, tuple(world.tokens[trie.below(leaf)[0]].tolist())): (title, prefix)
        for number, leaf, title, prefix in zip(*(it.tolist() for it in vars(named).values()), strict=True)
    }
    wanted = {
        (number, tuple(world.tokens[row].tolist())): world_score(world, number, world.tokens[row].tolist())
        for number in range(CASES)
        for row in world.may_see(number, np.arange(len(world.tokens))).tolist()
    }
    assert found.keys() == wanted.keys()
    for key, pair in found.items():
        np.testing.assert_allclose(pair, wanted[key], atol=1e-12)


def world_score(world: World, number: int, path: list[int]) -> tuple[float, float]:
    """Mean log-probability of a path's title and prefix, token by token."""
    context = tuple(world.asked.contexts[number].tolist())
    steps = [world.scorer.of((*context, *path[:at]))[token] for at, token in enumerate(path)]
    title, prefix = steps[: world.title_depth], steps[world.title_depth :]
    return float(np.mean(title)), float(np.mean(prefix)) if prefix else 0.0


@settings(max_examples=15, deadline=None)
@example(161)  # two titles of one query have equal scores
@given(st.integers(0, 2**32))
def test_the_titles_that_are_kept_are_the_best_of_all(seed: int) -> None:
    world = World(seed)
    narrow, wide = title_scores(world, world.search(world.width)), title_scores(world, world.search(WIDE))
    for number in range(CASES):
        kept, scores = sorted(narrow[number].values()), sorted(wide[number].values())
        np.testing.assert_allclose(kept, scores[-world.width.titles :], atol=2e-6)
        assert narrow[number].items() <= wide[number].items()


def title_scores(world: World, named: Named) -> list[dict[tuple[int, ...], float]]:
    """What a search gave the titles that it named, of each query."""
    scores: list[dict[tuple[int, ...], float]] = [{} for _ in range(CASES)]
    for number, leaf, score in zip(named.owner.tolist(), named.leaf.tolist(), named.title.tolist(), strict=True):
        title = world.tokens[world.trie.below(leaf)[0], : world.title_depth]
        scores[number][tuple(title.tolist())] = score
    return scores


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_later_candidates_change_no_search_as_of_an_earlier_day(seed: int) -> None:
    world = World(seed)
    day = np.datetime64("2020-01-15")
    world.asked = Asked(world.asked.contexts, np.minimum(world.asked.seen, day), world.asked.own)
    known = np.count_nonzero(world.days <= day)
    if not known:
        return
    whole, trie = world.search(world.width), world.trie
    cut = build_trie(world.tokens[:known], world.days[:known], world.symbols[:known])
    part = search(cut, world.scorer, world.asked, world.width, world.title_depth)
    np.testing.assert_array_equal(part.owner, whole.owner)
    np.testing.assert_array_equal(part.title, whole.title)
    np.testing.assert_array_equal(part.prefix, whole.prefix)
    for mine, theirs in zip(part.leaf.tolist(), whole.leaf.tolist(), strict=True):
        assert cut.below(mine).tolist() == [row for row in trie.below(theirs).tolist() if row < known]


def test_a_trie_that_forgets_its_days_is_caught_by_these_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragsignal.retrieval.recall.trie.Level.allowed", lambda *_: np.ones(len(_[1]), dtype=bool))
    with pytest.raises(AssertionError):
        check_that_nothing_unknown_is_named(2)


def test_nodes_hold_the_first_day_of_all_and_of_the_others() -> None:
    days = np.array(["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"], dtype="datetime64[D]")
    trie = build_trie(np.array([[1, 2], [1, 3], [1, 2], [2, 2]]), days, np.array([5, 5, 6, 5], dtype=np.int32))
    first, second = trie.levels
    assert first.token.tolist() == [1, 2]
    assert first.known.tolist() == days[[0, 3]].tolist()
    assert first.symbol.tolist() == [5, 5]
    assert [str(day) for day in first.others_known] == ["2020-01-03", "NaT"]
    assert second.parent.tolist() == [0, 0, 1]
    assert [str(day) for day in second.others_known] == ["2020-01-03", "NaT", "NaT"]
    assert [trie.below(leaf).tolist() for leaf in range(3)] == [[0, 2], [1], [3]]
    assert (trie.most_leaves(0), trie.most_leaves(1)) == (2, 1)
    nodes, own = np.array([0, 0, 0]), np.array([-1, 5, 5])
    assert first.allowed(nodes, days[[0, 1, 2]], own).tolist() == [True, False, True]


def test_log_probabilities_are_not_shared_out_again_among_what_is_known() -> None:
    # a title's score is the same whichever others are known
    days = np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]")
    trie = build_trie(np.array([[0, 1], [1, 1]]), days, np.array([0, 0], dtype=np.int32))
    scorer = Table(3)
    early, late = (
        search(trie, scorer, Asked(np.array([[0, 0, 0]]), days[[day]], np.array([-1])), WIDE, 1) for day in (0, 1)
    )
    assert (len(early.leaf), len(late.leaf)) == (1, 2)
    assert early.title[0] == late.title[late.leaf == early.leaf[0]][0] == scorer.of((0, 0, 0))[0]


def test_a_query_that_may_see_nothing_names_nothing() -> None:
    days = np.array(["2020-01-02"], dtype="datetime64[D]")
    trie = build_trie(np.array([[0, 1, 2]]), days, np.array([4], dtype=np.int32))
    contexts = np.zeros((2, 3), dtype=np.int64)
    asked = Asked(contexts, np.array(["2020-01-01", "2020-01-09"], dtype="datetime64[D]"), np.array([-1, 4]))
    for width, depth in itertools.product((Width(1, 1), WIDE), (1, 2, 3)):
        assert len(search(trie, Table(0), asked, width, depth).leaf) == 0
