"""Eight processes that write into one signal store at once, of which one is killed in the middle.

    python -m tests.many_writers PLACE JOURNAL

``PLACE`` is a file or a URL. Each process notes in the file ``JOURNAL`` which batches it was told are kept; the exit
status of each comes out as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import date
from pathlib import Path

from ragsignal.signals.store import SignalStore
from ragsignal.types import Prompt, Query, Signal

WRITERS, BATCHES, SIZE = 8, 15, 20
VICTIM = 3
"""The process that is killed; until then it writes without end."""
_KILLED_AFTER = 4  # batches
_DAY = date(2020, 1, 2)
_PROMPTS = [Prompt(Query("AA", (_DAY,), (1.0,)), (), "letters")] * (2 * SIZE)


def batch_of(writer: int, number: int) -> list[Signal]:
    """A batch of a writer: half of its keys are its own, and half are those of every writer, in an order of its own."""
    names = [f"{writer}/{number}/{row}" for row in range(SIZE)] + [f"all/{number}/{row}" for row in range(SIZE)]
    turned = names[writer:] + names[:writer]
    return [Signal("AA", _DAY, writer / 10, 0.5, None, (), name) for name in turned]


def put(store: SignalStore, writer: int, number: int) -> None:
    """Write a batch."""
    store.put(store.put_recipe({"writers": WRITERS}), batch_of(writer, number), _PROMPTS)


def _write(place: Path | str, writer: int, journal: int, gate: int) -> None:
    os.read(gate, 1)  # until the last one is there: all open the store at once
    store = SignalStore(place)
    number = 0
    while number < BATCHES or writer == VICTIM:
        put(store, writer, number)
        os.write(journal, f"{writer} {number}\n".encode())
        number += 1


def _forked(place: Path | str, writer: int, journal: int, gate: tuple[int, int]) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.close(gate[1])
        _write(place, writer, journal, gate[0])
        status = 0
    finally:
        os._exit(status)


def main(place: Path | str, journal: Path) -> list[int]:
    """Run the writers, kill one; their exit statuses."""
    if isinstance(place, str):
        import psycopg  # noqa: F401 - once, and not in every process
        import sqlalchemy  # noqa: F401
    file = os.open(journal, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    gate = os.pipe()
    children = [_forked(place, writer, file, gate) for writer in range(WRITERS)]
    os.close(gate[1])
    while journal.read_text().count(f"{VICTIM} ") < _KILLED_AFTER:
        time.sleep(0.001)
    os.kill(children[VICTIM], signal.SIGKILL)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    where = sys.argv[1]
    print(json.dumps(main(where if "://" in where else Path(where), Path(sys.argv[2]))))
