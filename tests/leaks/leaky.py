"""Look-aheads, each named after its trick: strategies, indicators, and features made by pandas. All must be caught."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import pandas as pd

# ------------------------------------------------------------------------------------------------------- strategies


class _Turns(bt.Strategy):
    """Long where ``view`` is above 0, short where it is below."""

    def view(self) -> float:
        raise NotImplementedError

    def next(self) -> None:
        view = self.view()
        if view != 0 and not np.isnan(view):
            self.order_target_size(target=10 if view > 0 else -10)


class ReadsTomorrowsClose(_Turns):
    """close[1]: preloaded bars are all there, and nothing warns."""

    def view(self) -> float:
        return self.data.close[1] - self.data.close[0]


class ReadsTomorrowGuarded(_Turns):
    """close[1] in a try, so that the last bar does not give it away."""

    def view(self) -> float:
        try:
            return self.data.close[1] - self.data.close[0]
        except IndexError:
            return 0.0


class LooksTwentyBarsAhead(_Turns):
    """close[20], where there is one."""

    def view(self) -> float:
        bars = len(self.data)
        return self.data.close[20] - self.data.close[0] if bars + 20 <= self.data.buflen() else 0.0


class BuysBelowTheFutureHigh(_Turns):
    """The array of a feed holds all bars: its maximum over the next five is known."""

    def view(self) -> float:
        ahead = self.data.high.array[len(self.data) : len(self.data) + 5]
        return max(ahead) - 1.02 * self.data.close[0] if len(ahead) else 0.0


class KnowsTheLastBar(bt.Strategy):
    """buflen() tells when the data end: it leaves five bars before."""

    def next(self) -> None:
        if len(self) == 10:
            self.buy(size=10)
        if self.position and len(self.data) == self.data.buflen() - 5:
            self.close()


class SellsOnTheLastBar(bt.Strategy):
    """Tidy, but nobody knows that a bar is the last one."""

    def next(self) -> None:
        if len(self) == 10:
            self.buy(size=10)
        if self.position and len(self.data) == self.data.buflen():
            self.close()


class ZScoreOfAllBars(_Turns):
    """The whole frame is reachable from a strategy: its mean and deviation are known on the first day."""

    def __init__(self) -> None:
        closes = self.data.p.dataname["close"]
        self.mean, self.deviation = closes.mean(), closes.std()

    def view(self) -> float:
        return (self.mean - self.data.close[0]) / self.deviation


class ComparesWithTheFinalPrice(_Turns):
    """Everything below the last close of the data is cheap."""

    def view(self) -> float:
        return self.data.p.dataname["close"].iloc[-1] / self.data.close[0] - 1.0


class FitsATrendOnAllBars(_Turns):
    """A straight line through the whole history, traded from its first day."""

    def __init__(self) -> None:
        closes = self.data.p.dataname["close"].to_numpy()
        self.trend = np.polyval(np.polyfit(np.arange(len(closes)), closes, 1), np.arange(len(closes)))

    def view(self) -> float:
        return self.trend[len(self.data) - 1] - self.data.close[0]


class CheatsOnClose(bt.Strategy):
    """Switches cheat-on-close on, and trades the close that it has just seen."""

    def __init__(self) -> None:
        self.broker.set_coc(True)

    def next(self) -> None:
        self.order_target_size(target=10 if self.data.close[0] > self.data.open[0] else 0)


class CheatsOnOpen(bt.Strategy):
    """Switches cheat-on-open on: the whole bar can be read before its open is traded."""

    def __init__(self) -> None:
        self.cerebro.p.cheat_on_open = True
        self.broker.set_coo(True)

    def next_open(self) -> None:
        self.order_target_size(target=10 if self.data.close[0] > self.data.open[0] else 0)


class KnowsTheDaysRange(bt.Strategy):
    """Buys the open of a day whose high is far above it."""

    def __init__(self) -> None:
        self.cerebro.p.cheat_on_open = True
        self.broker.set_coo(True)

    def next_open(self) -> None:
        far = self.data.high[0] - self.data.open[0] > self.data.open[0] - self.data.low[0]
        self.order_target_size(target=10 if far else -10)


class RemembersPricesOfAnEarlierRun(_Turns):
    """A class attribute holds the closes of every run so far: the second run knows the future."""

    seen: dict[float, float] = {}  # noqa: RUF012 - that is the leak

    def view(self) -> float:
        now = len(self.data)
        self.seen[now] = self.data.close[0]
        return self.seen.get(now + 1, self.data.close[0]) - self.data.close[0]


class RemembersTheFirstRunsHigh(_Turns):
    """A level of the whole history, computed in the first run and kept: every later run of the process agrees."""

    level: float | None = None

    def __init__(self) -> None:
        if type(self).level is None:
            type(self).level = float(self.data.p.dataname["close"].median())

    def view(self) -> float:
        return float(self.level or 0.0) - self.data.close[0]


class LooksAcrossFeeds(_Turns):
    """Trades one symbol on the next bar of another."""

    def view(self) -> float:
        other = self.data1.close
        bars = len(self.data1)
        return other[1] - other[0] if 0 < bars < self.data1.buflen() else 0.0


class LeaksOnASingleBar(bt.Strategy):
    """Honest but for one day."""

    def next(self) -> None:
        if len(self) == 57 and self.data.buflen() > 57 and self.data.close[1] > 0.9 * self.data.close[0]:
            self.buy(size=10)


class WrapsRoundTheBeginning(_Turns):
    """close[-5] on the second bar: a place before the first bar is one near the end."""

    def view(self) -> float:
        return self.data1.close[0] - self.data1.close[-5]


class BuysBecauseOfALaterListing(bt.Strategy):
    """Before its first bar a feed shows its last close: whoever reads it knows that it will be listed."""

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        if self.data1.close[0] > 0:
            self.order_target_size(self.data0, target=10)


class AsksWhetherAFeedWillBeListed(BuysBecauseOfALaterListing):
    """The same with the IndexError caught: without the listing it does something else, and nothing is raised."""

    def next(self) -> None:
        try:
            listed = self.data1.close[0] > 0
        except IndexError:
            listed = False
        self.order_target_size(self.data0, target=10 if listed else -10)


class KnowsAListingBesideAMean(BuysBecauseOfALaterListing):
    """The same beside an indicator of the late feed, which in batch cannot be computed on the bars of a cut."""

    def __init__(self) -> None:
        self.mean = bt.ind.SMA(self.data1, period=7)


class ReadsAMeanBeforeItsFeedBegins(BuysBecauseOfALaterListing):
    """A line of an indicator, before its feed has a bar, is that of the last day."""

    def __init__(self) -> None:
        self.mean = bt.ind.SMA(self.data1, period=7)

    def next(self) -> None:
        if self.mean[0] > 0 or len(self.data1):
            self.order_target_size(self.data0, target=10)


class KnowsBarFortyBeforeItBegins(bt.Strategy):
    """Reads one fixed bar in __init__: data that end before it raise, all others agree."""

    def __init__(self) -> None:
        self.level = self.data.p.dataname["close"].iloc[40]

    def next(self) -> None:
        self.order_target_size(target=10 if self.data.close[0] < self.level else -10)


class ReadsAnIndicatorsArrayAhead(_Turns):
    """In batch mode an indicator's array holds tomorrow's value too."""

    def __init__(self) -> None:
        self.mean = bt.ind.SMA(self.data.close, period=5)

    def view(self) -> float:
        ahead = self.mean.array[len(self.data) : len(self.data) + 1]
        return ahead[0] - self.mean[0] if len(ahead) else 0.0


class TradesTomorrowsSignal(_Turns):
    """A signal is made for all bars in one call: the next one lies beside today's."""

    params = (("signal", None),)

    def __init__(self) -> None:
        self.heard = self.p.signal(self.data)

    def view(self) -> float:
        ahead = self.heard.lines[0].array[len(self.data) : len(self.data) + 1]
        return ahead[0] if len(ahead) else 0.0


