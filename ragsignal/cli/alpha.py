"""``ragsignal alpha``: formulas."""

from __future__ import annotations

from ragsignal.cli.alpha_chat import chat
from ragsignal.cli.alpha_formulas import evaluate_formula, list_operators
from ragsignal.cli.alpha_ideas import ideas
from ragsignal.cli.alpha_page import page
from ragsignal.cli.alpha_search import search
from ragsignal.cli.terminal import Commands

alpha_app = Commands(help="Formulas that rank stocks: search for them, and judge them.")
alpha_app.command("operators")(list_operators)
alpha_app.command("eval", context_settings={"ignore_unknown_options": True})(evaluate_formula)  # -close is a formula
alpha_app.command()(ideas)
alpha_app.command()(search)
alpha_app.command()(chat)
alpha_app.command()(page)


@alpha_app.callback()
def alpha() -> None:
    """Search for formulas that rank stocks, and judge them."""
