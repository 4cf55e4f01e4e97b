"""How a warm step begins: which days it draws, what LoRA may move, and what elastic weight consolidation holds back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.config import WalkForwardSpec
from ragsignal.llm.rank_model import RankLM, rank_config
from ragsignal.training.examples import age_chances
from ragsignal.training.ranks.warm import OldDays, WarmStart, changes, ewc_penalty, importance, plain_weights
from tests.specs import train_spec

RANKS = train_spec(ranks={"hidden": 16, "layers": 1, "heads": 2, "window": 3}).ranks
DAYS, LAST = 24, 299


def walk_of(**keys: Any) -> WalkForwardSpec:
    """The table without its training spec, which nothing here reads."""
    return WalkForwardSpec.model_construct(**{"warm": True, **keys})


def model_of(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return RankLM(rank_config(RANKS))


def old_days(rows: int = 60) -> OldDays:
    letters = np.random.default_rng(1).integers(0, 17, (rows, 12, 41)).astype(np.uint8)
    return OldDays(letters, np.ones((rows, 12), dtype=bool), DAYS, 8)


def start_of(trunk: Any, **keys: Any) -> WarmStart:
    return WarmStart(trunk, walk_of(**keys), LAST, old_days(), 0)


def letters_of(rows: int = 30) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(2).integers(0, 17, (5, rows, 41)).astype(np.uint8))


# ------------------------------------------------------------------------------------------------------ which days


@given(age=st.integers(0, 3000), half_life=st.integers(1, 2000))
def test_a_day_that_is_a_half_life_older_is_drawn_half_as_often(age: int, half_life: int) -> None:
    chances = age_chances(np.array([0, 7, 7 + half_life]), half_life)
    assert chances.sum() == pytest.approx(1.0)
    assert chances[2] == pytest.approx(chances[1] / 2)
    nearer, farther = age_chances(np.array([age, age + 1]), half_life)
    assert nearer > farther


def test_windows_are_drawn_by_their_age_and_the_oldest_too() -> None:
    start, rng = start_of(model_of(), replay=True, half_life=100), np.random.default_rng(0)
    firsts = np.array([start.draw(rng, 0, 576, 599) for _ in range(4000)])
    ages = 599 - (firsts + DAYS - 1)
    assert ages.min() == 0
    assert ages.max() > 400  # replay reaches back behind what is new, which begins at an age of 300
    expected = age_chances(np.arange(577), 100)
    for low, high in ((0, 100), (100, 200), (200, 577)):
        share = np.mean((ages >= low) & (ages < high))
        assert share == pytest.approx(expected[low:high].sum(), abs=0.03)


@settings(deadline=None)
@given(seed=st.integers(0, 999), new=st.integers(1, 60))
def test_without_replay_every_window_ends_on_a_day_that_the_step_before_did_not_train_on(seed: int, new: int) -> None:
    start, end = start_of(model_of(), replay=False), LAST + new
    first = start.draw(np.random.default_rng(seed), 0, end - DAYS + 1, end)
    assert LAST < first + DAYS - 1 <= end


# ---------------------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("weights", ["all", "lora"])
def test_a_warm_model_begins_as_the_step_before_ended(weights: str) -> None:
    trunk = model_of().eval()
    begun = start_of(trunk, warm_weights=weights).begin().eval()
    with torch.no_grad():
        assert torch.equal(begun(letters_of()), trunk(letters_of()))
    plain = plain_weights(begun)
    assert plain.keys() == trunk.state_dict().keys()
    assert all(torch.equal(plain[name], it) for name, it in trunk.state_dict().items())


def test_lora_moves_the_layers_of_the_decoder_alone_and_is_added_to_them() -> None:
    trunk = model_of()
    before = {name: it.clone() for name, it in trunk.state_dict().items()}
    begun = start_of(trunk, warm_weights="lora", warm_rank=2).begin()
    learned = [it for it in begun.parameters() if it.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=1.0)
    for _ in range(3):
        optimizer.zero_grad()
        (begun(letters_of()) ** 2).mean().backward()
        optimizer.step()
    plain = model_of(seed=1)
    plain.load_state_dict(plain_weights(begun))
    with torch.no_grad():
        assert torch.allclose(plain.eval()(letters_of()), begun.eval()(letters_of()), atol=1e-6)
    moved = {name for name, it in plain.state_dict().items() if not torch.equal(it, before[name])}
    assert moved == {name for name in before if name.endswith("_proj.weight")}
    assert all(torch.equal(it, before[name]) for name, it in trunk.state_dict().items())  # another model's
    for name, change in changes(begun, before).items():
        assert torch.linalg.matrix_rank(change.detach(), atol=1e-6) <= 2
        assert torch.allclose(change.detach(), plain.state_dict()[name] - before[name], atol=1e-6)


# -------------------------------------------------------------------------------- elastic weight consolidation


class Linear(torch.nn.Module):
    """A score that is one product: its error is a quadratic of its weights."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(weights))

    def forward(self, read: torch.Tensor) -> torch.Tensor:
        return read @ self.w


