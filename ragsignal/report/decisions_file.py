"""The signals of a variant as a file of decisions, which `signal = "external"` reads back to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ragsignal.config import did_you_mean
from ragsignal.errors import ConfigError
from ragsignal.report.record import naive_days
from ragsignal.report.run import Run
from ragsignal.utils import stamp_texts, write_file

_ENDINGS = (".csv", ".csv.gz", ".parquet")


def export_decisions(run: Run, variant: str, path: Path) -> pd.DataFrame:
    """Write every bar of ``variant`` with a view as a row; a file that is there is replaced in one step.

    Parameters
    ----------
    run : Run
    variant : str
    path : Path
        Ends in ``.csv``, ``.csv.gz`` or ``.parquet``.

    Returns
    -------
    DataFrame
        What was written: ``symbol``, ``date`` (of bars of hours their ends), ``probability``, ``value`` and, of a run
        that kept it, ``rank``.

    Raises
    ------
    ConfigError
        If there is no such variant, it has no view on any bar, or ``path`` has another ending.
    """
    table = decisions_table(run, variant)
    if not path.name.endswith(_ENDINGS):
        raise ConfigError(f"{path}: the name of a file of decisions ends in {', '.join(_ENDINGS)}; choose one of them")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, lambda draft: _write(table, draft, path.name))
    return table


def decisions_table(run: Run, variant: str) -> pd.DataFrame:
    """The rows that :func:`export_decisions` writes; raises as it does."""
    names = [str(row["name"]) for row in run.record["variants"]]
    if variant not in names:
        raise ConfigError(f"{run.folder}: no variant {variant!r}.{did_you_mean(variant, names)}")
    signals = run.signals
    own = signals[(signals["variant"] == variant) & signals["abstained"].isna()]
    if own.empty:
        with_view = signals.loc[signals["abstained"].isna(), "variant"].unique().tolist()
        raise ConfigError(
            f"{run.folder}: variant {variant!r} has no view on any bar, so that there is nothing to export; "
            f"those with one: {', '.join(with_view) or 'none'}"
        )
    columns = [name for name in ("symbol", "date", "probability", "value", "rank") if name in own]
    return own[columns].assign(date=naive_days(own["date"])).reset_index(drop=True)


def _write(table: pd.DataFrame, draft: Path, name: str) -> None:
    """CSV has the shortest digits that give the same double."""
    if name.endswith(".parquet"):
        table.to_parquet(draft, index=False)
    else:
        options: dict[str, Any] = (
            {"compression": "gzip"} if name.endswith(".gz") else {}
        )  # the draft has another ending
        dated = table.assign(date=stamp_texts(pd.DatetimeIndex(table["date"])))
        dated.to_csv(draft, index=False, lineterminator="\n", **options)
