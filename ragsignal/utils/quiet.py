"""Keeps transformers' own progress bars out of ours, and gives the user's setting back afterwards."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def quiet_loading() -> Iterator[None]:
    """Load models without bars, without reports, and without warnings of peft's and of the tokenizers' about forks.

    transformers' reports are of weights that are missing or have no place: who loads asks for them, and judges.
    """
    from transformers.utils import logging

    bars: Any = logging  # its functions carry no types
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    shown = bars.is_progress_bar_enabled()
    level = bars.get_verbosity()
    bars.disable_progress_bar()
    bars.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5.23 for it, on every adapter: nothing that a user can do
            warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)
            yield
    finally:
        bars.set_verbosity(level)
        if shown:
            bars.enable_progress_bar()
