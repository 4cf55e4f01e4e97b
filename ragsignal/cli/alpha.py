"""``ragsignal alpha``: formulas that rank stocks."""

from __future__ import annotations

from ragsignal.cli.alpha_ideas import ideas
from ragsignal.cli.terminal import Commands

alpha_app = Commands(help="Formulas that rank stocks.")
alpha_app.command()(ideas)


@alpha_app.callback()
def alpha() -> None:
    """Propose formulas that rank stocks."""
