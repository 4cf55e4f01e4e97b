"""The nearest opposite case: as few letters as can be found that turn the side of a signal, in as few steps.

    every change of one letter, the smallest steps first ─► one letter is enough: in the fewest steps that one takes
        └─► the best letter of each factor, joined (beam search) ─► each change as small as it can be alone ─► found

After the first stage it is proven that no single letter turns the side; that of three letters two would not do is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ragsignal.data import RANK_LETTERS, Letters
from ragsignal.types import FloatArray, IntArray

MOST = 6
"""Factors that are changed at most."""

_WIDTH, _BRANCHES = 4, 12  # sets of changes that are kept, and factors that each is joined with

Joined = tuple[int, ...]
"""Factors that are changed together, by their numbers, ascending."""
Ask = Callable[[IntArray, Letters], FloatArray]
"""P (m,) of cases: the stock of each, and the letters (m, n_factors) that it has on the day."""


@dataclass(frozen=True, eq=False)
class Turned:
    """Letters (n_factors,) of a case whose side is the other one, and its P."""

    letters: Letters
    probability: float


def nearest_opposites(ask: Ask, letters: Letters, probability: FloatArray) -> list[Turned | None]:
    """Search for each signal; None where nothing within :data:`MOST` changes was found, or it has no side.

    Parameters
    ----------
    ask : callable
    letters : (n, n_factors) uint8
        As they are; unknown ones are never changed.
    probability : (n,) float64
        P as it is, by ``ask``.
    """
    side = np.sign(probability - 0.5)
    search = _Search(ask, letters, side)
    found: list[Turned | None] = [None] * len(letters)
    effects = np.full((*letters.shape, RANK_LETTERS), np.inf)
    unturned = np.flatnonzero(side)
    for step in range(1, RANK_LETTERS):
        unturned = search.single(step, unturned, effects, found)
    if len(unturned):
        search.joined(unturned, effects, found)
    return found


@dataclass(frozen=True, eq=False)
class _Search:
    ask: Ask
    letters: Letters
    side: FloatArray

    def margins(self, owner: IntArray, cases: Letters) -> FloatArray:
        """Distance of P from one half on the signal's own side: below 0 where it has turned."""
        if not len(owner):
            return np.empty(0)
        return np.asarray(self.side[owner] * (self.ask(owner, cases) - 0.5))

    def single(self, step: int, owners: IntArray, effects: FloatArray, found: list[Turned | None]) -> IntArray:
        """Move every letter of ``owners`` by ``step`` either way; returns the owners that no move turned."""
        own = self.letters[owners].astype(np.int64)
        moves = [(own + way, (own != RANK_LETTERS) & (own + way >= 0) & (own + way < RANK_LETTERS))
                 for way in (-step, step)]  # fmt: skip
        places = [np.nonzero(possible) for _, possible in moves]
        row = np.concatenate([at[0] for at in places])
        factor = np.concatenate([at[1] for at in places])
        target = np.concatenate([letter[at] for (letter, _), at in zip(moves, places, strict=True)])
        owner = owners[row]
        cases = self.letters[owner]
        cases[np.arange(len(owner)), factor] = target
        margins = self.margins(owner, cases)
        effects[owner, factor, target] = margins
        return self._note(owners, owner, cases, margins, found)

    def _note(
        self, owners: IntArray, owner: IntArray, cases: Letters, margins: FloatArray, found: list[Turned | None]
    ) -> IntArray:
        """Keep for each owner the case that turned farthest; returns the owners without one."""
        turned = np.flatnonzero(margins < 0.0)
        for place in turned[np.argsort(-margins[turned], kind="stable")].tolist():  # the farthest last
            number = int(owner[place])
            found[number] = Turned(cases[place], float(0.5 + self.side[number] * margins[place]))
        return np.array([number for number in owners.tolist() if found[number] is None], dtype=np.int64)

    def joined(self, owners: IntArray, effects: FloatArray, found: list[Turned | None]) -> None:
        """Join the best letters of single factors until the side turns, then make each change as small as it goes."""
        best = effects.argmin(axis=2)
        strength = effects.min(axis=2)
        leading = {number: _leading(strength[number]) for number in owners.tolist()}
        sets: dict[int, list[Joined]] = {
            number: [(int(factor),) for factor in leading[number][:_WIDTH]] for number in owners.tolist()
        }
        for _ in range(2, MOST + 1):
            pairs = [(number, joined) for number in owners.tolist() for joined in _grown(sets[number], leading[number])]
            owner = np.array([number for number, _ in pairs], dtype=np.int64)
            cases = self.letters[owner]
            for case, (number, joined) in zip(cases, pairs, strict=True):
                case[list(joined)] = best[number, list(joined)]
            margins = self.margins(owner, cases)
            owners = self._note(owners, owner, cases, margins, found)
            sets = _best_sets(set(owners.tolist()), pairs, margins)
            if not len(owners):
                break
        self._shrink([number for number in leading if found[number] is not None], found)

    def _shrink(self, numbers: Sequence[int], found: list[Turned | None]) -> None:
        """Bring each change as near to what is as the side stays turned, one after the other, until nothing moves."""
        moving = list(numbers)
        while moving:
            before = {number: _held(found, number).letters for number in moving}
            for turn in range(MOST):
                self._shrink_one(turn, moving, found)
            moving = [number for number in moving if (_held(found, number).letters != before[number]).any()]

    def _shrink_one(self, turn: int, numbers: Sequence[int], found: list[Turned | None]) -> None:
        """Try every smaller step, none at all included, of each case's ``turn``-th change."""
        owner, cases = [], []
        for number in numbers:
            held = _held(found, number).letters
            changed = np.flatnonzero(held != self.letters[number])
            if turn >= len(changed):
                continue
            factor = int(changed[turn])
            own, now = int(self.letters[number, factor]), int(held[factor])
            for letter in range(own, now, 1 if now > own else -1):
                owner.append(number)
                cases.append(held.copy())
                cases[-1][factor] = letter
        margins = self.margins(np.array(owner, dtype=np.int64), np.array(cases, dtype=np.uint8))
        for number, case, margin in reversed(list(zip(owner, cases, margins.tolist(), strict=True))):
            if margin < 0.0:  # the smallest step comes first, and so is noted last
                found[number] = Turned(case, float(0.5 + self.side[number] * margin))


def _held(found: Sequence[Turned | None], number: int) -> Turned:
    turned = found[number]
    assert turned is not None
    return turned


def _leading(strength: FloatArray) -> IntArray:
    """The known factors whose best letter does most, best first."""
    order = np.argsort(strength, kind="stable")[:_BRANCHES]
    return np.asarray(order[np.isfinite(strength[order])])


def _grown(sets: Sequence[Joined], leading: IntArray) -> list[Joined]:
    """Every set with one of the leading factors more, each once."""
    grown = {tuple(sorted({*held, factor})) for held in sets for factor in leading.tolist() if factor not in held}
    return sorted(grown)


def _best_sets(unturned: set[int], pairs: Sequence[tuple[int, Joined]], margins: FloatArray) -> dict[int, list[Joined]]:
    """Of each signal that has not turned the sets that came nearest to it."""
    tried: dict[int, list[tuple[float, Joined]]] = {number: [] for number in unturned}
    for (number, joined), margin in zip(pairs, margins.tolist(), strict=True):
        if number in unturned:
            tried[number].append((margin, joined))
    return {number: [joined for _, joined in sorted(of_one)[:_WIDTH]] for number, of_one in tried.items()}
