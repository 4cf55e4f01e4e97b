"""Probes of a spec: what they find where it is planted, what they refuse, and that the future moves nothing."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragsignal.config import RunSpec, load_spec
from ragsignal.data import load_prices
from ragsignal.errors import ConfigError, DataError, LookAheadError, ModelError, RagSignalError
from ragsignal.evaluation.probe_record import console_probes, difference_words, probe_words, write_probes
from ragsignal.evaluation.probes import ProbeFigure, Probes, probe_spec
from ragsignal.study.trials import TrialLedger, ledger_path
from tests.specs import HOLD, RANDOM, VOTE, spec, write_spec
from tests.tiny import tiny_finseer

DATA = {"symbols": [f"S{number}" for number in range(8)], "start": date(2015, 1, 5), "end": date(2015, 7, 31)}
QUICK = {"windows": 1500, "k": 20}
VARIANTS = [VOTE, RANDOM, HOLD]


def of(**changes: Any) -> RunSpec:
    tables = {"data": DATA, "probe": QUICK, "evaluation": {"train_start": date(2013, 6, 3)}, "variant": VARIANTS}
    return spec(**tables | changes)


@pytest.fixture(scope="module")
def probes() -> Probes:
    return probe_spec(of(data=DATA | {"strength": 0.9}))


def figure(probes: Probes, label: str, probe: str, measure: str) -> ProbeFigure:
    (found,) = (it for it in probes.rows[0].figures if (it.label, it.probe, it.measure) == (label, probe, measure))
    return found


def test_what_shapes_decide_neighbours_by_shape_find(probes: Probes) -> None:
    for measure in ("accuracy", "balanced_accuracy", "log_loss", "rank_ic"):
        assert figure(probes, "movement", "kNN", measure).verdict == "better than the base rate"
    state = figure(probes, "state", "linear", "log_loss")  # a made-up market has no states that a shape could show
    assert abs(state.gain) < 0.05


def test_every_figure_stands_beside_its_base_rate_with_an_interval(probes: Probes) -> None:
    assert len(probes.rows[0].figures) == 2 * 2 * 4
    for it in probes.rows[0].figures:
        assert it.low <= it.gain <= it.high
        assert it.p_family >= it.p
        sign = -1 if it.measure == "log_loss" else 1
        assert it.gain == pytest.approx(sign * (it.value - it.base), abs=1e-9)


def test_training_ends_before_the_test_and_no_label_of_it_is_known_later(probes: Probes) -> None:
    _, last, known = probes.trained
    assert last < known < probes.tested[0]
    assert known < "2015-01-05"


def test_a_variant_without_a_metric_is_told_of(probes: Probes) -> None:
    assert probes.left_out == {"random": "random compares no vectors", "hold": "it retrieves nothing"}
    assert "random has no row: random compares no vectors." in probe_words(probes)


def test_the_record_is_the_same_each_time_and_the_look_is_counted(probes: Probes, tmp_path: Path) -> None:
    again = probe_spec(of(data=DATA | {"strength": 0.9}))
    for name, it in {"one": probes, "two": again}.items():
        (tmp_path / name).mkdir()
        write_probes(it, tmp_path / name)
    one, two = ((tmp_path / name / "record.json").read_bytes() for name in ("one", "two"))
    assert one == two
    record = json.loads(one)
    assert [row["name"] for row in record["rows"]] == ["vote"]
    assert "| vote | movement | kNN | log-loss |" in (tmp_path / "one/table.md").read_text(encoding="utf-8")
    assert console_probes(probes).row_count == 16
    ledger = TrialLedger(ledger_path())
    assert "probe" in {trial.command for trial in ledger.against(_bars(probes))}
    ledger.close()


def _bars(probes: Probes) -> Any:
    from ragsignal.study.trials import bars_of

    return bars_of(probes.spec)


def test_two_metrics_are_compared_on_the_same_queries_and_one_metric_has_one_row(tmp_path: Path) -> None:
    tower = tiny_finseer(tmp_path / "tower")
    other = {"name": "tower", "signal": "vote", "retrieval": {"retriever": "finseer", "encoder": str(tower.folder)}}
    same = {"name": "again", "signal": "vote", "retrieval": {"retriever": "shape", "k": 3}}
    found = probe_spec(of(variant=[*VARIANTS, same, other]))
    assert [row.variants for row in found.rows] == [["vote", "again"], ["tower"]]
    assert {(it.name, it.less, it.label, it.probe) for it in found.differences} == {
        ("tower", "vote", label, probe) for label in ("movement", "state") for probe in ("linear", "kNN")
    }
    for it, row in zip(found.differences, difference_words(found), strict=True):
        left, right = (found.rows[place].forecasts[it.label, it.probe].losses.mean() for place in (0, 1))
        assert it.difference == pytest.approx(left - right)
        assert row.startswith(f"tower against vote, {it.label}, {it.probe}: ")


def test_the_metric_of_days_is_probed_by_the_days_own_states() -> None:
    symbols = [f"S{number}" for number in range(22)]
    days = {"candidates": "days", "retriever": "state", "own_days": True, "k": 5}
    variant = [{"name": "days", "signal": "vote", "retrieval": days}, RANDOM, HOLD]
    found = probe_spec(of(data=DATA | {"symbols": symbols}, variant=variant))
    (row,) = found.rows
    assert row.dim == 8
    state = figure(found, "state", "linear", "balanced_accuracy")
    assert state.value > 0.8  # the state is what is read
    assert (
        np.isnan(figure(found, "movement", "kNN", "rank_ic").value)
        or abs(figure(found, "movement", "kNN", "rank_ic").value) < 0.1
    )  # all stocks of a day have one vector


def table_of(path: Path, poisoned_after: date | None) -> dict[str, Any]:
    rows = []
    for symbol, frame in load_prices(of().data).frames.items():
        bars = frame.copy()
        if poisoned_after is not None:
            late = bars.index > pd.Timestamp(poisoned_after)
            bars.loc[late, ["open", "high", "low", "close"]] *= np.linspace(1.0, 9.0, int(late.sum()))[:, None]
        rows.append(bars.rename_axis("date").reset_index().assign(symbol=symbol))
    pd.concat(rows).to_parquet(path)
    return DATA | {"source": "table", "path": path}


def test_bars_after_the_training_days_move_no_probe(tmp_path: Path) -> None:
    clean, poisoned = (
        probe_spec(of(data=table_of(tmp_path / f"{name}.parquet", day)))
        for name, day in {"clean": None, "poisoned": date(2015, 1, 5)}.items()
    )
    assert clean.edges == poisoned.edges
    assert clean.trained == poisoned.trained
    first = [it.rows[0].forecasts["movement", "linear"] for it in (clean, poisoned)]
    np.testing.assert_array_equal(first[0].shares, first[1].shares)
    np.testing.assert_array_equal(first[0].probabilities[:8], first[1].probabilities[:8])  # of the first day
    assert not np.array_equal(first[0].probabilities[8:], first[1].probabilities[8:])


# --- wrong inputs


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        ({"windows": 10}, r"probe\.windows.*greater than or equal to 100"),
        ({"k": 0}, r"probe\.k.*greater than or equal to 1"),
        ({"buckets": 11}, r"probe\.buckets.*less than or equal to 10"),
        ({"state": "mood"}, r"probe\.state.*'trend_5'"),
        ({"window": 200}, r"probe\.window.*windows"),
    ],
)
def test_a_wrong_key_is_told_with_its_place(tmp_path: Path, probe: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_spec(write_spec(tmp_path, probe=probe))


def later(folder: Path) -> dict[str, Any]:
    tower = tiny_finseer(folder / "late", trained_through=date(2015, 3, 2))
    return {"retriever": "finseer", "encoder": str(tower.folder)}


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"variant": [RANDOM, HOLD]}, ConfigError, r"no retriever with a metric to probe \(random: random compares no"),
        ({"evaluation": {"train_end": date(2015, 2, 2)}}, ConfigError, r"evaluation\.train_end is 2015-02-02, but the"),
        ({"evaluation": {"train_start": date(2014, 12, 24)}}, ConfigError, r"labels known through .* and need 100"),
        ({"data": DATA | {"symbols": ["S0"]}}, DataError, r"volatility_20 .* needs two symbols at least"),
        ({"retrieval": later}, LookAheadError, r"variant 'vote': .*fitted through 2015-03-02.*starts on 2015-01-05"),
        ({"retrieval": {"retriever": "finseer", "encoder": "./nowhere"}}, ModelError, "nowhere"),
    ],
)
def test_what_cannot_be_probed_is_refused_in_one_line(
    changes: dict[str, Any], error: type[RagSignalError], words: str, tmp_path: Path
) -> None:
    made = {key: value(tmp_path) if callable(value) else value for key, value in changes.items()}
    with pytest.raises(error, match=words) as told:
        probe_spec(of(**made))
    assert "\n" not in str(told.value)
