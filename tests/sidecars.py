"""Reading what a page loads, and what ``ragsignal inspect`` says of the same bar."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from ragsignal.cli.app import app
from ragsignal.trading import RunResult


@dataclass(frozen=True)
class Written:
    """A run, and where its files lie."""

    spec: Path
    result: RunResult
    folder: Path

    def bar(self, day: str) -> int:
        """The number of a day's bar."""
        return int(self.result.closes.index.get_loc(day))


def read_sidecar(folder: Path, name: str) -> Any:
    """The data in ``assets/NAME.js`` of a report."""
    text, head = (folder / "assets" / f"{name}.js").read_text(encoding="ascii"), f'ragsignal.receive("{name}",'
    assert text.startswith(head)
    return json.loads(text.removeprefix(head).removesuffix(");\n"))


def floats(text: str) -> np.ndarray:
    """What :func:`ragsignal.report.figures.packed` wrote."""
    return np.frombuffer(base64.b64decode(text), dtype="<f4")


def shorts(text: str) -> np.ndarray:
    """Rows of a table, as they travel."""
    return np.frombuffer(base64.b64decode(text), dtype="<u2")


def inspected(spec: Path, symbol: str, day: object, variant: str) -> Any:
    """The answer of ``ragsignal inspect``."""
    words = ["inspect", str(spec), "--symbol", symbol, "--date", str(day), "--variant", variant]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)
