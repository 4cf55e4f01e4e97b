"""One thread at a time, where several share what was not made for it: models, tokenizers, counters."""

from __future__ import annotations

import os
import threading


class Turn:
    """A lock that a thread may take again while it has it, and that a forked process begins with anew."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


SIGNALS = Turn()
"""Held by the thread that makes signals: the pipelines of a study share models, letters and counters."""
