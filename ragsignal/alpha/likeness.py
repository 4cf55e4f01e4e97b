"""Whether two formulas say the same: by what they are made of, and by the order that they give."""

from __future__ import annotations

from collections.abc import Iterable

from ragsignal.alpha.scoring import Scored
from ragsignal.data import Call, Formula, canonical, parts, size


def inner_parts(formulas: Iterable[Formula]) -> frozenset[Formula]:
    """Every operator of the formulas with all below it, operands of commutative operators in one order."""
    return frozenset(it for formula in formulas for it in parts(canonical(formula)) if isinstance(it, Call))


def common_share(formula: Formula, known: frozenset[Formula]) -> float:
    """Size of the largest part of a formula that stands in ``known`` too, over the formula's size.

    References
    ----------
    Originality by the largest common subtree: Tang et al. (2025), AlphaAgent, arXiv 2502.16789.
    """
    whole = canonical(formula)
    shared = [size(it) for it in parts(whole) if it in known]
    return max(shared, default=0) / size(whole)


class FormulaPool:
    """Formulas that differ from each other: one is taken in only if it is like none that is there.

    Parameters
    ----------
    originality : float
        Share of a formula that may not stand in another one.
    correlation : float
        Rank correlation of values that is too high.
    """

    def __init__(self, originality: float, correlation: float) -> None:
        self._originality, self._correlation = originality, correlation
        self._scored: list[Scored] = []
        self._parts: frozenset[Formula] = frozenset()

    def take(self, formula: Formula, scored: Scored) -> bool:
        """Take a formula in, if it is like none that is there; tells whether it was."""
        if self.has_like(formula, scored):
            return False
        self.hold(formula, scored)
        return True

    def hold(self, formula: Formula, scored: Scored) -> None:
        """Take a formula in, whatever it is like."""
        self._scored.append(scored)
        self._parts |= inner_parts([formula])

    def has_like(self, formula: Formula, scored: Scored) -> bool:
        """Whether there is one that is like it."""
        if self.correlation(scored) >= self._correlation:
            return True
        return common_share(formula, self._parts) >= self._originality

    def correlation(self, scored: Scored) -> float:
        """The highest rank correlation of a formula's values with those of one that is there."""
        return max((scored.correlation(it) for it in self._scored), default=0.0)
