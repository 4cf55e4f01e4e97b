"""What looks like a look-ahead and is none, each named after its trick. None may be flagged."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import backtrader as bt
import numpy as np
import pandas as pd

from ragsignal.trading.indicator import RagMomentum
from ragsignal.types import Query, Signal

# ------------------------------------------------------------------------------------------------------- strategies


class TrailingMeans(bt.Strategy):
    """Two trailing means that cross; orders fill at the next open."""

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(self.data, period=4), bt.ind.SMA(self.data, period=9))

    def next(self) -> None:
        if self.cross[0]:
            self.order_target_size(target=10 * self.cross[0])


class StopAndLimitOrders(bt.Strategy):
    """Orders that fill inside a later bar, at a price named before it."""

    def next(self) -> None:
        if not self.position and len(self) % 3 == 0:
            self.buy(size=10, exectype=bt.Order.Limit, price=0.99 * self.data.close[0], valid=timedelta(days=4))
            self.buy(size=10, exectype=bt.Order.Stop, price=1.02 * self.data.close[0], valid=timedelta(days=4))
        elif self.position and len(self) % 7 == 0:
            self.close()


class Brackets(bt.Strategy):
    """A parent, its stop and its target: two of them sent before the first one fills."""

    def next(self) -> None:
        close = self.data.close[0]
        if not self.position and len(self) % 5 == 0:
            self.buy_bracket(size=10, price=close, stopprice=0.97 * close, limitprice=1.03 * close)


class TrailingStops(bt.Strategy):
    """A stop that follows the price, moved by the broker and not by the strategy."""

    def next(self) -> None:
        if not self.position and len(self) % 4 == 0:
            self.buy(size=10)
            self.sell(size=10, exectype=bt.Order.StopTrail, trailpercent=0.02)


class CancelsAndReplaces(bt.Strategy):
    """A limit order that is called back on the next day, and sent again."""

    order = None

    def next(self) -> None:
        if self.order is not None and self.order.alive():
            self.cancel(self.order)
        side = self.sell if self.position.size > 0 else self.buy
        self.order = side(size=10, exectype=bt.Order.Limit, price=self.data.close[0])


class FeedsOfDifferentDays(bt.Strategy):
    """Trades both feeds on their own days, one of which begins late and misses some."""

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        for data in self.datas:
            if len(data) > 3 and data.datetime[0] == self.datetime[0]:
                self.order_target_size(data, target=10 if data.close[0] > data.close[-3] else -10)


class SkipsFeedsThatHaveNotBegun(bt.Strategy):
    """Trades the first feed by its mean from its first bar on; a late one, which has a mean too, when it has begun."""

    def __init__(self) -> None:
        self.means = {data: bt.ind.SMA(data, period=7) for data in self.datas}

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        for data, mean in self.means.items():
            if len(data) >= 7 and data.datetime[0] == self.datetime[0]:
                self.order_target_size(data, target=10 if data.close[0] > mean[0] else -10)


class LongMemory(bt.Strategy):
    """Exponential means, true ranges and strengths remember everything since the data began."""

    def __init__(self) -> None:
        self.mean = bt.ind.EMA(self.data, period=20)
        self.range = bt.ind.ATR(self.data, period=7)
        self.strength = bt.ind.RSI(self.data, period=7, safediv=True)

    def next(self) -> None:
        if abs(self.data.close[0] - self.mean[0]) > self.range[0]:
            self.order_target_size(target=10 if self.strength[0] < 50 else -10)


class Timers(bt.Strategy):
    """Acts when a timer rings, once a week."""

    def __init__(self) -> None:
        self.add_timer(when=bt.Timer.SESSION_START, weekdays=[2])

    def notify_timer(self, *_: object, **__: object) -> None:
        if len(self.data) > 1:
            self.order_target_size(target=10 if self.data.close[0] > self.data.close[-1] else -10)


class TargetPercent(bt.Strategy):
    """Sizes that depend on the account, and so on every fill before."""

    def next(self) -> None:
        self.order_target_percent(target=0.5 + 0.4 * np.sin(len(self)))


class LooksFurtherBackThanItsPeriod(bt.Strategy):
    """close[-30] with a minimum period of 1, guarded by len."""

    def next(self) -> None:
        if len(self.data) > 30:
            self.order_target_size(target=10 if self.data.close[0] > self.data.close[-30] else -10)


class GetsAPastSlice(bt.Strategy):
    """get(ago=-1, size=5): the five bars before this one."""

    def next(self) -> None:
        if len(self.data) > 6:
            past = self.data.close.get(ago=-1, size=5)
            self.order_target_size(target=10 if self.data.close[0] > max(past) else 0)


class SlicesTheArrayUpToNow(bt.Strategy):
    """The array of all bars, cut where the present one is."""

    def next(self) -> None:
        past = np.asarray(self.data.close.array[: len(self.data)])
        if len(past) > 5:
            self.order_target_size(target=10 if past[-1] > past.mean() else -10)


class RandomWithAFixedSeed(bt.Strategy):
    """Throws a coin, the same one in every run."""

    def __init__(self) -> None:
        self.coin = random.Random(7)

    def next(self) -> None:
        self.order_target_size(target=10 if self.coin.random() > 0.5 else -10)


class RandomFromTheGlobalGenerator(bt.Strategy):
    """Throws numpy's global coin, which nobody has seeded."""

    def next(self) -> None:
        self.order_target_size(target=10 if np.random.random() > 0.5 else -10)  # noqa: NPY002


