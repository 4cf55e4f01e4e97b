"""``make bench``: each benchmark in a process of its own, the figures into results.json, the table into README.md.

    python -m benchmarks.run                 # all
    python -m benchmarks.run trust           # whether it can be believed: audit, coverage, noise, alpha_noise ...
    python -m benchmarks.run trust           # whether it can be believed: audit, coverage, noise, live_kills
    python -m benchmarks.run worth           # what trained parts are worth: recall
    python -m benchmarks.run                 # speed and trust
    python -m benchmarks.run trust           # whether it can be believed: audit, coverage, noise, live_kills
    python -m benchmarks.run learning        # what training brings: probes; an hour or more
    python -m benchmarks.run retrieval       # one of them; the others' figures stay

Figures of a benchmark are replaced together; a killed run keeps those that were done.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SPEED = ("ranks", "model", "warm", "retrieval", "corpus", "sweep", "memory", "segments", "growth", "roads")
SPEED += ("live", "explained", "databases", "formulas")
TRUST = ("audit", "coverage", "noise", "live_kills")
SPEED += ("live", "explained", "databases")
TRUST = ("audit", "coverage", "noise", "live_kills", "alpha_noise", "alpha_planted")
ALL = (*SPEED, *TRUST)
"""The benchmarks: how fast it is, the quick and the important ones first; then whether it can be believed."""
_GROUPS = {"speed": SPEED, "trust": TRUST}
WORTH = ("recall",)
ALL = (*SPEED, *TRUST, *WORTH)
"""The benchmarks: how fast it is, the quick ones first; whether it can be believed; what trained parts are worth."""
_GROUPS = {"speed": SPEED, "trust": TRUST, "worth": WORTH}
LEARNING = ("probes",)
ALL = (*SPEED, *TRUST, *LEARNING)
"""The benchmarks: how fast it is, the quick and the important ones first; whether it can be believed; what is learned.
"""
_GROUPS = {"speed": SPEED, "trust": TRUST, "learning": LEARNING}
_LIBRARIES = ("torch", "transformers", "faiss-cpu", "numpy", "pandas", "backtrader")


def main(names: list[str]) -> int:
    """Run the named benchmarks (without a name those of speed and of trust); returns how many failed."""
    names = [it for name in names for it in _GROUPS.get(name, (name,))]
    unknown = sorted(set(names) - set(ALL))
    if unknown:
        raise SystemExit(f"no benchmark {', '.join(unknown)}; there are {', '.join(ALL)}")
    failed = 0
    for name in names or (*SPEED, *TRUST):
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
        run = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], cwd=HERE.parent, stdout=subprocess.PIPE, text=True
        )
        if run.returncode:
            failed += 1
            print(f"benchmarks.{name} ended with {run.returncode}; its old figures stay", file=sys.stderr)
            continue
        _keep(name, json.loads(run.stdout))
    return failed


def _keep(name: str, fresh: list[dict[str, Any]]) -> None:
    path = HERE / "results.json"
    known = json.loads(path.read_text()) if path.exists() else []
    rows = [row for row in known if row["benchmark"] != name]
    rows += [{"benchmark": name, **row, "machine": machine()} for row in fresh]
    rows.sort(key=lambda row: ALL.index(row["benchmark"]))
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _write_table(rows)


def machine() -> str:
    """Processor, cores, memory, Python and libraries in one line."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES)
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, {versions}"


def _write_table(rows: list[dict[str, Any]]) -> None:
    """Replace the table between the two marks of README.md."""
    path = HERE / "README.md"
    before, _, rest = path.read_text(encoding="utf-8").partition("<!-- table -->\n")
    after = rest.partition("<!-- end of table -->\n")[2]
    lines = ["| what | against | value | target | met |", "|---|---|--:|--:|---|"]
    lines += [f"| {r['name']} | {r['rival'] or '–'} | {_value(r)} | {r['target'] or '–'} | {_met(r)} |" for r in rows]
    machines = sorted({row["machine"] for row in rows})
    lines += ["", *(f"Machine: {it}." for it in machines), ""]
    text = f"{before}<!-- table -->\n" + "\n".join(lines) + f"<!-- end of table -->\n{after}"
    path.write_text(text, encoding="utf-8")


def _value(row: dict[str, Any]) -> str:
    return f"{row['value']:,.3g} {row['unit']}".replace(" x", "×")


def _met(row: dict[str, Any]) -> str:
    return {True: "yes", False: "**no**", None: "–"}[row["met"]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
