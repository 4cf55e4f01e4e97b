"""Orders to round trips: from the order that opens a position to the one that leaves none of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

COLUMNS = ("symbol", "side", "opened", "closed", "bars", "size", "entry", "exit", "costs", "profit", "return")
_FLAT = 1e-9  # share of a position's largest size below which what is left of it is a rounding error


@dataclass
class _Position:
    """A position that is being built or taken down; ``side`` is 1.0 or -1.0, sizes and values have no sign."""

    symbol: str
    side: float
    opened: pd.Timestamp
    closed: pd.Timestamp | None = None
    held: float = 0.0
    largest: float = 0.0
    bought: float = 0.0  # size that was added, and its value; ``sold`` is what was taken away
    bought_value: float = 0.0
    sold: float = 0.0
    sold_value: float = 0.0
    commission: float = 0.0
    slippage: float = 0.0

    def add(self, order: tuple[pd.Timestamp, float, float, float, float]) -> float:
        """Take an order, or as much of it as there is a position to close; return the part of its size that is left."""
        day, size, price, commission, slippage = order
        towards = size * self.side
        taken = towards if towards > 0.0 else max(towards, -self.held)
        share = taken / towards
        if taken > 0.0:
            self.bought, self.bought_value = self.bought + taken, self.bought_value + taken * price
        else:
            self.sold, self.sold_value = self.sold - taken, self.sold_value - taken * price
        self.held += taken
        self.largest = max(self.largest, self.held)
        self.commission += share * commission
        self.slippage += share * slippage
        if self.held <= _FLAT * self.largest:
            self.closed = day
        left = size - taken * self.side
        return 0.0 if abs(left) <= _FLAT * self.largest else left

    def row(self, bars: pd.DatetimeIndex) -> tuple[object, ...]:
        """The columns of :func:`round_trips`."""
        entry = self.bought_value / self.bought
        # prices are those of the fills: what slippage cost is in them already
        profit = self.side * (self.sold_value - self.bought_value) - self.commission
        last = bars[-1] if self.closed is None else self.closed
        return (
            self.symbol,
            "long" if self.side > 0.0 else "short",
            self.opened,
            self.closed,
            int(bars.searchsorted(last) - bars.searchsorted(self.opened)),
            self.largest,
            entry,
            self.sold_value / self.sold if self.sold else None,
            self.commission + self.slippage,
            profit if self.closed is not None else None,
            profit / self.bought_value if self.closed is not None else None,
        )


def round_trips(orders: pd.DataFrame, bars: pd.DatetimeIndex) -> pd.DataFrame:
    """Join the filled orders of one variant to round trips, as Backtrader joins them to trades.

    A round trip lasts from the order that opens a position to the one that leaves nothing of it; orders in between
    that add to it or take from it belong to it. An order that turns a position around ends one and begins another.

    Parameters
    ----------
    orders : DataFrame
        Filled orders in the order of time: ``date``, ``symbol``, ``size``, ``price``, ``commission``, ``slippage``.
    bars : DatetimeIndex
        The bars of the run, ascending, in the calendar of ``orders``.

    Returns
    -------
    DataFrame
        A row a round trip, ordered by the day on which it was opened: ``symbol``, ``side`` (``long`` or ``short``),
        ``opened`` and ``closed`` (days of the fills; ``closed`` is NaT of what is held at the end), ``bars`` (from the
        first fill to the last, or to the end of the run), ``size`` (the largest that was held), ``entry`` and ``exit``
        (mean prices of the fills, slippage included), ``costs`` (commission and slippage, money), ``profit`` (money,
        after costs) and ``return`` (``profit`` over the value of the entries; a fraction). The last two are NaN of what
        is held at the end.
    """
    rows = [position.row(bars) for symbol, own in orders.groupby("symbol") for position in _positions(str(symbol), own)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    days = {name: pd.to_datetime(table[name]).astype("datetime64[us]") for name in ("opened", "closed")}
    numbers = {name: table[name].astype(float) for name in COLUMNS[5:]}
    table = table.assign(**days, **numbers, bars=table["bars"].astype("int64"))
    return table.sort_values(["opened", "symbol", "closed"], kind="stable", ignore_index=True)


def _positions(symbol: str, orders: pd.DataFrame) -> Iterator[_Position]:
    """The positions of one symbol, one after the other; the last may be open."""
    position: _Position | None = None
    columns = [orders[name].tolist() for name in ("date", "size", "price", "commission", "slippage")]
    for day, size, price, commission, slippage in zip(*columns, strict=True):
        left = size
        while left:
            share = left / size
            position = position or _Position(symbol, 1.0 if left > 0.0 else -1.0, day)
            left = position.add((day, left, price, share * commission, share * slippage))
            if position.closed is not None:
                yield position
                position = None
    if position:
        yield position
