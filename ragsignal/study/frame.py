"""The frame of every run: it is refused if it cannot be counted, and its record says when, on what and with what."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ragsignal.config import Variant
from ragsignal.llm import machine
from ragsignal.study.study import Study
from ragsignal.study.trials import check_ledger


@dataclass(frozen=True)
class RunFrame:
    """Opened before the work: a run that could not be counted as a trial fails before it costs anything.

    Raises
    ------
    StoreError
        If trials cannot be counted.
    """

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        check_ledger()

    def times(self, **beside: object) -> dict[str, object]:
        """What a second run may change: the clock, the machine, and what else the run knows of the kind."""
        seconds = round(time.perf_counter() - self._began, 1)
        began = self.started.isoformat(timespec="seconds")
        return {"started": began, "seconds": seconds, "machine": machine(), **beside}


def data_digests(study: Study, variants: Iterable[Variant]) -> dict[str, str]:
    """Digests of the prices, of the news where there are any, and where a variant reads sequences, of the corpus."""
    digests = {"prices": study.prices.digest}
    if study.spec.news is not None:
        digests["news"] = study.materials.news_table.items.digest
    if any(variant.reads_sequences for variant in variants):
        digests["corpus"] = study.corpus.digest
    return digests
