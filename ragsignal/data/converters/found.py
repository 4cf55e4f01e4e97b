"""What a reader of another project's results found, and the checks that are the same for all of them.

    files of a project ─► its reader ─► rows: symbol, when, value, place ─► settle ─► Converted ─► decisions.csv

``when`` is the day of a bar (``2024-05-10``), or a moment in UTC (``2024-05-11T00:00:00Z``) where what was written down
says when a decision could be known. Nothing is dropped in silence: what is no decision, and is marked so by the project
itself, is left out by name and reason; everything else that cannot be read is an error with file and place.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ragsignal.errors import ConfigError, DataError
from ragsignal.utils import first_names, write_file

Value = Literal["action", "score", "probability", "weight"]
"""What a decision says: a word, a score in [-1, 1], P(rise), or a share of the account."""
Time = Literal["date", "decided_at"]
ROW = ["symbol", "when", "value", "place"]
_NAMED = 3  # places that a message names


@dataclass(frozen=True)
class LeftOut:
    """What the project itself marked as no decision.

    Parameters
    ----------
    symbol, when : str
    reason : str
    place : str
        File, and place in it.
    """

    symbol: str
    when: str
    reason: str
    place: str


@dataclass(frozen=True, eq=False)
class Converted:
    """Decisions that ``signal = "external"`` reads.

    Parameters
    ----------
    decisions : DataFrame
        Columns ``symbol``, ``time`` and ``value``, by time and symbol; one row a symbol and time.
    time, value : str
        Names of the second and the third column.
    left_out : tuple of LeftOut
    repeats : int
        How many decisions the project had written down a second time, and alike.
    """

    decisions: pd.DataFrame
    time: Time
    value: Value
    left_out: tuple[LeftOut, ...] = ()
    repeats: int = 0

    @property
    def symbols(self) -> list[str]:
        """Symbols with a decision, in order."""
        return sorted(self.decisions["symbol"].unique())

    @property
    def reasons(self) -> dict[str, int]:
        """How many were left out, by reason."""
        return dict(sorted(Counter(it.reason for it in self.left_out).items()))

    def renamed(self, names: Mapping[str, str]) -> Converted:
        """With other names of symbols.

        Raises
        ------
        ConfigError
            If a symbol is not there, or if two would have one name.
        """
        unknown = [name for name in names if name not in self.symbols]
        if unknown:
            raise ConfigError(
                f"--rename {unknown[0]}=...: there is no such symbol; there are {', '.join(self.symbols)}"
            )
        new = {symbol: names.get(symbol, symbol) for symbol in self.symbols}
        twice = [name for name, count in Counter(new.values()).items() if count > 1]
        if twice:
            raise ConfigError(f"--rename: two symbols would be {twice[0]!r}; give each a name of its own")
        left_out = tuple(replace(it, symbol=new.get(it.symbol, it.symbol)) for it in self.left_out)
        table = self.decisions.assign(symbol=self.decisions["symbol"].map(new))
        table = table.sort_values([self.time, "symbol"], ignore_index=True)
        return replace(self, decisions=table, left_out=left_out)

    def write(self, out: Path) -> None:
        """Write the decisions, Parquet by the ending of ``out``, else CSV; a file that is there is replaced."""
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".parquet":
            write_file(out, lambda draft: self.decisions.to_parquet(draft, index=False))
        else:
            write_file(out, lambda draft: self.decisions.to_csv(draft, index=False))


def check_out(out: Path, source: Path) -> None:
    """Refuse a file to write whose format cannot be told, or that is of ``source``, which is read.

    Raises
    ------
    ConfigError
    """
    if out.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"--out {out}: expected a name that ends in .csv or .parquet; type --out decisions.csv")
    whole, read = out.resolve(), source.resolve()
    if whole == read or read in whole.parents:
        raise ConfigError(f"--out {out}: lies in {source}, which is read; expected a file beside it; name another")


def settle(
    rows: pd.DataFrame,
    time: Time,
    value: Value,
    left_out: Sequence[LeftOut] = (),
    echoes: pd.DataFrame | None = None,
) -> Converted:
    """Check rows as every format has to be checked, and put them in order.

    Parameters
    ----------
    rows : DataFrame
        Columns of :data:`ROW`.
    time, value : str
        What ``when`` and ``value`` are.
    left_out : sequence of LeftOut
    echoes : DataFrame, optional
        Decisions that a project writes down again, beside others or later; each has to be as the first one was.

    Raises
    ------
    DataError
        If a symbol has two decisions at one time, if an echo says something else, if a number is out of its range, or
        if a symbol has none at all.
    """
    _refuse_twice(rows)
    repeats = 0
    if echoes is not None and len(echoes):
        rows, repeats = _with_echoes(rows, echoes)
    if value != "action":
        _refuse_numbers(rows, value)
    _refuse_empty(rows, left_out)
    ordered = rows.sort_values(["when", "symbol"], ignore_index=True)
    table = ordered[["symbol", "when", "value"]].set_axis(["symbol", time, value], axis=1)
    return Converted(table, time, value, tuple(left_out), repeats)


def _refuse_twice(rows: pd.DataFrame) -> None:
    twice = rows[rows.duplicated(["symbol", "when"], keep=False)]
    if len(twice):
        symbol, when = twice[["symbol", "when"]].iloc[0]
        places = twice["place"][(twice["symbol"] == symbol) & (twice["when"] == when)]
        raise DataError(
            f"{symbol} has {len(places)} decisions of {when}: {first_names(list(places), _NAMED)}; expected one; "
            "delete the others, or convert one run at a time"
        )


def _with_echoes(rows: pd.DataFrame, echoes: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Rows with those that stand in an echo alone; and how many others were repeated."""
    first = pd.concat([rows, echoes], ignore_index=True).drop_duplicates(["symbol", "when"])
    both = echoes.merge(first, on=["symbol", "when"], suffixes=("", "_first"))
    other = both[both["value"] != both["value_first"]]
    if len(other):
        row = other.iloc[0]
        raise DataError(
            f"{row['symbol']} has two decisions of {row['when']} that differ: {row['value_first']} in "
            f"{row['place_first']}, {row['value']} in {row['place']}; delete the one that does not count"
        )
    return first, len(echoes) - (len(first) - len(rows))


