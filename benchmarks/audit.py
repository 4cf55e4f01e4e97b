"""The whole audit of the text model's spec, warm, and the corpus of leaks with the real model's signals.

The first is the command as a user types it, on a cache that a first run has filled. The second is every strategy,
indicator and feature of ``tests/leaks`` on half a year of that spec's four symbols; those that take a signal get the
language model's, with hits of the trained retriever.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.harness import Measure, main
from ragsignal.audit import audit_subjects, worst
from ragsignal.config import load_spec
from tests.leaks import clean, leaky

COMMAND = "python -m benchmarks.audit"
ROOT = Path(__file__).parent.parent
SPEC = ROOT / "backtests" / "paper.toml"
VARIANT = "rag-finseer"
END = date(2011, 6, 30)


def measures() -> list[Measure]:
    return [*_whole(), *_corpus()]


def _whole() -> list[Measure]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ragsignal.cli", "audit", str(SPEC), "--out", folder]
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        began = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        took = time.perf_counter() - began
    record = json.loads(done.stdout)
    detail = {"verdict": record["verdict"], "tests": len(record["tests"]), "processes": os.cpu_count()}
    return [Measure("audit of backtests/paper.toml, warm", took, "s", "", "<= 300", COMMAND, detail)]


def _corpus() -> list[Measure]:
    spec = load_spec(SPEC)
    spec = spec.model_copy(update={"data": spec.data.model_copy(update={"end": END})})
    leaks, honest = (_names(module) for module in (leaky, clean))
    began = time.perf_counter()
    names = [*leaks, *honest]
    audit = audit_subjects(spec, names, VARIANT)
    took = time.perf_counter() - began
    verdicts = {name: worst(finding.verdict for finding in audit.findings if finding.subject == name) for name in names}
    failed = {name for name, verdict in verdicts.items() if verdict in ("failed", "broken")}
    detail: dict[str, Any] = {"seconds": round(took, 1), "signals": VARIANT, "through": END.isoformat()}
    caught, flagged = sorted(failed & set(leaks)), sorted(failed & set(honest))
    missed = sorted(set(leaks) - failed)
    of_leaks, of_honest = f"leaks caught, of {len(leaks)} planted", f"honest subjects flagged, of {len(honest)}"
    return [
        Measure(of_leaks, len(caught), "leaks", "", f">= {len(leaks)}", COMMAND, detail | {"missed": missed}),
        Measure(of_honest, len(flagged), "subjects", "", "<= 0", COMMAND, detail | {"flagged": flagged}),
    ]


def _names(module: Any) -> list[str]:
    own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
    return [f"{module.__name__}:{name}" for name in own if not name.startswith("_") and name != "Rule"]


if __name__ == "__main__":
    main(measures)
