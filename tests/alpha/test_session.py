"""A session: what is said is kept, what is edited loses its result, and nothing after the search window is seen."""

from __future__ import annotations

import multiprocessing
import tomllib
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ragsignal.alpha import ENDING, Session, read_session, write_session
from ragsignal.alpha.ledger import SEARCHED
from ragsignal.alpha.search import Search
from ragsignal.alpha.session_file import Entry, SessionFile
from ragsignal.cli.alpha_chat import Chat
from ragsignal.config import load_spec
from ragsignal.data import Prices, load_prices, name_symbols
from ragsignal.errors import ConfigError, RagSignalError
from ragsignal.signals import queries_of
from ragsignal.study import Study, TrialLedger, bars_between, ledger_path
from ragsignal.utils import silent
from tests.searches import SMALL_SEARCH
from tests.specs import changed, write, write_spec


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    spec = write(tmp_path / "hunt.toml", changed(SMALL_SEARCH, alpha={"seeds": ["rank(volume)"]}))
    return Session.open(tmp_path / f"hunt{ENDING}", spec)


# ------------------------------------------------------------------------------------------------------------ the file


def test_what_was_written_reads_back_as_it_was(session: Session) -> None:
    session.add("-ts_delta(close, 5) / close", "fade")
    session.note("fade", 'a "note" with = and\nlines')
    session.test()
    before = session.path.read_text()
    write_session(session.path, session.file)
    assert session.path.read_text() == before
    assert tomllib.loads(before)["formula"][0]["note"] == 'a "note" with = and\nlines'


def test_a_formula_that_was_edited_loses_its_result(session: Session) -> None:
    session.add("ts_delta(close, 5)", "fade")
    session.test()
    assert session.file.formula[0].tested is not None
    session.path.write_text(session.path.read_text().replace("ts_delta(close, 5)", "ts_delta(close, 6)"))
    assert session.file.formula[0].tested is None
    assert session.file.formula[0].status == "proposed"


def _add(path: str, number: int) -> None:
    Session(Path(path)).add(f"ts_delta(close, {number})", f"n{number}")


def test_two_that_write_at_once_lose_nothing(session: Session) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_add, args=(str(session.path), number)) for number in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert {it.name for it in session.file.formula} == {"n1", "n2"}


# ----------------------------------------------------------------------------------------------------------- no fooling


def test_every_tested_formula_is_a_trial_once(session: Session) -> None:
    session.add("ts_delta(close, 5)")
    session.add("rank(volume)")
    session.test()
    session.test(["f1"])
    part = session.scorer.part
    days = part.days.astype("datetime64[D]").tolist()
    ledger = TrialLedger(ledger_path())
    trials = ledger.against(bars_between(session.prepared.spec.data, days[0], days[-1]))
    ledger.close()
    assert [it.command for it in trials] == [SEARCHED] * 2


