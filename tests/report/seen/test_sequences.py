"""Sequences and prompts of a bar, as the store keeps them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ragsignal.report.seen.sequences import MOST, evidence_file
from ragsignal.signals import SignalStore
from ragsignal.types import Signal
from tests.fakes import corpus_of, every_query, market, pipeline_of


def asked(store: SignalStore, k: int) -> list[Signal]:
    """The signals of one stock, from a store that keeps their hits and prompts."""
    frames = market()
    return pipeline_of(corpus_of(frames), store=store, k=k).signals(every_query({"AA": frames["AA"]}))


def test_a_prompt_is_put_together_from_its_lines_as_it_was_read(tmp_path: Path) -> None:
    store = SignalStore(tmp_path / "signals.sqlite")
    signals = asked(store, k=3)
    table = pd.DataFrame({"key": [signal.key for signal in signals]})
    file = evidence_file(table, range(len(table)), store, prompts=True)
    assert not any(bar in file["prompts"] for bar in range(5))  # too few bars: nothing was read
    for bar, signal in enumerate(signals[5:], 5):
        assert (
            "\n".join(file["lines"][line] for line in file["prompts"][bar]) == store.prompts([signal.key])[signal.key]
        )
        names = [file["candidates"][place][:2] for place, _ in file["hits"][bar]]
        assert names == [[hit.sequence.symbol, hit.sequence.sequence] for hit in signal.hits]
    assert not evidence_file(table, range(len(table)), store, prompts=False)["prompts"]


def test_of_many_sequences_the_first_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    store = SignalStore(tmp_path / "signals.sqlite")
    last = asked(store, k=30)[-1]
    file = evidence_file(pd.DataFrame({"key": [last.key]}), [44], store, prompts=False)
    assert (len(file["hits"][44]), file["counts"][44]) == (MOST, len(last.hits))
    assert len(last.hits) > MOST


def test_a_signal_that_the_store_lacks_has_no_evidence_rather_than_an_empty_one() -> None:
    file = evidence_file(pd.DataFrame({"key": ["gone", ""]}), [1, 2], SignalStore(":memory:"), prompts=True)
    assert (file["hits"], file["prompts"]) == ({}, {})
