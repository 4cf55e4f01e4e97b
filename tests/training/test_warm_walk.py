"""A walk-forward that goes on from its own weights: the laws of every step, the chain of addresses, what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from ragsignal.artifacts import load_artifact
from ragsignal.cli.app import app
from ragsignal.config import load_spec
from ragsignal.data import Prices
from ragsignal.errors import ConfigError, LookAheadError, ModelError
from ragsignal.study.study import Study
from ragsignal.study.walk_forward.address import TrainedKind, address
from ragsignal.study.walk_forward.plan import Plan
from ragsignal.training.walk_forward import StepTrainingRun, WalkForwardTraining
from ragsignal.utils import silent
from tests.specs import HOLD, Tables, changed, train_spec, write
from tests.tiny import tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.slow

SYMBOLS = [f"S{number:02d}" for number in range(24)]
DATA: Tables = {"source": "planted", "symbols": SYMBOLS}
TRAIN: Tables = {
    "name": "warm",
    "out": "artifacts",
    "data": DATA | {"start": date(2014, 1, 6), "end": date(2014, 12, 31)},
    "split": {"valid_from": date(2014, 10, 1)},
    "corpus": {"target": "relative"},
    "classifier": {"kind": "boosting"},
    "boosting": {"members": 1, "trees": 4, "least_rows": 200},
    "stockllm": {"reader": "ranks"},
    "ranks": {
        "hidden": 16,
        "layers": 1,
        "heads": 2,
        "window": 3,
        "seeds": 1,
        "steps": 8,
        "stocks": 12,
        "eval_steps": 2,
    },
}
RUN: Tables = {
    "name": "warm",
    "benchmark": "hold",
    "data": DATA | {"start": date(2014, 10, 1), "end": date(2015, 6, 30)},
    "walk_forward": {"train": "warm.train.toml", "every": 70, "valid": 30, "warm": True, "warm_steps": 4},
    "corpus": {"target": "relative"},
    "retrieval": {"retriever": "none"},
    "llm": {"model": "walk:stockllm"},
    "evaluation": {"target": "relative", "every": 5},
    "strategy": {"class": "ragsignal.strategies:SlowBook"},
    "variant": [{"name": "stockllm"}, HOLD],
}


def written(folder: Path, run: Tables = RUN, train: Tables = TRAIN) -> Path:
    """A run spec, beside its training spec."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "warm.train.toml", train)
    return write(folder / "warm.toml", run)


def warm(**keys: Any) -> Tables:
    return changed(RUN, walk_forward=keys)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> WalkForwardTraining:
    """Three steps, trained from one made-up market."""
    training = WalkForwardTraining(load_spec(written(tmp_path_factory.mktemp("warm"))))
    training.train()
    return training


def training_of(
    folder: Path, market: WalkForwardTraining, run: Tables = RUN, prices: Prices | None = None, progress: Any = silent
) -> WalkForwardTraining:
    """A walk-forward over the prices of another one, or others; artifacts of its first step are there."""
    spec = load_spec(written(folder, run))
    plan = Plan(spec, prices or market.plan.history)
    plan.__dict__["history"] = prices or market.plan.history
    training = WalkForwardTraining(spec, progress)
    training.__dict__["plan"] = plan
    for kind in ("classifier", "stockllm"):
        known = market.plan.folder(market.plan.steps[0], kind)
        if not plan.root.joinpath(kind, known.name).exists():
            shutil.copytree(known, plan.root / kind / known.name)
    return training


# ------------------------------------------------------------------------------------------------------------- laws


def test_what_is_known_grows_step_by_step_and_ends_before_each_step(trained: WalkForwardTraining) -> None:
    steps, artifacts = trained.plan.steps, trained.train()
    assert len(steps) == 3
    through = [artifact.card.trained_through for artifact in artifacts]
    assert through == [step.train_end for step in steps]
    assert all(day < step.first for day, step in zip(through, steps, strict=True))
    assert ["warm" in artifact.card.recipe for artifact in artifacts] == [False, True, True]
    assert [it.card.recipe["warm"]["before"] for it in artifacts[1:]] == [it.digest for it in artifacts[:-1]]
    study = Study(trained.spec)
    for parts, variant in study.steps(study.spec.variants[0]):
        parts.check(variant)


