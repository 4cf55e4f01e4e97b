"""The table ``[walk_forward]``: how often models are trained anew, on which days, and whether they go on."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from ragsignal.config.tables import AtLeastOne, FilePath, Table
from ragsignal.config.train import TrainSpec


def _unless(default: Any, **checks: Any) -> Any:
    """A key that is written only where it is not its default."""
    return Field(default=default, exclude_if=lambda it: it == default, **checks)


OF_WARM = ("warm_weights", "warm_steps", "warm_rate", "warm_rank", "replay", "half_life", "ewc")
"""Keys of ``[walk_forward]`` that say how a warm step is trained."""


class WalkForwardSpec(Table):
    """Retraining on the way: the window is cut into steps, and each is scored by models that were trained before it.

    ``train`` is written as the path of a training spec, which is read with the run's; of it ``data.start``,
    ``data.end`` and ``split.valid_from`` are set anew at every step, the rest holds for all. ``every`` is the length
    of a step: a calendar period, or a number of bars. A training window ends ``embargo`` bars before its step, labels
    included, and its last ``valid`` bars validate. ``expanding``: it begins at the training spec's ``data.start``;
    ``sliding``: it is ``years`` or ``bars`` long. Artifacts lie in ``artifacts``, by default the training spec's
    ``out``.

    ``warm``: StockLLM of each step but the first goes on from the weights of the step before, for ``warm_steps`` steps
    in the place of ``ranks.steps`` (of a reader of text: of all its epochs), at ``warm_rate`` times the learning rate.
    ``warm_weights`` says what is trained: ``all`` of a reader of ranks, or a ``lora`` of ``warm_rank`` on its frozen
    weights; a reader of text goes on with its adapter, ``lora``. It draws days that the step before did not train on;
    with ``replay`` older ones too, those of ``half_life`` bars ago half as often as the newest. ``ewc`` is the weight
    of elastic weight consolidation, which holds those weights back that mattered on the days of the step before; 0:
    none.
    """

    train: TrainSpec
    every: Literal["year", "quarter", "month"] | AtLeastOne = "year"
    window: Literal["expanding", "sliding"] = "expanding"
    years: AtLeastOne | None = None
    bars: AtLeastOne | None = None
    valid: int = Field(default=250, ge=2)
    embargo: AtLeastOne = 5
    artifacts: FilePath | None = None
    # left out where they have their defaults: specs, records and addresses from before them stay as they are
    warm: bool = _unless(False)
    warm_weights: Literal["all", "lora"] = _unless("all")
    warm_steps: AtLeastOne = _unless(100)
    warm_rate: float = _unless(1.0, gt=0)
    warm_rank: AtLeastOne = _unless(8)
    replay: bool = _unless(False)
    half_life: AtLeastOne = _unless(500)
    ewc: float = _unless(0.0, ge=0)

    @property
    def warm_recipe(self) -> dict[str, Any]:
        """How a warm step is trained: all that decides its weights beside the training spec."""
        return {key: getattr(self, key) for key in OF_WARM}

    @model_validator(mode="after")
    def _check(self) -> WalkForwardSpec:
        lengths = [name for name in ("years", "bars") if getattr(self, name) is not None]
        if self.window == "sliding" and len(lengths) != 1:
            raise ValueError('window = "sliding" needs its length: years or bars, one of the two')
        if self.window == "expanding" and lengths:
            raise ValueError(f'{lengths[0]} belongs to window = "sliding"; an expanding one begins at train.data.start')
        if self.train.split.protocol == "paper":
            raise ValueError('train.split.protocol = "paper" trains on the days it validates on; write "time"')
        if self.train.news is not None and self.train.news.path is None:
            raise ValueError(
                "train: [news] has no path, and a made-up market brings news for the days of one run alone; write its "
                'table into a file, and path = "news.csv" in both specs'
            )
        self._check_warm()
        return self

    def _check_warm(self) -> None:
        changed = [key for key in OF_WARM if getattr(self, key) != type(self).model_fields[key].default]
        if not self.warm:
            if changed:
                raise ValueError(f"{', '.join(changed)} belong to warm = true; write it, or delete them")
            return
        if self.window == "sliding":
            raise ValueError(
                'warm = true goes on from weights that saw all days before, so window = "sliding" would leave nothing '
                'out; write window = "expanding" (a warm step draws new days alone, unless replay = true)'
            )
        if not self.replay and "half_life" in changed:
            raise ValueError("half_life says how often older days are drawn: write replay = true, or delete half_life")
        if self.train.stockllm.reader == "text":
            self._check_warm_text()
        elif self.warm_weights == "all" and "warm_rank" in changed:
            raise ValueError('warm_rank is that of warm_weights = "lora"; write it, or delete warm_rank')
        anew = self.train.steps_anew
        if self.warm_steps >= anew:
            raise ValueError(
                f"warm_steps = {self.warm_steps} are no fewer than the {anew} steps of a training from nothing; write "
                f"warm_steps = {max(1, anew // 5)}, or delete warm = true"
            )

    def _check_warm_text(self) -> None:
        """Of a reader of text the adapter is all that is trained, and peft can take up LoRA's alone."""
        if self.train.stockllm.method != "lora":
            raise ValueError(
                f'warm = true cannot go on with an adapter of stockllm.method = "{self.train.stockllm.method}", whose '
                'state is not in its weights alone; write method = "lora" in the training spec'
            )
        if self.warm_weights != "lora":
            raise ValueError('warm = true of a reader of text trains its adapter; write warm_weights = "lora"')
        if self.ewc or self.warm_rank != type(self).model_fields["warm_rank"].default:
            raise ValueError(
                "ewc and warm_rank are of readers of ranks; a reader of text goes on with an adapter of stockllm.rank: "
                "delete them"
            )
