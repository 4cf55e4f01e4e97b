"""The classes of ``ragsignal/strategies/buy_and_hold.py``, which is where to read and change them."""

from ragsignal.strategies.buy_and_hold import BuyAndHold

__all__ = ["BuyAndHold"]