def said(session: Session, lines: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    chat = Chat(session, silent)
    for line in lines:
        assert chat.take(line)
    return capsys.readouterr().err


@pytest.mark.parametrize("line", ["search for calm stocks", "Search now", "show me stocks that fell", "quit smoking"])
def test_an_idea_that_begins_like_a_command_is_not_taken_for_it(
    session: Session, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "search", lambda *_: pytest.fail("the holdout was looked at"))
    assert f"if this is an idea: idea {line}" in said(session, [line], capsys)


def test_a_command_may_be_written_large_and_followed_by_a_tab(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "f1: rank(volume)" in said(session, ["Add\trank(volume)"], capsys)


def test_a_long_line_is_told_short(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(said(session, ["y" * 100_000], capsys)) < 1000


@pytest.mark.parametrize("where", ["none/page.html", "file/page.html"])
def test_a_page_that_cannot_be_written_ends_nothing(
    session: Session, where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    told = said(session, [f"page {tmp_path / where}", "add rank(volume)"], capsys)
    assert "cannot be written" in told
    assert "f1: rank(volume)" in told


def test_a_formula_that_ranks_nothing_is_like_no_other(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert "flat is like no other formula" in said(session, ["add flat = close * 0", "like flat"], capsys)


LINES = ("add fade = -ts_delta(close, 5) / close", "add volume - ts_mean(volume, 5)", "test", "show", "explain fade")


def test_bars_after_the_search_window_change_no_word(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = said(session, [*LINES, "like fade"], capsys)
    other = Session.open(tmp_path / f"other{ENDING}", tmp_path / "hunt.toml")
    frames = load_prices(session.spec.data).frames
    end = np.datetime64(session.spec.alpha.search_end)
    poisoned = {
        name: it.mul(np.where(it.index <= end, 1.0, 3.0 + row), axis=0) for row, (name, it) in enumerate(frames.items())
    }
    other.prepared = Search(other.spec, Prices(poisoned))
    assert said(other, [*LINES, "like fade"], capsys) == honest
    assert "IC " in honest


def test_a_search_begins_with_the_formulas_and_its_file_can_be_traded(session: Session, tmp_path: Path) -> None:
    session.add("ts_zscore(close, 5)", "mine")
    session.add("ts_delta(volume, 3)", "gone")
    session.drop("gone")
    seeds = session._seeded().spec.alpha.seeds
    assert seeds == ("rank(volume)", "ts_zscore(close, 5)")
    folder, result = session.search()
    assert session.path.parent / session.file.search[0].folder == folder
    assert session.file.search[0].verdict == result.verdict
    kept = [it.formula for it in session.file.formula if it.status == "kept"]
    assert kept == [it.formula for it in result.kept if it.formula not in seeds]


class _KilledError(Exception):
    """What a test ends a search with."""


def _killed(_: object) -> None:
    raise _KilledError


def test_after_a_killed_search_other_formulas_begin_anew_and_the_same_ones_go_on(session: Session) -> None:
    session.add("ts_zscore(close, 5)", "mine")
    with pytest.raises(_KilledError):
        session.search(watch=_killed)
    runs = session.spec.out / session.spec.name
    (journal,) = runs.glob("*.jsonl")
    session.add("ts_delta(volume, 3)", "later")
    told: list[str] = []
    session.search(tell=told.append)
    assert len(told) == 1
    assert str(journal) in told[0]
    assert [*runs.glob("*.jsonl")] == [journal]
    for entry in session.file.formula:
        if entry.name != "mine":
            session.drop(entry.name)
    session.search(tell=told.append)  # from the formulas with which the killed one began
    assert len(told) == 1
    assert not journal.exists()


@pytest.mark.parametrize("symbols", ["named", "all"])
def test_a_session_reads_prices_once(
    session: Session, tmp_path: Path, symbols: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if symbols == "all":  # they are looked up in the prices, which are read for that
        (tmp_path / "prices").mkdir()
        for name, frame in load_prices(session.spec.data).frames.items():
            frame.to_csv(tmp_path / "prices" / f"{name}.csv", index_label="Date")
        data = {"source": "folder", "path": "prices", "symbols": "all"}
        session = Session.open(session.path, write(tmp_path / "hunt.toml", changed(SMALL_SEARCH, data=data)))
    read: list[str] = []
    for function in (load_prices, name_symbols):
        counted = partial(_counted, read, function)
        monkeypatch.setattr(f"ragsignal.alpha.search.{function.__name__}", counted)
    session.add("ts_zscore(close, 5)")
    session.test()
    session.search()
    assert len(read) == 1


def _counted(read: list[str], function: Callable[..., object], *given: object) -> object:
    read.append(function.__name__)
    return function(*given)


@pytest.mark.slow
def test_the_formulas_of_a_search_are_traded_after_it_and_not_before(session: Session, tmp_path: Path) -> None:
    path = write(tmp_path / "all.toml", changed(SMALL_SEARCH, data={"source": "planted"}, alpha={"keep": 6, "seed": 1}))
    opened = Session.open(tmp_path / f"all{ENDING}", path)
    folder, result = opened.search()
    assert result.kept, "this seed keeps some"
    names = [f"alpha.{it.name}" for it in result.kept]
    data = {"source": "planted", "symbols": SMALL_SEARCH["data"]["symbols"], "end": date(2013, 12, 31)}
    corpus = {"alphas": str(folder / "alphas.toml"), "indicators": names}
    late = load_spec(write_spec(tmp_path, data=data | {"start": date(2013, 7, 1)}, corpus=corpus))
    study = Study(late)
    (signal,) = study.pipeline(late.variants[0]).signals(queries_of(study.materials.traded.frames, 5)[-1:])
    assert signal.hits
    early = load_spec(write_spec(tmp_path, data=data | {"start": date(2013, 6, 3)}, corpus=corpus))
    with pytest.raises(RagSignalError, match=r"formula hunt-1 .fitted through 2013-06"):
        Study(early).pipeline(early.variants[0])


# ----------------------------------------------------------------------------------------------- what is wrong is told


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tset", "there is no command 'tset'. Did you mean 'test'?"),
        ("add clsoe", "Did you mean 'close'"),
        ("add flat = rank(5)", "'rank(5)': it reads no field"),
        ("add x = ts_delta(close, -1)", "no later one can be reached"),
        ("add fade = open", "there is a formula fade already"),
        ("add other = -ts_delta(close, 5)", "fade is the same formula"),
        ("add a b = open", "'a b' is no name for a formula"),
        ("test nobody", "there is no formula 'nobody'"),
        ("explain", "explain needs the name of a formula"),
        ("drop", "drop needs the name of a formula"),
        ("note", "note needs the name of a formula"),
        ("like f9", "there is no formula 'f9'"),
        ("idea ????", "has no words"),
        ("", ""),
    ],
)
def test_a_mistake_is_told_and_ends_nothing(
    session: Session, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    session.add("-ts_delta(close, 5)", "fade")
    before = session.path.read_text()
    told = " ".join(said(session, [line], capsys).split())
    assert words in told
    assert session.path.read_text() == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("spec = 'hunt.toml'\n[[formula", "is not a TOML file"),
        ("name = 'x'\n", "is no session, which begins with spec"),
        ("spec = 'hunt.toml'\n[data]\n", "is no session"),
        ("spec = 'hunt.toml'\nformulas = []\n", "unknown key. Did you mean 'formula'"),
        ("spec = 'hunt.toml'\n[[formula]]\nname = 'a'\n", "formula.0.formula: missing"),
        ("spec = 'hunt.toml'\n[[formula]]\nname = 'a b'\nformula = 'open'\n", "formula.0.name"),
        ("spec = 'hunt.toml'\n" + 2 * "[[formula]]\nname = 'a'\nformula = 'open'\n", "two formulas are called a"),
        ("spec = 'hunt.toml'\n[[formula]]\nname = 'a'\nformula = 'open'\nstatus = 'best'\n", "status"),
        ("spec = 'gone.toml'\n", "no spec at"),
    ],
)
def test_a_file_that_is_no_session_is_told(session: Session, text: str, words: str) -> None:
    session.path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        Session(session.path)


def test_there_has_to_be_a_file_and_a_sound_spec(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no session at .*; `ragsignal alpha chat SPEC` begins one"):
        read_session(tmp_path / f"none{ENDING}")
    with pytest.raises(ConfigError, match="no spec at"):
        Session.open(tmp_path / f"none{ENDING}", tmp_path / "none.toml")
    assert not list(tmp_path.glob(f"*{ENDING}"))


def test_a_session_without_its_formulas_takes_one() -> None:
    assert SessionFile(spec="a").having(Entry(name="b", formula="open")).find("b") is not None
