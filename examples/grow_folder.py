"""Let a folder of prices grow, to see a live run at work: the bundled stocks, a day every few seconds.

python examples/grow_folder.py live-prices --every 3        # in one terminal
python examples/live_paper.py examples/live.toml --poll 1   # in another
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd

from ragsignal.data import load_sample


def main() -> None:
    """Write the bars before a day at once, and then a line a file for each day."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--start", type=pd.Timestamp, default=pd.Timestamp("2014-01-02"), help="first day that comes")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two days")
    asked = parser.parse_args()
    frames = load_sample().frames
    asked.folder.mkdir(parents=True, exist_ok=True)
    for symbol, frame in frames.items():
        before = frame.loc[: asked.start - pd.Timedelta(days=1)]
        before.to_csv(asked.folder / f"{symbol}.csv", index_label="date")
    for day in sorted(set().union(*(frame.loc[asked.start :].index for frame in frames.values()))):
        time.sleep(asked.every)
        print(f"{day.date()}")
        for symbol, frame in frames.items():
            if day in frame.index:
                with (asked.folder / f"{symbol}.csv").open("a") as file:
                    file.write(",".join([f"{day.date()}", *(repr(float(it)) for it in frame.loc[day])]) + "\n")


if __name__ == "__main__":
    main()
