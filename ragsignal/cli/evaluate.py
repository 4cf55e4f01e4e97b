"""``ragsignal evaluate``: signals scored as forecasts, beside baselines that cost nothing."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ragsignal.cli.cost import announce, cost_line, estimate_of_evaluation, tell_estimate
from ragsignal.cli.options import DryRun, Out, Settings, SpecPath
from ragsignal.cli.terminal import answer, people, progress_bars, say
from ragsignal.utils import NewRun


def evaluate(
    spec: SpecPath,
    out: Out = Path("runs"),
    settings: Settings = None,
    dry_run: DryRun = False,
) -> None:
    """Score every variant's signals as forecasts, without a broker, beside baselines that cost nothing."""
    from ragsignal.config import load_spec

    loaded = load_spec(spec, settings or ())
    if dry_run:
        tell_estimate(estimate_of_evaluation(loaded))
        return
    with progress_bars() as progress:
        from ragsignal.evaluation import console_table, evaluate_spec, faithfulness_words, write_evaluation

        run = NewRun(out / f"{loaded.name}-evaluation")
        evaluation = evaluate_spec(loaded, progress, announce)
        folder, record = run.write(partial(write_evaluation, evaluation))
    people.print(console_table(evaluation))
    for sentence in faithfulness_words(evaluation):
        say(sentence)
    costs = list(record["times"]["variants"].values())
    say(cost_line(costs))
    say(f"record: {folder / 'record.json'}")
    answer({"run_dir": str(folder), "forecasters": record["forecasters"], "comparisons": record["comparisons"]})
