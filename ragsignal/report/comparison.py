"""What differs between runs: their specs, data and versions, their figures side by side, and their returns in pairs.

Returns are compared bar by bar, which says far more than two figures do: the market's moves, which both runs share,
cancel. The first run is the one that the others are compared with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ragsignal.errors import ConfigError
from ragsignal.report.run import Run
from ragsignal.report.words import BRIEF, columns_of, percent
from ragsignal.statistics import LEVEL, Interval, bars_a_year, holm, mean_interval
from ragsignal.types import FloatArray
from ragsignal.utils import Record, plain

_ALPHA = 1.0 - LEVEL
_COLUMNS = columns_of(BRIEF)
_DIGEST = re.compile("[0-9a-f]{64}")
_NONE = "–"  # of a key or a variant that a run does not have


@dataclass(frozen=True)
class PairedRow:
    """Mean return a year of one variant in ``run``, less that in the first run, bar by bar; fractions.

    Parameters
    ----------
    variant, run : str
    difference, low, high : float
        With its 95 % interval; NaN where an account lost everything.
    p : float
        Of no difference; NaN where unknown.
    adjusted : float
        ``p`` after Holm's correction over all rows.
    same : bool
        Whether the returns of all bars are equal.
    """

    variant: str
    run: str
    difference: float
    low: float
    high: float
    p: float
    adjusted: float
    same: bool

    @property
    def distinguishable(self) -> bool:
        """Whether the claim of a difference survives the number of rows."""
        return self.adjusted <= _ALPHA

    @property
    def words(self) -> str:
        """The row as a sentence."""
        if self.same:
            return f"{self.variant}, {self.run}: the same returns, bar by bar"
        if not np.isfinite(self.difference):
            return f"{self.variant}, {self.run}: not comparable, as an account lost everything"
        if not np.isfinite(self.low):
            return f"{self.variant}, {self.run}: {percent(self.difference)} a year; too few bars for an interval"
        verdict = "distinguishable" if self.distinguishable else "not distinguishable"
        ends = f"{percent(LEVEL, 0)} interval {percent(self.low)} to {percent(self.high)}"
        return f"{self.variant}, {self.run}: {percent(self.difference)} a year, {ends}: {verdict}"


@dataclass(frozen=True)
class RunComparison:
    """Runs beside each other; ``print`` shows it, and so does the last line of a notebook's cell.

    Parameters
    ----------
    runs : tuple of Run
        The first is the one that the others are compared with.
    labels : tuple of str
        What each is called in the tables.
    spec, fingerprints, versions, recipes : DataFrame
        What differs: a row a dotted place, a column a run. ``recipes`` are what decided the signals: the digests of
        weights, for example.
    figures : DataFrame
        Rows (variant, figure), a column a run; NaN where a run lacks the variant or the figure.
    differences : tuple of PairedRow
        One a variant of both runs, and run.
    """

    runs: tuple[Run, ...]
    labels: tuple[str, ...]
    spec: pd.DataFrame
    fingerprints: pd.DataFrame
    versions: pd.DataFrame
    recipes: pd.DataFrame
    figures: pd.DataFrame
    differences: tuple[PairedRow, ...]

    @property
    def record(self) -> Record:
        """As JSON."""
        tables = {"spec": self.spec, "fingerprints": self.fingerprints, "versions": self.versions}
        rows = {
            name: {str(place): list(values) for place, values in zip(table.index, table.to_numpy(), strict=True)}
            for name, table in (tables | {"recipes": self.recipes}).items()
        }
        figures: dict[str, dict[str, list[float]]] = {}
        for (variant, figure), values in zip(self.figures.index, self.figures.to_numpy(), strict=True):
            figures.setdefault(variant, {})[figure] = list(values)
        pairs = [{**vars(row), "distinguishable": row.distinguishable} for row in self.differences]
        record: Record = {"runs": [str(run.folder) for run in self.runs], **rows, "figures": figures}
        return dict(plain(record | {"differences": pairs}))

    def __str__(self) -> str:
        return "\n\n".join(
            f"{title}\n{body}" for title, body in self._sections(lambda table: table.to_string(), "\n".join)
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        sections = self._sections(
            lambda table: table.to_html(border=0, escape=True), lambda lines: "<br>".join(map(escape, lines))
        )
        return "".join(f"<h4>{escape(title)}</h4><div>{body}</div>" for title, body in sections)

    def _sections(
        self, table: Callable[[pd.DataFrame], str], text: Callable[[Sequence[str]], str]
    ) -> Iterator[tuple[str, str]]:
        """Titles and bodies of what there is to say; ``table`` and ``text`` make them of frames and sentences."""
        for title, frame in (
            ("spec", self.spec),
            ("data and code", self.fingerprints),
            ("versions", self.versions),
            ("recipes of signals", self.recipes if self.spec.empty else self.recipes.iloc[:0]),
        ):
            if len(frame):
                yield f"what differs: {title}", table(frame.map(_short))
        if self.spec.empty and self.fingerprints.empty and self.versions.empty and self.recipes.empty:
            yield "what differs", text(["nothing but the clock"])
        yield "figures after costs", table(self._shown_figures())
        lines = [row.words for row in self.differences] or ["no variant is in two runs"]
        yield f"paired difference of mean returns, less {self.labels[0]}", text(lines)

    def _shown_figures(self) -> pd.DataFrame:
        variants = dict.fromkeys(self.figures.index.get_level_values("variant"))
        kept = self.figures.reindex([(name, column.key) for name in variants for column in _COLUMNS])
        places = [(name, column) for name in variants for column in _COLUMNS]
        cells = [
            [_NONE if np.isnan(value) else column.form(value) for value in values]
            for (_, column), values in zip(places, kept.to_numpy(dtype=float), strict=True)
        ]
        index = pd.MultiIndex.from_tuples([(name, column.label) for name, column in places], names=kept.index.names)
        return pd.DataFrame(cells, index=index, columns=kept.columns)


def _short(cell: str) -> str:
    """A digest by its first digits."""
    return cell[:12] if _DIGEST.fullmatch(cell) else cell


def compare(*runs: Run | str | Path) -> RunComparison:
    """Say what differs between runs: spec, data, versions, figures, and the paired difference of their returns.

    Parameters
    ----------
    *runs : Run, str or Path
        Two or more, on the same bars; paths as for :class:`Run`. The others are compared with the first.

    Raises
    ------
    ConfigError
        If there are fewer than two, one comes twice, or their bars differ.
    """
    opened = tuple(run if isinstance(run, Run) else Run(run) for run in runs)
    _check(opened)
    labels = _labels(opened)
    return RunComparison(
        runs=opened,
        labels=labels,
        spec=_differing([_flat(table) for table in _specs(opened)], labels),
        fingerprints=_differing([run.record["fingerprints"] for run in opened], labels),
        versions=_differing([run.record["versions"] for run in opened], labels),
        recipes=_differing([_recipes(run) for run in opened], labels),
        figures=_figures(opened, labels),
        differences=_differences(opened, labels),
    )


def _check(runs: Sequence[Run]) -> None:
    if len(runs) < 2:
        raise ConfigError("two runs or more are compared; type: ragsignal compare runs/NAME/ONE runs/NAME/OTHER")
    folders = [run.folder for run in runs]
    if len(set(folders)) < len(folders):
        twice = next(folder for folder in folders if folders.count(folder) > 1)
        raise ConfigError(f"{twice} is given twice; name two different runs (`latest` leads to one of them)")
    first, *others = runs
    for other in others:
        if not first.equity.index.equals(other.equity.index):
            raise ConfigError(
                f"the runs are not on the same bars, so that their figures cannot be compared: {_window(first)}; "
                f"{_window(other)}. {_repair(first, other)}"
            )


def _repair(first: Run, other: Run) -> str:
    clocks = [[run.record["spec"]["data"].get(key) for key in ("bar", "calendar")] for run in (first, other)]
    if clocks[0] != clocks[1]:
        return "Their bars are of different lengths or calendars: compare runs of one data.bar and one data.calendar"
    return "Run one again on the other's window: --set data.start=... --set data.end=..."


def _window(run: Run) -> str:
    days = run.equity.index
    return f"{run.folder} has {len(days)} bars from {days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}"


def _labels(runs: Sequence[Run]) -> tuple[str, ...]:
    """The shortest of id, name with id, and path that tells all runs apart."""
    depth = 1
    while len({run.folder.parts[-depth:] for run in runs}) < len(runs):
        depth += 1
    named = max(depth, 1 + (len({run.folder.parent for run in runs}) > 1))
    return tuple("/".join(run.folder.parts[-named:]) for run in runs)


def _flat(value: Any, place: str = "") -> dict[str, Any]:
    """Every leaf of nested tables by its dotted place."""
    if not isinstance(value, dict) or not value:
        return {place: value}
    return {key: it for name, inner in value.items() for key, it in _flat(inner, f"{place}.{name}".lstrip(".")).items()}


def _specs(runs: Sequence[Run]) -> list[Record]:
    """Specs with their variants by name; of a variant that not all runs have it is said whether one has it."""
    specs: list[Record] = [dict(run.record["spec"]) for run in runs]
    by_name = [{table["name"]: table for table in spec.pop("variant")} for spec in specs]
    shared = set.intersection(*(set(tables) for tables in by_name))
    for spec, tables in zip(specs, by_name, strict=True):
        spec["variant"] = {name: table if name in shared else "there" for name, table in tables.items()}
    return specs


def _recipes(run: Run) -> dict[str, Any]:
    return _flat({row["name"]: row.get("recipe") for row in run.record["variants"]})


def _differing(tables: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> pd.DataFrame:
    """Rows whose values are not the same in all tables."""
    places = dict.fromkeys(place for table in tables for place in table)
    rows = {place: [_cell(table, place) for table in tables] for place in places}
    kept = {place: cells for place, cells in rows.items() if any(cell != cells[0] for cell in cells)}
    return pd.DataFrame(list(kept.values()), index=pd.Index(kept, dtype=object), columns=list(labels), dtype=object)


def _cell(table: Mapping[str, Any], place: str) -> str:
    value = table.get(place)
    return _NONE if value is None else str(value)


def _figures(runs: Sequence[Run], labels: Sequence[str]) -> pd.DataFrame:
    stacked = {label: run.figures.stack() for label, run in zip(labels, runs, strict=True)}
    order = list(dict.fromkeys(pair for column in stacked.values() for pair in column.index))
    index = pd.MultiIndex.from_tuples(order, names=["variant", "figure"])
    return pd.DataFrame({label: column.reindex(index) for label, column in stacked.items()})


def _differences(runs: Sequence[Run], labels: Sequence[str]) -> tuple[PairedRow, ...]:
    first = runs[0].returns
    a_year = bars_a_year(pd.DatetimeIndex(runs[0].equity.index))
    pairs = [
        (name, label, (run.returns[name] - first[name]).to_numpy(dtype=np.float64))
        for run, label in zip(runs[1:], labels[1:], strict=True)
        for name in map(str, first)
        if name in run.returns
    ]
    intervals = [_interval(gaps).times(a_year) for _, _, gaps in pairs]
    adjusted = holm(np.array([interval.p for interval in intervals], dtype=np.float64))
    return tuple(
        PairedRow(name, label, it.difference, it.low, it.high, it.p, float(p), same=not np.any(gaps))
        for (name, label, gaps), it, p in zip(pairs, intervals, adjusted, strict=True)
    )


def _interval(gaps: FloatArray) -> Interval:
    """Of equal returns there is nothing to draw."""
    return mean_interval(gaps) if np.any(gaps) else Interval(0.0, 0.0, 0.0, 1.0)
