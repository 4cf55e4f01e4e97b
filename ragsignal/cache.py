"""Where things that can be made again are kept: ``$RAGSIGNAL_CACHE``, else the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

from ragsignal.errors import StoreError


def cache_folder() -> Path:
    """The folder of converted weights, corpora, embeddings and signals.

    Raises
    ------
    StoreError
        If it is not there and cannot be created.
    """
    chosen = os.environ.get("RAGSIGNAL_CACHE")
    folder = Path(chosen).expanduser() if chosen else user_cache_path("ragsignal")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot create the cache folder {folder}: {error}; set RAGSIGNAL_CACHE to one that can"
        ) from error
    return folder
