"""A run that is killed anywhere and started again ends as one that was not: nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ragsignal.trading import VariantResult
from ragsignal.trading.live import Heartbeat, LiveJournal, LiveMarket, PaperBroker
from ragsignal.trading.live.folder import FolderSource
from ragsignal.utils import Database
from tests.specs import MOMENTUM, VOTE, write_spec
from tests.trading.live.made import (
    GrowingFolder,
    append,
    assert_same,
    at_once,
    days,
    line,
    live_spec,
    run,
    write_history,
)

ROOT = Path(__file__).parents[3]
COME = days(26)
KILLS = 3


class Killed(BaseException):
    """What nothing in the program may catch: it stands for the end of the process."""


def before(method: Callable[..., Any]) -> Callable[..., Any]:
    """Die before a method is called."""

    def killed(*_: Any, **__: Any) -> Any:
        raise Killed

    return killed


def after(method: Callable[..., Any]) -> Callable[..., Any]:
    """Die when a method has done its work."""

    def killed(*words: Any, **named: Any) -> Any:
        method(*words, **named)
        raise Killed

    return killed


def within(_: Callable[..., Any]) -> Callable[..., Any]:
    """Die between two statements of a transaction."""

    def killed(self: Database, *steps: Any) -> None:
        with self.connection() as connection, connection:
            connection.executemany(*steps[0])
            raise Killed

    return killed


def torn(method: Callable[..., Any]) -> Callable[..., Any]:
    """Die within a line of the heartbeat."""

    def killed(self: Heartbeat, *_: Any) -> None:
        if not self._file.closed:
            self._file.write('{"at": "20')
            self._file.close()
        raise Killed

    return killed


PLACES = {
    "bars were read": (FolderSource, "poll", after),
    "a day is about to be written": (LiveJournal, "record", before),
    "a day is half written": (Database, "write", within),
    "a day was written": (LiveJournal, "record", after),
    "a bar came to the broker": (PaperBroker, "next", after),
    "orders were sent": (LiveMarket, "traded", before),
    "the account was written": (LiveMarket, "traded", after),
    "a line is half written": (Heartbeat, "_write", torn),
}


def ended(folder: Path, variant: str, to_come: Iterator[Any]) -> VariantResult:
    spec = live_spec(folder, variant=[{"momentum": MOMENTUM, "vote": VOTE}[variant]], benchmark=variant)
    result, _ = run(spec, variant, folder.parent / "journal.sqlite", GrowingFolder(folder, to_come))
    assert result is not None
    return result


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> VariantResult:
    folder = write_history(tmp_path_factory.mktemp("whole") / "prices")
    return ended(folder, "momentum", iter(COME))


@pytest.mark.parametrize("place", PLACES)
def test_a_kill_at_any_place_leaves_the_same_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, uninterrupted: VariantResult
) -> None:
    owner, name, how = PLACES[place]
    folder, to_come = write_history(tmp_path / "prices"), iter(COME)
    for lives in (9, 5, 2):  # calls until each death
        method, calls = getattr(owner, name), iter(range(lives))

        def mortal(*words: Any, calls: Any = calls, method: Any = method, **named: Any) -> Any:
            return (how(method) if next(calls, None) is None else method)(*words, **named)

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, mortal)
            with pytest.raises(Killed):
                ended(folder, "momentum", to_come)
    assert_same(ended(folder, "momentum", to_come), uninterrupted)


def test_signals_that_were_made_and_not_written_down_are_the_same_when_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ended(write_history(tmp_path / "one" / "prices"), "vote", iter(COME[:14]))
    folder, to_come = write_history(tmp_path / "two" / "prices"), iter(COME[:14])
    calls, record = iter(range(9)), LiveJournal.record

    def mortal(*words: Any) -> None:
        (record if next(calls, None) is not None else before(record))(*words)

    with monkeypatch.context() as patch:
        patch.setattr(LiveJournal, "record", mortal)
        with pytest.raises(Killed):
            ended(folder, "vote", to_come)
    assert_same(ended(folder, "vote", to_come), whole)


def test_a_journal_knows_the_account_of_its_last_day(tmp_path: Path) -> None:
    folder = write_history(tmp_path / "prices")
    result = ended(folder, "momentum", iter(COME))
    with LiveJournal.opened(tmp_path / "journal.sqlite") as journal:
        accounts = journal.accounts()
    assert list(accounts) == COME
    assert json.loads(accounts[COME[-1]])["equity"] == result.equity.iloc[-1]


@pytest.mark.slow
def test_a_process_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """Three times kill -9 at a moment of chance, while another program appends whole and half lines."""
    folder = write_history(tmp_path / "prices")
    data = {"source": "folder", "path": str(folder), "end": "2099-12-31"}
    path = write_spec(tmp_path, data=data, variant=[MOMENTUM], benchmark="momentum")
    command = [sys.executable, str(ROOT / "examples" / "live_paper.py"), str(path), "--poll", "0.05"]
    command += ["--variant", "momentum", "--journal", str(tmp_path / "journal.sqlite")]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    draw, left = random.Random(3), list(COME)
    for kill in range(KILLS + 1):
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        _await_live(process)
        for _ in range(4 if kill < KILLS else len(left)):
            _append_slowly(folder, left.pop(0), draw)
        time.sleep(draw.uniform(0.0, 0.15) if kill < KILLS else 0.5)
        process.send_signal(signal.SIGKILL if kill < KILLS else signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    killed, _ = run(
        live_spec(folder, variant=[MOMENTUM], benchmark="momentum"),
        "momentum",
        tmp_path / "journal.sqlite",
        FolderSource(folder, ("AAA", "BBB")),
        at_once(),
    )
    assert killed is not None
    whole = ended(write_history(tmp_path / "whole" / "prices"), "momentum", iter(COME))
    assert_same(killed, whole)


def _await_live(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    words = iter(process.stderr.readline, "")
    assert any("live:" in it for it in words)


def _append_slowly(folder: Path, day: Any, draw: random.Random) -> None:
    text = line("AAA", day)
    cut = draw.randrange(len(text))
    for part in (text[:cut], text[cut:]):
        with (folder / "AAA.csv").open("a") as file:
            file.write(part)
        time.sleep(0.03)
    append(folder, day, ("BBB",))
    time.sleep(0.1)
