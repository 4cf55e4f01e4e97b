"""The classes of ``ragsignal/strategies/cross_sectional.py``, which is where to read and change them."""

from ragsignal.strategies.cross_sectional import CrossSectional, SlowBook

__all__ = ["CrossSectional", "SlowBook"]
