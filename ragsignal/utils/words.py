"""Lists in sentences: the first few, and how many more there are."""

from __future__ import annotations

from collections.abc import Sequence


def first_names(names: Sequence[str], most: int = 5) -> str:
    """The first ``most`` names for a sentence, and how many more there are."""
    return ", ".join(names[:most]) + _rest(most, len(names))


def and_more(named: Sequence[str], total: int) -> tuple[str, ...]:
    """What is named of ``total`` things, and as a last one how many more there are."""
    return (*named, _rest(len(named), total).strip()) if total > len(named) else tuple(named)


def _rest(named: int, total: int) -> str:
    """End a list of the first ``named`` of ``total`` things; empty where these are all."""
    return f" and {total - named:,} more" if total > named else ""
