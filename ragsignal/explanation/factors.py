"""The factors of signals in words, and what P is without each of them, and without each group."""

from __future__ import annotations

import numpy as np

from ragsignal.data import RANK_LETTERS
from ragsignal.explanation.explanation import Change, Factor, Group, side_of
from ragsignal.explanation.readings import Reading
from ragsignal.llm import spelled
from ragsignal.types import BoolArray, FloatArray, IntArray

_SUFFIXES = {1: "st", 2: "nd", 3: "rd"}  # there are sixteen places


def ordinal(letter: int) -> str:
    """The place of a letter, from 1: ``14th``."""
    return f"{letter + 1}{_SUFFIXES.get(letter + 1, 'th')}"


def without_each_factor(reading: Reading, numbers: IntArray) -> FloatArray:
    """P of the signals ``numbers`` (m,) without each factor, (m, n_factors)."""
    return _without(reading, numbers, np.eye(len(reading.names), dtype=np.bool_))


def without_each_group(reading: Reading, numbers: IntArray) -> FloatArray:
    """P of the signals ``numbers`` (m,) without each group of factors, (m, n_groups)."""
    members = [[name in group for name in reading.names] for group in reading.groups.values()]
    return _without(reading, numbers, np.array(members, dtype=np.bool_))


def _without(reading: Reading, numbers: IntArray, absent: BoolArray) -> FloatArray:
    owner = np.repeat(numbers, len(absent))
    return reading.without(owner, np.tile(absent, (len(numbers), 1))).reshape(len(numbers), len(absent))


def factors_of(
    reading: Reading, number: int, values: FloatArray, probability: float, without: FloatArray
) -> tuple[Factor, ...]:
    """The factors of the signal ``number``, by their values (n_factors,) and P without each (n_factors,)."""
    return tuple(
        Factor(
            name=reading.names[place],
            words=reading.words[place],
            formula=reading.formulas[place],
            letter=spelled(reading.letters[number, place : place + 1]),
            place=_standing(letter),
            value=float(values[place]) if np.isfinite(values[place]) else None,
            without=float(without[place]) if letter != RANK_LETTERS else None,
            effect=float(probability - without[place]) if letter != RANK_LETTERS else None,
        )
        for place, letter in enumerate(reading.letters[number].tolist())
    )


def _standing(letter: int) -> str:
    return "unknown" if letter == RANK_LETTERS else f"{ordinal(letter)} of {RANK_LETTERS}"


def groups_of(reading: Reading, probability: float, without: FloatArray) -> tuple[Group, ...]:
    """The groups of a signal, by P without each (n_groups,)."""
    return tuple(
        Group(name, members, left, probability - left, side_of(left) != side_of(probability))
        for (name, members), left in zip(reading.groups.items(), without.tolist(), strict=True)
    )


def changes_between(reading: Reading, number: int, letters: list[int]) -> tuple[Change, ...]:
    """What differs between the letters of the signal ``number`` and others."""
    return tuple(
        Change(
            factor=reading.names[place],
            words=reading.words[place],
            before=spelled(np.array([own], dtype=np.uint8)),
            after=spelled(np.array([other], dtype=np.uint8)),
            steps=other - own,
            text=f"{reading.words[place]} from the {ordinal(own)} to the {ordinal(other)} of {RANK_LETTERS}",
        )
        for place, (own, other) in enumerate(zip(reading.letters[number].tolist(), letters, strict=True))
        if own != other
    )
