"""Whether a formula's values change with what comes after their day: bars cut off, and bars turned to garbage.

A formula that can be written cannot look ahead; this tries it out on the user's own bars, and first on a leak that is
planted, a field that holds the next bar's close, which has to be seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ragsignal.audit.verdict import Finding, Verdict
from ragsignal.data import Evaluator, Field, FieldPanel, Formula, Prices, field_panel, memory, parse, text_of
from ragsignal.utils import stamp_text

CUTS = 24
"""Days at which the future is taken away."""
_LEAK = Field("tomorrow")


def audit_formulas(formulas: Mapping[str, str], prices: Prices) -> list[Finding]:
    """Test formulas on the bars of all stocks.

    Parameters
    ----------
    formulas : mapping of str to str
        Name and text.
    prices : Prices

    Returns
    -------
    list of Finding
        ``prefix`` and ``poison`` of each formula; before them ``planted``, ``broken`` where the leak was not seen.

    Raises
    ------
    ConfigError
        If a formula cannot be read.
    """
    panel = field_panel(prices.frames)
    read = {name: parse(text, panel.known) for name, text in formulas.items()}
    return [_planted(panel), *(found for name, formula in read.items() for found in _of(name, formula, panel))]


def _planted(panel: FieldPanel) -> Finding:
    whole = Evaluator(_with_leak(panel))
    seen = sum(not _agrees(whole, _with_leak(panel.head(row + 1)), _LEAK, row) for row in _rows(panel, 0))
    verdict: Verdict = "passed" if seen else "broken"
    words = f"A field that holds the next bar's close was {'' if seen else 'not '}caught at {seen} cut points."
    return Finding("planted", _LEAK.name, verdict, words, {"caught": seen})


def _with_leak(panel: FieldPanel) -> FieldPanel:
    """The panel with a field that a program with an error would make of its bars."""
    close = panel.fields["close"]
    leak = np.vstack([close[1:], np.full((1, close.shape[1]), np.nan)])
    return FieldPanel(panel.days, panel.symbols, {**panel.fields, _LEAK.name: leak}, panel.kinds)


def _of(name: str, formula: Formula, panel: FieldPanel) -> list[Finding]:
    rows = _rows(panel, memory(formula))
    whole = Evaluator(panel)
    cut = [row for row in rows if not _agrees(whole, panel.head(row + 1), formula, row)]
    garbage = [row for row in rows if not _agrees(whole, _poisoned(panel, row), formula, row)]
    known = int(np.isfinite(whole.values(formula)).sum())
    label = f"{name}: {text_of(formula)}"
    return [_finding("prefix", label, panel, rows, cut, known), _finding("poison", label, panel, rows, garbage, known)]


def _finding(test: str, label: str, panel: FieldPanel, rows: list[int], moved: list[int], known: int) -> Finding:
    evidence = {"cut_points": len(rows), "moved": len(moved), "values": known}
    done = {"prefix": "cut off", "poison": "turned to garbage"}[test]
    if moved:
        day = stamp_text(panel.days[moved[0]].astype("datetime64[D]").item())
        words = f"Values of days up to {day} change when the bars after it are {done}: the formula looks ahead."
        return Finding(test, label, "failed", words, evidence)
    if not known:
        return Finding(test, label, "unknown", "The formula has no value on any day of these bars.", evidence)
    words = f"No value changes when later bars are {done}, at {len(rows)} cut points."
    return Finding(test, label, "passed", words, evidence)


def _rows(panel: FieldPanel, least: int) -> list[int]:
    """Rows at which the future is taken away: those on which the formula may have a value, evenly apart."""
    last = len(panel.days) - 2
    return sorted(set(np.linspace(min(least, last), last, CUTS).astype(int).tolist()))


def _poisoned(panel: FieldPanel, row: int) -> FieldPanel:
    rng = np.random.default_rng(row)
    fields = {}
    for name, values in panel.fields.items():
        late = values.copy()
        late[row + 1 :] *= np.exp(3.0 * rng.standard_normal(late[row + 1 :].shape))
        fields[name] = late
    return FieldPanel(panel.days, panel.symbols, fields, panel.kinds)


def _agrees(whole: Evaluator, part: FieldPanel, formula: Formula, row: int) -> bool:
    """Whether values up to a row have the same bits on another panel."""
    left, right = Evaluator(part).values(formula)[: row + 1], whole.values(formula)[: row + 1]
    return bool(np.array_equal(left, right, equal_nan=True))
