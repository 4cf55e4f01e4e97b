"""Ray, where it is installed, and its results as plain calls would give them."""

from __future__ import annotations

from typing import Any

from ragsignal.errors import ConfigError


def ray() -> Any:
    """The module.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError("--ray needs Ray, which is not installed; type: pip install 'ragsignal[ray]'") from None
    return ray


def result_of(reference: Any) -> Any:
    """The value of a reference; an error of the remote function is raised as it was there."""
    try:
        return ray().get(reference)
    except ray().exceptions.RayTaskError as error:
        raise error.cause from error
