"""The commands that train: each writes artifacts, and goes on where a killed run stopped.

ragsignal train stockllm   SPEC      an adapter for the language model, calibrated
ragsignal train feedback   SPEC      that model's opinion of single candidates
ragsignal train finseer    SPEC      the retriever, from that opinion, or from labelled windows
ragsignal train recall     SPEC      the retriever that names what it wants, from the same opinion
ragsignal train classifier SPEC      the baseline without retrieval
ragsignal train days       SPEC      the adapter that reads retrieved days, and the retriever of days
ragsignal train advise     SPEC      which size of StockLLM on ranks fits the corpus; it writes a record, no artifact

These read a training spec. One reads a run spec with a table [walk_forward], and trains what its steps lack:

ragsignal train walk-forward SPEC    all of the above, once for each step

Another reads a run spec with a table [methods], trains what it lacks, and scores all on the run's bars:

ragsignal train methods SPEC         LoRA, AdaLoRA and prefix tuning beside prompts without training
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from ragsignal.cli.advise import advise
from ragsignal.cli.options import Out, Settings, TrainSpecPath, typed
from ragsignal.cli.terminal import Commands, answer, people, progress_bars, say
from ragsignal.utils import NewRun

if TYPE_CHECKING:
    from ragsignal.artifacts import Artifact, Kind
    from ragsignal.training import Task, TrainingRun, WalkForwardTraining
    from ragsignal.utils import Progress, Record

train_app = Commands(help="Train the models of a training spec, one after the other.")

train_app.command()(advise)


@train_app.command()
def stockllm(spec: TrainSpecPath, settings: Settings = None) -> None:
    """Teach the language model to answer rise or fall, and calibrate its answers."""
    _train(spec, settings, "stockllm", ["stockllm"])


@train_app.command()
def feedback(spec: TrainSpecPath, settings: Settings = None) -> None:
    """Ask the trained language model about single candidates: the teacher scores of FinSeer."""
    with _training_run(spec, settings, "feedback") as run:
        from ragsignal.training import load_feedback, run_feedback

        folder = run_feedback(run)
        meta = load_feedback(folder).meta
        answer({"folder": str(folder)} | {key: value for key, value in meta.items() if key != "recipe"})


@train_app.command()
def finseer(
    spec: TrainSpecPath,
    encoder: Annotated[str, typer.Option(help="text, numeric, or both.")] = "both",
    settings: Settings = None,
) -> None:
    """Train the retriever on teacher scores, or on labelled windows (finseer.loss = "supcon"), beside two controls."""
    kinds: dict[str, list[Kind]] = {"text": ["finseer-text"], "numeric": ["finseer-numeric"]}
    kinds["both"] = [kind for one in kinds.values() for kind in one]
    if encoder not in kinds:
        raise typer.BadParameter("text, numeric or both was expected", param_hint="--encoder")
    _train(spec, settings, f"finseer --encoder {encoder}", kinds[encoder])


@train_app.command()
def recall(spec: TrainSpecPath, settings: Settings = None) -> None:
    """Train the language model that names titles and prefixes, on the teacher's best candidates."""
    _train(spec, settings, "recall", ["recall"])


@train_app.command()
def classifier(spec: TrainSpecPath, settings: Settings = None) -> None:
    """Train the baseline that reads the query alone."""
    _train(spec, settings, "classifier", ["classifier"])


@train_app.command()
def days(spec: TrainSpecPath, settings: Settings = None) -> None:
    """Teach StockLLM on ranks to read retrieved days, and FinSeer which days help it."""
    _train(spec, settings, "days", ["stockllm-days", "finseer-days"])


