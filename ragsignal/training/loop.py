"""transformers' Trainer, set up once for all models here: quiet, resumable, stopped early, with progress.

A rerun goes on from the last checkpoint (:meth:`ragsignal.training.run.TrainingRun.work_folder`). Checkpoints are
torch's own files (read with ``weights_only``); artifacts hold none.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback, TrainingArguments
from transformers.integrations import integration_utils
from transformers.trainer_callback import ExportableState

from ragsignal.config import ClassifierTraining, FinseerTraining, StockLLMTraining
from ragsignal.errors import ModelError
from ragsignal.utils import Steps, quiet_loading

WARMUP = 0.05
"""Share of the steps, for models that start from pretrained weights."""
_STATE = "trainer_state.json"  # the last file of a checkpoint: where it is missing, the kill came in between


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; torn ones are deleted."""
    checkpoints = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    whole = [path for path in checkpoints if _is_whole(path)]
    for torn in set(checkpoints) - set(whole):
        shutil.rmtree(torn)
    return whole[-1] if whole else None


def check_trackers(names: tuple[str, ...]) -> None:
    """Make the trackers that a run reports to once on trial: before the model is loaded, not after.

    Raises
    ------
    ModelError
        If transformers does not know one, or it is not installed.
    """
    integrations: Any = integration_utils  # its functions carry no types
    try:
        for tracker in integrations.get_reporting_integration_callbacks(list(names)):
            tracker()
    except (ImportError, RuntimeError, ValueError) as error:
        raise ModelError(f"cannot report to {', '.join(names)}: {error} Install it, or empty report_to") from error


def arguments(
    settings: StockLLMTraining | FinseerTraining | ClassifierTraining,
    folder: Path,
    device: str,
    *,
    kind: Any = TrainingArguments,
    **options: Any,
) -> Any:
    """Arguments of a quiet run along half a cosine, with a checkpoint every few steps.

    Parameters
    ----------
    settings
        Where they have ``eval_steps``, the validation loss is computed before each checkpoint, and the best one kept.
    folder : Path
        Of the checkpoints.
    device : {"cpu", "cuda"}
    kind : type
        ``TrainingArguments``, or a subclass of it.
    **options
        Of ``kind``.
    """
    every = settings.save_steps if isinstance(settings, FinseerTraining) else settings.eval_steps
    evaluation = {
        "eval_strategy": "steps",
        "eval_steps": every,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "restore_callback_states_from_checkpoint": True,  # patience goes on counting after a kill
    }
    fixed = {
        "output_dir": str(folder),
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "per_device_train_batch_size": settings.batch_size,
        "seed": settings.seed,
        "use_cpu": device == "cpu",
        "dataloader_pin_memory": device != "cpu",
        "lr_scheduler_type": "cosine",
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 2,  # the best and the last; a kill during a save leaves the one before
        "disable_tqdm": True,
        "logging_steps": 10,
        "report_to": "none",
        "remove_unused_columns": False,
    }
    return kind(**fixed | ({} if isinstance(settings, FinseerTraining) else evaluation) | options)


class ProgressCallback(TrainerCallback):
    """Reports the number of steps that are done, and of all."""

    def __init__(self, progress: Steps) -> None:
        self._progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Report a step."""
        self._progress(state.global_step, state.max_steps)

    on_train_begin = on_step_end  # the cost is told before it is paid


class CpuSeconds(TrainerCallback, ExportableState):
    """Counts the processor's seconds of the steps, of all threads; a checkpoint holds them, so that none is lost."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Begin to count."""
        self._began = time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Add what the step took."""
        self.seconds += time.process_time() - self._began

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"args": {}, "attributes": {"seconds": self.seconds}}


def cpu_seconds(trainer: Any) -> float:
    """Return the processor's seconds of all steps of a trainer."""
    # the Trainer puts another object in the callback's place when it goes on from a checkpoint
    (counter,) = (it for it in trainer.callback_handler.callbacks if isinstance(it, CpuSeconds))
    return counter.seconds


def callbacks(progress: Steps, patience: int | None = None) -> list[TrainerCallback]:
    """Progress, seconds, and early stopping where there is a patience: evaluations that bring nothing better."""
    stopping = [] if patience is None else [EarlyStoppingCallback(early_stopping_patience=patience)]
    return [ProgressCallback(progress), CpuSeconds(), *stopping]


def run(trainer: Any, folder: Path) -> None:
    """Train, from the last checkpoint where there is one, and print nothing.

    Parameters
    ----------
    trainer
        Of transformers.
    folder : Path
        Of its checkpoints.
    """
    trainer.remove_callback(PrinterCallback)  # it prints every log to stdout, where only the result belongs
    checkpoint = last_checkpoint(folder)
    with quiet_loading():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
