"""Backtrader strategies as a user would write them: name them in a spec, subclass them, or copy them.

They import backtrader only. A signal is handed in, so that the same strategy trades a model or a plain indicator::

    cerebro.addstrategy(LongFlat, signal=bt.ind.ROC)
    cerebro.addstrategy(LongFlat, signal=functools.partial(ragsignal.RagMomentum, source="backtests/paper.toml"))
"""

from ragsignal.strategies.base import SignalTrader
from ragsignal.strategies.book import TargetBook
from ragsignal.strategies.buy_and_hold import BuyAndHold
from ragsignal.strategies.cross_sectional import CrossSectional, SlowBook
from ragsignal.strategies.price_rules import MomentumBook, PriceMomentum, Reversal, ReversalBook, SkippedReturn
from ragsignal.strategies.rag_momentum import LongFlat, LongShort
from ragsignal.strategies.weighted import ProbabilityWeighted, TargetWeights

__all__ = [
    "BuyAndHold",
    "CrossSectional",
    "LongFlat",
    "LongShort",
    "MomentumBook",
    "PriceMomentum",
    "ProbabilityWeighted",
    "Reversal",
    "ReversalBook",
    "SignalTrader",
    "SkippedReturn",
    "SlowBook",
    "TargetBook",
    "TargetWeights",
]
