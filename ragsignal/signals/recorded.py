"""All signals of a run in one go, and sources that hold them and need neither model nor store.

One read of the store instead of one a feed, batches that are full to the end, a cost that is known before it is paid,
and parameter points that can be run in any process.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ragsignal.data import cut_queries, days_of
from ragsignal.errors import ConfigError
from ragsignal.protocols import SignalSource
from ragsignal.signals.pipeline import TOO_FEW_BARS
from ragsignal.types import Query, Signal
from ragsignal.utils import DAILY, Clock


def queries_of(frames: Mapping[str, pd.DataFrame], lookback: int) -> list[Query]:
    """The query of every bar of every symbol, as :class:`~ragsignal.trading.indicator.RagMomentum` asks them.

    Parameters
    ----------
    frames : mapping of symbol to DataFrame
        Bars that are traded, with ``close``; a feed of each symbol is expected to hold the same bars.
    lookback : int
        Returns in a window; the first bars have shorter ones, for which a source abstains.
    """
    queries: list[Query] = []
    for symbol, frame in frames.items():
        queries += cut_queries(symbol, days_of(frame).tolist(), frame["close"].tolist(), lookback)
    return queries


@dataclass
class KnownSignals:
    """A :class:`~ragsignal.protocols.SignalSource` that looks signals up.

    Parameters
    ----------
    lookback : int
    known : mapping of Query to Signal
    fallback : SignalSource, optional
        Asked for what is not known: a strategy may feed the indicator bars of its own making, such as weeks.
        To another process the object goes without: there is no model and no store.
    clock : Clock
        That of the queries' bars.

    Raises
    ------
    ConfigError
        From :meth:`signals`, if a query is not known and there is nobody to ask.
    """

    lookback: int
    known: Mapping[Query, Signal]
    fallback: SignalSource | None = None
    clock: Clock = DAILY

    def signals(self, queries: Sequence[Query]) -> list[Signal]:
        """One signal a query, in order."""
        signals = [self.known.get(query) for query in queries]
        unknown = [query for query, signal in zip(queries, signals, strict=True) if signal is None]
        made = iter(self._ask_fallback(unknown) if unknown else ())
        return [next(made) if signal is None else signal for signal in signals]

    def __reduce__(self) -> Any:
        """Leave the fallback behind."""
        return type(self), (self.lookback, self.known, None, self.clock)

    def _ask_fallback(self, queries: list[Query]) -> list[Signal]:
        if self.fallback is None:
            raise ConfigError(
                f"the strategy asks for a signal of {queries[0].symbol} as of {queries[0].as_of} on bars that are not "
                "those of the spec (resampled ones?), which another process cannot make; run it without --jobs or --ray"
            )
        return self.fallback.signals(queries)


class RecordedSignals(KnownSignals):
    """Signals that were made before the runs of an audit, and numbers that are made up for all other queries.

    The bars of a poisoned future have no signal: for them a number is made up out of the window, so that a run that
    sees garbage trades, and a look-ahead shows. Whether the signals themselves look ahead is what the tests
    ``signals`` and ``retrieval`` say.
    """

    def _ask_fallback(self, queries: list[Query]) -> list[Signal]:
        return [self._made_up(query) for query in queries]

    def _made_up(self, query: Query) -> Signal:
        symbol, as_of = query.symbol, query.as_of
        if len(query.closes) <= self.lookback:
            return Signal(symbol, as_of, 0.0, 0.5, TOO_FEW_BARS, (), "")
        rise = zlib.crc32(repr(query.closes).encode()) / 2**32
        value = 2.0 * rise - 1.0
        return Signal(symbol, as_of, value, rise, None, (), "", rank=value)
