"""Modules that a spec names: beside the spec, then in the current folder; never another folder's of the same name."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ragsignal.audit.code.subjects import kind_of, load
from ragsignal.config import RunSpec, load_spec
from ragsignal.errors import ConfigError
from ragsignal.parallel import open_pool
from ragsignal.trading import load_strategy, run_spec
from ragsignal.trading.sweep.grid import spec_at
from tests.specs import HOLD, write_spec

_STRATEGY = """
import backtrader as bt
from {neighbour} import SIZE


class Buys(bt.Strategy):
    params = (("times", 1),)

    def next(self):
        if not self.position:
            self.buy(size=SIZE * self.p.times)


def momentum(frame):
    return frame["close"].pct_change()
"""


def _folder(path: Path, size: int, name: str = "beside") -> Path:
    """A folder with a spec, its strategy, and a neighbour that the strategy imports."""
    path.mkdir(exist_ok=True)
    (path / f"{name}.py").write_text(_STRATEGY.format(neighbour=f"{name}_size"))
    (path / f"{name}_size.py").write_text(f"SIZE = {size}\n")
    mine = {"name": "mine", "signal": "none", "strategy": {"class": f"{name}:Buys"}}
    return write_spec(path, strategy={"class": f"{name}:Buys"}, variant=[mine, HOLD], data={"end": "2015-02-27"})


def _bought(spec: RunSpec, jobs: int = 1) -> float:
    with open_pool(jobs) as pool:
        result = run_spec(spec, pool=pool)
    return float(result.variants[0].orders["size"].iloc[0])


def test_a_strategy_beside_the_spec_is_found_from_another_folder(tmp_path: Path) -> None:
    assert _bought(load_spec(_folder(tmp_path / "specs", 3))) == 3.0


@pytest.mark.slow
def test_worker_processes_find_a_strategy_beside_the_spec(tmp_path: Path) -> None:
    assert _bought(load_spec(_folder(tmp_path / "specs", 3)), jobs=2) == 3.0


def test_two_specs_whose_strategies_share_a_name_trade_their_own(tmp_path: Path) -> None:
    first, second = load_spec(_folder(tmp_path / "one", 2)), load_spec(_folder(tmp_path / "two", 5))
    assert [_bought(first), _bought(second), _bought(first)] == [2.0, 5.0, 2.0]


def test_an_edited_strategy_is_read_anew(tmp_path: Path) -> None:
    path = _folder(tmp_path / "specs", 2, "edited")
    assert _bought(load_spec(path)) == 2.0
    code = (tmp_path / "specs" / "edited.py").read_text()
    (tmp_path / "specs" / "edited.py").write_text(code.replace("size=SIZE", "size=7 * SIZE"))
    assert _bought(load_spec(path)) == 14.0


def test_a_module_in_the_current_folder_is_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _folder(tmp_path / "specs", 3, "moved")
    for file in (tmp_path / "specs").glob("*.py"):
        file.rename(tmp_path / file.name)
    monkeypatch.chdir(tmp_path)
    assert _bought(load_spec(path)) == 3.0


def test_the_folder_of_a_strategy_travels_and_is_in_no_record(tmp_path: Path) -> None:
    spec = load_spec(_folder(tmp_path / "specs", 3))
    assert spec.strategy.folder == spec.variants[0].strategy.folder == tmp_path / "specs"
    assert pickle.loads(pickle.dumps(spec)).strategy.folder == tmp_path / "specs"
    assert spec_at(spec, {"strategy.times": 2}, ["mine"]).variants[0].strategy.folder == tmp_path / "specs"
    assert "folder" not in spec.model_dump_json(by_alias=True)


def test_a_subject_of_an_audit_is_found_beside_the_spec(tmp_path: Path) -> None:
    folder = load_spec(_folder(tmp_path / "specs", 3, "audited")).strategy.folder
    assert kind_of("audited:Buys", folder) == "strategy"
    assert load("audited:momentum", folder).__module__ == "audited"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere:LongFlat", ["specs and in ", "Did you mean 'LongFlat'"]),
        (
            "beside_it:LongShrt",
            ["beside_it has no strategy 'LongShrt'", "Did you mean 'LongShort'"],
        ),
        ("beside_it:helper", ["beside_it:helper is no strategy: a subclass of backtrader.Strategy was expected"]),
    ],
)
def test_a_strategy_that_is_not_there_says_where_it_was_looked_for_and_which_are_shipped(
    tmp_path: Path, name: str, words: list[str]
) -> None:
    path = _folder(tmp_path / "specs", 3)
    (tmp_path / "specs" / "beside_it.py").write_text("def helper():\n    pass\n")
    with pytest.raises(ConfigError) as raised:
        load_strategy(load_spec(path, [f"strategy.class={name}"]).strategy)
    assert all(word in str(raised.value) for word in words), raised.value