def test_poisoning_the_days_after_a_training_window_leaves_its_weights_equal(
    trained: WalkForwardTraining, tmp_path: Path
) -> None:
    after = trained.plan.steps[1].train_end
    same = training_of(tmp_path, trained, RUN, poisoned_after(trained.plan.history, after))
    assert [left == right for left, right in zip(addresses(trained), addresses(same), strict=True)] == [
        True,
        True,
        False,
    ]
    for task in same.missing()[:2]:
        same._do(task)
    kinds: tuple[TrainedKind, ...] = ("classifier", "stockllm")
    for kind in kinds:
        one, two = (load_artifact(it.plan.folder(trained.plan.steps[1], kind), kind) for it in (trained, same))
        assert one.card.files == two.card.files


@pytest.mark.parametrize("keys", [{"ewc": 2.0}, {"warm_weights": "lora", "warm_rank": 2}])
def test_a_killed_training_goes_on_to_equal_bytes(trained: WalkForwardTraining, tmp_path: Path, keys: Tables) -> None:
    run = warm(every=120, warm_steps=6, **keys)
    whole = training_of(tmp_path / "whole", trained, run).train()

    def killed(what: str, done: int, _: int) -> None:
        if "StockLLM" in what and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training_of(tmp_path / "killed", trained, run, progress=killed).train()
    heard: list[int] = []
    rest = training_of(
        tmp_path / "killed", trained, run, progress=lambda what, done, _: heard.append(done) if "seed" in what else None
    )
    assert [(task.kind, task.warm_steps) for task in rest.missing()] == [("stockllm", 6)]
    again = rest.train()
    assert heard == [5, 6]  # from the checkpoint of 4 steps on
    assert [it.card.files for it in again] == [it.card.files for it in whole]
    assert [it.digest for it in again] == [it.digest for it in whole]


def test_a_step_before_that_knows_too_much_is_refused(trained: WalkForwardTraining, tmp_path: Path) -> None:
    """As if an address lied: the law holds for what a step goes on from, too."""
    plan = training_of(tmp_path, trained).plan
    first = plan.folder(plan.steps[0], "stockllm")
    shutil.rmtree(first)
    shutil.copytree(trained.plan.folder(plan.steps[2], "stockllm"), first)
    with pytest.raises(
        LookAheadError, match=r"was trained through 2015-0\d-\d\d, and this step may know nothing after"
    ):
        _ = StepTrainingRun(plan.training(plan.steps[1]), plan=plan, step=plan.steps[1]).before
    shutil.rmtree(first)
    with pytest.raises(ModelError, match="stockllm"):
        _ = StepTrainingRun(plan.training(plan.steps[1]), plan=plan, step=plan.steps[1]).before


def poisoned_after(prices: Prices, after: date) -> Prices:
    """The same past, and in the place of all later bars twice another stock's."""
    frames, names = prices.frames, list(prices.frames)
    out = {}
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        past = frames[name].index <= pd.Timestamp(after)
        out[name] = pd.concat([frames[name][past], frames[other][~past] * 2.0])
    return replace(prices, frames=out)


# ------------------------------------------------------------------------------------------------------------ chain


def addresses(training: WalkForwardTraining, kind: TrainedKind = "stockllm") -> list[str]:
    plan = training.plan
    return [plan.folder(step, kind).name for step in plan.steps]


def test_another_first_step_is_a_miss_of_all_later_ones(trained: WalkForwardTraining, tmp_path: Path) -> None:
    known = addresses(trained)
    early = training_of(tmp_path / "past", trained, RUN, poisoned_after(trained.plan.history, date(2014, 8, 1)))
    assert not {*known} & {*addresses(early)}
    later = training_of(tmp_path / "late", trained, changed(RUN, data={"start": trained.plan.steps[1].first}))
    assert later.plan.steps == trained.plan.steps[1:]  # the same days, prices and settings, but for the first step
    assert not {*known} & {*addresses(later)}
    assert addresses(later, "classifier") == addresses(trained, "classifier")[1:]  # it is trained anew at every step


