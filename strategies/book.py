"""The classes of ``ragsignal/strategies/book.py``, which is where to read and change them."""

from ragsignal.strategies.book import TargetBook

__all__ = ["TargetBook"]
