"""The comparison page: a verdict, curves, the table of variants, four answers, then all that they stand on.

Takes figures as they are in the result and gives them words and units; computes none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from plotly.offline import get_plotlyjs

from ragsignal.report.answers import cards
from ragsignal.report.charts import finding_panels
from ragsignal.report.explained.beside import list_pages
from ragsignal.report.figures import Plotly, curves, styles
from ragsignal.report.forest import forests_of
from ragsignal.report.sections import (
    SYMBOL_HEADS,
    FigureTable,
    calibration_table,
    costs_table,
    random_caption,
    random_table,
    regimes_table,
    shifted_table,
    symbol_rows,
)
from ragsignal.report.seen.accounts import months_of
from ragsignal.report.seen.files import Seen, open_seen, write_seen
from ragsignal.report.sidecar import FOLDER, write_sidecar
from ragsignal.report.summary import facts_of, verdict_line
from ragsignal.report.templating import TEMPLATES, joined
from ragsignal.report.words import (
    COSTS,
    GROUPS,
    KINDS,
    MISSING,
    MODEL_KEYS,
    SIGNAL_KEYS,
    Column,
    Number,
    count,
)
from ragsignal.study import Provenance
from ragsignal.trading import RunFindings, RunResult, VariantResult
from ragsignal.utils import first_names

_SCRIPTS = ("page.js", "tables.js", "charts.js", "seen.js")
"""In this order: the first one defines ``ragsignal``, which the others and all sidecars call."""


def write_page(result: RunResult, folder: Path) -> None:
    """Write ``index.html`` and, in ``assets``, what it loads: plotly.js and the sidecars. It needs no network."""
    seen = open_seen(result)
    (folder / "index.html").write_text(render_page(result, seen, _data_files(folder)), encoding="utf-8")
    (folder / FOLDER).mkdir(exist_ok=True)
    (folder / FOLDER / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    write_seen(seen, folder)
    list_pages(folder)  # none yet; `ragsignal explain --out` adds them
    rows = symbol_rows(result.findings)
    if rows:
        write_sidecar(folder, "symbols", rows)


def render_page(result: RunResult, seen: Seen | None = None, files: Sequence[str] = ()) -> str:
    """Return the comparison page as HTML, with links to ``files`` beside it; what comes from the spec is escaped."""
    seen = seen or open_seen(result)
    findings = result.findings
    return TEMPLATES.get_template("page.html.j2").render(
        result=result,
        facts=facts(result),
        verdict=verdict_line(findings, result.in_sample),
        cautions=_cautions(result),
        provenance=[note for note in result.notes if isinstance(note, Provenance)],
        counted=facts_of(findings, [variant.name for variant in result.variants if variant.traded]),
        cards=cards(findings, result.times.get("trials")),
        forests=forests_of(findings),
        comparisons=findings.answers.certainty.comparisons,
        groups=GROUPS,
        cost_groups=COSTS,
        cells=_cells,
        kinds=KINDS,
        styles=styles(result),
        from_store=_from_store(result),
        files=files,
        months={it.name: months_of(it) for it in result.variants},
        rejected=_rejected(result),
        machine=made_on(result),
        panels=_panels(result, seen),
        style=_style(),
        script=joined(*_SCRIPTS),
        **_tables(findings),
    )


def _data_files(folder: Path) -> list[str]:
    """The record and the tables that lie beside the page."""
    return sorted(path.name for path in folder.iterdir() if path.suffix in (".csv", ".json", ".parquet"))


def _cautions(result: RunResult) -> list[str]:
    """Notes that change how a figure may be read, worst first: a page that is in sample proves nothing."""
    notes = [note for note in result.notes if not isinstance(note, Provenance)]
    return sorted(notes, key=lambda note: not note.startswith("IN SAMPLE"))


def _panels(result: RunResult, seen: Seen) -> Plotly:
    """What the charts need at once; the rest lies beside the page."""
    by_symbol = [name for name, rows in result.findings.symbols.items() if rows]
    return {
        "curves": curves(result),
        "findings": finding_panels(result),
        "seen": seen.panel(),
        "symbols": {"heads": SYMBOL_HEADS, "variants": by_symbol},
    }


def _tables(findings: RunFindings) -> dict[str, FigureTable | str]:
    return {
        "regimes": regimes_table(findings),
        "other_costs": costs_table(findings),
        "calibration": calibration_table(findings),
        "random": random_table(findings),
        "random_caption": random_caption(findings),
        "shifted": shifted_table(findings),
    }


def write_plain_sheet(result: RunResult, variant: VariantResult, reason: str, path: Path) -> None:
    """Write a variant's page where quantstats has nothing correct to say: the reason, and the figures that exist."""
    columns = [column for _, group in GROUPS for column in group]
    shown = [(column, text) for column, text in zip(columns, _cells(variant, columns), strict=True) if text != MISSING]
    text = TEMPLATES.get_template("sheet.html.j2").render(
        run=result.title,
        variant=variant.name,
        reason=reason,
        facts=facts(result),
        figures=shown,
        style=_style(),
    )
    path.write_text(text, encoding="utf-8")


