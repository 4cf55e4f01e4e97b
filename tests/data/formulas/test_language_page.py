"""docs/formulas.md lists the operators as they are.

python -m tests.data.formulas.test_language_page      # the table anew, into the page
"""

from __future__ import annotations

from pathlib import Path

from ragsignal.data.formulas import LONGEST, OPERATORS, Kind, Operator

PAGE = Path(__file__).parents[3] / "docs" / "formulas.md"
BEGIN, END = "<!-- operators -->\n", "<!-- /operators -->\n"
_FAMILIES = {
    "element": "Of one place",
    "time": "Over time",
    "cross": "Of the stocks of a day",
    "group": "Of the stocks of a group",
}


def table() -> str:
    """The operators by family."""
    lines = []
    for family, words in _FAMILIES.items():
        rows = [_row(it) for it in OPERATORS.values() if it.family == family]
        lines += [f"### {words}", "", "| operator | what it is | windows, numbers |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _row(operator: Operator) -> str:
    letters = "abc"
    call = f"`{operator.name}({', '.join(letters[: len(operator.takes)])})`"
    sign = operator.sign.replace("|", "\\|") if operator.sign else ""
    written = (
        f" `{'a ' if len(operator.takes) == 2 else ''}{sign}{' b' if len(operator.takes) == 2 else 'a'}`"
        if sign
        else ""
    )
    bounds = []
    for letter, kind in zip(letters, operator.takes, strict=False):
        if kind is Kind.WINDOW:
            bounds.append(f"{letter}: {operator.shortest} to {LONGEST}")
        elif kind is Kind.NUMBER:
            bounds.append(f"{letter}: {operator.numbers[0]:g} to {operator.numbers[1]:g}")
        elif kind is not Kind.SERIES:
            bounds.append(f"{letter}: {kind.value}")
    gives = "" if operator.gives is Kind.SERIES else f"; gives {operator.gives.value}"
    return f"| {call}{written} | {operator.words.format(*letters)}{gives} | {', '.join(bounds)} |"


def page() -> str:
    """The page with the table anew."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


def test_the_page_lists_the_operators_as_they_are() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.data.formulas.test_language_page"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
