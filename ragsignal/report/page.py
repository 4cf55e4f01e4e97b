"""The comparison page: what the run was, four questions and their answers, then figures and curves.

Takes figures as they are in the result and gives them words and units; computes none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from ragsignal.report.answers import cards
from ragsignal.report.charts import finding_panels
from ragsignal.report.figures import curves, styles
from ragsignal.report.sections import (
    calibration_table,
    costs_table,
    random_caption,
    random_table,
    regimes_table,
    shifted_table,
    symbol_tables,
)
from ragsignal.report.seen.accounts import months_of
from ragsignal.report.seen.files import Seen, open_seen, write_seen
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
from ragsignal.trading import RunResult, VariantResult

_TEMPLATES = Environment(
    loader=FileSystemLoader([Path(__file__).parent, Path(__file__).parent / "templates"]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write_page(result: RunResult, folder: Path) -> None:
    """Write ``index.html``, and beside it the files that it loads; no network is needed."""
    seen = open_seen(result)
    write_seen(seen, folder)
    (folder / "index.html").write_text(render_page(result, seen), encoding="utf-8")


def render_page(result: RunResult, seen: Seen | None = None) -> str:
    """Return the comparison page as HTML; whatever comes from the spec is escaped."""
    seen = seen or open_seen(result)
    findings = result.findings
    return _TEMPLATES.get_template("page.html.j2").render(
        result=result,
        facts=facts(result),
        cards=cards(findings, result.times.get("trials")),
        regimes=regimes_table(findings),
        other_costs=costs_table(findings),
        calibration=calibration_table(findings),
        by_symbol=symbol_tables(findings),
        random=random_table(findings),
        random_caption=random_caption(findings),
        shifted=shifted_table(findings),
        groups=GROUPS,
        cost_groups=COSTS,
        cells=_cells,
        kinds=KINDS,
        styles=styles(result),
        from_store=_from_store(result),
        months={it.name: months_of(it) for it in result.variants},
        rejected=_rejected(result),
        panels={
            "curves": curves(result),
            "findings": finding_panels(result),
            "seen": seen.panel(),
        },
        style=_style(),
        plotly=get_plotlyjs(),
    )


def write_plain_sheet(result: RunResult, variant: VariantResult, reason: str, path: Path) -> None:
    """Write a variant's page where quantstats has nothing correct to say: the reason, and the figures that exist."""
    columns = [column for _, group in GROUPS for column in group]
    shown = [(column, text) for column, text in zip(columns, _cells(variant, columns), strict=True) if text != MISSING]
    text = _TEMPLATES.get_template("sheet.html.j2").render(
        run=result.title,
        variant=variant.name,
        reason=reason,
        facts=facts(result),
        figures=shown,
        style=_style(),
    )
    path.write_text(text, encoding="utf-8")


_NAMED = 20  # symbols; the record has all


def _listed(symbols: Sequence[str]) -> str:
    more = len(symbols) - _NAMED
    return ", ".join(symbols[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def facts(result: RunResult) -> dict[str, str]:
    """Say what the run was, as label and words."""
    days, data, costs = result.closes.index, result.spec.data, result.spec.costs
    fills = {
        "next_open": "at the next bar's open",
        "same_close": "at the close that the signal saw (asked for in the spec)",
    }
    return {
        "Window": f"{days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}, {count(len(days))} bars",
        "Symbols": f"{_listed(data.symbols)} ({data.source})",
        "Start": f"{count(costs.cash)} in cash",
        "Costs per side": f"{costs.commission_bps:g} bp commission + {costs.slippage_bps:g} bp slippage",
        "Fills": fills[costs.execution],
        "Benchmark": result.benchmark,
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


def _from_store(result: RunResult) -> bool:
    """Whether a model decided signals, but answered none of them in this run."""
    calls = [variant.cost.model_calls for variant in result.variants if variant.is_llm]
    return bool(calls) and not any(calls)


def _style() -> str:
    return (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