def test_the_importance_of_a_linear_score_is_twice_the_mean_square_of_what_it_reads() -> None:
    read = torch.randn(400, 50, 2, generator=torch.Generator().manual_seed(3)) * torch.tensor([1.0, 3.0])
    known = torch.rand(400, 50, generator=torch.Generator().manual_seed(4)) < 0.7
    windows = [(read[number : number + 1], known[number : number + 1]) for number in range(400)]
    found = importance(Linear([0.3, -0.2]), windows, seed=0)["w"]
    expected = 2.0 * (read[known] ** 2).mean(dim=0)
    assert torch.allclose(found, expected, rtol=0.25)  # of 400 windows with random signs the error is a fourteenth


@pytest.mark.parametrize("weight", [0.0, 0.5, 4.0, 1000.0])
def test_the_penalty_pulls_to_the_old_weights_as_the_quadratic_says(weight: float) -> None:
    old, wanted, importances = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.0]), torch.tensor([2.0, 0.0])
    model = Linear(old.tolist())
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Any:
        optimizer.zero_grad()
        moved = changes(model, {"w": old})
        value = ((model.w - wanted) ** 2).sum() + weight * ewc_penalty(moved, {"w": importances})
        value.backward()
        return value

    optimizer.step(loss)
    expected = (2.0 * wanted + weight * importances * old) / (2.0 + weight * importances)
    assert torch.allclose(model.w.detach(), expected, atol=1e-3)
    assert model.w[1].item() == pytest.approx(0.0, abs=1e-3)  # what did not matter is free


@pytest.mark.parametrize("weights", ["all", "lora"])
def test_of_a_model_the_penalty_is_zero_at_its_beginning_and_grows_with_its_weight(weights: str) -> None:
    trunk = model_of()

    def penalty(ewc: float) -> float:
        start = start_of(trunk, warm_weights=weights, ewc=ewc)
        torch.manual_seed(0)  # LoRA begins at random
        model = start.begin()
        assert float(torch.as_tensor(start.penalty(model)).detach()) == 0.0
        with torch.no_grad():
            for number, it in enumerate(p for p in model.parameters() if p.requires_grad):
                it.add_(torch.randn(it.shape, generator=torch.Generator().manual_seed(number)) * 0.1)
        return float(torch.as_tensor(start.penalty(model)).detach())

    assert penalty(0.0) == 0.0
    once, thrice = penalty(1.0), penalty(3.0)
    assert once > 0.0
    assert thrice == pytest.approx(3 * once, rel=1e-4)


def test_the_importance_is_the_same_twice_and_does_not_move_the_weights() -> None:
    trunk = model_of()
    before = {name: it.clone() for name, it in trunk.state_dict().items()}
    once, again = (importance(trunk, old_days().windows(5), 5) for _ in range(2))
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert all(torch.equal(it, before[name]) for name, it in trunk.state_dict().items())
    assert all(bool((it >= 0).all()) for it in once.values())
    assert float(once["head.weight"].sum()) > 0
