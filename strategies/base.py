"""The classes of ``ragsignal/strategies/base.py``, which is where to read and change them."""

from ragsignal.strategies.base import SignalTrader

__all__ = ["SignalTrader"]
