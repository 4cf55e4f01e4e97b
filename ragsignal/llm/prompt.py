"""Versioned templates: what a language model reads, in training and in use alike.

``compact``       the lines that text encoders read too: one letter a return, about 11 tokens a candidate
``percent``       the same with readable returns, one decimal
``finseer-json``  the shape of the paper's prompt (JSON sequences, chat form), for its published checkpoints
``wide``          the query first: its place among all stocks of the day in 17 factors, one letter each, then its
                  window; candidates as in ``compact``; a last line asks. Prompts of one query share its work
``wide-both``     the same with candidates as wide as the query

Symbols and calendar dates are masked unless asked for: the model has read the past. Dates become offsets in calendar
days from the day to predict. No template shows a price level: a back-adjusted one tells of later splits and dividends.
Headlines, where they are quoted, stand before the line of their stock: those of the query's bar, and of the last bar of
each candidate.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ragsignal.config import LETTERED, RANKED, TemplateName
from ragsignal.data import NEWS_FACTORS, QUERY_SEQUENCE, SEQUENCES, Bins, Panel, is_alpha, log_returns
from ragsignal.errors import ConfigError
from ragsignal.llm.headlines import Headlines
from ragsignal.types import Candidate, Hit, Prompt, Query, Recipe
from ragsignal.utils import json_digest, stamp_text, unit_of

_VERSIONS: dict[TemplateName, int] = {"compact": 1, "percent": 1, "finseer-json": 1, "wide": 1, "wide-both": 1}
_RANKS = "Ranks and moves of stocks, A (low) to P (high)."
_HEADS: dict[TemplateName, str] = {
    "compact": "Stock moves by day, from A (big fall) to P (big rise), and what came next.",
    "percent": "Stock moves by day in per cent, and what came next.",
    "finseer-json": "",
    "wide": _RANKS,
    "wide-both": _RANKS,
}


@dataclass(frozen=True)
class Template:
    """A way to write a query and its hits as text.

    Parameters
    ----------
    name : {"compact", "percent", "finseer-json", "wide", "wide-both"}
    mask : bool
        Hide symbols and calendar dates.
    bins : Bins
        Letters of windows.
    panel : Panel, optional
        Ranks of all stocks by day; the wide templates need it.
    headlines : Headlines, optional
        Where headlines are quoted.
    bar : str
        The word for a bar: ``day``, ``week``, ``month``, or ``bar`` where it lasts hours.

    Raises
    ------
    ConfigError
        If a wide template has no panel.
    """

    name: TemplateName
    mask: bool
    bins: Bins
    panel: Panel | None = None
    headlines: Headlines | None = None
    bar: str = "day"

    def __post_init__(self) -> None:
        if self.wide and self.panel is None:
            raise ConfigError(f'template "{self.name}" writes ranks among all stocks of a day: it needs their panel')

    @property
    def recipe(self) -> Recipe:
        """Identity: name, version, masking, the letters where they are read, and the headlines where some are."""
        return self.line_recipe | (self.headlines.recipe if self.headlines else {})

    @property
    def line_recipe(self) -> Recipe:
        """Identity of :meth:`query_line`, which quotes nothing."""
        identity: Recipe = {"template": f"{self.name}/{_VERSIONS[self.name]}", "mask": self.mask}
        identity |= {"bins": self.bins.recipe} if self.name in LETTERED else {}
        return identity if self.bar == "day" else {**identity, "bar": self.bar}

    @property
    def wide(self) -> bool:
        """Whether a prompt tells of other stocks too, which the query itself does not hold."""
        return self.name in RANKED

    def context_digest(self, query: Query) -> str:
        """Digest of what a prompt holds besides query and hits as of that day: the panel, headlines, or nothing."""
        if self.headlines is None:
            return self.line_digest(query)
        return json_digest([self.line_digest(query), self.headlines.digest_as_of(query.as_of)])

    def line_digest(self, query: Query) -> str:
        """Digest of what :meth:`query_line` holds besides the query: the panel as of that day, or nothing."""
        return self.panel.digest_as_of(query.as_of) if self.wide and self.panel else ""

    @property
    def labels(self) -> tuple[str, str]:
        """The words whose first tokens stand for (rise, fall)."""
        return ("rise", "fall") if self.chat else (" rise", " fall")

    @property
    def head(self) -> str:
        """The line that every prompt begins with; empty for a chat template."""
        return _HEADS[self.name].replace("by day", f"by {self.bar}")

    @property
    def chat(self) -> bool:
        """Whether the text is a chat turn (the tokenizer's chat template wraps it) or a plain continuation."""
        return self.name == "finseer-json"

    def render(self, query: Query, hits: Sequence[Hit]) -> Prompt:
        """Write the prompt; the model's next token answers it."""
        if self.chat:
            return self._finseer_json(query, hits)
        if self.wide:
            return self._wide(query, hits)
        return self._by_line(query, hits, _percent_line if self.name == "percent" else self.bins.line)

    def query_line(self, query: Query) -> str:
        """The query alone in one line without symbol or date, as a classifier reads it."""
        line = self.bins.line(QUERY_SEQUENCE, log_returns(query).tolist())
        return f"{self._ranks(query.symbol, query.as_of)} {line}" if self.wide else line

    def _wide(self, query: Query, hits: Sequence[Hit]) -> Prompt:
        past = self._past(hits, self._case)
        own = [*self._news(query.symbol, query.as_of), self._owner_of_query(query) + self.query_line(query)]
        return Prompt(query, hits, "\n".join([self.head, *own, *past, "next"]))

    def _case(self, candidate: Candidate) -> str:
        line = self.bins.line(candidate.sequence, candidate.scaled)
        return line if self.name == "wide" else f"{self._ranks(candidate.symbol, candidate.dates[-1])} {line}"

    def _ranks(self, symbol: str, day: date) -> str:
        assert self.panel is not None
        return self.panel.letters(symbol, day)

    def _by_line(self, query: Query, hits: Sequence[Hit], line: Callable[[str, Sequence[float]], str]) -> Prompt:
        """One line a candidate with the movement that followed; the query's line is left for the model to end."""
        past = self._past(hits, lambda it: line(it.sequence, it.scaled))
        last = self._owner_of_query(query) + line(QUERY_SEQUENCE, log_returns(query).tolist())
        return Prompt(query, hits, "\n".join([self.head, *past, *self._news(query.symbol, query.as_of), last]))

    def _past(self, hits: Sequence[Hit], write: Callable[[Candidate], str]) -> list[str]:
        """Lines of the candidates: the news of a candidate's last bar, its window, and what followed."""
        return [
            line
            for it in (hit.sequence for hit in hits)
            for line in (
                *self._news(it.symbol, it.dates[-1]),
                f"{self._owner(it)}{write(it)} {it.movement.word}",
            )
        ]

    def _news(self, symbol: str, day: date) -> list[str]:
        """A line for each headline that is quoted of a stock's bar."""
        return [f"news: {headline}" for headline in self._quoted(symbol, day)]

    def _quoted(self, symbol: str, day: date) -> list[str]:
        return self.headlines.of(symbol, day, self.mask) if self.headlines else []

    def _owner(self, candidate: Candidate) -> str:
        return "" if self.mask else f"{candidate.symbol} {candidate.dates[-1]} "

    def _owner_of_query(self, query: Query) -> str:
        return "" if self.mask else f"{query.symbol} {query.as_of} "

    def _finseer_json(self, query: Query, hits: Sequence[Hit]) -> Prompt:
        """Keys and order of arXiv 2502.05878, Fig. 5-6; the wording is ours."""
        system = "You are a stock analyst who judges the next move of a stock from sequences of its past."
        stock = "STOCK" if self.mask else query.symbol
        record = {
            "query_stock": stock,
            "query_date": self._day(query.as_of, query) if not self.mask else self._next,
            "recent_date_list": [self._day(day, query) for day in query.dates[1:]],
            "adjusted_close_list": _rebased(query.closes[1:]),
            **self._headlines_key(query.symbol, query.as_of),
        }
        parts = ["Fill the blank with 'rise' or 'fall', without any explanation."]
        if hits:
            parts.append("These sequences may affect the price of this stock soon:")
            parts += [json.dumps(self._candidate_record(hit, query)) for hit in hits]
        parts.append("This is the sequence to judge:")
        parts.append(json.dumps(record))
        when = f"the next {self.bar}" if self.mask else f"the {self.bar} after {stamp_text(query.as_of)}"
        parts.append(f"Query: on {when}, the movement of ${stock} is [blank].")
        return Prompt(query, hits, "\n".join(parts), system)

    def _candidate_record(self, hit: Hit, query: Query) -> dict[str, object]:
        candidate = hit.sequence
        return {
            "candidate_stock": "STOCK" if self.mask else candidate.symbol,
            "candidate_date": self._day(candidate.available_at, query),
            "candidate_movement": candidate.movement.word,
            "recent_date_list": [self._day(day, query) for day in candidate.dates],
            f"{candidate.sequence}_list": _without_level(candidate),
            **self._headlines_key(candidate.symbol, candidate.dates[-1]),
        }

    def _headlines_key(self, symbol: str, day: date) -> dict[str, list[str]]:
        return {"headlines": self._quoted(symbol, day)} if self.headlines else {}

    @property
    def _next(self) -> str:
        return "D+1" if self.bar == "day" else f"next {self.bar}"

    def _day(self, day: date, query: Query) -> str:
        if not self.mask:
            return stamp_text(day)
        ago = query.as_of - day
        return f"H-{ago // timedelta(hours=1)}" if unit_of(day) == "m" else f"D-{ago.days}"


@dataclass(frozen=True)
class LinePrompter:
    """Prompts of the query's line alone, without symbol and date; the hits only pass through.

    Parameters
    ----------
    template : Template
        Its letters, and its ranks where it is a wide one.
    """

    template: Template

    def context_digest(self, query: Query) -> str:
        """The template's digest: its ranks as of that day, or nothing."""
        return self.template.line_digest(query)

    def render(self, query: Query, hits: Sequence[Hit]) -> Prompt:
        """Write the query's line."""
        return Prompt(query, hits, self.template.query_line(query))

    def length(self, prompt: Prompt) -> int:
        """Letters of the line."""
        return len(prompt.text)


class TextlessPrompter:
    """Prompts without text, for a scorer that reads hits or numbers and no words."""

    def context_digest(self, query: Query) -> str:  # noqa: ARG002 - the protocol's signature
        """Empty: nothing but query and hits is read."""
        return ""

    def render(self, query: Query, hits: Sequence[Hit]) -> Prompt:
        """Put query and hits together."""
        return Prompt(query, hits)

    def length(self, prompt: Prompt) -> int:  # noqa: ARG002 - the protocol's signature
        """0: nothing is padded."""
        return 0


def _percent_line(sequence: str, scaled: Sequence[float]) -> str:
    form = {"level": _percent, "spread": _percent, "category": "{:+.0f}".format, "value": "{:+.2g}".format}
    write = form[_kind_of(sequence)]
    return f"{sequence}: {' '.join(write(value) for value in scaled)}"


def _kind_of(sequence: str) -> str:
    return "value" if sequence in NEWS_FACTORS or is_alpha(sequence) else SEQUENCES[sequence].kind


def _percent(value: float) -> str:
    return f"{100 * value:+.1f}"


def _rebased(levels: Sequence[float]) -> list[float]:
    """Levels in per cent of the window's last one (as they are, where that is 0: a day without volume)."""
    last = levels[-1] or 100.0
    return [round(100.0 * level / last, 4) for level in levels]


def _without_level(candidate: Candidate) -> list[float]:
    kind = _kind_of(candidate.sequence)
    if kind == "level":
        return _rebased(candidate.values)
    return [round(100.0 * value if kind == "spread" else value, 4) for value in candidate.scaled]
