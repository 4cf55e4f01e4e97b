"""The page of a search of formulas, and of the session that it came of."""

from __future__ import annotations

from ragsignal.report.alphas.page import PAGE, render_search, render_session, write_run

__all__ = ["PAGE", "render_search", "render_session", "write_run"]