@train_app.command("walk-forward")
def walk_forward(
    spec: Annotated[Path, typer.Argument(help="A TOML run spec with a table [walk_forward].")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and stop there.")] = False,
    settings: Settings = None,
) -> None:
    """Train what the steps of a walk-forward lack; what is there is kept."""
    from ragsignal.config import load_spec

    loaded = load_spec(spec, settings or ())
    with progress_bars() as progress:
        from ragsignal.training import WalkForwardTraining

        training = WalkForwardTraining(loaded, progress, typed("ragsignal train walk-forward", spec, settings))
        tasks = training.missing()
        people.print(_steps_table(training, tasks))
        say(_cost_of(training, tasks))
        artifacts = [] if dry_run else training.train(lambda task, took, left: say(_finished(task, took, left)))
        told = {} if dry_run else _forgetting(training, progress)
    warn(artifacts)
    rows = [{"folder": str(it.folder), "trained_through": it.card.trained_through} for it in artifacts]
    missing = [{"step": it.step.first, "kind": it.kind, "folder": str(it.folder), "size": it.size} for it in tasks]
    answer({"steps": [asdict(step) for step in training.plan.steps], "to_train": missing, "artifacts": rows} | told)


def _forgetting(training: WalkForwardTraining, progress: Progress) -> Record:
    """Print the forgetting matrix of a walk-forward that goes on from its own weights, and return it; else nothing."""
    if not training.plan.walk.warm:
        return {}
    from ragsignal.evaluation import (
        forgetting_of,
        forgetting_record,
        forgetting_sentences,
        forgetting_table,
        training_seconds,
    )
    from ragsignal.study import Study

    forgetting = forgetting_of(Study(training.spec, progress))
    if forgetting is None:
        say("no forgetting matrix of a reader of text: it would read a prompt for each step, stock and day")
        return {"forgetting": None}
    people.print(forgetting_table(forgetting))
    for sentence in forgetting_sentences(forgetting):
        say(sentence)
    return {"forgetting": forgetting_record(forgetting), "training_seconds": training_seconds(forgetting)}


@train_app.command()
def methods(
    spec: Annotated[Path, typer.Argument(help="A TOML run spec with a table [methods].")],
    out: Out = Path("runs"),
    settings: Settings = None,
) -> None:
    """Train a text reader by several methods, and score them beside prompts and free models on the run's bars."""
    from ragsignal.config import load_spec

    loaded = load_spec(spec, settings or ())
    with progress_bars() as progress:
        from ragsignal.evaluation import compare_methods, methods_table, write_methods

        run = NewRun(out / f"{loaded.name}-methods")
        comparison = compare_methods(loaded, progress, typed("ragsignal train methods", spec, settings))
        folder, record = run.write(partial(write_methods, comparison))
    people.print(methods_table(comparison))
    for row in comparison.differences:
        if row.verdict != "not distinguishable":
            say(f"{row.left} is {row.verdict} than {row.right} by {row.measure}")
    told = sum(row.verdict != "not distinguishable" for row in comparison.differences)
    say(f"{told} of {len(comparison.differences)} differences can be told apart from none; all: {folder / 'table.md'}")
    answer({"run_dir": str(folder), "trained": record["trained"], "ways": record["ways"]})


def _steps_table(training: WalkForwardTraining, tasks: Sequence[Task]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("from", "through", "validated from", "trained through"):
        table.add_column(title, no_wrap=True)
    table.add_column("to train")
    for step in training.plan.steps:
        lacks = ", ".join(task.kind for task in tasks if task.step == step)
        days = (step.first, step.last, step.valid_from, step.train_end)
        table.add_row(*map(str, days), lacks or Text("nothing", "dim"))
    return table


def _cost_of(training: WalkForwardTraining, tasks: Sequence[Task]) -> str:
    """The cost, before it is paid: of one step of each size; minutes come with the first one that is done."""
    if not tasks:
        return "everything is trained"
    sizes = Counter((task.kind if task.warm_steps is None else f"warm {task.kind}", task.size) for task in tasks)
    each = "; ".join(f"{count} x {kind}: {size}" for (kind, size), count in sizes.items())
    return f"to train at most: {each}. Kill it whenever you like, what is done is kept in {training.plan.root}"


def _finished(task: Task, minutes: float, left: float | None) -> str:
    from ragsignal.study import duration

    rest = "" if left is None else f"; {duration(left)} left" if left else "; that was the last"
    return f"{task.step.first}: {task.kind} took {duration(minutes).removeprefix('about ')}{rest}"


def warn(artifacts: Sequence[Artifact]) -> None:
    """Say of each artifact that is no better than its base rate that it is not."""
    for artifact in artifacts:
        if artifact.card.warning is not None:
            say(f"{artifact.folder}: {artifact.card.warning}")


def _train(path: Path, settings: Sequence[str] | None, what: str, kinds: Sequence[Kind]) -> None:
    with _training_run(path, settings, what) as run:
        from ragsignal.training import TRAINERS

        artifacts = [TRAINERS[kind](run) for kind in kinds]
    if os.environ.get("RANK", "0") == "0":  # torchrun runs this once a device; one answer is enough
        people.print(_table(artifacts))
        warn(artifacts)
        answer([{"folder": str(it.folder), "digest": it.digest, "metrics": it.card.metrics} for it in artifacts])


@contextlib.contextmanager
def _training_run(path: Path, settings: Sequence[str] | None, what: str) -> Iterator[TrainingRun]:
    from ragsignal.config import load_train_spec

    spec = load_train_spec(path, settings or ())
    with progress_bars() as progress:
        from ragsignal.training import TrainingRun

        run = TrainingRun(spec, progress, typed(f"ragsignal train {what}", path, settings))
        with run.alone():
            yield run


def _table(artifacts: Sequence[Artifact]) -> Table:
    table = Table("artifact", "trained through", "validation")
    for artifact in artifacts:
        figures = {key: value for key, value in artifact.card.metrics.items() if isinstance(value, float)}
        words = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
        table.add_row(str(artifact.folder), str(artifact.card.trained_through), words)
    return table
