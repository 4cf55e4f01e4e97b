"""The command line: JSON of the result on stdout, everything for people on stderr."""

from __future__ import annotations

from ragsignal.cli.app import main

__all__ = ["main"]
