"""How far long work is: whoever does it calls a function, and by default nobody listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with what is being done, how much of it is done, and how much there is."""

    def __call__(self, what: str, done: int, total: int, /) -> None:
        """Show it."""
        ...


class Steps(Protocol):
    """The same for work of one kind: ``functools.partial(progress, what)``."""

    def __call__(self, done: int, total: int, /) -> None:
        """Show it."""
        ...


def silent(what: str, done: int, total: int, /) -> None:
    """Show nothing."""


def silent_steps(done: int, total: int) -> None:
    """Show nothing of work of one kind."""
