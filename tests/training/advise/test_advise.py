"""A small ladder, whole: what it is trained by, that a killed one ends in the same bytes, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from ragsignal.artifacts.artifact import load_artifact
from ragsignal.cli.app import app
from ragsignal.config import TrainSpec
from ragsignal.errors import ConfigError, DataError, StoreError
from ragsignal.training.advise.plan import Point, latest, points_of, rows_of
from ragsignal.training.advise.points import Ladder, day_sums, teach, train_point
from ragsignal.training.advise.run import SizeAdvice
from ragsignal.training.ranks.examples import RankExamples, rank_examples
from ragsignal.training.ranks.train import train_on_ranks
from ragsignal.training.run import TrainingRun
from ragsignal.utils import silent
from tests.specs import train_spec, write_train_spec

TABLES: dict[str, Any] = {
    "data": {
        "source": "planted",
        "symbols": [f"S{number:02d}" for number in range(24)],
        "start": date(2014, 1, 2),
        "end": date(2014, 12, 31),
    },
    "split": {"valid_from": date(2014, 7, 15), "embargo": 5},
    "corpus": {"indicators": ["adj_close"], "target": "relative"},
    "stockllm": {"reader": "ranks"},
    "classifier": {"kind": "boosting"},
    "boosting": {"members": 1, "trees": 3, "leaves": 4, "least_rows": 50},
    "ranks": {"layers": 1, "heads": 2, "window": 3, "seeds": 2, "days": 8, "stocks": 12, "eval_steps": 2, "steps": 4},
    "advise": {"sizes": [8, 12, 16], "fractions": [0.25, 0.5, 1.0], "steps": 4, "bootstrap": 100},
}


class Killed(Exception):  # noqa: N818 - not an error, an event
    """Stands in for a process that ends."""


def run_of(folder: Path, progress: Any = silent, **changes: Any) -> TrainingRun:
    """A training run into a folder; prices and letters are made once."""
    tables = {key: {**TABLES.get(key, {}), **value} for key, value in changes.items()}
    run = TrainingRun(train_spec(**{**TABLES, **tables, "out": str(folder)}), progress)
    if run.spec.data == _materials().data:
        run.materials.history = _materials().prices
        run.materials.__dict__["rank_letters"] = _materials().rank_letters
    return run


@cache
def _materials() -> Any:
    return TrainingRun(TrainSpec.model_validate(train_spec(**TABLES).model_dump(by_alias=True))).materials


@pytest.fixture(scope="module")
def examples() -> RankExamples:
    return rank_examples(run_of(Path("nowhere")))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a ladder that was never killed."""
    folder = tmp_path_factory.mktemp("built")
    SizeAdvice(run_of(folder), 1).build()
    return folder / "advise"


def _record(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "advice.json").read_text(encoding="utf-8"))
    return record


