"""The tables of ``ragsignal inspect`` for a variant that reads days, and the same as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from ragsignal.cli.terminal import people

if TYPE_CHECKING:
    from ragsignal.study import DayEvidence
    from ragsignal.types import Hit

_NEAREST, _UNLIKE, _POOLED, _OWN = 10, 5, 10, 5


def days_record(evidence: DayEvidence, letters: str) -> dict[str, Any]:
    """What was retrieved, and what it says of a stock with these letters, as JSON-able data; the hits stand apart."""
    return {
        "visible": evidence.visible,
        "alike": evidence.alike,
        "unlike": len(evidence.hits.rows) - evidence.alike,
        "state": {value.name: asdict(value) for value in evidence.state},
        "pooled": evidence.pooled,
        "contributions": evidence.contributions(letters),
    }


def print_days(evidence: DayEvidence, letters: str) -> None:
    """Print the market's state, the nearest and the most unlike days, and what paid on all of them."""
    from ragsignal.study import market_in_words

    people.print(f"As of {evidence.as_of} {market_in_words(evidence.state)}.")
    _print_state(evidence)
    _print_hits(evidence)
    _print_payoffs(evidence, letters)


def _print_state(evidence: DayEvidence) -> None:
    from ragsignal.data import STATE_WORDS

    table = _table(f"the market, among the {evidence.visible:,} days before it", "variable", "value", "z", "place")
    for value in evidence.state:
        table.add_row(STATE_WORDS[value.name], value.text, _signed(value.z, 1), value.standing)
    people.print(table)


def _print_hits(evidence: DayEvidence) -> None:
    hits, alike = evidence.hits.hits, evidence.alike
    _print_days_of(f"the nearest of {alike} days like it", hits[:alike][:_NEAREST])
    if hits[alike:]:
        title = f"the most unlike of {len(hits) - alike} days, read with a minus sign"
        _print_days_of(title, hits[alike:][:_UNLIKE])


def _print_days_of(title: str, hits: Iterable[Hit]) -> None:
    from ragsignal.study import both_ends, hit_record

    table = _table(title, "day", "similarity", "known on", "paid most", "cost most")
    for hit in hits:
        record = hit_record(hit)
        similarity = f"{'−' if record['unlike'] else ''}{record['similarity']:.2f}"
        paid, cost = both_ends(record["payoffs"], 3)
        table.add_row(str(record["date"]), similarity, str(record["available_at"]), _listed(paid), _listed(cost))
    people.print(table)


def _print_payoffs(evidence: DayEvidence, letters: str) -> None:
    from ragsignal.data import FACTOR_WORDS
    from ragsignal.study import both_ends, strongest

    table = _table("pooled over these days, the largest", "factor", "name", "paid")
    for name, payoff in strongest(evidence.pooled, _POOLED).items():
        table.add_row(FACTOR_WORDS[name], name, _signed(payoff, 4))
    people.print(table)
    own = evidence.contributions(letters)
    for_it, against = both_ends(own, _OWN)
    table = _table("this stock: its factor (−1 lowest to 1 highest) times what it paid", "factor", "name", "adds")
    for name, share in [*for_it.items(), *reversed(against.items())]:
        table.add_row(FACTOR_WORDS[name], name, _signed(share, 4))
    table.add_row("all factors", "", _signed(sum(own.values()), 4))
    people.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _listed(payoffs: dict[str, float]) -> str:
    from ragsignal.study import payoffs_in_words

    return payoffs_in_words(payoffs).replace("; ", "\n") or "nothing"


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")
