"""The segmented index on 10 M x 64 synthetic vectors against the exact search of the same vectors, 20 queries a call.

A vector is a window of five bars: Student-t returns (4 degrees of freedom), z-scored, through 64 random cosines, to
unit length. So 64 numbers hold the few degrees of freedom that a window has, as embeddings of real windows do. The
worst case beside it has none of that: independent normal values, where no list holds more of the neighbours than
another. Queries are other windows of the same kind; their dates are spread over the last segment, so that half of it
is searched exactly on average.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Measure, main, own_peak_gib, speedup
from ragsignal.retrieval import SEGMENT_ROWS, AsOfIndex, SegmentedIndex

ROWS, WORST_ROWS, DIM, K = 10_000_000, 2_000_000, 64, 5
CALLS, QUERIES = 10, 20
COMMAND = "python -m benchmarks.segments"

Vectors = NDArray[np.float32]


def windows(rng: np.random.Generator, rows: int) -> Vectors:
    fixed = np.random.default_rng(7)
    slopes = fixed.normal(size=(5, DIM)).astype(np.float32)
    shifts = fixed.uniform(0, 2 * np.pi, DIM).astype(np.float32)
    returns = rng.standard_t(4, size=(rows, 5)).astype(np.float32)
    returns -= returns.mean(axis=1, keepdims=True)
    returns /= returns.std(axis=1, keepdims=True)
    return unit(np.cos(returns @ slopes + shifts))


def noise(rng: np.random.Generator, rows: int) -> Vectors:
    return unit(rng.standard_normal((rows, DIM), dtype=np.float32))


def unit(vectors: Vectors) -> Vectors:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


class Case:
    """One corpus on disk, memory-mapped, and both indexes of it."""

    def __init__(self, make: Callable[[np.random.Generator, int], Vectors], rows: int, folder: Path) -> None:
        rng = np.random.default_rng(0)
        file = np.lib.format.open_memmap(folder / "v.npy", mode="w+", dtype=np.float32, shape=(rows, DIM))
        for start in range(0, rows, SEGMENT_ROWS):
            file[start : start + SEGMENT_ROWS] = make(rng, min(SEGMENT_ROWS, rows - start))
        file.flush()
        del file
        vectors = np.asarray(np.load(folder / "v.npy", mmap_mode="r"))
        days = np.datetime64("1990-01-01") + np.arange(rows) // 1000
        self.queries = make(rng, CALLS * QUERIES)
        self.visible = rng.integers(rows - SEGMENT_ROWS, rows, CALLS).repeat(QUERIES)
        self.as_of = days[self.visible - 1]
        self.exact = AsOfIndex(vectors, days)
        before = time.perf_counter()
        self.segmented = SegmentedIndex(vectors, days, folder / "segments")
        self.build_s = time.perf_counter() - before
        self.gib = sum(path.stat().st_size for path in folder.glob("segments/*/*")) / 2**30

    def ask(self, index: AsOfIndex) -> None:
        for start in range(0, CALLS * QUERIES, QUERIES):
            those = slice(start, start + QUERIES)
            index.search_all(self.queries[those], self.visible[those], self.as_of[those], K)

    def recall(self) -> float:
        """Mean share of the exact five that the segments find."""
        found = [index.search_all(self.queries, self.visible, self.as_of, K) for index in (self.exact, self.segmented)]
        pairs = zip(*found, strict=True)
        return float(np.mean([len(set(exact.tolist()) & set(near.tolist())) / K for (exact, _), (near, _) in pairs]))

    def times(self) -> tuple[float, dict[str, Any]]:
        ratio, detail = speedup(lambda: self.ask(self.segmented), lambda: self.ask(self.exact), rounds=3, warm=False)
        per_call = {f"{side}_ms_a_call": 1000 * detail[f"{side}_s"] / CALLS for side in ("ours", "rival")}
        return ratio, detail | per_call | {"queries_a_call": QUERIES, "calls": CALLS} | SegmentedIndex.options()


def measures() -> list[Measure]:
    with tempfile.TemporaryDirectory() as place:
        worst = _worst(Path(place))
    with tempfile.TemporaryDirectory() as place:
        print(f"{ROWS:,} rows: making, building, searching", file=sys.stderr)
        case = Case(windows, ROWS, Path(place))
        recall = case.recall()
        ratio, detail = case.times()
    sizes = f"{ROWS / 1e6:.0f} M x {DIM}, k = {K}"
    memory = {"vectors_gib": ROWS * DIM * 4 / 2**30, "peak_rss_gib": own_peak_gib(), "mapped": "both, from disk"}
    exact = "the exact search of the same vectors, 20 queries a call"
    return [
        Measure(
            f"segmented index, recall@{K}, {sizes}",
            recall,
            "share",
            exact,
            ">= 0.98",
            COMMAND,
            {"queries": CALLS * QUERIES},
        ),
        Measure(f"segmented index, speed, {sizes}", ratio, "x", exact, ">= 10", COMMAND, detail),
        Measure(f"segmented index, memory, {sizes}", case.gib, "GiB", "", "", COMMAND, memory),
        Measure(f"segmented index, build, {sizes}", case.build_s, "s", "", "", COMMAND),
        *worst,
    ]


def _worst(folder: Path) -> list[Measure]:
    print(f"{WORST_ROWS:,} rows of noise", file=sys.stderr)
    case = Case(noise, WORST_ROWS, folder)
    ratio, detail = case.times()
    sizes = f"{WORST_ROWS / 1e6:.0f} M x {DIM} of independent noise"
    return [
        Measure(
            f"segmented index, recall@{K}, worst case, {sizes}", case.recall(), "share", "exact search", "", COMMAND
        ),
        Measure(f"segmented index, speed, worst case, {sizes}", ratio, "x", "exact search", "", COMMAND, detail),
    ]


if __name__ == "__main__":
    main(measures)
