"""A live run as a user starts it: what is refused, how it stops, what it tells."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ragsignal.config import RunSpec
from ragsignal.errors import ConfigError, DataError, RagSignalError, StoreError
from ragsignal.llm import VoteScorer
from ragsignal.trading.live import LiveJournal, LiveOptions, run_live
from ragsignal.trading.live.bars import Event
from tests.specs import HOLD, MOMENTUM, VOTE
from tests.trading.live.made import append, at_once, days, live_spec, write_history

COME = days(6)


def quiet(_: str) -> None:
    """Tell nobody."""


def go(spec: RunSpec, tmp_path: Path, variant: str | None = "momentum", options: LiveOptions | None = None) -> Any:
    return run_live(spec, variant, tmp_path / "journal.sqlite", options or at_once(), quiet)


def ready(tmp_path: Path) -> Path:
    """A folder that holds some traded days."""
    return write_history(tmp_path / "prices", through=COME[3])


def _no_folder(tmp_path: Path) -> None:
    go(live_spec(tmp_path / "none"), tmp_path)


def _empty_folder(tmp_path: Path) -> None:
    (tmp_path / "prices").mkdir()
    go(live_spec(tmp_path / "prices"), tmp_path)


def _no_header(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    (folder / "BBB.csv").write_text("2015-01-05,1,1,1,1,1\n")
    go(live_spec(folder), tmp_path)


def _unknown_symbol(tmp_path: Path) -> None:
    go(live_spec(ready(tmp_path), data={"symbols": ["AAB"]}), tmp_path)


def _ended(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    spec = live_spec(folder, data={"end": COME[3]})
    assert go(spec, tmp_path) is not None
    go(spec, tmp_path)


def _another_spec(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    go(live_spec(folder), tmp_path)
    go(live_spec(folder, costs={"commission_bps": 1.0}), tmp_path)


def _another_variant(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    go(live_spec(folder), tmp_path, "momentum")
    go(live_spec(folder), tmp_path, "hold")


def _in_use(tmp_path: Path) -> None:
    with LiveJournal.opened(tmp_path / "journal.sqlite"):
        go(live_spec(ready(tmp_path)), tmp_path)


def _clock_went_back(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    go(live_spec(folder), tmp_path)
    go(live_spec(folder), tmp_path, options=at_once(clock=lambda: datetime(2016, 1, 1, tzinfo=UTC)))


def _another_recipe(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    go(live_spec(folder), tmp_path, "vote")
    with pytest.MonkeyPatch.context() as patch:  # as after an upgrade, or with other weights in the same place
        patch.setattr(VoteScorer, "recipe", {"scorer": "vote", "version": 99})
        go(live_spec(folder), tmp_path, "vote")


def _decisions(tmp_path: Path) -> None:
    (tmp_path / "decisions.csv").write_text(f"symbol,date,action\nAAA,{COME[1]},buy\n")
    external = {"name": "desk", "signal": "external", "external": {"path": str(tmp_path / "decisions.csv")}}
    go(live_spec(ready(tmp_path), variant=[external, HOLD]), tmp_path, "desk")


def _no_seconds(tmp_path: Path) -> None:
    go(live_spec(ready(tmp_path)), tmp_path, options=at_once(poll=float("nan")))


def _seconds_below_zero(tmp_path: Path) -> None:
    go(live_spec(ready(tmp_path)), tmp_path, options=at_once(wait=-1.0))


def _journal_named_as_heartbeat(tmp_path: Path) -> None:
    run_live(live_spec(ready(tmp_path)), "momentum", tmp_path / "journal.jsonl", at_once(), quiet)


def _journal_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run_live(live_spec(ready(tmp_path)), "momentum", tmp_path / "file" / "journal.sqlite", at_once(), quiet)


def _full_disk_of_the_heartbeat(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").symlink_to("/dev/full")
    go(live_spec(ready(tmp_path)), tmp_path)


def _no_variant(tmp_path: Path) -> None:
    go(live_spec(ready(tmp_path)), tmp_path, "momentun")


def _does_not_grow(tmp_path: Path) -> None:
    go(live_spec(ready(tmp_path), data={"source": "planted", "path": None}), tmp_path)


def _same_close(tmp_path: Path) -> None:
    go(live_spec(ready(tmp_path), costs={"execution": "same_close"}), tmp_path)


def _picked(tmp_path: Path) -> None:
    universe = {"top": 1, "as_of": "2014-12-01"}
    go(live_spec(ready(tmp_path), data={"universe": universe}), tmp_path)


def _damaged(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_text("this is no database, whatever its name says" * 99)
    go(live_spec(ready(tmp_path)), tmp_path)


def _damage(tmp_path: Path, statement: str) -> None:
    folder = ready(tmp_path)
    go(live_spec(folder), tmp_path)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as database, database:
        database.execute(statement)
    go(live_spec(folder), tmp_path)


def _other_hits(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    go(live_spec(folder), tmp_path, "vote")
    go(live_spec(folder, retrieval={"k": 5}), tmp_path, "vote")


def _another_strategy_of_a_variant(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    go(live_spec(folder, variant=[VOTE, MOMENTUM, HOLD]), tmp_path)
    go(live_spec(folder, variant=[VOTE, MOMENTUM | {"strategy": HOLD["strategy"]}, HOLD]), tmp_path)


def _lost_signal(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    go(live_spec(folder), tmp_path, "vote")
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as database, database:
        database.execute(f"DELETE FROM signals WHERE day = '{COME[1]}' AND symbol = 'BBB'")
    go(live_spec(folder), tmp_path, "vote")


def _bars_of_no_day(tmp_path: Path) -> None:
    _damage(tmp_path, f"DELETE FROM days WHERE day = '{COME[1]}'")


def _no_date(tmp_path: Path) -> None:
    _damage(tmp_path, f"UPDATE days SET recorded_at = x'00' WHERE day = '{COME[3]}'")


def _torn_account(tmp_path: Path) -> None:
    _damage(tmp_path, "UPDATE accounts SET account = substr(account, 1, 9)")


def _cut_off(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    go(live_spec(folder), tmp_path)
    (tmp_path / "journal.sqlite").write_bytes((tmp_path / "journal.sqlite").read_bytes()[:100])
    go(live_spec(folder), tmp_path)


def _no_close(tmp_path: Path) -> None:
    go(live_spec(ready(tmp_path), data={"source": "yfinance", "path": None}), tmp_path)


def _changed_account(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    go(live_spec(folder), tmp_path)
    with LiveJournal.opened(tmp_path / "journal.sqlite") as journal:
        account = journal.accounts()[COME[2]].replace("100000", "100001")
        journal._write(("UPDATE accounts SET account = ? WHERE day = ?", [(account, str(COME[2]))]))
    go(live_spec(folder), tmp_path)


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        (_no_folder, DataError, "no such folder; it is data.path"),
        (_empty_folder, DataError, "no price file in this folder; name each file SYMBOL.csv"),
        (_no_header, DataError, "its first line is no header with date, open, high, low, close, volume; write one"),
        (_unknown_symbol, DataError, "no file AAB.csv. Did you mean 'AAA'"),
        (_ended, ConfigError, "nothing can follow; write a later data.end, such as 2099-12-31"),
        (_another_spec, ConfigError, "is of another run: its spec is"),
        (_other_hits, ConfigError, "its spec is another at retrieval.k: 15, and now 5"),
        (_another_strategy_of_a_variant, ConfigError, "its spec is another at variant.1.strategy.class: "),
        (_lost_signal, StoreError, f"has a bar of BBB on {COME[1]} and not its signal: it is damaged; put back a copy"),
        (_another_variant, ConfigError, 'its variant is "momentum", and now "hold"'),
        (_in_use, ConfigError, "is in use by another process; stop that one (SIGTERM), or take another file"),
        (_clock_went_back, ConfigError, "the clock says 2016-01-01 00:00 UTC, and the journal"),
        (_another_recipe, ConfigError, "is of another run: its recipe of the signals is"),
        (_decisions, ConfigError, 'signal = "external" is read from a file once, and a live run would not see'),
        (_no_seconds, ConfigError, "poll = nan: seconds from 0 on, such as 60 (--poll 60)"),
        (_seconds_below_zero, ConfigError, "wait = -1.0: seconds from 0 on"),
        (_journal_named_as_heartbeat, ConfigError, "would lie where its heartbeat does; name it journal.sqlite"),
        (_journal_below_a_file, StoreError, "name another place: --journal FILE"),
        (_full_disk_of_the_heartbeat, StoreError, "make room there, and start the run again"),
        (_no_variant, ConfigError, "no variant 'momentun'. Did you mean 'momentum'"),
        (_does_not_grow, ConfigError, 'data.source = "planted" does not grow; a live run needs source = "folder"'),
        (_same_close, ConfigError, 'a live run needs execution = "next_open"'),
        (_picked, ConfigError, "write the names into data.symbols"),
        (_bars_of_no_day, StoreError, "if the file is damaged put back a copy of it"),
        (_no_date, StoreError, "if the file is damaged put back a copy of it"),
        (_torn_account, StoreError, "if the file is damaged put back a copy of it"),
        (_cut_off, StoreError, "it is cut off after 100 bytes; it holds the account"),
        (_damaged, StoreError, "if the file is damaged put back a copy of it, or begin a new one: --journal FILE"),
        (_no_close, ConfigError, 'write data.close, such as "16:00 America/New_York"'),
        (_changed_account, DataError, f"gives another cash on {COME[2]}"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_line_with_its_repair(
    tmp_path: Path, wrong: Callable[[Path], None], kind: type[RagSignalError], words: str
) -> None:
    with pytest.raises(kind) as refused:
        wrong(tmp_path)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_variant_that_is_trained_on_the_way_is_refused(tmp_path: Path) -> None:
    from ragsignal.config import load_spec
    from ragsignal.data import Prices
    from ragsignal.study import GrowingSource

    spec = load_spec("backtests/walk_forward.toml")
    walked = next(it for it in spec.variants if it.retrained)
    with pytest.raises(ConfigError, match="name an artifact that is there"):
        GrowingSource(spec, walked, Prices({}), tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_after_the_day_that_it_is_at(tmp_path: Path, number: signal.Signals) -> None:
    folder, told = ready(tmp_path), list[str]()

    def hear(words: str) -> None:
        told.append(words)
        if "live:" in words:
            signal.raise_signal(number)

    before = signal.getsignal(number)
    result = run_live(live_spec(folder), "momentum", tmp_path / "journal.sqlite", at_once(once=False, poll=30.0), hear)
    assert result is not None
    assert len(result.equity) == 4
    assert told[-1].endswith(f"({number.name})")
    assert signal.getsignal(number) is before


def test_the_heartbeat_says_where_the_run_is(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    spec = live_spec(folder, data={"close": "16:00 America/New_York"}, variant=[MOMENTUM], benchmark="momentum")
    now = datetime(2015, 1, 8, 23, tzinfo=UTC)
    go(spec, tmp_path, options=at_once(clock=lambda: now))
    append(folder, COME[4])
    go(spec, tmp_path, options=at_once(clock=lambda: now))
    lines = [json.loads(it) for it in (tmp_path / "journal.jsonl").read_text().splitlines()]
    last = lines[-1]
    assert last["state"] == "stopped"
    assert last["why"] == "all that was there is traded"
    assert last["last_bar"] == str(COME[3])  # the next is held until its day is over
    assert last["lag_s"] == 2 * 3600
    assert (last["equity"], last["positions"]) == (100_000.0, 0)
    assert [it["event"] for it in lines if "event" in it] == ["early", "early"]


def test_an_event_is_told_of_once_however_often_the_run_is_started(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    go(live_spec(folder), tmp_path)
    lines = (folder / "BBB.csv").read_text().splitlines(keepends=True)
    day, *numbers = lines[-2].strip().split(",")
    lines[-2] = ",".join([day, *(repr(float(it) * 1.5) for it in numbers)]) + "\n"
    (folder / "BBB.csv").write_text("".join(lines))
    for _ in range(2):
        go(live_spec(folder), tmp_path)
    with LiveJournal.opened(tmp_path / "journal.sqlite") as journal:
        events = journal.events()
    assert [(it.kind, it.symbol, it.day) for it in events] == [("revision", "BBB", date.fromisoformat(day))]
    told = [json.loads(it) for it in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert len([it for it in told if it.get("event")]) == 1
    assert isinstance(events[0], Event)


def test_all_symbols_of_a_folder_stay_those_of_the_first_day(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    spec = live_spec(folder, data={"symbols": "all"})
    first = go(spec, tmp_path)
    (folder / "CCC.csv").write_text((folder / "AAA.csv").read_text())
    second = go(spec, tmp_path)
    assert second.equity.equals(first.equity)


def test_a_run_ends_by_itself_at_the_end_of_its_spec(tmp_path: Path) -> None:
    folder = ready(tmp_path)
    told: list[str] = []
    spec = live_spec(folder, data={"end": COME[2]})
    result = run_live(spec, "momentum", tmp_path / "journal.sqlite", at_once(once=False), told.append)
    assert result is not None
    assert len(result.equity) == 3
    assert f"data.end = {COME[2]} is reached" in told[-1]
    longer = go(live_spec(folder), tmp_path)
    assert len(longer.equity) == 4
