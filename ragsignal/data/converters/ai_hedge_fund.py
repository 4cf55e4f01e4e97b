"""ai-hedge-fund's decisions: target weights of its funds, or the orders of its first version.

Funds (PyPI ``aihf`` 2.2 to 2.6), as JSON of

- a cycle (``NAME-run-*.json``, or what ``--out`` wrote): ``fund``, ``as_of``, ``universe``, ``skipped``,
  ``final_weights``; of a version that executes at a later close, ``original_assessment`` is what was decided on
  ``as_of``, and is read in the place of the record, whose weights are those of a second look;
- a backtest: ``records`` (cycles) and ``pending`` (``proposal``: decided, never executed);
- a session of a paper fund (``ledger/DATE.json``): ``decision``, and ``executed``, which repeats an earlier one.

First version (``src/``, 2025), as JSON of

- a run: ``decisions`` by ticker, each with ``action`` (buy, sell, short, cover, hold), ``quantity`` and ``confidence``;
  it says no day, so the file's name has to (``2025-03-03.json``);
- a day of its backtest, with ``date`` beside ``decisions``; many of them in a list, a JSON line each, or ``results``.

The agents read the day's close (its own backtest then fills at that very close), so a decision is known at the close of
its day's bar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
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
from ragsignal.errors import DataError

_ACTIONS = {"buy": "buy", "sell": "close", "short": "short", "cover": "cover", "hold": "hold"}
"""The side that an account is on afterwards: selling ends a holding here, and going short has a word of its own."""
_NOT_DECIDED = ("defaulting to hold", "default decision: hold")
"""What the portfolio manager writes as a reason where the model's answer could not be read."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_WHAT = "JSON of ai-hedge-fund: a cycle (as_of, final_weights), a backtest (records), a session, or decisions by ticker"

_Row = tuple[str, str, float | str, str]


class _FundReading:
    """Weights and orders as they are found."""

    def __init__(self) -> None:
        self.funds: dict[str, str] = {}
        self.weights: list[_Row] = []
        self.echoes: list[_Row] = []
        self.orders: list[_Row] = []
        self.left_out: list[LeftOut] = []

    def take(self, record: Any, place: str, name: str) -> None:
        """Read one record of any kind; ``name`` is the name of its file, which may say the day."""
        if not isinstance(record, dict):
            raise DataError(f"{place}: expected {_WHAT}")
        if isinstance(record.get("records"), list):
            for number, cycle in enumerate(record["records"]):
                self._take_cycle(cycle, f"{place}, records[{number}]")
            for number, pending in enumerate(_listed(record.get("pending"))):
                self._take_cycle(pending, f"{place}, pending[{number}]")
        elif "session" in record and "decision" in record:
            if record["decision"] is not None:
                self._take_cycle(record["decision"], f"{place}, decision")
            if record.get("executed") is not None:
                self._take_cycle(record["executed"], f"{place}, executed", echo=True)
        elif "as_of" in record and ("final_weights" in record or "proposal" in record):
            self._take_cycle(record, place)
        elif "decisions" in record:
            self._take_orders(record, place, name)
        elif isinstance(record.get("results"), list):
            for number, day in enumerate(record["results"]):
                self.take(day, f"{place}, results[{number}]", "")
        else:
            raise DataError(f"{place}: has {', '.join(map(repr, list(record)[:5]))}; expected {_WHAT}")

    def _take_cycle(self, record: Any, place: str, echo: bool = False) -> None:
        cycle = _cycle(record, place)
        day, weights = iso_day(cycle["as_of"], place), cycle["final_weights"]
        self._one_fund(str(cycle.get("fund", "")), place)
        skipped = {it.get("ticker") for it in _listed(cycle.get("skipped")) if isinstance(it, dict)}
        for symbol in dict.fromkeys([*cycle["universe"], *weights]):
            if symbol in weights:
                row = (symbol, day, _number(weights[symbol], f"{place}, final_weights.{symbol}"), place)
                (self.echoes if echo else self.weights).append(row)
            elif symbol not in skipped:
                raise DataError(f"{place}: {symbol} is of the universe, and has no weight on {day}; run that day again")
            elif not echo:
                self.left_out.append(LeftOut(symbol, day, "no price: skipped by the fund", place))

    def _one_fund(self, fund: str, place: str) -> None:
        self.funds.setdefault(fund, place)
        if len(self.funds) > 1:
            (one, there), (other, here) = list(self.funds.items())[:2]
            raise DataError(
                f"two funds: {one} in {there}, {other} in {here}; expected one; move each fund's files to a folder of "
                "its own"
            )

    def _take_orders(self, record: dict[str, Any], place: str, name: str) -> None:
        days = [str(record["date"])[:10]] if "date" in record else _DAY.findall(name)
        if len(days) != 1:
            raise DataError(f'{place}: no day; add "date": "YYYY-MM-DD" beside "decisions", or name the file after it')
        day, decisions = iso_day(days[0], place), record["decisions"]
        if not isinstance(decisions, dict) or not decisions:
            raise DataError(f"{place}: no decisions of {day}: the answer could not be read; run that day again")
        for symbol in dict.fromkeys(record.get("executed_trades") or {}):
            if symbol not in decisions:
                raise DataError(f"{place}: {symbol} has no decision on {day}, though others have; run that day again")
        for symbol, order in decisions.items():
            if not isinstance(order, dict) or "action" not in order:
                raise DataError(f"{place}: the decision of {symbol} has no 'action'; expected {', '.join(_ACTIONS)}")
            if any(words in str(order.get("reasoning", "")).lower() for words in _NOT_DECIDED):
                self.left_out.append(LeftOut(symbol, day, "held by default: the model's answer was not read", place))
            else:
                self.orders.append((symbol, day, _action(order["action"], f"{place}, decisions.{symbol}"), place))


