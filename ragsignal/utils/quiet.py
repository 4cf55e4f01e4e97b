"""Keeps transformers' own progress bars out of ours, and gives the user's setting back afterwards."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def quiet_loading() -> Iterator[None]:
    """Load models without bars, without a warning of peft's, and without the tokenizers' about forked processes."""
    from transformers.utils import logging

    bars: Any = logging  # its functions carry no types
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5.23 for it, on every adapter: nothing that a user can do
            warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)
            yield
    finally:
        if shown:
            bars.enable_progress_bar()
