"""TradingAgents' results folder: decisions of a five-step scale, or BUY, HOLD and SELL.

Three layouts are read, all of them wherever they lie in the folder:

``TICKER/TradingAgentsStrategy_logs/full_states_log_DATE.json``
    Until spring 2026 (0.2.3) below ``eval_results/``: an object by date of all states that the process had run by then,
    so that later logs repeat earlier ones. After it below ``results_dir``, of ``run_backtest`` (0.5.0) below
    ``results_dir/backtest/RUN``: the state of the day alone. Fields: ``company_of_interest``, ``trade_date``,
    ``final_trade_decision``.
``TICKER/DATE/reports/final_trade_decision.md``
    What the command line writes: the same text, as Markdown. While the risk analysts still argue, the file holds the
    last one's argument; a run that was cut off leaves it there, and it is no decision.

The day is the day that was analysed. The agents are given prices and news through the end of it, so a decision is known
at the close of its bar. When it was *written* is not recorded: a model that was asked years later may know the outcome.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ragsignal.data.converters.found import (
    Converted,
    LeftOut,
    frame_of,
    iso_day,
    must_exist,
    read_json,
    read_text,
    settle,
)
from ragsignal.data.converters.ratings import REVIEW, UnreadableRatingError, rating_of
from ragsignal.errors import DataError
from ragsignal.utils import first_names

_LOGS = "TradingAgentsStrategy_logs"
_PREFIX = "full_states_log_"
_REPORT = "final_trade_decision.md"
_FIELD = "final_trade_decision"
_DECIDED = "### Portfolio Manager Decision"
_ARGUMENT = re.compile(r"\s*#+\s*((?:Aggressive|Conservative|Neutral|Risky|Safe) Analyst)\b")
_WHAT = f"a results folder of TradingAgents, with TICKER/{_LOGS}/{_PREFIX}DATE.json or TICKER/DATE/reports/{_REPORT}"

_Row = tuple[str, str, float | str, str]


class _AgentsReading:
    """Decisions as they are found: those of a file's own day, and those that are written down again."""

    def __init__(self) -> None:
        self.rows: list[_Row] = []
        self.echoes: list[_Row] = []
        self.left_out: dict[tuple[str, str], LeftOut] = {}
        self.seen: set[tuple[str, str]] = set()

    def take(self, symbol: str, day: str, text: object, place: str, echo: bool) -> None:
        """Read one decision."""
        self.seen.add((symbol, day))
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{place}: {_FIELD} of {symbol} on {day} is empty; run that day again, or delete the file")
        try:
            rating = rating_of(text)
        except UnreadableRatingError as error:
            raise DataError(
                f"{place}: {error} in {_FIELD} of {symbol} on {day}; expected Buy, Overweight, Hold, Underweight or "
                "Sell; write a line 'Rating: Hold' to its end, or delete the file"
            ) from None
        if rating == REVIEW:
            self.left_out.setdefault((symbol, day), LeftOut(symbol, day, "rated REVIEW", place))
        else:
            (self.echoes if echo else self.rows).append((symbol, day, rating, place))


def read_tradingagents(folder: Path) -> Converted:
    """Read decisions of a results folder.

    Parameters
    ----------
    folder : Path
        ``eval_results``, ``results``, a run of its backtest, or a ticker's folder in one of them.

    Returns
    -------
    Converted
        ``action`` by ``date``: buy, overweight, hold, underweight or sell. Decisions rated REVIEW are left out.

    Raises
    ------
    DataError
        If the folder holds none, or one that cannot be read, is there twice, or is of another ticker or day than its
        path says.
    """
    must_exist(folder, _WHAT)
    if not folder.is_dir():
        raise DataError(f"{folder}: a file; expected {_WHAT}; give the folder above the tickers' folders")
    logs = sorted(folder.rglob(f"{_LOGS}/{_PREFIX}*.json"))
    reports = sorted(folder.rglob(f"reports/{_REPORT}"))
    if not logs and not reports:
        raise DataError(f"{folder}: no decision in it; expected {_WHAT}; give the folder above the tickers' folders")
    reading = _AgentsReading()
    for log in logs:
        _read_log(log, reading)
    own = {(symbol, day) for symbol, day, _, _ in reading.rows} | set(reading.left_out)
    for report in reports:
        symbol, day = report.parents[2].name, iso_day(report.parents[1].name, str(report))
        reading.take(symbol, day, _decision_in(report), str(report), (symbol, day) in own)
    _refuse_unfinished(folder, reading)
    _refuse_contradictions(reading)
    left_out = list(reading.left_out.values())
    return settle(frame_of(reading.rows), "date", "action", left_out, frame_of(reading.echoes))


