"""The commands that train: each reads one TrainSpec, writes one artifact, and goes on where a killed run stopped.

ragsignal train stockllm   SPEC      an adapter for the language model, calibrated
ragsignal train feedback   SPEC      that model's opinion of single candidates
ragsignal train finseer    SPEC      the retriever, from that opinion
ragsignal train classifier SPEC      the baseline without retrieval
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ragsignal.terminal import answer, people, progress

train_app = typer.Typer(no_args_is_help=True, help="Train the models of a training spec, one after the other.")

TrainSpecPath = Annotated[Path, typer.Argument(help="A TOML training spec, such as backtests/shipped.train.toml.")]


@train_app.command()
def stockllm(spec: TrainSpecPath) -> None:
    """Teach the language model to answer rise or fall, and calibrate its answers."""

    def train(bench: Any) -> list[Any]:
        from ragsignal.training.stockllm import train_stockllm

        return [train_stockllm(bench)]

    _train(spec, "stockllm", train)


@train_app.command()
def feedback(spec: TrainSpecPath) -> None:
    """Ask the trained language model about single candidates: the teacher scores of FinSeer."""

    def train(bench: Any) -> list[Any]:
        from ragsignal.training.feedback import load_feedback, run_feedback

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
        from ragsignal.training.finseer import train_finseer

        wanted: list[Any] = ["text", "numeric"] if encoder == "both" else [encoder]
        return [train_finseer(bench, it) for it in wanted]

    _train(spec, f"finseer --encoder {encoder}", train)


@train_app.command()
def classifier(spec: TrainSpecPath) -> None:
    """Train the baseline that reads the query alone."""

    def train(bench: Any) -> list[Any]:
        from ragsignal.training.classifier import train_classifier

        return [train_classifier(bench)]

    _train(spec, "classifier", train)


def _train(path: Path, what: str, train: Callable[[Any], list[Any]]) -> None:
    from ragsignal.config import load_train_spec

    spec = load_train_spec(path)
    with progress() as report:
        from ragsignal.training.bench import Bench

        artifacts = train(Bench(spec, report, f"ragsignal train {what} {path}"))
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
