"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SpecPath = Annotated[Path, typer.Argument(help="A TOML spec, such as backtests/sample.toml.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what the run would cost, and stop there.")]
