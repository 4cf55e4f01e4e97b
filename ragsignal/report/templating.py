"""Templates, styles and scripts of pages; what a template is given is escaped."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ragsignal.report.words import bare

_FOLDER = Path(__file__).parent / "templates"

TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["bare"] = bare


def joined(*names: str) -> str:
    """Style sheets or scripts, one after the other."""
    return "".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)