def _decision_in(report: Path) -> str:
    """What the portfolio manager says in a report; the arguments before it are not of the decision."""
    text = read_text(report)
    decided = text.rpartition(_DECIDED)[2] if _DECIDED in text else text
    argued = _ARGUMENT.match(decided)
    if argued:
        raise DataError(
            f"{report}: holds the argument of the {argued[1]}, and no decision: the run did not end; run that day "
            "again, or delete its folder"
        )
    return decided


def _read_log(log: Path, reading: _AgentsReading) -> None:
    symbol, day = log.parents[1].name, iso_day(log.stem.removeprefix(_PREFIX), str(log))
    states = _states(log, read_json(log), day)
    if day not in states:
        raise DataError(f"{log}: holds no state of {day}, the day of its name; there are {first_names(sorted(states))}")
    for dated, state in states.items():
        if not isinstance(state, dict) or _FIELD not in state:
            raise DataError(f"{log}: {dated} has no {_FIELD!r}; expected a state by date; run that day again")
        named = str(state.get("company_of_interest", symbol))
        if dated == day and named != symbol:
            raise DataError(f"{log}: is of {named}, but lies in the folder of {symbol}; move it to {named}/{_LOGS}")
        reading.take(named, iso_day(dated, str(log)), state[_FIELD], str(log), dated != day)


def _states(log: Path, data: Any, day: str) -> dict[str, dict[str, Any]]:
    """States by day, of the layout with one and of that with many."""
    if isinstance(data, dict) and _FIELD in data:
        written = str(data.get("trade_date", day))
        if written != day:
            raise DataError(f"{log}: its trade_date is {written}, its name says {day}; rename the file")
        return {day: data}
    if isinstance(data, dict) and any(isinstance(it, dict) and _FIELD in it for it in data.values()):
        return data
    raise DataError(f"{log}: no state of TradingAgents; expected an object with {_FIELD!r}, or one of such by date")


def _refuse_unfinished(folder: Path, reading: _AgentsReading) -> None:
    """A run that began, and left no decision."""
    for reports in sorted(folder.rglob("reports")):
        of_a_day = len(reports.parents) > 1 and (reports.parents[1].name, reports.parent.name)
        if of_a_day and _is_day(of_a_day[1]) and of_a_day not in reading.seen:
            raise DataError(
                f"{reports}: no {_REPORT}: the run of {of_a_day[0]} on {of_a_day[1]} did not end; run it again, or "
                "delete that day's folder"
            )
    for logs in sorted(folder.rglob(_LOGS)):
        if not any(logs.glob(f"{_PREFIX}*.json")):
            raise DataError(f"{logs}: {logs.parent.name} has no decision; run it, or delete its folder")


def _is_day(text: str) -> bool:
    return len(text) == len("2024-05-10") and text[4] == text[7] == "-"


def _refuse_contradictions(reading: _AgentsReading) -> None:
    """What one file rates REVIEW, and another rates."""
    for symbol, day, _, place in (*reading.rows, *reading.echoes):
        marked = reading.left_out.get((symbol, day))
        if marked:
            raise DataError(
                f"{symbol} on {day} is rated REVIEW in {marked.place}, and otherwise in {place}; delete the one that "
                "does not count"
            )