class CentresTheSignal(bt.Strategy):
    """A signal less its mean over all bars: honest signals, and a threshold from the future."""

    params = (("signal", None),)

    def __init__(self) -> None:
        self.heard = self.p.signal(self.data)

    def next(self) -> None:
        self.order_target_size(target=round(100 * (self.heard[0] - float(np.mean(self.heard.lines[0].array)))))


# ------------------------------------------------------------------------------------------------------- indicators


class OnceReadsAhead(bt.Indicator):
    """next() is honest, once() is one bar ahead: only the fast mode leaks."""

    lines = ("mean",)

    def __init__(self) -> None:
        self.addminperiod(3)

    def next(self) -> None:
        self.lines.mean[0] = sum(self.data.close.get(size=3)) / 3

    def once(self, start: int, end: int) -> None:
        closes, out = self.data.close.array, self.lines.mean.array
        for bar in range(start, end):
            out[bar] = sum(closes[bar - 1 : bar + 2]) / len(closes[bar - 1 : bar + 2])


class OnceReadsBarForty(bt.Indicator):
    """once() reads one fixed bar: data that end before it raise, all others agree."""

    lines = ("ratio",)

    def next(self) -> None:
        self.lines.ratio[0] = 1.0

    def once(self, start: int, end: int) -> None:
        closes, out = self.data.close.array, self.lines.ratio.array
        for bar in range(start, end):
            out[bar] = closes[bar] / closes[40]


