"""``ragsignal alpha operators`` and ``ragsignal alpha eval``: the language of formulas, and one formula on prices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from ragsignal.cli.options import Settings, SpecPath
from ragsignal.cli.terminal import answer, people, percent, progress_bars, say

if TYPE_CHECKING:
    from ragsignal.data import Operator
    from ragsignal.evaluation import FormulaFindings, IcOfPeriod

FormulaText = Annotated[str, typer.Argument(help="A formula, such as 'rank(ts_delta(close, 5)) * -1'.")]
ValuesFile = Annotated[
    Path | None, typer.Option("--out", metavar="FILE.parquet", help="File that receives the values, a column a symbol.")
]


def list_operators() -> None:
    """List the operators that formulas are made of: what each takes, gives and is."""
    from ragsignal.data import BAR_FIELDS, LONGEST, OPERATORS, Kind

    shown = Table("operator", "takes", "windows", "what it is", box=box.SIMPLE)
    for operator in OPERATORS.values():
        takes = ", ".join(kind.value for kind in operator.takes)
        sign = f"  {operator.sign}" if operator.sign else ""
        windows = f"{operator.shortest} to {LONGEST}" if Kind.WINDOW in operator.takes else ""
        shown.add_row(operator.name + sign, takes, windows, _words(operator))
    people.print(shown)
    say(f"fields: {', '.join(BAR_FIELDS)}; language: docs/formulas.md")
    answer({"fields": [*BAR_FIELDS], "operators": [_record(it) for it in OPERATORS.values()]})


def _words(operator: Operator) -> str:
    return operator.words.format(*"abc")


def _record(operator: Operator) -> dict[str, Any]:
    """What a program needs to know to write a call of an operator."""
    from ragsignal.data import LONGEST, Kind

    window, number = Kind.WINDOW in operator.takes, Kind.NUMBER in operator.takes
    return {
        "name": operator.name,
        "sign": operator.sign,
        "takes": [kind.value for kind in operator.takes],
        "gives": operator.gives.value,
        "family": operator.family,
        "words": _words(operator),
        "commutative": operator.commutative,
        "windows": [operator.shortest, LONGEST] if window else None,
        "numbers": list(operator.numbers) if number else None,
    }


def evaluate_formula(spec: SpecPath, formula: FormulaText, out: ValuesFile = None, settings: Settings = None) -> None:
    """Score a formula on the prices of SPEC: coverage, daily rank correlation with what followed, and turnover."""
    from ragsignal.config import load_spec

    loaded = load_spec(spec, settings or ())
    with progress_bars() as progress:
        from ragsignal.evaluation import check_values_file, formula_findings, write_values
        from ragsignal.study import Study

        if out is not None:
            check_values_file(out)
        findings = formula_findings(Study(loaded, progress), formula)
        if out is not None:
            write_values(findings, out)
    _print_findings(findings)
    if out is not None:
        say(f"values: {out}")
    answer(_findings_record(findings) | {"out": None if out is None else str(out)})


def _print_findings(findings: FormulaFindings) -> None:
    shown = Table("", "days", "rank correlation", "95 %", box=box.SIMPLE, title=findings.text)
    for period in (*findings.years, findings.whole):
        found = period.ic
        shown.add_row(period.name, f"{period.days:,}", f"{found.difference:+.4f}", _interval(period))
    people.print(shown)
    say(findings.words)
    say(f"a value on {percent(findings.coverage)} of the bars")
    say(f"{percent(findings.turnover)} of the money is bought and sold in a bar by a portfolio that holds its ranks")
    if not findings.whole.ic.distinguishable:
        say("The correlation cannot be told apart from 0.")


def _interval(period: IcOfPeriod) -> str:
    if abs(period.ic.low) == float("inf"):
        return "too few days"
    return f"{period.ic.low:+.4f} to {period.ic.high:+.4f}"


def _findings_record(findings: FormulaFindings) -> dict[str, Any]:
    from ragsignal.utils import plain

    record: dict[str, Any] = plain({name: it for name, it in vars(findings).items() if name != "values"})
    return record
