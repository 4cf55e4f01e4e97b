"""The model pass: cold signals beside the reference way, the bare forward pass and llama.cpp, all on the same weights.

Queries are consecutive bars of AAPL in the sample, candidates the 34 sequences of four stocks found by shape (k = 5),
the model SmolLM2-135M in bfloat16 without an adapter. Ours is the whole way of a cold signal: retrieve, write,
tokenise, score, store. The rivals get their prompts ready-made.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import Measure, in_turn, main
from ragsignal.artifacts import EMBEDDED, resolve
from ragsignal.config import RunSpec
from ragsignal.llm import token_ids
from ragsignal.signals import RagPipeline, SignalStore, queries_of
from ragsignal.study import Study
from ragsignal.types import Prompt, Query

COMMAND = "python -m benchmarks.model"
MODEL = "SmolLM2-135M-Instruct"
ANSWER = 8  # tokens the reference may write; its authors allow 256, but a good answer is one word
ROUNDS = 3


def measures() -> list[Measure]:
    """Four ratios; llama.cpp's is left out where it is not installed."""
    compact, json = _Side("compact", 192), _Side("finseer-json", 12)
    few = json.prompts[:4]
    sides: dict[str, Callable[[], Any]] = {
        "cold compact": compact.cold,
        "raw compact": _raw(compact),
        "reference": _reference(few),
        "cold json": json.cold,
        "raw json": _raw(json),
    }
    if llama := _llama(json):
        sides["llama.cpp"] = llama
    else:
        print("llama-cpp-python is not installed: its ratio is left out", file=sys.stderr)
    taken = {name: statistics.median(it) for name, it in in_turn(sides, ROUNDS).items()}
    return _ratios(taken, compact, json, len(few))


def _ratios(taken: dict[str, float], compact: _Side, json: _Side, few: int) -> list[Measure]:
    ours, reference = len(compact.prompts) / taken["cold compact"], few / taken["reference"]
    speed = {
        name: side.tokens / taken[name]
        for name, side in (("cold compact", compact), ("raw compact", compact), ("cold json", json), ("raw json", json))
    }
    about: dict[str, Any] = {
        "seconds": taken,
        "tokens_per_s": speed,
        "prompt_tokens": compact.tokens / len(compact.prompts),
    }
    cold = "cold RAG signals/s, k = 5, compact template"
    found = [
        Measure(
            cold, ours / reference, "x", "per bar, pipeline('text-generation') on the finseer-json prompt, same model",
            ">= 12", COMMAND, about | {"signals_per_s": ours, "reference_per_s": reference, "answer_tokens": ANSWER},
        ),
        Measure(cold.replace("signals", "tokens"), speed["cold compact"] / speed["raw compact"], "x",
                "the bare forward pass of the same tokens, same dtype and batches", ">= 0.9", COMMAND, about),
        Measure("cold RAG tokens/s, k = 5, finseer-json template", speed["cold json"] / speed["raw json"], "x",
                "the bare forward pass of the same tokens, same dtype and batches", "", COMMAND, about),
    ]  # fmt: skip
    if "llama.cpp" in taken:
        theirs = json.tokens / taken["llama.cpp"]
        found.append(
            Measure("cold RAG tokens/s, k = 5, finseer-json template", speed["cold json"] / theirs, "x",
                    "llama.cpp on the same GGUF, prompt evaluation only", ">= 4", COMMAND,
                    about | {"llama_tokens_per_s": theirs})
        )  # fmt: skip
    return found


class _Side:
    """Queries of one template, their prompts, and the pipeline that makes their signals anew each time."""

    def __init__(self, template: str, signals: int) -> None:
        spec = RunSpec.model_validate(_spec(template))
        self.study = Study(spec)
        pipeline = self.study.pipeline(spec.variants[0])
        frames = self.study.prices.select(("AAPL",)).between(spec.data.start, spec.data.end).frames
        self.queries: list[Query] = queries_of(frames, pipeline.lookback)[5 : 5 + signals]
        self.retriever, self.model = pipeline.retriever, pipeline.scorer.inner  # type: ignore[attr-defined]
        self.prompts: list[Prompt] = [
            self.model.render(query, hits)
            for query, hits in zip(self.queries, self.retriever.retrieve(self.queries), strict=True)
        ]
        self.tokens = sum(map(self.model.length, self.prompts))

    def cold(self) -> None:
        """Every signal from nothing, into a store on disk."""
        with tempfile.TemporaryDirectory() as folder:
            store = SignalStore(Path(folder) / "signals.sqlite")
            made = RagPipeline(self.retriever, self.model, self.model, store).signals(self.queries)
        assert len({signal.key for signal in made}) == len(self.queries)


def _spec(template: str) -> dict[str, Any]:
    return {
        "name": "model",
        "data": {
            "source": "sample",
            "symbols": ("AAPL", "IBM", "JPM", "AMZN"),
            "start": "2011-01-03",
            "end": "2013-03-01",
        },
        "corpus": {"stride": 5},
        "retrieval": {"retriever": "shape", "k": 5},
        "llm": {"template": template, "dtype": "bfloat16"},
        "strategy": {"class": "ragsignal.strategies:BuyAndHold"},
        "benchmark": "rag",
        "variant": ({"name": "rag"},),
    }


def _loaded() -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = str(resolve(f"embedded:{MODEL}").folder)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval(), AutoTokenizer.from_pretrained(
        folder
    )


def _tokens(side: _Side) -> list[list[int]]:
    _, tokenizer = _loaded()
    return [
        token_ids(prompt, side.study.materials.template(side.study.spec.llm), tokenizer, 8192)
        for prompt in side.prompts
    ]


def _raw(side: _Side) -> Callable[[], None]:
    """The forward pass and nothing else: token ids ready, sorted, in batches like ours; one row of logits each."""
    import torch

    from ragsignal.llm.head import pad_right

    model, _ = _loaded()
    ready = sorted(_tokens(side), key=len)
    batches = [pad_right(ready[start : start + 32], 0, "cpu")[0] for start in range(0, len(ready), 32)]

    def run() -> None:
        with torch.inference_mode():
            for ids in batches:
                model(input_ids=ids, use_cache=False, logits_to_keep=1)

    return run


def _reference(prompts: list[Prompt]) -> Callable[[], None]:
    """One generation a bar, greedy, as the published code asks; the same model, dtype and threads."""
    import torch
    from transformers import pipeline

    model, tokenizer = _loaded()
    generate = pipeline("text-generation", model=model, tokenizer=tokenizer)
    chats = [
        [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.text}] for prompt in prompts
    ]

    def run() -> None:
        with torch.inference_mode():
            for chat in chats:
                generate(chat, max_new_tokens=ANSWER, max_length=None, do_sample=False)

    return run


def _llama(side: _Side) -> Callable[[], None] | None:
    """Prompt evaluation alone, one prompt after the other as its API has it, on all cores."""
    try:
        from llama_cpp import Llama
    except ImportError:
        return None
    import importlib.util
    import os

    entry = EMBEDDED[MODEL]
    found = importlib.util.find_spec(entry.package)
    path = Path(next(iter(found.submodule_search_locations or ()))) / entry.file if found else None
    llama = Llama(
        str(path),
        n_ctx=2048,
        n_batch=2048,
        n_ubatch=512,
        n_threads=os.cpu_count(),
        n_threads_batch=os.cpu_count(),
        verbose=False,
    )
    ready = _tokens(side)

    def run() -> None:
        for tokens in ready:
            llama.reset()
            llama.eval(tokens)

    return run


if __name__ == "__main__":
    main(measures)
