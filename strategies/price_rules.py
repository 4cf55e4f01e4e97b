"""The classes of ``ragsignal/strategies/price_rules.py``, which is where to read and change them."""

from ragsignal.strategies.price_rules import MomentumBook, PriceMomentum, Reversal, ReversalBook, SkippedReturn

__all__ = ["MomentumBook", "PriceMomentum", "Reversal", "ReversalBook", "SkippedReturn"]
