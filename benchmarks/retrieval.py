"""As-of search of 400,000 x 384 vectors, k = 5, for 250 consecutive dates x 20 symbols, against FAISS.

The corpus grows from 390,000 to 400,000 rows over these dates. FAISS gets all rows once (IndexFlatIP) and an
IDSelectorRange of the rows known by each date, one call of 20 queries a date, as a bar-by-bar run would ask it. Both
sides use all cores. Vectors and queries are random unit vectors: exact search takes the same time for any others.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Measure, in_turn, main
from ragsignal.retrieval import AsOfIndex, Ranked

ROWS, DIM, K = 400_000, 384, 5
DATES, SYMBOLS, ROWS_A_DATE = 250, 20, 40
COMMAND = "python -m benchmarks.retrieval"
SIZES = f"{ROWS:,} x {DIM}, k = {K}, {DATES} dates x {SYMBOLS} symbols"


def unit(rng: np.random.Generator, rows: int) -> NDArray[np.float32]:
    vectors = rng.standard_normal((rows, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


class AsOf:
    """Both sides of the measurement."""

    def __init__(self) -> None:
        import faiss

        rng = np.random.default_rng(0)
        self.vectors, self.queries = unit(rng, ROWS), unit(rng, DATES * SYMBOLS)
        day = np.maximum(np.arange(ROWS) - (ROWS - DATES * ROWS_A_DATE), -1) // ROWS_A_DATE
        self.days = np.datetime64("2020-01-01") + day
        self.dates = np.datetime64("2020-01-01") + np.arange(DATES)
        self.visible = np.searchsorted(self.days, self.dates, side="right")
        self.faiss = faiss.IndexFlatIP(DIM)
        self.faiss.add(self.vectors)

    def ours(self, index: AsOfIndex) -> list[Ranked]:
        return index.search_all(self.queries, self.visible.repeat(SYMBOLS), self.dates.repeat(SYMBOLS), K)

    def rival(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        import faiss

        found = []
        for number, visible in enumerate(self.visible.tolist()):
            known = faiss.SearchParameters(sel=faiss.IDSelectorRange(0, visible))
            asked = self.queries[number * SYMBOLS :][:SYMBOLS]
            found.append(self.faiss.search(asked, K, params=known))
        return np.concatenate([rows for _, rows in found]), np.concatenate([scores for scores, _ in found])

    def compare(self, ours: list[Ranked], rows: NDArray[np.int64], scores: NDArray[np.float32]) -> dict[str, Any]:
        """Raises unless both found the same, but for rows whose scores are equal in 6 decimals."""
        mine = np.array([found for found, _ in ours])
        far = np.abs(np.array([score for _, score in ours]) - scores).max()
        if far > 2e-6:
            raise RuntimeError(f"FAISS and AsOfIndex differ by {far:.2g} in a score")
        other = int((np.sort(mine, axis=1) != np.sort(rows, axis=1)).any(axis=1).sum())
        if other > len(mine) // 1000:
            raise RuntimeError(f"FAISS and AsOfIndex found other rows for {other} of {len(mine)} queries")
        return {"queries_with_other_rows_of_equal_score": other, "largest_difference_of_scores": float(far)}


def measures() -> list[Measure]:
    print(f"{DATES * SYMBOLS:,} queries, two rounds of both sides", file=sys.stderr)
    work, found = AsOf(), {}
    exact, half = AsOfIndex(work.vectors, work.days), AsOfIndex(work.vectors.astype(np.float16), work.days)
    sides: dict[str, Callable[[], Any]] = {
        "ours": lambda: work.ours(exact),
        "half": lambda: work.ours(half),
        "rival": work.rival,
    }
    keep = {name: lambda name=name, ask=ask: found.update({name: ask()}) for name, ask in sides.items()}
    taken = {name: statistics.median(times) for name, times in in_turn(keep, rounds=2, warm=False).items()}
    pairs = zip(found["ours"], found["half"], strict=True)
    same = np.mean([set(whole.tolist()) == set(rounded.tolist()) for (whole, _), (rounded, _) in pairs])
    detail = {"ours_s": taken["ours"], "rival_s": taken["rival"], "queries": len(work.queries), "faiss_calls": DATES}
    detail |= {"products_alone_s": _bare_product(work), **work.compare(found["ours"], *found["rival"])}
    halved = {"ours_s": taken["half"], "rival_s": taken["rival"], "same_rows_as_float32": float(same)}
    rival = "FAISS IndexFlatIP, IDSelectorRange, one call a date"
    return [
        Measure(f"as-of retrieval, {SIZES}", taken["rival"] / taken["ours"], "x", rival, ">= 3", COMMAND, detail),
        Measure(
            f"as-of retrieval, float16 storage, {SIZES}",
            taken["rival"] / taken["half"],
            "x",
            rival,
            "",
            COMMAND,
            halved,
        ),
    ]


def _bare_product(work: AsOf) -> float:
    """Seconds of the matrix products alone, without the search: what the search could take at best."""
    blocks = [work.vectors[start : start + 8192] for start in range(0, ROWS, 8192)]

    def product() -> None:
        for start in range(0, len(work.queries), 1024):
            for block in blocks:
                work.queries[start : start + 1024] @ block.T

    return in_turn({"product": product}, rounds=1, warm=False)["product"][0]


if __name__ == "__main__":
    main(measures)
