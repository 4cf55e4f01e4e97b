"""Many processes, one store, on both databases: nothing that was kept is lost, nothing is there twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragsignal.signals.store import SignalStore
from tests.many_writers import BATCHES, SIZE, VICTIM, WRITERS, batch_of, put
from tests.postgres import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A store that is not there yet."""
    if request.param == "sqlite":
        return tmp_path / "signals.sqlite"
    server: Server = request.getfixturevalue("postgres")
    return server.url(server.new_database())


def kept(store: SignalStore, writer: int, number: int) -> int:
    """How many rows of a batch's own are there; those of all writers have to be there, and be of one of them."""
    found = store.get([it.key for it in batch_of(writer, number)])
    own = [key for key in found if not key.startswith("all/")]
    shared = {key: it for key, it in found.items() if key.startswith("all/")}
    assert not own or len(shared) == SIZE
    assert {it.value for it in shared.values()} <= {number / 10 for number in range(WRITERS)}
    return len(own)


def batches_of(journal: Path) -> Iterator[tuple[int, int]]:
    """Batches that their writer was told are kept."""
    for line in journal.read_text().splitlines():
        writer, number = line.split()
        yield int(writer), int(number)


def test_of_eight_writers_one_is_killed_and_nothing_is_lost_or_doubled(place: Path | str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.many_writers", str(place), str(tmp_path / "journal")]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=300)
    statuses = json.loads(done.stdout)
    assert statuses == [-signal.SIGKILL if writer == VICTIM else 0 for writer in range(WRITERS)]
    store, written = SignalStore(place), set(batches_of(tmp_path / "journal"))
    assert written >= {(writer, number) for writer in range(WRITERS) if writer != VICTIM for number in range(BATCHES)}
    assert {kept(store, *batch) for batch in written} == {SIZE}
    last = max(number for writer, number in written if writer == VICTIM)
    begun = kept(store, VICTIM, last + 1)  # its transaction may have ended before it could say so, or not
    assert begun in (0, SIZE)
    assert kept(store, VICTIM, last + 2) == 0
    numbers = {number for _, number in written} | ({last + 1} if begun else set())
    assert len(store) == SIZE * (len(written) + (begun > 0) + len(numbers))
    for number in range(last + 3):  # the work of the killed one is done again
        put(store, VICTIM, number)
    assert {kept(store, VICTIM, number) for number in range(last + 3)} == {SIZE}
    assert len(store) == SIZE * ((WRITERS - 1) * BATCHES + last + 3 + max(BATCHES, last + 3))


def test_of_two_writers_of_a_key_the_first_one_stays_and_both_succeed(place: Path | str) -> None:
    first, second = SignalStore(place), SignalStore(place)
    put(first, 1, 0)
    put(second, 2, 0)
    found = second.get([it.key for it in batch_of(2, 0)])
    assert {key.split("/")[0]: it.value for key, it in found.items()} == {"2": 0.2, "all": 0.1}
    assert first.get(found) == found
    assert len(first) == 3 * SIZE


def test_a_fork_may_not_use_the_store_of_its_parent_which_goes_on(place: Path | str) -> None:
    # in a process of its own: this one may hold threads, and a fork with threads is a warning, that is, an error
    where = repr(place) if isinstance(place, str) else f"Path({str(place)!r})"
    program = f"""
    import os
    from pathlib import Path
    from ragsignal.errors import StoreError
    from ragsignal.signals.store import SignalStore
    from tests.many_writers import put
    store = SignalStore({where})
    put(store, 0, 0)
    if os.fork() == 0:
        try:
            len(store)
        except StoreError as error:
            assert "opened by another process" in str(error)
            put(SignalStore({where}), 1, 0)
            os._exit(0)
        os._exit(1)
    status = os.wait()[1]
    put(store, 2, 0)
    assert len(store) == {4 * SIZE}
    raise SystemExit(os.waitstatus_to_exitcode(status))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, check=True, timeout=120)