_NAMED = 4  # symbols; the record has all


def facts(result: RunResult) -> dict[str, str]:
    """Say what the run was, as label and words."""
    days, data, costs = result.closes.index, result.spec.data, result.spec.costs
    fills = {
        "next_open": "at the next bar's open",
        "same_close": "at the close that the signal saw (asked for in the spec)",
    }
    return {
        "Window": f"{days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}, {count(len(days))} bars",
        "Symbols": f"{first_names(data.symbols, _NAMED)} ({data.source})",
        "Start": f"{count(costs.cash)} in cash",
        "Costs per side": f"{costs.commission_bps:g} bp commission + {costs.slippage_bps:g} bp slippage",
        "Fills": fills[costs.execution],
        "Benchmark": result.benchmark,
        "Annualised by": f"{count(result.bars_a_year)} bars a year, from their usual distance",
    }


def _cells(variant: VariantResult, columns: Sequence[Column]) -> list[str]:
    """The variant's figures in words; one without a signal has no abstentions, rather than zero of them."""
    figures = {**variant.metrics, **variant.cost_record()}
    hidden = (frozenset() if variant.has_signal else SIGNAL_KEYS) | (frozenset() if variant.is_model else MODEL_KEYS)
    return [column.form(cast(Number, None if column.key in hidden else figures.get(column.key))) for column in columns]


def _rejected(result: RunResult) -> str:
    """Name the variants whose orders the broker refused, for want of cash."""
    counts = {variant.name: variant.metrics["rejected_orders"] for variant in result.variants}
    return ", ".join(f"{name} {count(orders)}" for name, orders in counts.items() if orders)


_SPREAD = {  # of P(rise) between instruction sets, as measured: docs/speed.md, "On another machine"
    True: "its text models in bfloat16 may move P(rise) by up to 0.04, and orders near a threshold with it",
    False: "P(rise) moved by less than 0.00001 where it was measured, and no order",
}


def made_on(result: RunResult) -> str:
    """Say on which processor the figures were made, and by how much those of another one may differ."""
    about = result.times.get("machine")
    if not about:
        return ""
    made = ", ".join(filter(None, (about["processor"], about.get("instructions"))))
    if not any(it.is_model for it in result.variants):
        return f"Made on {made}; equal on any other processor: no model ran."
    coarse = any(it.reads_text and it.llm.dtype != "float32" for it in result.spec.variants)
    return f"Made on {made}. Equal on processors of its kind; on another one {_SPREAD[coarse]}."


def _from_store(result: RunResult) -> bool:
    """Whether a model decided signals, but answered none of them in this run."""
    calls = [variant.cost.model_calls for variant in result.variants if variant.is_llm]
    return bool(calls) and not any(calls)


def _style() -> str:
    return joined("style.css", "seen.css")