class CachesByContent(bt.Strategy):
    """Remembers results from run to run, by all that they depend on."""

    cache: dict[tuple[float, ...], float] = {}  # noqa: RUF012 - that is the trick

    def next(self) -> None:
        if len(self.data) > 5:
            window = tuple(self.data.close.get(size=5))
            mean = self.cache.setdefault(window, sum(window) / 5)
            self.order_target_size(target=10 if window[-1] > mean else -10)


class ReadsTheFrameUpToToday(bt.Strategy):
    """The whole frame is reachable, and only its past is read."""

    def next(self) -> None:
        known = self.data.p.dataname.loc[: pd.Timestamp(self.data.datetime.date(0))]
        self.order_target_size(target=10 if known["close"].iloc[-1] > known["close"].mean() else -10)


class NeverTrades(bt.Strategy):
    """Only shows a line."""

    def __init__(self) -> None:
        self.mean = bt.ind.SMA(self.data, period=5)


class ParabolicSar(bt.Strategy):
    """An indicator that Backtrader writes bar by bar, with a state of its own."""

    def __init__(self) -> None:
        self.sar = bt.ind.PSAR(self.data)

    def next(self) -> None:
        self.order_target_size(target=10 if self.data.close[0] > self.sar[0] else -10)


class Rule:
    """A source of signals that says up after a rise; no subject itself."""

    lookback = 3

    def signals(self, queries: Sequence[Query]) -> list[Signal]:
        return [self._signal(query) for query in queries]

    def _signal(self, query: Query) -> Signal:
        if len(query.closes) <= self.lookback:
            return Signal(query.symbol, query.as_of, 0.0, 0.5, "too few bars", (), "")
        rise = 0.7 if query.closes[-1] > query.closes[0] else 0.3
        return Signal(query.symbol, query.as_of, 2 * rise - 1, rise, None, (), "")


class TradesRagMomentum(bt.Strategy):
    """ragsignal's own indicator, which gets all bars in one call."""

    def __init__(self) -> None:
        self.signal = RagMomentum(self.data, source=Rule())

    def next(self) -> None:
        self.order_target_size(target=10 if self.signal[0] > 0 else -10)


class TradesTheSignal(bt.Strategy):
    """A signal traded at the open after its day."""

    params = (("signal", None),)

    def __init__(self) -> None:
        self.heard = self.p.signal(self.data)

    def next(self) -> None:
        self.order_target_size(target=10 if self.heard[0] > 0 else -10)


class CentresTheSignalOnItsPast(bt.Strategy):
    """A signal less its mean over the bars so far."""

    params = (("signal", None),)

    def __init__(self) -> None:
        self.heard = self.p.signal(self.data)

    def next(self) -> None:
        past = np.asarray(self.heard.lines[0].array[: len(self.data)])
        self.order_target_size(target=10 if past[-1] > past.mean() else -10)


# ------------------------------------------------------------------------------------------------------- indicators


class OnceWrittenRight(bt.Indicator):
    """All bars in one call, each from its past."""

    lines = ("mean",)

    def __init__(self) -> None:
        self.addminperiod(3)

    def next(self) -> None:
        self.lines.mean[0] = sum(self.data.close.get(size=3)) / 3

    def once(self, start: int, end: int) -> None:
        closes, out = self.data.close.array, self.lines.mean.array
        for bar in range(start, end):
            out[bar] = sum(closes[bar - 2 : bar + 1]) / 3


class OnceWithoutNext(bt.Indicator):
    """Written for batch mode alone: empty where bars are streamed, but honest."""

    lines = ("change",)

    def once(self, start: int, end: int) -> None:
        closes, out = self.data.close.array, self.lines.change.array
        for bar in range(max(start, 1), end):
            out[bar] = closes[bar] - closes[bar - 1]


class ForwardPlottedSpans(bt.Indicator):
    """Ichimoku's leading spans: drawn into the future, made of the past."""

    lines = ("span_a", "span_b")

    def __init__(self) -> None:
        high, low = bt.ind.Highest(self.data.high, period=9), bt.ind.Lowest(self.data.low, period=9)
        far, deep = bt.ind.Highest(self.data.high, period=17), bt.ind.Lowest(self.data.low, period=17)
        middle = (high + low) / 2.0
        self.lines.span_a = ((middle + (far + deep) / 2.0) / 2.0)(-5)
        self.lines.span_b = ((far + deep) / 2.0)(-5)


