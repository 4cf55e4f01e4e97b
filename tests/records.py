"""Run the committed specs and compare their records byte for byte with those of another version of the code.

    python -m tests.records AFTER               # run, and keep the records in the folder AFTER
    python -m tests.records AFTER BEFORE        # run, keep, and compare with those in BEFORE

A change that is meant to change nothing is tried like this: keep the records before it, make it, compare. Of a record
all but its key ``times`` must be equal. The second run finds the first one's signals in the store, so that a signal
that has to be made is a key that changed: it is told, and fails the comparison. A spec whose prices or models are not
on this machine is left out and named.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RUNS = {
    "sample": ("backtest", "backtests/sample.toml"),
    "paper": ("backtest", "backtests/paper.toml"),
    "paper-evaluation": ("evaluate", "backtests/paper.toml"),
    "paper-sweep": (
        "sweep",
        "backtests/paper.toml",
        "--grid",
        "strategy.enter=0,0.02",
        "--grid",
        "costs.commission_bps=0,5",
        "--jobs",
        "1",
    ),
    "paper-audit": ("audit", "backtests/paper.toml"),
    "walk_forward": ("backtest", "backtests/walk_forward.toml"),
    "planted-evaluation": ("evaluate", "backtests/planted.toml"),
    "acl18-evaluation": ("evaluate", "backtests/acl18.toml"),
    "us_relative-evaluation": ("evaluate", "backtests/us_relative.toml"),
}
_FILES = ("record.json", "sweep.json", "audit.json")


def run(name: str, folder: Path) -> dict[str, Any] | str:
    """The record of a run; the last line of its complaint, where it could not be made."""
    out = folder / name
    command = [sys.executable, "-m", "ragsignal.cli", *RUNS[name], "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.stdout:  # an audit may fail, and still has a record
        run_dir = Path(json.loads(done.stdout)["run_dir"])
        (path,) = (run_dir / file for file in _FILES if (run_dir / file).exists())
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return record
    return done.stderr.strip().splitlines()[-1]


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Dotted places at which two records differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from differences(before.get(key), after.get(key), f"{place}.{key}")
    elif before != after:
        yield f"{place.lstrip('.')}: {before!r:.60} is now {after!r:.60}"


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """What two runs of the same code have in common: all but ``times``.

    Of an audit the verdicts: at how many bars it cuts depends on how far it gets in its time.
    """
    if "tests" in record:
        return {"verdicts": [[test["test"], test["subject"], test["verdict"]] for test in record["tests"]]}
    return {key: value for key, value in record.items() if key != "times"}


def made_anew(record: dict[str, Any]) -> int:
    """Model calls of a run; an audit counts none."""
    costs = record.get("times", {}).get("variants", {}).values()
    return sum(cost["model_calls"] for cost in costs)


def main(after: Path, before: Path | None) -> int:
    """Exit code: 1 where a record differs, or a signal that should have been in the store was not."""
    after.mkdir(parents=True, exist_ok=True)
    worst = 0
    for name in RUNS:
        record = run(name, after)
        if isinstance(record, str):
            print(f"left out  {name}: {record:.150}")
            continue
        calls = made_anew(record)
        record = comparable(record)
        text = json.dumps(record, sort_keys=True, indent=1, ensure_ascii=False)
        (after / f"{name}.json").write_text(text, encoding="utf-8")
        earlier = before / f"{name}.json" if before else None
        if earlier is None or not earlier.exists():
            print(f"kept      {name}: {calls} model calls")
            continue
        changed = (
            []
            if earlier.read_text(encoding="utf-8") == text
            else [*differences(json.loads(earlier.read_text()), record)]
        )
        print(f"{'DIFFERS  ' if changed else 'equal    '} {name}: {calls} model calls", *changed[:10], sep="\n    ")
        worst |= bool(changed) | bool(calls)
    return worst


if __name__ == "__main__":
    folders = [Path(word) for word in sys.argv[1:]]
    sys.exit(main(folders[0], folders[1] if len(folders) > 1 else None))
