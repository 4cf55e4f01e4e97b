"""Where things that can be made again are kept: ``$RAGSIGNAL_CACHE``, else the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """The folder of converted weights, corpora, embeddings and signals; created by whoever writes into it."""
    chosen = os.environ.get("RAGSIGNAL_CACHE")
    return Path(chosen).expanduser() if chosen else user_cache_path("ragsignal")
