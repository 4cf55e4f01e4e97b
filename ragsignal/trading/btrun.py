"""RagMomentum for Backtrader's ``btrun``, which loads an indicator by the path of a file: this one.

``python -m ragsignal.trading.btrun`` prints the path::

    btrun --data AAPL.csv --indicator "$(python -m ragsignal.trading.btrun):RagMomentum:source='backtests/sample.toml'"
"""

from __future__ import annotations

from ragsignal.trading.indicator import RagMomentum

__all__ = ["RagMomentum"]

if __name__ == "__main__":
    print(__file__)
