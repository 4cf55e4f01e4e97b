"""Lists in sentences: the first few, and how many more."""

from __future__ import annotations

from ragsignal.utils import and_more, first_names


def test_a_short_list_is_said_whole():
    assert first_names(["A", "B"]) == "A, B"
    assert and_more(["A", "B"], 2) == ("A", "B")


def test_a_long_list_says_how_many_more_there_are():
    names = [f"S{number}" for number in range(1_203)]
    assert first_names(names, 3) == "S0, S1, S2 and 1,200 more"
    assert and_more(names[:2], len(names)) == ("S0", "S1", "and 1,201 more")
