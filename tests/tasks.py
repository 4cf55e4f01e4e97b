"""Functions that other processes import: nothing here loads a library."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def divide(held: float, item: float) -> float:
    return item / held


def die(_: object, __: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(marker: str, item: int) -> int:
    """Kills its process at item 3, the first time."""
    if item == 3 and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def writes_past_python(frame: pd.DataFrame) -> pd.Series:
    """As LAPACK does where a fit meets a NaN."""
    os.write(1, b"DLASCL")
    return frame["close"]


def ends_its_process(frame: pd.DataFrame) -> pd.Series:
    """As a library does that runs out of memory."""
    os._exit(3)


def reads_a_column_that_is_not_there(frame: pd.DataFrame) -> pd.Series:
    return frame["Close"]
