"""Ideas that are known by a name, as formulas with slots for a field and for windows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ragsignal.alpha.ideas.knowledge import Known
from ragsignal.alpha.ideas.words import field_words
from ragsignal.data import BAR_FIELDS, OPERATORS, Kind, parse

WINDOWS = (5, 10, 20, 60, 120)
"""Bars that stand in a slot where an idea names none."""
_POSITIVE = ("close", "open", "high", "low", "vwap", "volume")


@dataclass(frozen=True)
class FormulaTemplate:
    """A kind of formula.

    Parameters
    ----------
    words : str
        What it says; ``{x}`` is the field, ``{g}`` the groups.
    text : str
        The formula: ``{x}`` a field, ``{w}`` a window, ``{v}`` a shorter one, ``{g}`` groups.
    slot : {"", "level", "signed"}
        What ``{x}`` may be: nothing, a price or volume above 0, or any other series.
    also : tuple of str
        Other ways to say it, of the close or of returns where there is a field.
    """

    words: str
    text: str
    slot: str = ""
    also: tuple[str, ...] = ()

    def fields(self, known: Mapping[str, Kind]) -> list[dict[str, str]]:
        """What its slots but windows may hold, of the fields that there are; nothing where it needs one more."""
        needed = set(re.findall(r"[a-z]\w*(?=[^\w(}]|$)", re.sub(r"\{\w\}", "", self.text)))
        operators = set(re.findall(r"(\w+)\(", self.text))
        if not (needed <= known.keys() and operators <= OPERATORS.keys()):
            return []
        series = [name for name, kind in known.items() if kind is Kind.SERIES]
        levels = [name for name in series if name in _POSITIVE]
        choice = {"": [""], "level": levels, "signed": [name for name in series if name not in _POSITIVE]}
        groups = [name for name, kind in known.items() if kind is Kind.GROUP] if "{g}" in self.text else [""]
        return [{"x": x, "g": g} for x in choice[self.slot] for g in groups]

    def say(self, filled: Mapping[str, str]) -> str:
        """What it says of these fields."""
        return self.words.format(x=field_words(filled["x"]), g=filled["g"].replace("_", " "))

    def write(self, filled: Mapping[str, str], window: int) -> str:
        """The formula of these fields and a window, and a shorter one of a quarter, of two bars at least."""
        return self.text.format(**filled, w=window, v=max(2, window // 4))


TEMPLATES = (
    FormulaTemplate(
        "momentum: stocks whose {x} rose go on rising",
        "rank(ts_returns({x}, {w}))",
        "level",
        also=("winners keep winning", "stocks that went up over the last months", "stocks that beat the market"),
    ),
    FormulaTemplate("momentum: mean {x}", "rank(ts_mean({x}, {w}))", "signed"),
    FormulaTemplate(
        "reversal: stocks whose {x} fell come back",
        "rank(-ts_returns({x}, {w}))",
        "level",
        also=("stocks that fell", "losers bounce back", "oversold stocks recover", "buy the dip"),
    ),
    FormulaTemplate("reversal: stocks with a low mean {x} come back", "rank(-ts_mean({x}, {w}))", "signed"),
    FormulaTemplate(
        "mean reversion: {x} is below its average",
        "rank(ts_mean({x}, {w}) / {x})",
        "level",
        also=("stocks that are cheap against their moving average", "price far below its mean"),
    ),
    FormulaTemplate(
        "trend: short average of {x} above the long one",
        "rank(ts_mean({x}, {v}) / ts_mean({x}, {w}))",
        "level",
        also=("moving averages cross", "an uptrend"),
    ),
    FormulaTemplate(
        "acceleration: {x} rises faster than before",
        "rank(ts_delta(ts_returns({x}, {v}), {w}))",
        "level",
        also=("momentum that grows",),
    ),
    FormulaTemplate("change of {x}", "rank(ts_delta({x}, {w}))", "signed"),
    FormulaTemplate("level of {x}", "rank({x})", "signed"),
    FormulaTemplate("{x} is high for this stock, compared with its own past", "rank(ts_rank({x}, {w}))", "level"),
    FormulaTemplate("{x} is unusual for this stock, compared with its own past", "rank(ts_zscore({x}, {w}))", "signed"),
    FormulaTemplate(
        "unusual volume: traded more than on average",
        "rank(volume / ts_mean(volume, {w}))",
        also=("busy stocks", "stocks with a spike of volume", "stocks that everybody trades today"),
    ),
    FormulaTemplate(
        "quiet volume: traded less than on average",
        "rank(ts_mean(volume, {w}) / volume)",
        also=("stocks whose volume dries up", "fewer trades than usual", "stocks that nobody trades today"),
    ),
    FormulaTemplate(
        "price moves on high volume go on",
        "rank(returns * (volume / ts_mean(volume, {w})))",
        also=("stocks that rise on heavy volume",),
    ),
    FormulaTemplate(
        "price moves on high volume come back",
        "rank(-returns * (volume / ts_mean(volume, {w})))",
        also=("stocks that fell on heavy volume recover", "a sell-off on high volume"),
    ),
    FormulaTemplate(
        "price and volume move together, correlation", "rank(ts_corr(ts_rank(close, {w}), ts_rank(volume, {w}), {w}))"
    ),
    FormulaTemplate(
        "price and volume diverge",
        "rank(-ts_corr(rank(close), rank(volume), {w}))",
        also=("price rises while volume falls",),
    ),
    FormulaTemplate(
        "momentum on high volume, reversal on low volume",
        "rank(where(volume > ts_mean(volume, {w}), ts_returns(close, {v}), -ts_returns(close, {v})))",
    ),
    FormulaTemplate(
        "volatility: stocks that move most",
        "rank(ts_std(returns, {w}))",
        also=("volatile, risky stocks", "wild swings"),
    ),
    FormulaTemplate(
        "low volatility: calm stocks",
        "rank(-ts_std(returns, {w}))",
        also=("stocks that hardly move", "volatile stocks do worse", "quiet and safe stocks"),
    ),
    FormulaTemplate(
        "momentum for its risk, return over volatility",
        "rank(ts_mean(returns, {w}) / ts_std(returns, {w}))",
        also=("stocks that rise steadily", "smooth gains"),
    ),
    FormulaTemplate(
        "volatility rises: recent days move more",
        "rank(ts_std(returns, {v}) / ts_std(returns, {w}))",
        also=("rising volatility", "days become wilder"),
    ),
    FormulaTemplate("wide ranges of the day, high to low", "rank(ts_mean((high - low) / close, {w}))"),
    FormulaTemplate(
        "narrow ranges of the day, a squeeze",
        "rank(-ts_mean((high - low) / close, {w}))",
        also=("a quiet spell before a big move",),
    ),
    FormulaTemplate(
        "lottery: skewness, a few very good days",
        "rank(ts_skew(returns, {w}))",
        also=("lottery tickets", "stocks with big jumps"),
    ),
    FormulaTemplate(
        "gap: opened above the last close, overnight",
        "rank(ts_mean(open / ts_delay(close, 1), {w}))",
        also=("stocks that gapped up overnight",),
    ),
    FormulaTemplate(
        "gap that fades: opened above the last close, and falls back",
        "rank(-(open / ts_delay(close, 1)))",
        also=("overnight gaps are filled",),
    ),
    FormulaTemplate(
        "intraday: closed above its open",
        "rank(ts_mean(close / open, {w}))",
        also=("a strong close after a weak open", "gains during the session"),
    ),
    FormulaTemplate(
        "position in the range of the day: closed near its high",
        "rank((close - low) / (high - low))",
        also=("stocks that closed at the high of the day",),
    ),
    FormulaTemplate(
        "position in the range of the day: closed near its low",
        "rank((high - close) / (high - low))",
        also=("stocks that closed at the low of the day",),
    ),
    FormulaTemplate(
        "breakout: price near its highest of many days",
        "rank(close / ts_max(high, {w}))",
        also=("stocks near their yearly high", "stocks at a new high"),
    ),
    FormulaTemplate(
        "price near its lowest of many days",
        "rank(ts_min(low, {w}) / close)",
        also=("stocks near their yearly low", "stocks at a new low"),
    ),
    FormulaTemplate(
        "trend: price above its moving average",
        "rank(close / ts_mean(close, {w}))",
        also=("stocks above their average of many days",),
    ),
    FormulaTemplate(
        "small and illiquid: little traded value", "rank(-ts_mean(close * volume, {w}))", also=("thinly traded stocks",)
    ),
    FormulaTemplate("time since the high", "rank(-ts_argmax(close, {w}))"),
    FormulaTemplate("close above the typical price of the day", "rank(ts_mean(close / vwap, {w}))"),
    FormulaTemplate(
        "liquidity: price moves much for little traded value",
        "rank(ts_mean(abs(returns) / (close * volume), {w}))",
        also=("illiquid stocks",),
    ),
    FormulaTemplate(
        "size of trading: traded value, large and liquid",
        "rank(ts_mean(close * volume, {w}))",
        also=("big companies that trade a lot",),
    ),
    FormulaTemplate(
        "group-relative momentum: better than others of like traded value",
        "group_rank(ts_returns(close, {w}), bucket(ts_mean(close * volume, 20), 5))",
        also=("stocks that beat their peers", "leaders of their sector"),
    ),
    FormulaTemplate(
        "group-relative reversal: fell more than others of like volatility",
        "group_rank(-ts_returns(close, {w}), bucket(ts_std(returns, 60), 5))",
        also=("stocks that fell behind their sector", "pairs that diverge from their peers"),
    ),
    FormulaTemplate(
        "group-relative momentum: better than others of its {g}", "group_rank(ts_returns(close, {w}), {g})"
    ),
    FormulaTemplate(
        "group-relative volume: busier than others of its {g}", "group_zscore(volume / ts_mean(volume, {w}), {g})"
    ),
)


@dataclass(frozen=True)
class Filled:
    """A template whose fields are chosen, and what it says."""

    template: FormulaTemplate
    fields: Mapping[str, str]
    words: str

    @property
    def sayings(self) -> tuple[str, ...]:
        """All that it is found by."""
        plain = self.fields["x"] in ("", "close", "returns")
        return (self.words, *(self.template.also if plain else ()))


def filled(known: Mapping[str, Kind] = BAR_FIELDS, templates: Sequence[FormulaTemplate] = TEMPLATES) -> list[Filled]:
    """All templates with all fields that fit their slots."""
    return [Filled(it, chosen, it.say(chosen)) for it in templates for chosen in it.fields(known)]


def template_formulas(known: Mapping[str, Kind] = BAR_FIELDS) -> Iterator[Known]:
    """A formula of each, with the middle window, for retrieval."""
    for it in filled(known):
        yield Known(parse(it.template.write(it.fields, 20), known), it.words, "templates")
