"""Where a model computes, and in which numbers: as asked for, without a silent fallback."""

from __future__ import annotations

from ragsignal.errors import ModelError


def checked_device(device: str) -> str:
    """The device as asked for.

    Raises
    ------
    ModelError
        If it is a GPU that torch does not see.
    """
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ModelError(
                'llm.device = "cuda", but torch sees no GPU here; install a CUDA build or say device = "cpu"'
            )
    return device


def chosen_dtype(dtype: str, device: str) -> str:
    """``dtype``, or what ``auto`` means here: ``bfloat16`` where the device computes in it, else ``float32``."""
    return best_dtype(device) if dtype == "auto" else dtype


def best_dtype(device: str) -> str:
    """``bfloat16`` where the device computes in it, else ``float32``."""
    import torch

    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    features = torch.cpu.get_capabilities()
    return "bfloat16" if any(features.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")) else "float32"
