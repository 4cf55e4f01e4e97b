"""The tables below the first screen: regimes, other costs, symbols, chance. Figures in words, none computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragsignal.report.words import MISSING, bare, bps, count, number, percent
from ragsignal.trading import AmongSeeds, RunFindings, StrongSignals, SymbolFigures


@dataclass(frozen=True)
class FigureTable:
    """Columns with their units, cells by the name of their row; ``groups``: label and width, where columns have any."""

    heads: Sequence[tuple[str, str]]
    rows: Mapping[str, Sequence[str]]
    groups: Sequence[tuple[str, int]] = ()

    @property
    def starts(self) -> set[int]:
        """Places of the first columns of all groups."""
        widths = [width for _, width in self.groups]
        return {sum(widths[:place]) for place in range(len(widths))}


def regimes_table(findings: RunFindings) -> FigureTable:
    """Each variant in each regime."""
    days = {name: bars for name, bars in findings.regimes.days.items() if name != "none"}
    return FigureTable(
        heads=[("Return", "% a year"), ("Sharpe", "a year"), ("Hit rate", "%")] * len(days),
        rows={
            name: [
                text
                for it in by_regime.values()
                for text in (percent(it.yearly), number(it.sharpe), percent(it.hit_rate))
            ]
            for name, by_regime in findings.regimes.variants.items()
        },
        groups=[(f"{name.capitalize()}, {count(bars)} bars", 3) for name, bars in days.items()],
    )


def costs_table(findings: RunFindings) -> FigureTable:
    """Mean return a year and Sharpe ratio at other costs, and what costs a variant can bear."""
    sides = [(f"{bp:g} bp", "") for bp in findings.costs.sides_bps]
    return FigureTable(
        heads=[*sides, *sides, ("nothing", "bp"), ("as much as the benchmark", "bp")],
        rows={
            name: [*map(percent, it.yearly), *map(number, it.sharpe), bps(it.break_even_bps), bps(it.equal_bps)]
            for name, it in findings.costs.variants.items()
        },
        groups=[
            ("Mean return, % a year", len(sides)),
            ("Sharpe, a year", len(sides)),
            ("Cost a side at which it earns", 2),
        ],
    )


SYMBOL_HEADS = (
    ("Signals", "count"),
    ("Hit rate", "%"),
    ("95 % interval", "%"),
    ("Base rate", "%"),
    ("Earned a bar", "bp"),
)


def symbol_rows(findings: RunFindings) -> dict[str, list[list[str]]]:
    """By variant with signals a row a symbol: its name, then the figures of :data:`SYMBOL_HEADS`."""
    return {
        name: [[it.symbol, *map(bare, _of_symbol(it))] for it in rows]
        for name, rows in findings.symbols.items()
        if rows
    }


def _of_symbol(row: SymbolFigures) -> list[str]:
    interval = _interval(row.low, row.high)
    return [count(row.signals), percent(row.hit_rate), interval, percent(row.base_rate), _earned(row.earned)]


def calibration_table(findings: RunFindings) -> FigureTable:
    """Calibration errors, and the dead band at its two ends: all signals, and the strongest tenth."""
    rows = {}
    for name, calibration in findings.calibration.items():
        error, band = calibration.ece, calibration.dead_band
        own = [percent(error.value), _interval(error.low, error.high), percent(error.noise)]
        rows[name] = [*own, *_band_cells(band, 1.0), *_band_cells(band, 0.1)]
    return FigureTable(
        heads=[("ECE", "%"), ("95 % interval", "%"), ("by chance", "%")]
        + [("Hit rate", "%"), ("95 % interval", "%"), ("Earned a bar", "bp")] * 2,
        rows=rows,
        groups=[("Calibration error of P(rise)", 3), ("All signals", 3), ("The surest tenth", 3)],
    )


def _own(unit: str) -> list[tuple[str, str]]:
    return [("its own", unit), ("random", unit), ("p", "")]


def random_table(findings: RunFindings) -> FigureTable:
    """Each retriever among its random seeds."""
    return FigureTable(
        heads=[*_own("%"), *_own("% a year"), *_own("a year")],
        rows={name: _standings(seeds) for name, seeds in findings.null.random.items()},
        groups=[("Hit rate", 3), ("CAGR", 3), ("Sharpe", 3)],
    )


def random_caption(findings: RunFindings) -> str:
    """How little few seeds can say."""
    seeds = [len(among.seeds) for among in findings.null.random.values()]
    if not seeds:
        return ""
    fewest = min(seeds)
    return (
        f"p is the share of seeds, the retriever counted among them, that did at least as well: "
        f"with {count(fewest)} it cannot be below {number(1 / (fewest + 1))}. "
        "19 seeds would let it reach 0.05."
    )


def shifted_table(findings: RunFindings) -> FigureTable:
    """Each variant's hit rate among those of its own signals on other days."""
    return FigureTable(
        heads=[
            ("Hit rate", "%"),
            ("on other days, middle", "%"),
            ("95 % of them", "%"),
            ("below it", "%"),
            ("p", ""),
            ("shifts", "count"),
        ],
        rows={
            name: [
                percent(it.hit_rate),
                percent(it.middle),
                _interval(it.low, it.high),
                percent(it.below, 0),
                number(it.p),
                count(it.shifts),
            ]
            for name, it in findings.null.shifted.items()
            if it
        },
    )


def _standings(seeds: AmongSeeds) -> list[str]:
    cells = []
    for standing, form in ((seeds.hit_rate, percent), (seeds.cagr, percent), (seeds.sharpe, number)):
        if standing is None:
            cells += [MISSING] * 3
        else:
            low, high = form(min(standing.random)), form(max(standing.random))
            cells += [form(standing.own), f"{low} … {high}", number(standing.p)]
    return cells


def _band_cells(band: Sequence[StrongSignals], share: float) -> list[str]:
    """Hit rate, interval and earnings at the threshold that keeps about ``share`` of the signals."""
    if not band:
        return [MISSING] * 3
    row = min(band, key=lambda row: abs(row.share - share))
    return [percent(row.hit_rate), _interval(row.low, row.high), _earned(row.earned)]


def _interval(low: float | None, high: float | None) -> str:
    """An interval of fractions in per cent; a dash where it is unknown."""
    return MISSING if low is None or high is None else f"{number(100 * low, 1)} … {percent(high)}"


def _earned(fraction: float | None) -> str:
    return bps(None if fraction is None else 1e4 * fraction)
