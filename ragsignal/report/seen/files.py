"""All files that the page loads when a reader looks something up, and what it must know to find them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ragsignal.data import (
    ALPHA,
    FACTOR_WORDS,
    FORMULAS,
    NEWS_FORMULAS,
    NEWS_WORDS,
    RANK_FACTORS,
    STATE_FORMULAS,
    STATE_WORDS,
)
from ragsignal.explanation import is_explained
from ragsignal.report.figures import AXIS, LAYOUT, Plotly
from ragsignal.report.record import naive_days
from ragsignal.report.seen.accounts import account_file
from ragsignal.report.seen.days import Shelf, day_files, shelf_of, years_of
from ragsignal.report.seen.plan import Read, Shown, explain_command, inspect_command, shown_of
from ragsignal.report.seen.sequences import evidence_file
from ragsignal.report.seen.symbols import Tables, bars_of, last_text, letters_by_key, symbol_file, tables_of, text_kind
from ragsignal.report.sidecar import write_sidecar
from ragsignal.signals import SignalStore
from ragsignal.study import open_store
from ragsignal.trading import RunResult, VariantResult
from ragsignal.utils import stamp_texts


@dataclass(frozen=True)
class Seen:
    """What of a run can be looked up; make it with :func:`open_seen`.

    Parameters
    ----------
    result : RunResult
    store : SignalStore
        Where the run's signals lie.
    texts : mapping of int to str
        What each variant read, by number: ``letters``, a ``prompt`` or nothing.
    lettered : int or None
        Number of the variant whose rank letters are shown: one that reads the most of them; None where none does.
    evidence : tuple of int
        Numbers of the variants that read sequences or prompts of words.
    shelf : Shelf
    shown : Shown
    """

    result: RunResult
    store: SignalStore
    texts: Mapping[int, str]
    lettered: int | None
    evidence: tuple[int, ...]
    shelf: Shelf
    shown: Shown

    def panel(self) -> Plotly:
        """What the page must know to find the files: bars, symbols, variants and what each reads, words of factors."""
        result, shown = self.result, self.shown
        return {
            "dates": stamp_texts(naive_days(result.closes.index)),
            "symbols": list(map(str, result.closes.columns)),
            "shown": list(shown.symbols),
            "variants": [self._variant(number, variant) for number, variant in enumerate(result.variants)],
            "groups": [{"market": place, "years": years_of(evidence)} for place, _, evidence in self.shelf.groups],
            "evidence_from": shown.evidence_from,
            "left_out": shown.left_out,
            "inspect": inspect_command(result),
            "explain": explain_command(result),
            "lookback": result.spec.corpus.lookback,
            "relative": result.spec.corpus.target == "relative",
            "horizon": result.spec.corpus.horizon,
            "factors": [[name, FACTOR_WORDS[name], FORMULAS[name]] for name in RANK_FACTORS],
            "further_factors": self._further(),
            "states": [STATE_WORDS[name] for name in STATE_FORMULAS],
            "layout": LAYOUT,
            "axis": AXIS,
        }

    def files(self) -> Iterator[tuple[str, Plotly]]:
        """Name and data of each file, one at a time."""
        for number, variant in enumerate(self.result.variants):
            yield f"account-{number}", account_file(self.result, variant)
        yield from day_files(self.shelf)
        tables, letters = tables_of(self.result, self.shown.symbols), self._letters
        for place, symbol in enumerate(map(str, self.result.closes.columns)):
            if symbol not in self.shown.symbols:
                continue
            yield f"symbol-{place}", symbol_file(self.result, symbol, tables, letters)
            for number in self.evidence:
                if (number, symbol) in tables.signals:
                    yield f"evidence-{number}-{place}", self._evidence(number, symbol, tables)

    def _further(self) -> list[list[str]]:
        """Name, words and formula of the factors that were read behind those of bars: formulas, then news."""
        alphas = [[ALPHA + it.name, f"formula {it.name}", it.formula] for it in self.result.spec.corpus.alphas]
        news = [[name, NEWS_WORDS[name], NEWS_FORMULAS[name]] for name in NEWS_FORMULAS]
        letters = self._letters
        more = max(map(len, letters[1].values()), default=0) - len(RANK_FACTORS) if letters else 0
        return next((group for group in (alphas + news, alphas, news) if len(group) == more), [])

    @cached_property
    def _letters(self) -> tuple[int, dict[str, str]] | None:
        """The rank letters of all symbols: all variants that read letters read those of the run's universe."""
        if self.lettered is None:
            return None
        signals = self.result.variants[self.lettered].signals
        return self.lettered, letters_by_key(signals, self.shown.symbols, self.store)

    def _evidence(self, number: int, symbol: str, tables: Tables) -> Plotly:
        signals = tables.signals[number, symbol]
        bars = bars_of(tables.days, signals["date"])
        late = np.flatnonzero(bars >= self.shown.evidence_from)
        return evidence_file(signals.iloc[late], bars[late].tolist(), self.store, self.texts[number] == "prompt")

    def _variant(self, number: int, variant: VariantResult) -> Plotly:
        largest = float(variant.signals["value"].abs().max()) if len(variant.signals) else 0.0
        return {
            "name": variant.name,
            "limit": min(1.0, 1.1 * largest) if largest > 0 else 1.0,  # one scale for all symbols: they can be compared
            "evidence": number in self.evidence,
            "text": self.texts.get(number, ""),
            "probable": variant.says_probability,
            "group": self.shelf.of_variant.get(variant.name),
            "explained": self._is_explained(variant),
        }

    def _is_explained(self, variant: VariantResult) -> bool:
        return variant.has_signal and is_explained(self.result.spec.find_variant(variant.name))


def open_seen(result: RunResult) -> Seen:
    """See what a run's variants read, and choose what of it is shown.

    Raises
    ------
    StoreError
        If the store of signals cannot be read.
    """
    store = open_store()
    read = {number: last_text(it, store) for number, it in enumerate(result.variants) if it.has_signal}
    texts = {number: text_kind(text) for number, text in read.items()}
    lettered = [number for number, kind in texts.items() if kind == "letters"]
    widest = max(lettered, key=lambda number: len(read[number]), default=None)
    specs = {it.name: it for it in result.spec.variants}
    evidence = tuple(
        number
        for number, kind in texts.items()
        if kind == "prompt" or specs[result.variants[number].name].reads_sequences
    )
    shelf = shelf_of(result)
    days = sum(max(len(it.hits) for it in found) for _, _, found in shelf.groups)
    shown = shown_of(result, Read(len(evidence), days))
    first = result.closes.index[shown.days_from].date()
    return Seen(result, store, texts, widest, evidence, shelf.since(first), shown)


def write_seen(seen: Seen, folder: Path) -> None:
    """Write all files beside the page in ``folder``."""
    for name, data in seen.files():
        write_sidecar(folder, name, data)