@pytest.mark.parametrize(
    "keys",
    [
        {"warm_steps": 5},
        {"warm_rate": 0.5},
        {"warm_weights": "lora"},
        {"replay": True},
        {"replay": True, "half_life": 100},
        {"ewc": 1.0},
        {"warm": None, "warm_steps": None},
    ],
)
def test_how_it_goes_on_is_another_address_of_all_but_the_first_step(
    trained: WalkForwardTraining, tmp_path: Path, keys: Tables
) -> None:
    other = training_of(tmp_path, trained, warm(**keys))
    assert [left == right for left, right in zip(addresses(trained), addresses(other), strict=True)] == [
        True,
        False,
        False,
    ]


def test_addresses_without_warm_are_what_they_have_always_been() -> None:
    ranks = train_spec(stockllm={"reader": "ranks"}, classifier={"kind": "boosting"})
    assert address(ranks, "stockllm", "p", lambda _: "b").startswith("794747981395d69f")
    assert address(ranks, "classifier", "p", lambda _: "b").startswith("478a0f14fbfb92fb")
    assert address(train_spec(), "stockllm", "p", lambda _: "b").startswith("609cabbb2b9fbd51")
    assert address(train_spec(), "feedback", "p", lambda _: "b").startswith("9a20a47f416d8ce3")


def test_a_spec_without_warm_is_written_without_its_keys(tmp_path: Path) -> None:
    off = {"warm": None, "warm_steps": None}
    dump = load_spec(written(tmp_path, warm(**off))).model_dump(mode="json", by_alias=True)["walk_forward"]
    assert set(dump) == {"train", "every", "window", "years", "bars", "valid", "embargo", "artifacts"}
    on = load_spec(written(tmp_path)).model_dump(mode="json", by_alias=True)["walk_forward"]
    assert set(on) - set(dump) == {"warm", "warm_steps"}


# ---------------------------------------------------------------------------------------------------------- command


def test_the_command_tells_the_cost_before_and_the_matrix_after(trained: WalkForwardTraining) -> None:
    path = trained.plan.root.parent / "warm.toml"

    def ran(*words: str) -> Any:
        done = CliRunner().invoke(app, [*words[:-1], str(path), *words[-1].split()])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout), done.stderr

    dry, words = ran("train", "walk-forward", "--dry-run --set walk_forward.warm_rate=0.5")
    assert "2 x warm stockllm: 1 models, 1,152 labels each at most" in words
    assert [it["kind"] for it in dry["to_train"]] == ["stockllm", "stockllm"]
    assert "forgetting" not in dry
    told, words = ran("train", "walk-forward", "")
    matrix = told["forgetting"]
    assert [period["number"] for period in matrix["periods"]] == [0, 1, 2, 3]
    assert [cell["in_sample"] for cell in matrix["cells"]] == [
        cell["period"] < cell["step"] for cell in matrix["cells"]
    ]
    assert [cost["steps"] for cost in matrix["costs"]] == [8, 4, 4]
    assert [cost["warm"] for cost in matrix["costs"]] == [False, True, True]
    assert all(seconds > 0 for seconds in told["training_seconds"])
    assert "Cost of a step that was warm: 4 optimizer steps" in words
    evaluated, _ = ran("evaluate", f"--out {path.parent / 'runs'}")
    record = json.loads((Path(evaluated["run_dir"]) / "record.json").read_text(encoding="utf-8"))
    assert record["forgetting"] == matrix
    assert "* in sample" in (Path(evaluated["run_dir"]) / "table.md").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------------------------- text


