"""The tables below the first screen: regimes, other costs, symbols, chance. Figures in words, none computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragsignal.report.words import MISSING, bps, count, number, percent

Table = dict[str, Any]
"""``columns`` (labels), ``rows`` (``name``, ``cells``), and ``groups`` (label and width) where columns have any."""


def regimes_table(findings: Mapping[str, Any]) -> Table:
    """Each variant in each regime."""
    found = findings["regimes"]
    days = found["days"]
    regimes = [name for name in days if name != "none"]
    return {
        "groups": [(f"{name.capitalize()}, {count(days[name])} bars", 3) for name in regimes],
        "columns": ["Return a year", "Sharpe", "Hit rate"] * len(regimes),
        "rows": [
            {
                "name": name,
                "cells": [
                    text
                    for regime in regimes
                    for text in (
                        percent(by_regime[regime]["return"]),
                        number(by_regime[regime]["sharpe"]),
                        percent(by_regime[regime]["hit_rate"]),
                    )
                ],
            }
            for name, by_regime in found["variants"].items()
        ],
    }


def costs_table(findings: Mapping[str, Any]) -> Table:
    """Mean return a year and Sharpe ratio at other costs, and what costs a variant can bear."""
    found = findings["costs"]
    sides = [f"{bp:g} bp" for bp in found["sides_bps"]]
    return {
        "groups": [
            ("Mean return a year", len(sides)),
            ("Sharpe", len(sides)),
            ("Cost a side at which it earns", 2),
        ],
        "columns": [*sides, *sides, "nothing", "as much as the benchmark"],
        "rows": [
            {
                "name": name,
                "cells": [
                    *(percent(value) for value in row["return"]),
                    *(number(value) for value in row["sharpe"]),
                    bps(row["break_even_bps"]),
                    bps(row["equal_bps"]),
                ],
            }
            for name, row in found["variants"].items()
        ],
    }


def symbol_tables(findings: Mapping[str, Any]) -> dict[str, Table]:
    """A table a variant with signals."""
    return {
        name: {
            "groups": [],
            "columns": ["Signals", "Hit rate", "95 % interval", "Base rate", "Earned a bar"],
            "rows": [
                {
                    "name": row["symbol"],
                    "cells": [
                        count(row["signals"]),
                        percent(row["hit_rate"]),
                        spread(row["low"], row["high"]),
                        percent(row["base_rate"]),
                        bps(None if row["earned"] is None else 1e4 * row["earned"]),
                    ],
                }
                for row in rows
            ],
        }
        for name, rows in findings["symbols"].items()
    }


def calibration_table(findings: Mapping[str, Any]) -> Table:
    """Calibration errors, and the dead band at its two ends: all signals, and the strongest tenth."""
    rows = []
    for name, found in findings["calibration"].items():
        error, band = found["ece"], found["dead_band"]
        ends = [_of_band(band, 1.0), _of_band(band, 0.1)]
        rows.append(
            {
                "name": name,
                "cells": [
                    percent(error["value"]),
                    spread(error["low"], error["high"]),
                    percent(error["noise"]),
                    *(
                        text
                        for end in ends
                        for text in (
                            percent(end.get("hit_rate")),
                            spread(end.get("low"), end.get("high")),
                            bps(None if end.get("earned") is None else 1e4 * end["earned"]),
                        )
                    ),
                ],
            }
        )
    return {
        "groups": [("Calibration error of P(rise)", 3), ("All signals", 3), ("The surest tenth", 3)],
        "columns": ["ECE", "95 % interval", "by chance"] + ["Hit rate", "95 % interval", "Earned a bar"] * 2,
        "rows": rows,
    }


def random_table(findings: Mapping[str, Any]) -> Table:
    """Each retriever among its random seeds."""
    rows = []
    forms = {"hit_rate": percent, "cagr": percent, "sharpe": number}
    for name, found in findings["null"]["random"].items():
        cells = []
        for figure, form in forms.items():
            standing = found[figure]
            if standing is None:
                cells += [MISSING] * 3
            else:
                low, high = min(standing["random"]), max(standing["random"])
                cells += [form(standing["own"]), f"{form(low)} … {form(high)}", number(standing["p"])]
        rows.append({"name": name, "cells": cells})
    return {
        "groups": [("Hit rate", 3), ("CAGR", 3), ("Sharpe", 3)],
        "columns": ["its own", "random", "p"] * 3,
        "rows": rows,
    }


def random_caption(findings: Mapping[str, Any]) -> str:
    """How little few seeds can say."""
    seeds = [len(found["seeds"]) for found in findings["null"]["random"].values()]
    if not seeds:
        return ""
    fewest = min(seeds)
    return (
        f"p is the share of seeds, the retriever counted among them, that did at least as well: "
        f"with {count(fewest)} it cannot be below {number(1 / (fewest + 1))}. "
        "19 seeds would let it reach 0.05."
    )


def shifted_table(findings: Mapping[str, Any]) -> Table:
    """Each variant's hit rate among those of its own signals on other days."""
    shown = {name: found for name, found in findings["null"]["shifted"].items() if found}
    return {
        "groups": [],
        "columns": ["Hit rate", "on other days, middle", "95 % of them", "below it", "p", "shifts"],
        "rows": [
            {
                "name": name,
                "cells": [
                    percent(found["hit_rate"]),
                    percent(found["middle"]),
                    spread(found["low"], found["high"]),
                    percent(found["below"], 0),
                    number(found["p"]),
                    count(found["shifts"]),
                ],
            }
            for name, found in shown.items()
        ],
    }


def spread(low: float | None, high: float | None) -> str:
    """An interval of fractions in per cent; a dash where it is unknown."""
    return MISSING if low is None or high is None else f"{number(100 * low, 1)} … {percent(high)}"


def _of_band(band: list[dict[str, Any]], share: float) -> dict[str, Any]:
    """The row of the dead band that keeps about ``share`` of the signals."""
    return min(band, key=lambda row: abs(row["share"] - share), default={})