class NextReadsAhead(bt.Indicator):
    """next() runs bar by bar, on bars that are all there."""

    lines = ("gain",)

    def next(self) -> None:
        known = len(self.data) < self.data.buflen()
        self.lines.gain[0] = self.data.close[1] / self.data.close[0] - 1 if known else 0.0


class RewritesThePast(bt.Indicator):
    """Marks a peak three bars back, once it is confirmed: batch mode shows the mark on the day of the peak."""

    lines = ("peak",)

    def __init__(self) -> None:
        self.addminperiod(7)

    def next(self) -> None:
        self.lines.peak[0] = 0.0
        window = self.data.high.get(size=7)
        if window[3] == max(window):
            self.lines.peak[-3] = 1.0


class DelaysTheWrongWay(bt.Indicator):
    """close(1) for close(-1): a sign."""

    lines = ("before",)

    def __init__(self) -> None:
        self.lines.before = self.data.close(1)


class LaggingSpan(bt.ind.Ichimoku):
    """Backtrader's own Ichimoku: its lagging span holds the close of 26 bars later."""

    params = (("kijun", 9), ("senkou", 12), ("senkou_lead", 5), ("chikou", 5))


class _FullSampleRank(bt.Indicator):
    """The rank of a close among all closes, past and to come."""

    lines = ("rank",)

    def next(self) -> None:
        self.lines.rank[0] = (np.asarray(self.data.close.array) < self.data.close[0]).mean()


class NeverTradesButItsLineLeaks(bt.Strategy):
    """No order to compare: only the line of an indicator gives it away."""

    def __init__(self) -> None:
        self.rank = _FullSampleRank(self.data)


class LeaksDeepInside(bt.Strategy):
    """The leak is in an indicator inside an indicator, smoothed."""

    def __init__(self) -> None:
        self.smooth = bt.ind.EMA(_FullSampleRank(self.data), period=4)


# --------------------------------------------------------------------------------------------- features by pandas


def shift_minus_one(frame: pd.DataFrame) -> pd.Series:
    """shift(-1): tomorrow's close beside today's."""
    return frame["close"].shift(-1)


def pct_change_minus_one(frame: pd.DataFrame) -> pd.Series:
    """pct_change(-1): the sign of tomorrow's return."""
    return -frame["close"].pct_change(-1)


def centred_window(frame: pd.DataFrame) -> pd.Series:
    """rolling(5, center=True): two bars of the future in every mean."""
    return frame["close"].rolling(5, center=True).mean()


def reversed_window(frame: pd.DataFrame) -> pd.Series:
    """A trailing mean of the reversed series is a leading one."""
    return frame["close"][::-1].rolling(5).mean()[::-1]


def zscore_of_all(frame: pd.DataFrame) -> pd.Series:
    """Mean and deviation of the whole sample."""
    return (frame["close"] - frame["close"].mean()) / frame["close"].std()


