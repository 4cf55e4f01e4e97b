"""The run record and its tables: the part of a report that programs read.

``record.json`` has the same bytes for the same recipe and bars; all that a second run may change (clocks, and model
calls that the store spares) stands under its key ``times``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ragsignal.plain import plain
from ragsignal.report.folder import RECORD
from ragsignal.results import RunResult

_PLACE = [("variant", pa.string()), ("date", pa.timestamp("us")), ("symbol", pa.string())]
ORDERS = pa.schema([*_PLACE, *((name, pa.float64()) for name in ("size", "price", "value", "commission", "slippage"))])
SIGNALS = pa.schema(
    [
        *_PLACE,
        ("value", pa.float64()),
        ("probability", pa.float64()),
        ("abstained", pa.string()),
        ("target", pa.float64()),
        ("key", pa.string()),
        ("hits", pa.list_(pa.string())),
    ]
)


def record_of(result: RunResult) -> dict[str, Any]:
    """Everything that rebuilds and explains the run, as JSON-able data.

    Floats are rounded to 12 significant digits; NaN and infinities are None.

    Raises
    ------
    TypeError
        For a value that JSON cannot hold, with its place.
    """
    record = {
        "spec": result.spec,
        "fingerprints": result.fingerprints,
        "versions": result.versions,
        "benchmark": result.benchmark,
        "notes": result.notes,
        "findings": result.findings,
        "variants": [{**v.metrics, "name": v.name, "kind": v.kind, "recipe": v.recipe} for v in result.variants],
        "times": {**result.times, "variants": {v.name: v.cost for v in result.variants}},
    }
    told: dict[str, Any] = plain(record, "record")
    return told


def write_record(result: RunResult, folder: Path) -> dict[str, Any]:
    """Write ``record.json``; returns what it holds."""
    record = record_of(result)
    text = json.dumps(record, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8", newline="\n")
    return record


def write_tables(result: RunResult, folder: Path) -> None:
    """Write ``equity.parquet``, ``orders.parquet`` and ``signals.parquet``."""
    equity_table(result).to_parquet(folder / "equity.parquet")
    _write_stacked({v.name: v.orders for v in result.variants}, ORDERS, folder / "orders.parquet")
    _write_stacked({v.name: v.signals for v in result.variants}, SIGNALS, folder / "signals.parquet")


def equity_table(result: RunResult) -> pd.DataFrame:
    """Account values: a row a bar (naive days), a column a variant."""
    table = pd.DataFrame({v.name: v.equity for v in result.variants}).astype(float)
    table.index = naive_days(table.index)
    return table


def naive_days(values: pd.Index | pd.Series) -> pd.DatetimeIndex:
    """Drop a time zone, keep the local day: through UTC, a New York midnight would become 04:00 or 05:00."""
    return pd.DatetimeIndex(values).tz_localize(None).rename("date")


def _write_stacked(frames: Mapping[str, pd.DataFrame], schema: pa.Schema, path: Path) -> None:
    """One table of all variants; an explicit schema, so that an empty or all-None column keeps its type."""
    columns = schema.names[1:]
    parts = [
        pa.Table.from_pandas(
            frame[columns].assign(date=naive_days(frame["date"]), variant=name), schema=schema, preserve_index=False
        )
        for name, frame in frames.items()
        if len(frame)
    ]
    table = pa.concat_tables(parts) if parts else schema.empty_table()
    pq.write_table(table.replace_schema_metadata(None), path)
