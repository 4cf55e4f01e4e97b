"""The classes of ``ragsignal/strategies/rag_momentum.py``, which is where to read and change them."""

from ragsignal.strategies.rag_momentum import LongFlat, LongShort

__all__ = ["LongFlat", "LongShort"]
