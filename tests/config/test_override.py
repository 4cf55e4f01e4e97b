"""``--set``: a key of a spec takes another value before it is checked, and a typo is answered as in a spec."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragsignal.config import RunSpec, load_spec, load_train_spec
from ragsignal.config.override import override
from ragsignal.errors import ConfigError
from tests.specs import HOLD, write_spec, write_train_spec


def loaded(folder: Path, *words: str) -> RunSpec:
    return load_spec(write_spec(folder), words)


def test_values_are_those_of_toml_and_the_rest_is_text(tmp_path: Path) -> None:
    spec = loaded(
        tmp_path,
        "data.start=2015-02-02",
        "costs.commission_bps=0",
        "allow_in_sample = true",
        'data.symbols=["AAA"]',
        "description=two words",
        "strategy.params.enter=0.1",
    )
    assert spec.data.start == date(2015, 2, 2)
    assert (spec.costs.commission_bps, spec.allow_in_sample, spec.data.symbols) == (0.0, True, ("AAA",))
    assert (spec.description, spec.strategy.params) == ("two words", {"enter": 0.1})


def test_a_strategys_param_and_a_variants_key_are_named_as_in_a_sweep_and_in_errors(tmp_path: Path) -> None:
    spec = loaded(
        tmp_path, "strategy.enter=0.2", "variant.random.retrieval.k=3", "variant.hold.signal=vote", "retrieval.k=4"
    )
    assert spec.strategy.params == {"enter": 0.2}
    assert {it.name: it.retrieval.k for it in spec.variants} == {"vote": 4, "random": 3, "momentum": 4, "hold": 4}
    assert spec.find_variant("hold").is_vote


def test_a_variants_param_is_laid_over_the_runs_strategy_and_leaves_that_alone(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "strategy.enter=0.1", "variant.vote.strategy.enter=0.3")
    assert spec.find_variant("vote").strategy.params == {"enter": 0.3}
    assert spec.find_variant("vote").strategy.name == spec.strategy.name
    assert spec.strategy.params == {"enter": 0.1}


def test_a_name_of_a_variant_may_have_dots(tmp_path: Path) -> None:
    path = write_spec(tmp_path, variant=[{"name": "a", "signal": "vote"}, {"name": "a.b", "signal": "vote"}, HOLD])
    spec = load_spec(path, ["variant.a.b.retrieval.k=2", "variant.a.retrieval.k=3"])
    assert [it.retrieval.k for it in spec.variants] == [3, 2, 15]


def test_paths_and_the_environment_work_as_in_a_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_PRICES", "/my")
    words = ["data.source=folder", "data.path=${MY_PRICES}/daily", "llm.adapter=../mine"]
    spec = loaded(tmp_path, *words)
    assert spec.data.path == Path("/my/daily")
    assert spec.llm.adapter == str(tmp_path / "../mine")
    assert load_train_spec(write_train_spec(tmp_path), ["out=there"]).out == tmp_path / "there"


def test_a_table_that_is_not_there_is_made(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "data.universe.top=1", "data.universe.as_of=2014-12-31")
    assert spec.data.universe is not None
    assert (spec.data.universe.top, spec.data.universe.as_of) == (1, date(2014, 12, 31))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("data.strat=2015-01-02", "--set data.strat=2015-01-02: .*\n.*data.strat: unknown key. Did you mean 'start'?"),
        ("dta.start=2015-01-02", "dta: unknown key. Did you mean 'data'?"),
        ("variant.vote.retrieval.kk=3", "variant.vote.retrieval.kk: unknown key. Did you mean 'k'?"),
        ("variant.vot.retrieval.k=3", "--set variant.vot.retrieval.k: no variant 'vot'. Did you mean 'vote'?"),
        ("variant.vote=3", "which key of it"),
        ("name.first=x", "name is 'small' in the spec, and no table"),
        ("data.start", "place=value was expected, such as data.start=2015-01-02"),
        ("data..start=1", "place=value was expected"),
        ("data.start=soon", "data.start: "),
    ],
)
def test_a_mistake_is_answered_as_in_a_spec(tmp_path: Path, word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        loaded(tmp_path, word)


def test_a_place_comes_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--set retrieval\.k is given twice"):
        loaded(tmp_path, "retrieval.k=3", "retrieval.k=4")


VALUES = st.one_of(st.integers(), st.booleans(), st.dates(), st.text("abc ,/$", min_size=1).map(str.strip))


@given(st.dictionaries(st.from_regex(r"[a-z]{1,3}(\.[a-z]{1,3}){0,2}", fullmatch=True), VALUES, max_size=4))
def test_what_is_set_is_what_is_read(settings: dict[str, Any]) -> None:
    """Places that do not lie within each other: each then holds its value, whatever the order."""
    places = [it for it in settings if settings[it] != "" and not it.startswith(("strategy", "variant"))]
    apart = [it for it in places if not any(other.startswith(f"{it}.") for other in places)]
    raw: dict[str, Any] = {}
    override(raw, [f"{it}={str(settings[it]).lower()}" for it in apart])
    for place in apart:
        value: Any = raw
        for key in place.split("."):
            value = value[key]
        assert value == settings[place]
