"""What cannot be searched is told in a line: what, where, what was expected, and the repair."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ragsignal.alpha import Search
from ragsignal.alpha.journal import SearchJournal
from ragsignal.alpha.search import Tell, tell_nothing
from ragsignal.config import load_search_spec, load_spec
from ragsignal.errors import ConfigError, RagSignalError, StoreError
from tests.searches import SMALL_SEARCH, search_spec
from tests.specs import changed, write, write_spec

ALPHAS = '[[alpha]]\nname = "fade"\nformula = "{formula}"\nknown_through = 2011-12-30\n'


@pytest.fixture(autouse=True)
def _own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alpha": {"search_end": date(2013, 1, 2)}}, "must lie before selection_end .* the windows follow each other"),
        ({"alpha": {"search_end": date(2011, 1, 3)}}, "alpha.search_end 2011-01-03 must lie after data.start"),
        ({"alpha": {"selection_end": date(2013, 6, 28)}}, "must lie before data.end .* the holdout"),
        ({"alpha": {"embargo": 1}}, "embargo = 1: a label .* 2 bars later.* write embargo = 2 or more"),
        ({"alpha": {"horizon": 10, "embargo": 10}}, "embargo = 10: .* write embargo = 11 or more"),
        ({"alpha": {"keep": 7}}, "keep = 7 is more than candidates = 6"),
        ({"alpha": {"candidates": 13}}, "candidates = 13 is more than population = 12"),
        ({"alpha": {"popluation": 12}}, "alpha.popluation: unknown key. Did you mean 'population'"),
        ({"alpha": {"horizon": 3}}, "alpha.horizon"),
        ({"alpha": {"windows": []}}, "alpha.windows"),
        ({"alpha": {"windows": [5, 505]}}, "alpha.windows.*less than or equal to 504"),
        ({"alpha": {"depth": 0}}, "alpha.depth"),
        ({"alpha": {"search_end": "soon"}}, "a day was expected"),
        ({"alpha": {"known": "absent.toml"}}, "alpha.known: no file .*absent.toml"),
    ],
)
def test_a_spec_that_cannot_be_searched_is_refused(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "hunt.toml", changed(SMALL_SEARCH, **changes))
    with pytest.raises(ConfigError, match=said):
        load_search_spec(path)


def test_a_spec_of_another_kind_is_told_in_a_line(tmp_path: Path) -> None:
    search, run = write(tmp_path / "hunt.toml", SMALL_SEARCH), write_spec(tmp_path)
    with pytest.raises(ConfigError, match=r"^[^\n]*hunt.toml is a search spec.*`ragsignal alpha search SPEC`[^\n]*$"):
        load_spec(search)
    with pytest.raises(ConfigError, match=r"^[^\n]*small.toml is a run spec.*with a table \[alpha\][^\n]*$"):
        load_search_spec(run)


def test_a_wrong_value_in_a_list_is_one_mistake(tmp_path: Path) -> None:
    path = write(tmp_path / "hunt.toml", changed(SMALL_SEARCH, alpha={"windows": [-1]}))
    with pytest.raises(ConfigError, match=r"1 mistake\(s\)\n  alpha.windows.0: [^\n]+$"):
        load_search_spec(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"symbols": ["AAA"]}}, r"data.symbols: 1 symbol\(s\), and formulas rank at least 10"),
        ({"alpha": {"fields": ["close", "clsoe"]}}, "alpha.fields: there is no field 'clsoe'. Did you mean 'close'"),
        ({"alpha": {"seeds": ["rank(clsoe)"]}}, "alpha.seeds: .* no field clsoe"),
        ({"alpha": {"seeds": ["rank(5)"]}}, "alpha.seeds: .*rank.5.*it reads no field"),
        ({"alpha": {"fields": ["returns"], "seeds": ["5"]}}, "alpha.seeds: .*write a field into it: returns "),
        ({"alpha": {"seeds": ["ts_delay(close, -1)"]}}, "alpha.seeds: .* no later one can be reached"),
        ({"alpha": {"fields": ["returns"], "seeds": ["rank(close)"]}}, "alpha.seeds: .* no field close"),
        ({"alpha": {"search_end": date(2012, 3, 30)}}, "alpha.search_end: the search window has 63 bars .* fewer than"),
        ({"alpha": {"selection_end": date(2012, 9, 28)}}, "alpha.selection_end: the selection window has"),
        ({"data": {"end": date(2013, 1, 3)}}, "data.end: the holdout window has 0 bars"),
        ({"alpha": {"embargo": 60}}, "alpha.selection_end: the selection window has 68 bars"),
    ],
)
def test_bars_that_cannot_be_searched_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as told:
        Search(search_spec(**changes))
    assert "\n" not in str(told.value)


def test_a_file_of_known_formulas_becomes_part_of_the_spec(tmp_path: Path) -> None:
    path = write(tmp_path / "hunt.toml", changed(SMALL_SEARCH, alpha={"known": "mine.toml"}))
    (tmp_path / "mine.toml").write_text(ALPHAS.format(formula="ts_delta(close, 5) / close"))
    assert [it.name for it in load_search_spec(path).alpha.known] == ["fade"]
    (tmp_path / "mine.toml").write_text(ALPHAS.format(formula="ts_detla(close, 5)"))
    with pytest.raises(ConfigError, match=r"alpha.known: .* no operator ts_detla. Did you mean 'ts_delta'"):
        Search(load_search_spec(path))


def _run_until_killed(folder: Path, tell: Tell = tell_nothing, **changes: Any) -> set[Path]:
    """Begin a search, and leave its journal; returns all journals of the folder."""

    class KilledError(Exception):
        pass

    def kill(_: object) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        Search(search_spec(**changes)).run(folder=folder, watch=kill, tell=tell)
    return {*folder.glob("*.jsonl")}


def test_another_search_begins_anew_and_leaves_the_journal_of_a_killed_one(tmp_path: Path) -> None:
    (killed,) = _run_until_killed(tmp_path)
    whole = killed.read_bytes()
    for changes in ({"alpha": {"seed": 1}}, {"data": {"seed": 1}}, {"alpha": {"search_end": date(2012, 6, 28)}}):
        told: list[str] = []
        (other,) = _run_until_killed(tmp_path, told.append, **changes) - {killed}
        assert [it for it in told if "is not done" in it and str(killed) in it and "\n" not in it] == told != []
        assert killed.read_bytes() == whole
        other.unlink()


def test_who_waits_for_the_same_search_begins_it_when_that_one_is_done(tmp_path: Path) -> None:
    first, waiting = SearchJournal(tmp_path, "a"), ThreadPoolExecutor(1)
    second = waiting.submit(SearchJournal, tmp_path, "a")
    time.sleep(0.1)  # until it waits
    first.add({"generation": 0})
    first.drop()
    assert second.result(10).lines == []
    second.result().drop()
    waiting.shutdown()
    assert not [*tmp_path.iterdir()]


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    (path,) = _run_until_killed(tmp_path)
    sound = path.read_bytes()
    for damaged in (sound.replace(b'"elite"', b'"elyte"'), b"garbage\n" + sound, sound.replace(b'"ic": ', b'"ic": 1')):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"is damaged in line [12]: .* delete the file"):
            Search(search_spec()).run(folder=tmp_path)
    (other,) = _run_until_killed(tmp_path / "other", alpha={"seed": 1})
    path.write_bytes(other.read_bytes())
    with pytest.raises(StoreError, match=r"is damaged in line 1: .* delete the file"):
        Search(search_spec()).run(folder=tmp_path)


def test_a_journal_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "search-a.jsonl").mkdir()
    with pytest.raises(RagSignalError, match=r"cannot be used: .* name another out"):
        SearchJournal(tmp_path, "a")