def rank_of_all(frame: pd.DataFrame) -> pd.Series:
    """rank(pct=True) among the days to come too."""
    return frame["close"].rank(pct=True)


def scaler_of_all(frame: pd.DataFrame) -> np.ndarray:
    """A min-max scaler fitted on training and test days alike."""
    values = frame[["close", "volume"]].to_numpy()
    return (values - values.min(axis=0)) / (np.ptp(values, axis=0) + 1e-9)


def by_the_final_price(frame: pd.DataFrame) -> pd.Series:
    """Prices as fractions of the last one."""
    return frame["close"] / frame["close"].iloc[-1]


def by_the_price_of_bar_forty(frame: pd.DataFrame) -> pd.Series:
    """Prices as fractions of a fixed one: data that end before it raise, all others agree."""
    return frame["close"] / frame["close"].iloc[40]


def quantiles_of_all(frame: pd.DataFrame) -> pd.Series:
    """qcut: the edges are those of the whole sample."""
    return pd.qcut(frame["close"], 10)


def backfilled(frame: pd.DataFrame) -> pd.Series:
    """A gap is filled with what comes after it."""
    return frame["close"].where(frame.index.dayofweek != 2).bfill()


def interpolated(frame: pd.DataFrame) -> pd.Series:
    """interpolate(): a gap is filled from both sides."""
    return frame["close"].where(frame.index.dayofweek != 2).interpolate()


def week_labelled_left(frame: pd.DataFrame) -> pd.Series:
    """The week's last close, on the week's first day."""
    weekly = frame["close"].resample("W-MON", label="left", closed="left").last()
    return weekly.reindex(frame.index, method="ffill")


def month_mean(frame: pd.DataFrame) -> pd.Series:
    """transform('mean') gives each day the mean of its whole month."""
    return frame["close"].groupby(frame.index.to_period("M")).transform("mean")


def future_maximum(frame: pd.DataFrame) -> pd.Series:
    """The highest close of the next ten days."""
    return frame["high"].rolling(10).max().shift(-10)


def target_among_the_features(frame: pd.DataFrame) -> pd.DataFrame:
    """The label was left in the table."""
    returns = frame["close"].pct_change()
    return pd.DataFrame({"momentum": returns.rolling(5).sum(), "label": (returns.shift(-1) > 0).astype(float)})


def fourier_smoothed(frame: pd.DataFrame) -> np.ndarray:
    """Low frequencies of the whole series."""
    spectrum = np.fft.rfft(frame["close"].to_numpy())
    spectrum[8:] = 0
    return np.fft.irfft(spectrum, len(frame))


def zero_phase_filtered(frame: pd.DataFrame) -> np.ndarray:
    """filtfilt: a filter that runs over the series forwards, and then backwards."""
    forwards = frame["close"].ewm(span=5).mean()
    return forwards[::-1].ewm(span=5).mean()[::-1].to_numpy()


def hilbert_phase(frame: pd.DataFrame) -> np.ndarray:
    """The phase of a cycle, by a Hilbert transform of the whole series."""
    closes = frame["close"].to_numpy()
    spectrum = np.fft.fft(closes - closes[0])
    spectrum[1 : (len(closes) + 1) // 2] *= 2
    spectrum[len(closes) // 2 + 1 :] = 0
    return np.angle(np.fft.ifft(spectrum))


def trend_of_all(frame: pd.DataFrame) -> np.ndarray:
    """Residuals from a regression on the whole history."""
    bars, closes = np.arange(len(frame)), frame["close"].to_numpy()
    return closes - np.polyval(np.polyfit(bars, closes, 1), bars)


def peaks_on_their_day(frame: pd.DataFrame) -> pd.Series:
    """A peak is one because of the days that follow it."""
    high = frame["high"]
    return ((high > high.shift(1)) & (high > high.shift(-1))).astype(float)


def without_its_last_row(frame: pd.DataFrame) -> pd.Series:
    """shift(-1) and dropna: the row that would give it away is gone."""
    return frame["close"].shift(-1).dropna()
