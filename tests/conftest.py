"""Fixtures for the whole suite: a private cache, so that no test sees or touches the user's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from tests.postgres import Server, running

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# A machine that is busy with something else makes every example slow: that is no finding of a test.
_UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The suite draws the same examples every time, so that whether a change lands does not hang on the draw;
# `make hunt` draws others.
settings.register_profile("suite", _UNHURRIED, derandomize=True)
settings.register_profile("hunt", _UNHURRIED, derandomize=False, print_blob=True)
settings.load_profile("suite")
_ONE_OF_SEVERAL = "PYTEST_XDIST_WORKER" in os.environ
if _ONE_OF_SEVERAL:
    # Processes that each start a thread for every core wait for one another ten times as long as they compute.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files that are slow as a whole where no slow test is wanted: they import what models need."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    return "\npytestmark = pytest.mark.slow\n" in collection_path.read_text(encoding="utf-8") or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have slow tests, so that no process is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache for all tests of a process; converted weights are shared by all processes of a run."""
    folder = tmp_path_factory.mktemp("cache")
    if _ONE_OF_SEVERAL:
        shared = tmp_path_factory.getbasetemp().parent / "weights"
        shared.mkdir(exist_ok=True)
        (folder / "weights").symlink_to(shared)
    before = os.environ.get("RAGSIGNAL_CACHE")
    os.environ["RAGSIGNAL_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["RAGSIGNAL_CACHE"]
    else:
        os.environ["RAGSIGNAL_CACHE"] = before


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL of this process's own."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def language_model(private_cache: Path) -> str:
    """Reference of the embedded language model, for tests that read it: one process converts it, the others wait."""
    from ragsignal.artifacts.weights import resolve

    reference = "embedded:SmolLM2-135M-Instruct"
    with FileLock((private_cache / "weights").resolve().with_suffix(".lock")):
        resolve(reference)
    return reference
