"""Backtrader strategies as a user would write them: copy or subclass them; the wheel does not install them.

They import backtrader only. A signal is handed in, so that the same strategy trades a model or a plain indicator::

    cerebro.addstrategy(LongFlat, signal=bt.ind.ROC)
    cerebro.addstrategy(LongFlat, signal=functools.partial(ragsignal.RagMomentum, source="backtests/paper.toml"))
"""