class PeaksOnceConfirmed(bt.Indicator):
    """A peak is marked three bars late, when it can be known."""

    lines = ("peak",)

    def __init__(self) -> None:
        self.addminperiod(7)

    def next(self) -> None:
        window = self.data.high.get(size=7)
        self.lines.peak[0] = float(window[3] == max(window))


class OnBalanceVolume(bt.Indicator):
    """A running sum: it depends on where the data begin, and on nothing to come."""

    lines = ("obv",)

    def nextstart(self) -> None:
        self.lines.obv[0] = 0.0

    def next(self) -> None:
        change = self.data.close[0] - self.data.close[-1] if len(self.data) > 1 else 0.0
        before = self.lines.obv[-1] if len(self) > 1 else 0.0
        self.lines.obv[0] = before + np.sign(change) * self.data.volume[0]


# --------------------------------------------------------------------------------------------- features by pandas


def shift_one(frame: pd.DataFrame) -> pd.Series:
    """shift(1): yesterday's close."""
    return frame["close"].shift(1)


def trailing_window(frame: pd.DataFrame) -> pd.Series:
    """rolling(5): this bar and the four before."""
    return frame["close"].rolling(5).mean()


def expanding_zscore(frame: pd.DataFrame) -> pd.Series:
    """Mean and deviation of the days so far."""
    known = frame["close"].expanding(10)
    return (frame["close"] - known.mean()) / known.std()


def expanding_rank(frame: pd.DataFrame) -> pd.Series:
    """rank(pct=True) among the days so far."""
    return frame["close"].expanding(10).rank(pct=True)


def scaler_of_the_past(frame: pd.DataFrame) -> pd.Series:
    """A scaler fitted anew every 20 bars, on the bars before."""
    closes, out = frame["close"], pd.Series(np.nan, frame.index)
    for first in range(20, len(frame), 20):
        known = closes.iloc[:first]
        out.iloc[first : first + 20] = (closes.iloc[first : first + 20] - known.mean()) / known.std()
    return out


def refuses_a_short_history(frame: pd.DataFrame) -> pd.Series:
    """Raises where there are fewer bars than its warm-up, in which it says nothing."""
    if len(frame) < 10:
        raise ValueError("ten bars are needed")
    return frame["close"].rolling(10).mean()


def by_the_first_price(frame: pd.DataFrame) -> pd.Series:
    """Prices as multiples of the first one: known from the first day on."""
    return frame["close"] / frame["close"].iloc[0]


def quantiles_of_the_past(frame: pd.DataFrame) -> pd.Series:
    """Bins whose edges are those of the 40 days before."""
    low, high = (frame["close"].rolling(40, min_periods=10).quantile(it).shift(1) for it in (0.2, 0.8))
    return (frame["close"] > high).astype(float) - (frame["close"] < low).astype(float)


def forward_filled(frame: pd.DataFrame) -> pd.Series:
    """A gap is filled with what came before it."""
    return frame["close"].where(frame.index.dayofweek != 2).ffill()


def week_labelled_right(frame: pd.DataFrame) -> pd.Series:
    """The last close of each week, labelled with the Sunday after it."""
    return frame["close"].resample("W").last()


def week_before(frame: pd.DataFrame) -> pd.Series:
    """The last close of the week before, on every day of this one."""
    weekly = frame["close"].resample("W-FRI", label="right", closed="right").last().shift(1)
    return weekly.reindex(frame.index, method="bfill")


def month_so_far(frame: pd.DataFrame) -> pd.Series:
    """The mean of the month's days up to each."""
    return frame["close"].groupby(frame.index.to_period("M")).transform(lambda it: it.expanding().mean())


def past_maximum(frame: pd.DataFrame) -> pd.Series:
    """The highest high of the ten days before."""
    return frame["high"].rolling(10).max().shift(1)


def causally_filtered(frame: pd.DataFrame) -> np.ndarray:
    """A filter that runs over the series forwards only, of three bars at once."""
    closes = frame["close"].to_numpy()
    return np.convolve(closes - closes[0], [0.5, 0.3, 0.2])[: len(closes)]


def trailing_fourier(frame: pd.DataFrame) -> pd.Series:
    """The slowest wave of the last 32 bars."""
    return frame["close"].rolling(32).apply(lambda it: float(np.abs(np.fft.rfft(it)[1])), raw=True)


def trailing_trend(frame: pd.DataFrame) -> pd.Series:
    """The slope of a regression on the last 20 bars."""
    return frame["close"].rolling(20).apply(lambda it: float(np.polyfit(np.arange(20), it, 1)[0]), raw=True)


def exponential_mean(frame: pd.DataFrame) -> pd.Series:
    """ewm: a memory without end, of the past."""
    return frame["close"].ewm(span=10).mean()


def without_its_warm_up(frame: pd.DataFrame) -> pd.Series:
    """dropna of the first rows, which is all that a trailing window drops."""
    return frame["close"].rolling(5).mean().dropna()


def running_sum(frame: pd.DataFrame) -> pd.Series:
    """cumsum: it never settles, whenever the data begin."""
    return (np.sign(frame["close"].diff().fillna(0.0)) * frame["volume"]).cumsum()