def _refuse_numbers(rows: pd.DataFrame, value: Value) -> None:
    low = 0.0 if value == "probability" else -1.0
    numbers = rows["value"].to_numpy(dtype="float64")
    wrong = rows[~((numbers >= low) & (numbers <= 1.0))]
    if len(wrong):
        row = wrong.iloc[0]
        raise DataError(
            f"{row['place']}: the {value} of {row['symbol']} on {row['when']} is {row['value']}; expected a number "
            f"from {low:g} to 1; repair the file, or delete the row"
        )


def _refuse_empty(rows: pd.DataFrame, left_out: Sequence[LeftOut]) -> None:
    decided = set(rows["symbol"])
    for it in left_out:
        if it.symbol not in decided:
            raise DataError(
                f"{it.symbol} has no decision at all: {it.reason} in {it.place}, and nothing else; run it again, or "
                "delete its files"
            )


def frame_of(rows: Sequence[tuple[str, str, float | str, str]]) -> pd.DataFrame:
    """Rows as a table with the columns of :data:`ROW`."""
    return pd.DataFrame(list(rows), columns=ROW)


def read_text(file: Path) -> str:
    """What a text file holds.

    Raises
    ------
    DataError
        If it cannot be read, or is not in UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8-sig")  # with or without a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error}); expected text in UTF-8; save it so, or delete it") from None


def read_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises
    ------
    DataError
        If it cannot be read, or is no JSON; with the line.
    """
    text = read_text(file)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{file}: no JSON at line {error.lineno}: {error.msg}; the run that wrote it may have been cut off: "
            "run it again, or delete the file"
        ) from None
    except RecursionError:
        raise DataError(f"{file}: JSON that is nested too deeply; expected a run's results; delete the file") from None


def iso_day(text: object, place: str) -> str:
    """A day as ``YYYY-MM-DD``.

    Raises
    ------
    DataError
        If it is written otherwise, or is no day.
    """
    written = str(text)
    try:
        if len(written) != len("2024-05-10"):
            raise ValueError
        return date.fromisoformat(written).isoformat()
    except ValueError:
        raise DataError(f"{place}: {written!r} is no day; expected YYYY-MM-DD, such as 2024-05-10") from None


def must_exist(path: Path, what: str) -> None:
    """Refuse a path that is not there.

    Raises
    ------
    DataError
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; expected {what}; check the path")