def test_a_reader_of_text_goes_on_with_the_adapter_of_the_step_before(tmp_path: Path) -> None:
    base = tiny_llama(tmp_path / "base", tiny_tokenizer(), context=1024)
    llm = {"model": base, "dtype": "float32"}
    data = {"symbols": SYMBOLS[:2]}
    keys = {"warm_weights": "lora", "warm_steps": 2, "warm_rate": 1e-9, "every": 120}
    run = changed(warm(**keys), data=data, llm=llm | {"adapter": "walk:stockllm"}, corpus={"target": "movement"})
    stockllm = {"reader": "text", "rank": 2, "examples": 32, "valid_examples": 16, "k": [0], "batch_size": 8}
    train = changed(
        TRAIN, data=data, llm=llm, corpus={"target": "movement"}, stockllm=stockllm, classifier=None, ranks=None
    )
    spec = load_spec(written(tmp_path, run, changed(train, boosting=None)))
    training = WalkForwardTraining(spec)
    assert [task.size for task in training.missing()] == [
        "32 prompts forward and back, 16 to calibrate",
        "16 prompts forward and back, 16 to calibrate",
    ]
    first, second = training.train()
    old, new = (load_file(it.folder / "adapter_model.safetensors") for it in (first, second))
    assert old.keys() == new.keys()
    assert all(np.allclose(old[name], new[name], atol=1e-6) for name in old)  # at a rate of next to nothing
    assert any(np.abs(value).max() > 0 for name, value in new.items() if "lora_B" in name)
    assert second.card.recipe["warm"]["before"] == first.digest
    assert second.card.metrics["steps"] == 2
    assert first.card.trained_through < second.card.trained_through


# ------------------------------------------------------------------------------------------------------- wrong input

TEXT = {"reader": "text", "method": "lora"}


@pytest.mark.parametrize(
    ("keys", "stockllm", "words"),
    [
        ({"half_life": 0}, {}, "half_life"),
        ({"half_life": -250}, {}, "half_life"),
        ({"half_life": 62.5}, {}, "half_life"),
        ({"ewc": -1.0}, {}, "ewc"),
        ({"ewc": float("inf")}, {}, "ewc"),
        ({"warm_rate": 0.0}, {}, "warm_rate"),
        ({"warm_weights": "head"}, {}, "warm_weights"),
        ({"warm_steps": 8}, {}, r"warm_steps = 8 are no fewer than the 8 steps .* write warm_steps = 1"),
        ({"warm_rank": 4}, {}, r'warm_rank is that of warm_weights = "lora"'),
        ({"half_life": 100}, {}, "half_life says how often older days are drawn: write replay = true"),
        (
            {"window": "sliding", "bars": 200},
            {},
            r'window = "sliding" would leave nothing out; write window = "expanding"',
        ),
        ({"warm": False, "ewc": 1.0}, {}, "warm_steps, ewc belong to warm = true"),
        (
            {"warm_weights": "lora"},
            {"reader": "text", "method": "adalora"},
            'stockllm.method = "adalora".* write method',
        ),
        ({"warm_weights": "lora"}, {"reader": "text", "method": "prefix"}, 'stockllm.method = "prefix"'),
        ({}, TEXT, 'of a reader of text trains its adapter; write warm_weights = "lora"'),
        ({"warm_weights": "lora", "ewc": 1.0}, TEXT, "ewc and warm_rank are of readers of ranks"),
        ({"warm_weights": "lora", "warm_steps": 250}, TEXT, "no fewer than the 250 steps"),
        ({"half_live": 100}, {}, "half_life"),
    ],
)
def test_a_wrong_key_is_one_line_that_says_what_to_write(
    tmp_path: Path, keys: Tables, stockllm: Tables, words: str
) -> None:
    path = written(tmp_path, warm(**keys), changed(TRAIN, stockllm=stockllm))
    with pytest.raises(ConfigError, match=f"walk_forward.*{words}"):
        load_spec(path)


def test_a_spec_whose_variants_read_no_stockllm_cannot_go_on(tmp_path: Path) -> None:
    boosting = {"name": "boosting", "signal": "classifier", "classifier": "walk:classifier"}
    path = written(tmp_path, changed(RUN, llm=None, variant=[boosting, HOLD]))
    with pytest.raises(ConfigError, match=r"goes on with StockLLM alone, and no variant reads it; write llm.model"):
        load_spec(path)
