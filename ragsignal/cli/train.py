"""The commands that train: each writes artifacts, and goes on where a killed run stopped.

ragsignal train stockllm   SPEC      an adapter for the language model, calibrated
ragsignal train feedback   SPEC      that model's opinion of single candidates
ragsignal train finseer    SPEC      the retriever, from that opinion
ragsignal train classifier SPEC      the baseline without retrieval

These read a training spec. One reads a run spec with a table [walk_forward], and trains what its steps lack:

ragsignal train walk-forward SPEC    all of the above, once for each step
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from ragsignal.cli.terminal import answer, people, progress_bars

train_app = typer.Typer(no_args_is_help=True, help="Train the models of a training spec, one after the other.")

TrainSpecPath = Annotated[Path, typer.Argument(help="A TOML training spec, such as backtests/shipped.train.toml.")]


@train_app.command()
def stockllm(spec: TrainSpecPath) -> None:
    """Teach the language model to answer rise or fall, and calibrate its answers."""

    def train(bench: Any) -> list[Any]:
        from ragsignal.training.stockllm.train import train_stockllm

        return [train_stockllm(bench)]

    _train(spec, "stockllm", train)


@train_app.command()
def feedback(spec: TrainSpecPath) -> None:
    """Ask the trained language model about single candidates: the teacher scores of FinSeer."""

    def train(bench: Any) -> list[Any]:
        from ragsignal.training import load_feedback, run_feedback

        folder = run_feedback(bench)
        meta = load_feedback(folder).meta
        answer({"folder": str(folder), **{key: meta[key] for key in meta if key != "recipe"}})
        return []

    _train(spec, "feedback", train)


@train_app.command()
def finseer(
    spec: TrainSpecPath,
    encoder: Annotated[str, typer.Option(help="text, numeric, or both.")] = "both",
) -> None:
    """Train the retriever on the teacher scores, beside an untrained one and one with a shuffled teacher."""
    if encoder not in ("text", "numeric", "both"):
        raise typer.BadParameter("text, numeric or both was expected", param_hint="--encoder")

    def train(bench: Any) -> list[Any]:
        from ragsignal.training import train_finseer

        wanted: list[Any] = ["text", "numeric"] if encoder == "both" else [encoder]
        return [train_finseer(bench, it) for it in wanted]

    _train(spec, f"finseer --encoder {encoder}", train)


@train_app.command()
def classifier(spec: TrainSpecPath) -> None:
    """Train the baseline that reads the query alone."""

    def train(bench: Any) -> list[Any]:
        from ragsignal.training import train_classifier

        return [train_classifier(bench)]

    _train(spec, "classifier", train)


@train_app.command("walk-forward")
def walk_forward(
    spec: Annotated[Path, typer.Argument(help="A TOML run spec with a table [walk_forward].")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and stop there.")] = False,
) -> None:
    """Train what the steps of a walk-forward lack; what is there is kept."""
    from ragsignal.config import load_spec

    loaded = load_spec(spec)
    with progress_bars() as progress:
        from ragsignal.training import Course

        course = Course(loaded, progress, f"ragsignal train walk-forward {spec}")
        tasks = course.missing()
        people.print(_steps_table(course, tasks))
        _say(_cost_of(course, tasks))
        artifacts = [] if dry_run else course.train(lambda task, took, left: _say(_done(task, took, left)))
    rows = [{"folder": str(it.folder), "trained_through": it.card.trained_through} for it in artifacts]
    missing = [{"step": it.step.first, "kind": it.kind, "folder": str(it.folder), "size": it.size} for it in tasks]
    answer({"steps": [asdict(step) for step in course.plan.steps], "to_train": missing, "artifacts": rows})


def _steps_table(course: Any, tasks: list[Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("from", "through", "validated from", "trained through"):
        table.add_column(title, no_wrap=True)
    table.add_column("to train")
    for step in course.plan.steps:
        lacks = ", ".join(task.kind for task in tasks if task.step == step)
        days = (step.first, step.last, step.valid_from, step.train_end)
        table.add_row(*map(str, days), lacks or "[dim]nothing[/]")
    return table


def _cost_of(course: Any, tasks: list[Any]) -> str:
    """The cost, before it is paid: of one step, as all are of a size; minutes come with the first one that is done."""
    if not tasks:
        return "everything is trained"
    sizes = {task.kind: task.size for task in tasks}
    each = "; ".join(f"{sum(it.kind == kind for it in tasks)} x {kind}: {size}" for kind, size in sizes.items())
    return f"to train at most: {each}. Kill it whenever you like, what is done is kept in {course.plan.root}"


def _done(task: Any, took: float, left: float | None) -> str:
    from ragsignal.study import duration

    rest = "" if left is None else f"; {duration(left)} left" if left else "; that was the last"
    return f"{task.step.first}: {task.kind} took {duration(took).removeprefix('about ')}{rest}"


def _say(line: str) -> None:
    people.print(line, markup=False, highlight=False, soft_wrap=True)


def _train(path: Path, what: str, train: Callable[[Any], list[Any]]) -> None:
    from ragsignal.config import load_train_spec

    spec = load_train_spec(path)
    with progress_bars() as progress:
        from ragsignal.training import Bench

        artifacts = train(Bench(spec, progress, f"ragsignal train {what} {path}"))
    if artifacts and os.environ.get("RANK", "0") == "0":  # torchrun runs this once a device; one answer is enough
        people.print(_table(artifacts))
        answer([{"folder": str(it.folder), "digest": it.digest, "metrics": it.card.metrics} for it in artifacts])


def _table(artifacts: list[Any]) -> Table:
    table = Table("artifact", "trained through", "validation")
    for it in artifacts:
        figures = {key: value for key, value in it.card.metrics.items() if isinstance(value, float)}
        words = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
        table.add_row(str(it.folder), str(it.card.trained_through), words)
    return table
