"""Keeps transformers' own progress bars out of ours, and gives the user's setting back afterwards."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def quiet_loading() -> Iterator[None]:
    """Load models without bars; also without the tokenizers' warning about forked processes."""
    from transformers.utils import logging

    bars: Any = logging  # its functions carry no types
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()
