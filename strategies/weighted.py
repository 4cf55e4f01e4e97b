"""The classes of ``ragsignal/strategies/weighted.py``, which is where to read and change them."""

from ragsignal.strategies.weighted import ProbabilityWeighted, TargetWeights

__all__ = ["ProbabilityWeighted", "TargetWeights"]
