"""Peak memory of whole runs: ``ragsignal backtest`` on a corpus of 444,000 candidates, with the embedded model.

    python -m benchmarks.memory

Ten made-up symbols x 1,324 days x 34 sequences, of which two symbols are traded for 20 days, so that the run is short
and as large as a long one. Cold: weights are converted, the corpus is built and encoded, prompts are read, the report
is written. The second run retrieves by the text encoder, whose matrix is 444,000 x 384. To embed the corpus takes an
hour and no more memory than a batch: its cache is filled with random unit vectors under the real lines before; the
lines of the queries are embedded in the run, by the model.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness import Measure, main, peak_gib

COMMAND = "python -m benchmarks.memory"
CANDIDATES = 444_000
RUN = "from ragsignal.cli import main; main()"
SPEC = """
name = "{name}"
benchmark = "buy-and-hold"
data = {{ source = "noise", symbols = ["S0", "S1"], start = 2015-01-02, end = 2015-01-29 }}
corpus = {{ symbols = ["S0", "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9"] }}
retrieval = {{ k = 5 }}
llm = {{ adapter = "shipped:stockllm-text" }}
strategy = {{ class = "ragsignal.strategies:LongShort" }}
variant = [
{variants}
    {{ name = "buy-and-hold", signal = "none", strategy = {{ class = "ragsignal.strategies:BuyAndHold" }} }},
]
"""
NUMERIC = """
    { name = "rag-shape", retrieval = { retriever = "shape" } },
    { name = "rag-finseer-numeric", retrieval = { retriever = "finseer", encoder = "shipped:finseer-numeric" } },
"""
TEXT = """
    { name = "rag-text", retrieval = { retriever = "embedding" } },
"""


def measures() -> list[Measure]:
    """Both runs, in one cache of their own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RAGSIGNAL_CACHE"] = str(Path(folder) / "cache")
        numeric = _measure(Path(folder), "numeric", NUMERIC, "retrievers shape and finseer-numeric, all cold")
        text = _spec(Path(folder), "text", TEXT)
        _child(f"from benchmarks.memory import fill; fill({str(text)!r})")
        return [numeric, _measure(Path(folder), "text", TEXT, "text encoder's 444k x 384 from the cache of its lines")]


def fill(spec: str) -> None:
    """Put random unit vectors into the cache of embeddings, for every line of the corpus of ``spec``."""
    from ragsignal.config import load_spec
    from ragsignal.study import Study

    study = Study(load_spec(Path(spec)))
    encoder = study.pipeline(study.spec.variants[0]).retriever.encoder
    rng = np.random.default_rng(0)

    def made_up(lines: list[str]) -> np.ndarray:
        vectors = rng.standard_normal((len(lines), 384), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    encoder.batch_size, encoder.encode_lines = 8192, made_up
    for _ in encoder.corpus_blocks(study.corpus):
        pass


def _measure(folder: Path, name: str, variants: str, what: str) -> Measure:
    spec = _spec(folder, name, variants)
    gib, taken = peak_gib([sys.executable, "-c", RUN, "backtest", str(spec), "--out", str(folder / "runs")])
    candidates = len(np.load(next(folder.glob("cache/corpora/*/outcome.npy")), mmap_mode="r"))
    assert abs(candidates / CANDIDATES - 1) <= 0.02, candidates
    return Measure(
        name=f"peak memory of a backtest, 444k candidates, embedded model, {what}",
        value=gib,
        unit="GiB",
        rival="",
        target="<= 3",
        command=COMMAND,
        detail={"candidates": candidates, "signals_a_variant": 40, "seconds": taken},
    )


def _spec(folder: Path, name: str, variants: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(SPEC.format(name=name, variants=variants))
    return path


def _child(code: str) -> None:
    peak_gib([sys.executable, "-c", code])


if __name__ == "__main__":
    main(measures)
