"""The run record and its tables: the part of a report that programs read.

``record.json`` has the same bytes for the same recipe and bars; all that a second run may change (clocks, and model
calls that the store spares) stands under its key ``times``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ragsignal.trading import RunResult
from ragsignal.utils import Record, plain

RECORD = "record.json"

_PLACE = [("variant", pa.string()), ("date", pa.timestamp("us")), ("symbol", pa.string())]
ORDERS = pa.schema([*_PLACE, *((name, pa.float64()) for name in ("size", "price", "value", "commission", "slippage"))])
SIGNALS = pa.schema(
    [
        *_PLACE,
        ("value", pa.float64()),
        ("probability", pa.float64()),
        ("rank", pa.float64()),
        ("abstained", pa.string()),
        ("target", pa.float64()),
        ("key", pa.string()),
        ("hits", pa.list_(pa.string())),
    ]
)


def record_of(result: RunResult) -> Record:
    """Everything that rebuilds and explains the run, as JSON-able data.

    FloatArray are rounded to 12 significant digits; NaN and infinities are None.

    Raises
    ------
    TypeError
        For a value that JSON cannot hold, with its place.
    """
    record: Record = {
        "spec": result.spec.model_dump(mode="json", by_alias=True),
        "fingerprints": result.digests,
        "versions": result.versions,
        "benchmark": result.benchmark,
        "bars_a_year": result.bars_a_year,
        "notes": result.notes,
        "findings": result.findings,
        "variants": [
            {**v.metrics, **v.account_record(), "name": v.name, "kind": v.kind, "recipe": v.recipe}
            for v in result.variants
        ],
        "times": {**result.times, "variants": {v.name: v.cost_record() for v in result.variants}},
    }
    if result.retrieved:
        record["retrieved"] = result.retrieved
    if result.dropped_bars:
        record["dropped_bars"] = result.dropped_bars
    return cast(Record, plain(record))


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
