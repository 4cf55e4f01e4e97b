"""Where a model computes, and in which numbers: as asked for, without a silent fallback."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ragsignal.errors import ModelError
from ragsignal.types import IntArray
from ragsignal.utils import Record


def checked_device(device: str, key: str = "llm.device") -> str:
    """The device as asked for, by ``key`` of a spec.

    Raises
    ------
    ModelError
        If it is a GPU that torch does not see.
    """
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ModelError(f'{key} = "cuda", but torch sees no GPU here; install a CUDA build or say device = "cpu"')
    return device


@contextlib.contextmanager
def computing(threads: int | None) -> Iterator[None]:
    """Compute on some of torch's threads for a while.

    Threads wait for each other after every matrix product: where another program holds a core, two of them made a day
    of 100 stocks ten times slower than one.

    Parameters
    ----------
    threads : int, optional
        At most; by default as many as there were free cores when this process first asked. Never more than torch has
        (``OMP_NUM_THREADS``; one in a forked process, which would wait for ever for the others).
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(min(before, threads or free_cores()))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def free_cores() -> int:
    """Cores of this process less what others did in the last minute; at least one.

    Asked once: later on, the load is this process's own.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not hasattr(os, "getloadavg"):  # Windows
        return cores
    others = max(0.0, os.getloadavg()[0] - 1.0)  # one is this process, which has prepared prices until now
    return max(1, round(cores - others))


def machine() -> Record:
    """What computed, as a record's ``times`` have it: the last bits of a sum depend on it.

    Returns
    -------
    dict
        ``processor``, and where a model was loaded ``instructions`` (the set that torch chose) and ``threads`` (those
        that a model takes where its spec names none).
    """
    about: Record = {"processor": _processor()}
    torch = sys.modules.get("torch")  # not imported for this: it takes seconds, and no model computed without it
    if torch is not None:
        about["instructions"] = torch.backends.cpu.get_cpu_capability()
        about["threads"] = min(torch.get_num_threads(), free_cores())
    return about


def _processor() -> str:
    """The processor's name, of which Linux's own says only the architecture."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def chosen_dtype(dtype: str, device: str) -> str:
    """``dtype``, or what ``auto`` means here: ``bfloat16`` where the device computes in it, else ``float32``."""
    if dtype != "auto":
        return dtype
    import torch

    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    features = torch.cpu.get_capabilities()
    return "bfloat16" if any(features.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")) else "float32"


def rows_in_memory(config: Any, lengths: IntArray, device: str) -> int:
    """How many of the first prompts one forward pass can take; at least one.

    Parameters
    ----------
    config : transformers text config
        Sizes of the model that is on ``device`` already.
    lengths : (n,) int64
        Tokens of the prompts, ascending: a batch is as wide as its last one.
    device : str
        A GPU; what is free there now is what counts, less a fifth that fragments and kernels take.
    """
    import torch

    return rows_for(0.8 * torch.cuda.mem_get_info(device)[0] / bytes_a_token(config), lengths)


def rows_for(budget: float, lengths: IntArray) -> int:
    """Rows of the longest run of ``lengths``, ascending, that has at most ``budget`` tokens with its padding."""
    padded = lengths * np.arange(1, len(lengths) + 1)
    return max(1, int(np.searchsorted(padded, budget, side="right")))


def bytes_a_token(config: Any) -> float:
    """Bytes of a token in a forward pass without gradients: its keys and values in all layers, and one layer.

    Two bytes a number for keys and values; four for a layer's widest moment (two gated feed-forward halves and their
    product, query, key, value, output and the residual), which the norms compute in float32.
    """
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    kept: float = 2.0 * 2 * config.num_hidden_layers * heads * width
    passing: float = 4.0 * (3 * inner + 6 * config.hidden_size)
    return kept + passing