def _without_times(folder: Path) -> dict[str, Any]:
    """Every result of a ladder, as text, less seconds and megabytes."""
    found = {}
    for path in sorted(folder.rglob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        record.pop("times", None)
        found[str(path.relative_to(folder))] = json.dumps(record)
    return found


# --------------------------------------------------------------------------------------------------------- points


def test_a_ladder_has_a_row_a_size_and_amount_and_says_what_to_take(built: Path) -> None:
    record = _record(built)
    assert [(row["hidden"], row["fraction"]) for row in record["points"]] == [
        (hidden, fraction) for fraction in (0.25, 0.5, 1.0) for hidden in (8, 12, 16)
    ]
    assert len(list((built / "points").iterdir())) == 18
    assert record["advice"]["hidden"] in (8, 12, 16)
    assert record["advice"]["hidden"] == record["advice"]["undistinguished"][0]
    assert record["exponent"]["low"] <= record["exponent"]["gamma"] <= record["exponent"]["high"]
    assert record["next_step"]["steps"] == 8
    assert record["words"][0].lower().count("take ranks.hidden") == 1
    assert record["times"]["next_step"]["core_seconds"] > 0.0
    assert not (built / "work").exists()


def test_shares_are_the_latest_training_days_and_validation_stays(examples: RankExamples) -> None:
    every = rows_of(examples.train)
    for fraction in (0.25, 0.5, 1.0):
        part = latest(examples, fraction)
        assert np.array_equal(rows_of(part.train), every[-int(np.ceil(fraction * len(every))) :])
        assert np.array_equal(part.valid, examples.valid)
        assert part.letters is examples.letters
    assert np.array_equal(latest(examples, 1.0).train, examples.train)


def test_a_point_on_all_data_is_a_seed_of_train_stockllm(built: Path, tmp_path: Path) -> None:
    artifact = train_on_ranks(run_of(tmp_path, ranks={"hidden": 12}))
    for seed, history in enumerate(artifact.card.metrics["evaluations"].values()):
        point = json.loads((built / "points" / f"12-1-{seed}.json").read_text(encoding="utf-8"))
        assert point["evaluations"] == pytest.approx(history, abs=1e-11)
        assert point["parameters"] == load_artifact(tmp_path / "stockllm").card.metrics["parameters"]


def test_what_lies_before_a_share_changes_nothing_of_its_points(
    built: Path, tmp_path: Path, examples: RankExamples
) -> None:
    older = examples.train & ~latest(examples, 0.5).train
    rng = np.random.default_rng(0)
    letters = replace(examples.letters, letters=examples.letters.letters.copy())
    garbage = rng.permutation(examples.targets[older])
    before = older.any(axis=1)
    before[rows_of(older)[-1] - 4 :] = False  # days that the first of the share see: window - 1 of them, and some more
    letters.letters[before] = rng.integers(0, 16, size=letters.letters[before].shape)
    targets = examples.targets.copy()
    targets[older] = garbage
    point = Point(8, 0.5, 0)
    poisoned = Ladder(replace(examples, letters=letters, targets=targets), run_of(tmp_path).spec, tmp_path)
    teach(poisoned, 0.5)
    train_point(poisoned, point)
    ours, theirs = (
        json.loads(path.read_text()) for path in (poisoned.point_file(point), built / "points/8-0.5-0.json")
    )
    assert ours["days"] == theirs["days"]


def test_sums_of_a_day_are_those_of_its_stocks_less_their_mean(examples: RankExamples) -> None:
    scores = np.where(examples.valid, np.random.default_rng(0).normal(3.0, 1.0, examples.targets.shape), np.nan)
    days = day_sums(examples, scores)
    row = rows_of(examples.valid)[7]
    here = examples.valid[row]
    score, rank = scores[row, here], examples.targets[row, here]
    assert days["n"][7] == here.sum()
    assert days["sy"][7] == pytest.approx(here.sum() * np.cov(score, rank, bias=True)[0, 1])
    assert days["ss"][7] == pytest.approx(here.sum() * score.var())
    assert days["yy"][7] == pytest.approx(here.sum() * rank.var())


def test_costly_points_come_first() -> None:
    names = [point.name for point in points_of(run_of(Path("nowhere")).spec)]
    assert names[:3] == ["16-1-0", "16-1-1", "16-0.5-0"]
    assert names[-1] == "8-0.25-1"


# --------------------------------------------------------------------------------------------------------- resuming


@pytest.mark.parametrize(("word", "done"), [("teachers", 1), ("points", 7)])
def test_a_killed_ladder_goes_on_and_ends_in_the_same_bytes(word: str, done: int, built: Path, tmp_path: Path) -> None:
    def progress(what: str, number: int, _: int) -> None:
        if word in what and number == done:
            raise Killed

    with pytest.raises(Killed):
        SizeAdvice(run_of(tmp_path, progress), 1).build()
    told: list[tuple[str, int, int]] = []
    SizeAdvice(run_of(tmp_path, lambda *it: told.append(it)), 1).build()
    assert _without_times(tmp_path / "advise") == _without_times(built)
    assert [total for what, number, total in told if "points" in what and number == 0] == [
        18 - done * (word == "points")
    ]


def test_a_point_that_was_killed_inside_goes_on_from_its_checkpoint(
    built: Path, tmp_path: Path, examples: RankExamples, monkeypatch: pytest.MonkeyPatch
) -> None:
    ladder, point = Ladder(examples, run_of(tmp_path).spec, tmp_path), Point(16, 1.0, 1)
    teach(ladder, 1.0)
    steps: list[int] = []

    def killed(done: int, _: int) -> None:
        steps.append(done)
        if done == 3 and len(steps) == 3:
            raise Killed

    monkeypatch.setattr("ragsignal.training.advise.points.silent_steps", killed)
    with pytest.raises(Killed):
        train_point(ladder, point)
    train_point(ladder, point)
    assert steps == [1, 2, 3, 3, 4]  # the checkpoint is of step 2
    ours, theirs = (json.loads(path.read_text()) for path in (ladder.point_file(point), built / "points/16-1-1.json"))
    assert ours["days"] == theirs["days"]


def test_a_finished_ladder_trains_nothing_again_and_takes_another_size(built: Path) -> None:
    told: list[str] = []
    folder, before = built.parent, _without_times(built)
    again = SizeAdvice(run_of(folder, lambda what, *_: told.append(what)), 1)
    assert again.estimate().points == 0
    again.build()
    assert not [what for what in told if "train" in what]
    assert _without_times(built) == before
    wider = SizeAdvice(run_of(folder, advise={"sizes": [8, 12, 16, 20]}), 1)
    assert {point.hidden for point in wider.missing} == {20}


@pytest.mark.slow
def test_two_processes_give_the_bytes_of_one(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "advise")
    for name in ("8-0.25-0", "12-0.25-1", "16-0.25-0"):
        (tmp_path / "advise" / "points" / f"{name}.json").unlink()
    SizeAdvice(run_of(tmp_path), 2).build()
    assert _without_times(tmp_path / "advise") == _without_times(built)


# --------------------------------------------------------------------------------------------------------- command


def test_the_command_tells_the_cost_and_stops_there_with_dry_run(tmp_path: Path) -> None:
    path = write_train_spec(tmp_path, **{**TABLES, "out": str(tmp_path / "out")})
    result = CliRunner().invoke(app, ["train", "advise", str(path), "--dry-run", "--jobs", "2"])
    assert result.exit_code == 0, result.output
    cost = json.loads(result.stdout)
    assert cost["points"] == 18
    assert set(cost["by_size"]) == {"8", "12", "16"}
    assert cost["minutes"] == pytest.approx(cost["core_seconds"] / 120)
    assert "18 points to train" in result.stderr
    assert not (tmp_path / "out").exists()


def test_the_command_prints_what_was_built(built: Path, tmp_path: Path) -> None:
    path = write_train_spec(tmp_path, **{**TABLES, "out": str(built.parent)})
    result = CliRunner().invoke(app, ["train", "advise", str(path), "--jobs", "1"])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["words"] == _record(built)["words"]
    for line in [*record["words"], record["times"]["next_step"]["words"]]:
        assert line in result.stderr
    page = (built / "advice.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    assert page.count("<circle") == 9
    assert "http" not in page
    assert "take ranks.hidden" in page.lower()


# --------------------------------------------------------------------------------------------------- wrong inputs


def test_a_spec_without_the_table_is_recorded_as_ever() -> None:
    assert "advise" not in train_spec().model_dump()
    assert "advise" in train_spec(advise={"steps": 7}).model_dump()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": [8, 16]}, r"2 sizes, and at least 3 were expected"),
        ({"sizes": [8, 16, 16]}, r"16 stands there twice; name each of the sizes once"),
        ({"sizes": [4, 8, 16]}, r"4 is no width of a model; 8 is the least"),
        ({"fractions": [0.0, 0.5, 1.0]}, r"0 is no share of the training days"),
        ({"fractions": [0.5, 1.0, 1.5]}, r"1\.5 is no share of the training days"),
        ({"fractions": [0.25, 0.5, 0.75]}, r"the whole corpus is not among them"),
        ({"fractions": [0.5, 0.5, 1.0]}, r"0\.5 stands there twice; name each of the fractions once"),
        ({"fractions": [0.5, 1.0]}, r"2 fractions, and at least 3 were expected"),
        ({"seeds": 1}, r"seeds"),
        ({"bootstrap": 10}, r"bootstrap"),
        ({"steps": 0}, r"steps"),
        ({"depths": [1]}, r"depths"),
    ],
)
def test_a_table_that_makes_no_ladder_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        train_spec(advise=changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stockllm": {"reader": "text"}}, r'stockllm\.reader is "text".*write \[stockllm\] reader = "ranks"'),
        ({"ranks": {"k": [0, 5]}}, r"ranks\.k is \[0, 5\]; add --set ranks\.k=\[0\]"),
        ({"advise": {"sizes": [8, 12, 18]}}, r"18 is no even multiple of ranks\.heads = 2; write multiples of 4"),
        (
            {"split": {"protocol": "paper", "train_symbols": ["S00"], "valid_symbols": ["S01"]}},
            r'write protocol = "time"',
        ),
    ],
)
def test_a_spec_that_no_ladder_can_be_built_of_is_refused_before_prices_are_read(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        SizeAdvice(run_of(tmp_path, **changes))


def test_too_few_days_are_refused(tmp_path: Path) -> None:
    few = run_of(tmp_path, split={"valid_from": date(2014, 9, 1)})
    with pytest.raises(DataError, match=r"8\d validation days .*at least 100 were expected.*move split\.valid_from"):
        SizeAdvice(few).estimate()
    coarse = run_of(tmp_path, boosting={"least_rows": 400})
    with pytest.raises(DataError, match=r"holds \d+ labels, of which a tree .* needs 800 .*lower boosting\.least_rows"):
        SizeAdvice(coarse).estimate()
    long = run_of(tmp_path, ranks={"days": 60})
    with pytest.raises(DataError, match=r"advise\.fractions = 0\.25, holds 3\d training days.*lower ranks\.days"):
        SizeAdvice(long).estimate()


def test_points_of_other_formulas_are_refused(tmp_path: Path) -> None:
    def digest(*formulas: str) -> str:
        table = {"name": "fade", "known_through": date(2008, 12, 31)}
        alphas = [{**table, "formula": formula} for formula in formulas]
        return SizeAdvice(run_of(tmp_path, corpus={"alphas": alphas} if alphas else {}), 1)._digest

    assert len({digest(), digest("-ts_delta(close, 1)"), digest("-ts_delta(close, 2)")}) == 3


def test_a_folder_that_is_not_this_ladders_is_refused(built: Path, tmp_path: Path) -> None:
    for changes in ({"advise": {"steps": 6}}, {"boosting": {"trees": 4}}, {"ranks": {"window": 2}}):
        with pytest.raises(ConfigError, match=r"holds the ladder of another spec.*name another `out`"):
            SizeAdvice(run_of(built.parent, **changes)).estimate()
    (tmp_path / "advise").mkdir()
    (tmp_path / "advise" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"is not empty, and holds no ladder"):
        SizeAdvice(run_of(tmp_path)).build()
    (tmp_path / "advise" / "ladder.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"ladder\.json cannot be read .*delete"):
        SizeAdvice(run_of(tmp_path)).build()


def test_a_damaged_point_is_told_with_its_repair(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "advise")
    torn = tmp_path / "advise" / "points" / "8-1-0.json"
    for text in ('{"days": {"n": [1]}}', "{", "[]"):
        torn.write_text(text, encoding="utf-8")
        with pytest.raises(StoreError, match=r"8-1-0\.json is damaged.*delete it, and type the command again"):
            SizeAdvice(run_of(tmp_path), 1).build()
    short = json.loads((built / "points" / "8-1-0.json").read_text(encoding="utf-8"))
    short["days"] = {name: values[1:] for name, values in short["days"].items()}
    torn.write_text(json.dumps(short), encoding="utf-8")
    with pytest.raises(StoreError, match="is of other validation days"):
        SizeAdvice(run_of(tmp_path), 1).build()
    torn.unlink()
    SizeAdvice(run_of(tmp_path), 1).build()
    assert _without_times(tmp_path / "advise") == _without_times(built)
