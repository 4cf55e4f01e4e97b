"""The loop sees the search window alone; processes and kills change nothing; each law can fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ragsignal.alpha import Search
from ragsignal.alpha.evolution import Evolution, Generation
from ragsignal.alpha.journal import SearchJournal
from ragsignal.alpha.scoring import FormulaScorer
from ragsignal.config import SearchSpec
from ragsignal.data import Prices, load_prices, text_of
from ragsignal.parallel import InProcessPool, ProcessPool
from tests.searches import search_spec


@pytest.fixture(autouse=True)
def _own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))


def found_by(spec: SearchSpec, prices: Prices) -> list[tuple[str, float, float]]:
    """All formulas that the loop evaluates, with what they were worth."""
    loop = Evolution(spec.alpha, FormulaScorer(Search(spec, prices).part), InProcessPool(), SearchJournal(None, ""))
    loop.run()
    return [(text_of(it.formula), it.score.ic, it.score.t) for it in loop.individuals.values()]


def poisoned(prices: Prices, after: date, seed: int) -> Prices:
    """Prices in which every bar after a day is garbage."""
    rng = np.random.default_rng(seed)
    frames = {}
    for symbol, frame in prices.frames.items():
        late = frame.index > pd.Timestamp(after)
        changed = frame.copy()
        changed.loc[late] = frame.loc[late].to_numpy() * np.exp(rng.standard_normal((late.sum(), 1)))
        frames[symbol] = changed
    return Prices(frames=frames)


def test_the_loop_never_reads_what_is_after_its_window() -> None:
    spec = search_spec()
    prices = load_prices(spec.data)
    honest = found_by(spec, prices)
    for seed in range(3):
        assert found_by(spec, poisoned(prices, spec.alpha.search_end, seed)) == honest
    earlier = spec.alpha.search_end.replace(month=3)  # the test can fail: what is in the window moves what is found
    assert found_by(spec, poisoned(prices, earlier, 0)) != honest


def test_the_loop_holds_no_later_bar_or_label() -> None:
    spec = search_spec()
    part = Search(spec).part
    arrays = [part.labels, part.earned, part.panel.days, *part.panel.fields.values()]
    assert all(it.base is None or it.base.shape == it.shape for it in arrays)  # no view of a longer array
    assert part.panel.days[-1] <= np.datetime64(spec.alpha.search_end)
    assert len(part.labels) == len(part.days)
    assert np.isnan(part.labels[-spec.alpha.wait :]).all()  # known later
    assert part.known_through <= spec.alpha.search_end


def test_no_label_of_a_window_reaches_into_the_next() -> None:
    for horizon, target in ((1, "open_to_open"), (5, "movement"), (10, "open_to_open")):
        market = Search(search_spec(alpha={"horizon": horizon, "target": target})).market
        windows = [market.part(name) for name in ("search", "selection", "holdout")]
        for before, after in pairwise(windows):
            assert np.datetime64(before.known_through) < after.days[0]
            assert before.days[-1] < after.days[0]


def test_processes_find_what_one_process_finds() -> None:
    spec = search_spec(alpha={"generations": 2})
    alone = Search(spec).run()
    together = Search(spec).run(ProcessPool(2))
    assert replace(alone, times={}).record() == replace(together, times={}).record() | {"times": _times(alone)}


def _times(result: object) -> object:
    return replace(result, times={}).record()["times"]  # type: ignore[type-var]


class _KilledError(Exception):
    """What a test ends a search with."""


@pytest.mark.parametrize("after", [1, 2])
def test_a_killed_search_goes_on_and_ends_as_if_it_had_not_been(after: int, tmp_path: Path) -> None:
    spec = search_spec()
    whole = Search(spec).run()

    def kill(generation: Generation) -> None:
        if generation.number == after:
            raise _KilledError

    with pytest.raises(_KilledError):
        Search(spec).run(folder=tmp_path, watch=kill)
    (journal,) = tmp_path.glob("*.jsonl")
    with journal.open("ab") as file:
        file.write(b'["cut short')
    resumed = Search(spec).run(folder=tmp_path)
    assert _plain(resumed) == _plain(whole)
    assert not journal.exists()


def _plain(result: object) -> object:
    return {key: value for key, value in result.record().items() if key != "times"}  # type: ignore[attr-defined]
