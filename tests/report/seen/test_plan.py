"""A long run shows a part of itself, says so, and stays small; a short one is shown whole."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from ragsignal.report.seen.plan import (
    DAY_HITS,
    EVIDENCE_BARS,
    SYMBOL_BYTES,
    Read,
    explain_command,
    inspect_command,
    shown_of,
)
from ragsignal.trading import RunResult
from tests.report.test_report import sample_run


@pytest.fixture(scope="module")
def result() -> RunResult:
    return sample_run(60)


def long_run(result: RunResult, bars: int, symbols: int) -> RunResult:
    """The same variants, said to have traded more symbols on more bars; the last symbol was traded most."""
    names = [f"S{number:03d}" for number in range(symbols)]
    closes = pd.DataFrame(np.ones((bars, symbols), dtype=np.float32), pd.bdate_range("2000-01-03", periods=bars), names)
    orders = pd.DataFrame({"symbol": names, "value": np.arange(symbols, dtype=float)})
    variants = tuple(dataclasses.replace(variant, orders=orders) for variant in result.variants)
    return dataclasses.replace(result, closes=closes, variants=variants)


def test_a_run_of_ordinary_size_is_shown_whole(result: RunResult) -> None:
    shown = shown_of(result, Read(evidence=6, days=1200))
    assert (shown.symbols, shown.evidence_from, shown.days_from, shown.left_out) == (tuple(result.closes), 0, 0, "")
    sample = long_run(result, 1006, 100)
    assert shown_of(sample, Read(evidence=0, days=1800)).left_out == ""


def test_a_run_of_5000_bars_and_500_symbols_keeps_to_the_limits_and_says_what_is_left_out(result: RunResult) -> None:
    run = long_run(result, 5000, 500)
    shown = shown_of(run, Read(evidence=5, days=3000))
    signals = sum(variant.has_signal for variant in run.variants)
    assert 0 < len(shown.symbols) * 5000 * 5.4 * 2 * signals < SYMBOL_BYTES
    assert 5 * len(shown.symbols) * (5000 - shown.evidence_from) <= EVIDENCE_BARS
    assert 3000 * (5000 - shown.days_from) <= DAY_HITS
    assert shown.symbols[-1] == "S499"  # the most traded, in the run's order
    assert list(shown.symbols) == sorted(shown.symbols)
    for words in (f"{len(shown.symbols)} of 500 symbols", "of 5,000 bars", "sequences and prompts", "retrieved days"):
        assert words in shown.left_out


def test_the_command_for_what_is_not_shown_names_the_spec(result: RunResult) -> None:
    told = dataclasses.replace(result, command="ragsignal backtest 'my specs/a.toml' --set costs.cash=1")
    expected = "ragsignal inspect 'my specs/a.toml' --symbol SYMBOL --date DATE --variant VARIANT"
    assert inspect_command(told) == expected
    assert inspect_command(dataclasses.replace(result, command="")).startswith("ragsignal inspect SPEC ")


@pytest.mark.parametrize(
    ("spec", "named"), [("my specs/a.toml", "'my specs/a.toml'"), ("a.toml", "a.toml"), (None, "SPEC")]
)
@pytest.mark.parametrize("settings", [(), ("costs.cash=1",), ("costs.cash=1", "retrieval.k=3")])
def test_the_command_after_a_run_in_python_names_the_spec_too(
    result: RunResult, spec: str | None, named: str, settings: tuple[str, ...]
) -> None:
    called = f"ragsignal.backtest({'spec' if spec is None else repr(spec)}, settings={list(settings)!r})"
    told = dataclasses.replace(result, command=called)
    assert inspect_command(told).startswith(f"ragsignal inspect {named} --symbol SYMBOL ")
    options = "".join(f" --set {word}" for word in settings)
    assert explain_command(told) == f"ragsignal explain {named}{options}"  # else it would explain another signal


def test_the_command_that_explains_has_the_settings_of_the_run(result: RunResult) -> None:
    settings = "--set costs.cash=1 --set 'strategy.params.enter=0.1 '"
    told = dataclasses.replace(result, command=f"ragsignal backtest 'my specs/a.toml' {settings}")
    assert explain_command(told) == f"ragsignal explain 'my specs/a.toml' {settings}"
    assert explain_command(dataclasses.replace(result, command="")) == "ragsignal explain SPEC"
