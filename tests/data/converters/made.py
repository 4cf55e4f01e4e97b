"""Made-up files of other projects: small, and written as these projects write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

STAMP = int(pd.Timestamp("2024-05-01", tz="UTC").timestamp())


def write_json(file: Path, data: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data), encoding="utf-8")
    return file


def state(symbol: str, day: str, said: str) -> dict[str, Any]:
    """A state of TradingAgents, with what a reader looks at and some of what it does not."""
    return {
        "company_of_interest": symbol,
        "trade_date": day,
        "market_report": "Prices rose. A buy for some.",
        "risk_debate_state": {"judge_decision": said},
        "final_trade_decision": said,
    }


def log_path(root: Path, symbol: str, day: str) -> Path:
    return root / symbol / "TradingAgentsStrategy_logs" / f"full_states_log_{day}.json"


def new_log(root: Path, symbol: str, day: str, said: str = "**Rating**: Buy\n\n**Executive Summary**: Go.") -> Path:
    """As 0.2.4 and later write it: the state of the day alone."""
    return write_json(log_path(root, symbol, day), state(symbol, day, said))


def old_log(root: Path, symbol: str, day: str, states: Mapping[str, dict[str, Any]]) -> Path:
    """As 0.2.3 and earlier write it: all states so far, by date."""
    return write_json(log_path(root, symbol, day), dict(states))


def report(root: Path, symbol: str, day: str, said: str) -> Path:
    file = root / symbol / day / "reports" / "final_trade_decision.md"
    file.parent.mkdir(parents=True)
    file.write_text(said, encoding="utf-8")
    return file


def cycle(day: str, weights: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A cycle of a fund of ai-hedge-fund."""
    return {
        "fund": "desk",
        "as_of": day,
        "universe": list(weights),
        "skipped": [],
        "target_weights": dict(weights),
        "final_weights": dict(weights),
        "orders": [],
        **changes,
    }


def order(action: str, confidence: float = 80.0, reasoning: str = "Signals agree.") -> dict[str, Any]:
    return {"action": action, "quantity": 10, "confidence": confidence, "reasoning": reasoning}


def predictions(days: int = 4, step: str = "1D", **columns: Any) -> pd.DataFrame:
    """A table of FreqAI's regression of ``&-s_close``."""
    opens = pd.date_range("2024-05-01", periods=days, freq=step, tz="UTC")
    table = pd.DataFrame({"date": opens, "&-s_close": np.linspace(-0.01, 0.02, days)})
    return table.assign(**{"&-s_close_mean": 0.0, "&-s_close_std": 0.02, "do_predict": 1, "DI_values": 0.3} | columns)


def write_predictions(folder: Path, table: pd.DataFrame, coin: str = "btc", stamp: int = STAMP) -> Path:
    folder = folder / "backtesting_predictions"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"cb_{coin}_{stamp}_prediction.feather"
    table.to_feather(file)
    return file


def paths(as_of: str = "2024-05-10", closes: tuple[float, ...] = (102.0, 99.0), **columns: Any) -> pd.DataFrame:
    """Predicted bars of Kronos: one next bar a sampled path."""
    following = str((pd.Timestamp(as_of) + pd.Timedelta(days=1)).date())
    table = pd.DataFrame({"symbol": "AAA", "as_of": as_of, "timestamps": following, "close": closes})
    return table.assign(**{"sample": range(len(closes)), "last_close": 100.0} | columns)


def write_paths(file: Path, *tables: pd.DataFrame) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pd.concat(tables).to_csv(file, index=False)
    return file
