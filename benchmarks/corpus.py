"""Building the corpus: 34 sequences, cut, labelled and sorted.

    python -m benchmarks.corpus

The rival is pandas as a good user writes it (:mod:`benchmarks.pandas_factors`), with the same rows in the same order in
the end. Both sides stay in memory. The second figure is what a run does: everything from prices to the memory-mapped
folder, the running digest included.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import pandas_factors
from benchmarks.harness import Measure, main, peak_gib, speedup
from ragsignal.config import CorpusSpec
from ragsignal.data import SEQUENCES, compute_stacked, noise_market
from ragsignal.retrieval import Corpus, build_corpus, load_or_build

COMMAND = "python -m benchmarks.corpus"
SYMBOLS, BARS = 88, 1_250
LARGE_SYMBOLS, LARGE_BARS, LARGE_STRIDE = 500, 2_500, 5


def measures() -> list[Measure]:
    """Both figures."""
    return [_against_pandas(), _large()]


def market(symbols: int, bars: int) -> dict[str, pd.DataFrame]:
    """Random OHLCV on business days."""
    days = pd.bdate_range("2010-01-04", periods=bars)
    return dict(noise_market([f"S{number:03d}" for number in range(symbols)], days[0], days[-1]).frames)


def _against_pandas() -> Measure:
    frames = market(SYMBOLS, BARS)
    long = pd.concat([frame.reset_index().assign(symbol=symbol) for symbol, frame in frames.items()], ignore_index=True)
    long["symbol"] = long["symbol"].astype("category")
    ours, theirs = build_corpus(frames, CorpusSpec()), pandas_factors.corpus(long)
    found = _agreement(ours, theirs)
    del theirs
    ratio, detail = speedup(lambda: build_corpus(frames, CorpusSpec()), lambda: pandas_factors.corpus(long), rounds=3)
    return Measure(
        name=f"corpus build, 34 sequences, {SYMBOLS} symbols x {BARS:,} days",
        value=ratio,
        unit="x",
        rival="pandas groupby-apply of the same formulas, windows by sliding_window_view",
        target=">= 5",
        command=COMMAND,
        detail=detail | found | {"candidates": len(ours), "formulas_alone": _formulas_alone(frames, long)},
    )


def _formulas_alone(frames: dict[str, pd.DataFrame], long: pd.DataFrame) -> dict[str, Any]:
    """The 34 sequences and their scale-free form, nothing cut."""

    def rival() -> None:
        for _, bars in long.groupby("symbol", observed=True):
            pandas_factors.scale_free(bars, pandas_factors.compute(bars))

    ratio, detail = speedup(lambda: compute_stacked(list(frames.values()), list(SEQUENCES)), rival, rounds=3)
    return {"ratio": ratio, **detail}


def _agreement(ours: Corpus, theirs: pd.DataFrame) -> dict[str, Any]:
    """That both sides hold the same rows in the same order, and how many windows agree to nine digits.

    "Nine digits" is relative to the larger of the value and the median size of its sequence: pandas updates running
    sums, so that a correlation near 0, or a small step beyond a band, has fewer digits of its own.

    Raises
    ------
    AssertionError
        If rows differ, or more than 1 in 1,000 windows.
    """
    names = np.array(ours.sequences)
    assert len(ours) == len(theirs), f"{len(ours)} rows, pandas has {len(theirs)}"
    assert np.array_equal(names[ours.sequence_id], theirs["sequence"].to_numpy(dtype=str))
    assert np.array_equal(ours.available_at, theirs["available_at"].to_numpy().astype("datetime64[D]"))
    assert np.array_equal(ours.movement, theirs["movement"])
    worst, differing = {}, 0
    for number, name in enumerate(ours.sequences):
        rows = ours.sequence_id == number
        for kind, mine in (("value", ours.values), ("scaled", ours.scaled)):
            left, right = mine[rows], theirs.loc[rows, [f"{kind}{lag}" for lag in range(mine.shape[1])]].to_numpy()
            size = np.maximum(np.abs(left), np.median(np.abs(left)))
            gap = np.abs(left - right) / np.where(size > 0, size, 1.0)
            bad = (gap > 1e-9).any(axis=1)
            differing += int(bad.sum())
            if bad.any():
                worst[f"{name}/{kind}"] = {"windows": int(bad.sum()), "largest_gap": float(gap.max())}
    assert differing <= len(ours) / 1_000, worst
    return {"windows_that_differ_beyond_1e-9": worst}


def _large() -> Measure:
    with tempfile.TemporaryDirectory() as cache:
        code = (
            f"from benchmarks.corpus import build_large, market; from pathlib import Path; build_large(Path({cache!r}))"
        )
        gib, _ = peak_gib([sys.executable, "-c", code])
        detail = dict(
            zip(("seconds", "candidates"), map(float, (Path(cache) / "said").read_text().split()), strict=True)
        )
    return Measure(
        name=f"corpus on disk with its digests, {LARGE_SYMBOLS} symbols x {LARGE_BARS:,} days, stride {LARGE_STRIDE}",
        value=detail["seconds"],
        unit="s",
        rival="",
        target="",
        command=COMMAND,
        detail=detail | {"peak_gib": gib},
    )


def build_large(cache: Path) -> None:
    """Build it in a process of its own, and leave (seconds, candidates) in a file."""
    from benchmarks.harness import seconds

    frames = market(LARGE_SYMBOLS, LARGE_BARS)
    built: list[Corpus] = []
    spec = CorpusSpec(stride=LARGE_STRIDE)
    taken = seconds(lambda: built.append(load_or_build(frames, "benchmark", spec, cache)))
    (cache / "said").write_text(f"{taken} {len(built[0])}")


if __name__ == "__main__":
    main(measures)
