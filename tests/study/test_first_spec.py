"""What `ragsignal init` writes: a spec that runs, for prices of any kind, and a strategy that it finds."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ragsignal.cli.app import app
from ragsignal.config import load_spec
from ragsignal.errors import ConfigError, DataError
from ragsignal.study import choose_first_spec, write_first_spec
from ragsignal.trading import prepare, run_spec


def _prices(folder: Path, symbols: int, first: str, last: str, late: int = 0) -> Path:
    """A CSV a symbol; the last ``late`` of them begin two years later."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(symbols):
        begins = pd.Timestamp(first) + pd.DateOffset(years=2 if number >= symbols - late else 0)
        days = pd.bdate_range(begins, last)
        close = 50 * np.exp(np.cumsum(rng.normal(0.0, 0.01, len(days)))).round(4)
        frame = pd.DataFrame({"Date": days.date, "Open": close, "High": close, "Low": close, "Close": close})
        frame.assign(Volume=1000 + number).to_csv(folder / f"S{number:03d}.csv", index=False)
    return folder


def _init(prices: Path | str, folder: Path) -> Path:
    return write_first_spec(choose_first_spec(str(prices)), folder)[0]


def test_eight_symbols_get_the_vote_of_retrieved_windows_and_a_run_that_trades(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _prices(tmp_path / "my prices", 8, "2014-01-01", "2016-06-30")
    monkeypatch.chdir(tmp_path)
    spec = load_spec(_init("my prices", tmp_path))
    assert spec.name == "my-prices"
    assert spec.data.start == date(2014, 12, 17)  # the 251st bar
    assert spec.data.end == date(2016, 6, 30)
    assert (spec.retrieval.retriever, spec.corpus.stride) == ("finseer", 5)
    assert {variant.signal for variant in spec.variants} == {"vote", "none"}
    result = run_spec(spec)
    traded = {variant.name: variant.metrics["trades"] for variant in result.variants}
    assert traded["rag"] > 50
    assert all(traded.values())


def test_twenty_symbols_are_ranked_and_a_hundred_are_enough(tmp_path: Path) -> None:
    ranked = load_spec(_init(_prices(tmp_path / "twenty", 20, "2014-01-01", "2016-06-30"), tmp_path))
    assert ranked.find_variant("rag").reads_days
    assert ranked.data.universe is None
    (tmp_path / "other").mkdir()
    many = load_spec(_init(_prices(tmp_path / "many", 101, "2014-01-01", "2016-06-30"), tmp_path / "other"))
    assert many.data.universe is not None
    assert (many.data.universe.top, many.data.universe.as_of) == (100, date(2014, 12, 16))
    prepare(many)  # the strategy is found, beside the spec


def test_the_window_begins_when_half_of_the_symbols_have_a_history_and_after_what_models_have_seen(
    tmp_path: Path,
) -> None:
    late = choose_first_spec(str(_prices(tmp_path / "late", 4, "2014-01-01", "2019-12-31", late=3)))
    assert late.start == date(2016, 12, 16)
    early = choose_first_spec(str(_prices(tmp_path / "early", 2, "2005-01-03", "2013-12-31")))
    assert (early.start, early.trained) == (date(2011, 1, 3), True)


def test_prices_that_models_have_seen_get_nothing_that_was_trained(tmp_path: Path) -> None:
    spec = load_spec(_init(_prices(tmp_path / "old", 21, "2003-01-01", "2006-12-29"), tmp_path))
    assert spec.retrieval.retriever == "shape"
    assert {variant.signal for variant in spec.variants} == {"vote", "none"}


def test_too_few_bars_are_refused_with_the_number_that_is_needed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="350 bars a symbol were expected, to learn from and to trade; 64 are there"):
        choose_first_spec(str(_prices(tmp_path / "short", 2, "2014-01-01", "2014-03-31")))
    with pytest.raises(DataError, match="11 bars are left to trade after 250 bars of history, and 100 were expected"):
        choose_first_spec(str(_prices(tmp_path / "few", 2, "2014-01-01", "2014-12-31")))


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "my_strategy.py").write_text("mine")
    with pytest.raises(ConfigError, match=r"not written over: .*my_strategy\.py; move what is there"):
        write_first_spec(choose_first_spec(), tmp_path)
    assert (tmp_path / "my_strategy.py").read_text() == "mine"
    assert not (tmp_path / "spec.toml").exists()


def test_without_prices_the_bundled_ones_and_the_next_two_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["init"])
    assert done.exit_code == 0, done.output
    assert "    ragsignal backtest spec.toml --dry-run\n    ragsignal backtest spec.toml\n" in done.stderr
    assert "100 symbols, 2011-01-03 to 2014-12-31: StockLLM compares the stocks of a day" in done.stderr
    spec = load_spec("spec.toml")
    assert (spec.data.source, spec.strategy.name) == ("sample", "my_strategy:MyStrategy")
    prepare(spec)
