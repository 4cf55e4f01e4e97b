"""What a benchmark reports, and how two sides are timed: in turn, in one process, so that a busy minute hits both."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ragsignal.cli.terminal import stdout_is_ours


@dataclass(frozen=True)
class Measure:
    """One figure.

    Parameters
    ----------
    name : str
        What was measured, with its sizes.
    value : float
    unit : str
        ``x`` for a ratio to the rival.
    rival : str
        What stands on the other side; empty where nothing does.
    target : str
        ``>= 12``, ``<= 3``, or empty where there is none.
    command : str
        What to type to repeat it.
    detail : dict
        Medians of both sides with their units, rounds, sizes: what the ratio was made of.
    """

    name: str
    value: float
    unit: str
    rival: str
    target: str
    command: str
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None without one."""
        if not self.target:
            return None
        sign, number = self.target.split()
        return self.value >= float(number) if sign == ">=" else self.value <= float(number)

    def record(self) -> dict[str, Any]:
        """As it stands in results.json."""
        return {**asdict(self), "value": float(f"{round(self.value, 6):.4g}"), "met": self.met}


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(sides: dict[str, Callable[[], Any]], rounds: int = 5, warm: bool = True) -> dict[str, list[float]]:
    """Seconds of every side, one round after the other; ``warm``: a first round that is not counted."""
    if warm:
        for work in sides.values():
            work()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            taken[name].append(seconds(work))
    return taken


def speedup(
    ours: Callable[[], Any], rival: Callable[[], Any], rounds: int = 5, warm: bool = True
) -> tuple[float, dict[str, Any]]:
    """How many times faster ``ours`` is: the ratio of medians, with what it was made of."""
    taken = in_turn({"ours": ours, "rival": rival}, rounds, warm)
    medians = {name: statistics.median(it) for name, it in taken.items()}
    spread = [rival / ours for ours, rival in zip(taken["ours"], taken["rival"], strict=True)]
    detail = {"ours_s": medians["ours"], "rival_s": medians["rival"], "rounds": rounds}
    return medians["rival"] / medians["ours"], detail | {"ratio_range": [min(spread), max(spread)]}


def peak_gib(command: Sequence[str], env: dict[str, str] | None = None) -> tuple[float, float]:
    """(peak resident memory in GiB, seconds) of a whole process; raises if it fails."""
    # A child of a child: the counter is a maximum over all children that a process has had.
    probe = (
        "import json, resource, subprocess, sys, time; began = time.perf_counter(); "
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss; "
        "print(json.dumps([done.returncode, used, time.perf_counter() - began]))"
    )
    run = subprocess.run([sys.executable, "-c", probe, *command], env=env, stdout=subprocess.PIPE, check=True)
    code, kib, taken = json.loads(run.stdout)
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with {code}")
    return kib / 2**20, taken


def own_peak_gib() -> float:
    """Peak resident memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


class Kept:
    """Rows of a long benchmark, one a seed, in a file of ``runs/``: one that is killed goes on with what is left.

    Delete the file to measure anew.
    """

    def __init__(self, name: str) -> None:
        self.path = Path(__file__).parent.parent / "runs" / f"{name}.jsonl"
        self.path.parent.mkdir(exist_ok=True)
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def left(self, seeds: int) -> list[int]:
        """Seeds below ``seeds`` that have no row."""
        return sorted(set(range(seeds)) - {it["seed"] for it in self.rows})

    def add(self, row: dict[str, Any]) -> None:
        """Keep one row."""
        self.rows.append(row)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def main(measures: Callable[[], list[Measure]]) -> None:
    """Run one benchmark module: JSON on stdout."""
    with stdout_is_ours():
        found = measures()
    print(json.dumps([it.record() for it in found], indent=1))
