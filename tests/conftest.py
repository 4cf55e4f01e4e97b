"""Fixtures for the whole suite: a private cache, so that no test sees or touches the user's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache for all tests of a run: the embedded weights are converted once."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("RAGSIGNAL_CACHE")
    os.environ["RAGSIGNAL_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["RAGSIGNAL_CACHE"]
    else:
        os.environ["RAGSIGNAL_CACHE"] = before