def read_ai_hedge_fund(path: Path) -> Converted:
    """Read decisions of one file, or of all JSON files of a folder.

    Parameters
    ----------
    path : Path
        ``*.json`` or ``*.jsonl``, or a folder of them; subfolders are not read (``ledger/superseded`` does not count).

    Returns
    -------
    Converted
        Of funds ``weight`` by ``date``, after limits of risk: a weight of 0 is a decision, to hold nothing. Of orders
        ``action`` by ``date``, without quantity and confidence: buy, short, hold; sell and cover end a position.

    Raises
    ------
    DataError
        If a file is of another kind, if funds or both versions are mixed, or if a decision is there twice, missing or
        unreadable.
    """
    must_exist(path, _WHAT)
    files = [path] if path.is_file() else sorted([*path.glob("*.json"), *path.glob("*.jsonl")])
    if not files:
        raise DataError(f"{path}: no *.json and no *.jsonl in it; expected {_WHAT}; give the folder that holds them")
    reading = _FundReading()
    for file in files:
        for record, place in _records(file):
            reading.take(record, place, file.stem)
    if not (reading.orders or reading.weights or reading.echoes or reading.left_out):
        raise DataError(f"{path}: no decision in it; expected {_WHAT}, of one name at least; run the fund")
    if reading.orders and reading.weights:
        raise DataError(
            f"weights in {reading.weights[0][3]}, orders in {reading.orders[0][3]}; expected the files of one version; "
            "move them to a folder each"
        )
    if reading.orders:
        return settle(frame_of(reading.orders), "date", "action", reading.left_out)
    return settle(frame_of(reading.weights), "date", "weight", reading.left_out, frame_of(reading.echoes))


def _records(file: Path) -> Iterator[tuple[Any, str]]:
    """Each record of a file with its place."""
    if file.suffix == ".jsonl":
        for number, line in enumerate(read_text(file).splitlines(), 1):
            if line.strip():
                try:
                    yield json.loads(line), f"{file}, line {number}"
                except (json.JSONDecodeError, RecursionError) as error:
                    raise DataError(f"{file}: no JSON at line {number}: {error}; delete the line") from None
        return
    data = read_json(file)
    if isinstance(data, list):
        yield from ((record, f"{file}, [{number}]") for number, record in enumerate(data))
    else:
        yield data, str(file)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _cycle(record: Any, place: str) -> dict[str, Any]:
    """The assessment that a record is of, with its fields of the right kind."""
    kinds = {"as_of": str, "universe": list, "final_weights": dict}
    cycle = record
    for inner in ("original_assessment", "proposal"):
        if isinstance(cycle, dict) and cycle.get(inner):
            cycle = cycle[inner]
    wrong = [
        name for name, kind in kinds.items() if not isinstance(cycle, dict) or not isinstance(cycle.get(name), kind)
    ]
    if wrong or not all(isinstance(name, str) for name in cycle["universe"]):
        raise DataError(f"{place}: no {wrong[0] if wrong else 'universe'!r} as a cycle has it; expected {_WHAT}")
    return dict(cycle)


def _action(said: Any, place: str) -> str:
    action = _ACTIONS.get(str(said).lower())
    if action is None:
        raise DataError(f"{place}: unknown action {said!r}; expected {', '.join(_ACTIONS)}; repair it")
    return action


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{place}: {value!r} is no number; expected one; repair the file")
    return float(value)
