"""The comparison page: what the run was, four questions and their answers, then figures and curves.

Takes figures as they are in the result and gives them words and units; computes none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from ragsignal.backtest import RunResult, VariantResult
from ragsignal.report.answers import cards
from ragsignal.report.charts import finding_panels
from ragsignal.report.figures import curves, signal_panels, styles
from ragsignal.report.sections import (
    calibration_table,
    costs_table,
    random_caption,
    random_table,
    regimes_table,
    shifted_table,
    symbol_tables,
)
from ragsignal.report.words import (
    COLUMNS,
    COSTS,
    GROUPS,
    MISSING,
    MODEL_KEYS,
    SIGNAL_KEYS,
    Column,
    Number,
    count,
    money,
)

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write_page(result: RunResult, folder: Path) -> None:
    """Write ``index.html``, which needs no other file and no network."""
    (folder / "index.html").write_text(render_page(result), encoding="utf-8")


def render_page(result: RunResult) -> str:
    """Return the comparison page as HTML; whatever comes from the spec is escaped."""
    return _TEMPLATES.get_template("page.html.j2").render(
        spec=result.spec,
        title=result.title,
        facts=facts(result),
        notes=result.notes,
        in_sample=result.title.startswith("IN SAMPLE"),
        cards=cards(result.findings, result.times.get("trials")),
        regimes=regimes_table(result.findings),
        other_costs=costs_table(result.findings),
        run_bps=f"{result.findings['costs']['run_bps']:g}",
        calibration=calibration_table(result.findings),
        by_symbol=symbol_tables(result.findings),
        random=random_table(result.findings),
        random_caption=random_caption(result.findings),
        shifted=shifted_table(result.findings),
        margin=result.findings["null"]["margin"],
        groups=GROUPS,
        rows=[_row(variant, result) for variant in result.variants],
        cost_groups=COSTS,
        costs=[_cost_row(variant) for variant in result.variants if variant.kind != "none"],
        from_store=_from_store(result),
        rejected=_rejected(result),
        panels={"curves": curves(result), "signals": signal_panels(result), "findings": finding_panels(result)},
        fingerprints=result.fingerprints,
        versions=result.versions,
        command=result.command,
        style=_style(),
        plotly=get_plotlyjs(),
    )


def write_plain_sheet(result: RunResult, variant: VariantResult, reason: str, path: Path) -> None:
    """Write a variant's page where quantstats has nothing correct to say: the reason, and the figures that exist."""
    figures = [(column, column.form(_figure(variant, column))) for column in COLUMNS]
    text = _TEMPLATES.get_template("sheet.html.j2").render(
        run=result.title,
        variant=variant.name,
        reason=reason,
        facts=facts(result),
        figures=[(column, shown) for column, shown in figures if shown != MISSING],
        style=_style(),
    )
    path.write_text(text, encoding="utf-8")


def facts(result: RunResult) -> dict[str, str]:
    """Say what the run was, as label and words."""
    days, data, costs = result.closes.index, result.spec["data"], result.spec["costs"]
    fills = {
        "next_open": "at the next bar's open",
        "same_close": "at the close that the signal saw (asked for in the spec)",
    }
    return {
        "Window": f"{days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}, {count(len(days))} bars",
        "Symbols": f"{', '.join(data['symbols'])} ({data['source']})",
        "Start": f"{money(costs['cash'])} in cash",
        "Costs per side": f"{costs['commission_bps']:g} bp commission + {costs['slippage_bps']:g} bp slippage",
        "Fills": fills[costs["execution"]],
        "Benchmark": result.benchmark,
    }


def _row(variant: VariantResult, result: RunResult) -> dict[str, Any]:
    return {
        "name": variant.name,
        "kind": {"llm": "LLM", "vote": "vote of the hits", "classifier": "classifier", "none": "no model"}[
            variant.kind
        ],
        "benchmark": variant.name == result.benchmark,
        "style": styles(result)[variant.name],
        "cells": [[column.form(_figure(variant, column)) for column in columns] for _, columns in GROUPS],
    }


def _cost_row(variant: VariantResult) -> dict[str, Any]:
    """What a variant's signals cost, and its reader's numbers and batches: both move P(rise) by up to 0.02."""
    scorer = (variant.recipe or {}).get("scorer", {})
    return {
        "name": variant.name,
        "cells": [[column.form(_figure(variant, column)) for column in columns] for _, columns in COSTS],
        "numbers": scorer.get("dtype", MISSING),
        "batches": scorer.get("batch", MISSING),
    }


def _figure(variant: VariantResult, column: Column) -> Number:
    """Return the figure, or None; a variant without a signal has no abstentions, rather than zero of them."""
    if (column.key in SIGNAL_KEYS and variant.kind == "none") or (
        column.key in MODEL_KEYS and variant.kind not in ("llm", "classifier")
    ):
        return None
    return variant.cost.get(column.key, variant.metrics.get(column.key))


def _rejected(result: RunResult) -> str:
    """Name the variants whose orders the broker refused, for want of cash."""
    counts = {variant.name: variant.metrics.get("rejected_orders") for variant in result.variants}
    return ", ".join(f"{name} {count(orders)}" for name, orders in counts.items() if orders)


def _from_store(result: RunResult) -> bool:
    """Whether a model decided signals, but answered none of them in this run."""
    llm = [variant.cost.get("model_calls", 0) for variant in result.variants if variant.kind == "llm"]
    return bool(llm) and not any(llm)


def _style() -> str:
    return (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
