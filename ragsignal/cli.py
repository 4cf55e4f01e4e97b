"""The command line: JSON of the result on stdout, everything for people on stderr.

    ragsignal backtest backtests/sample.toml
    ragsignal inspect backtests/sample.toml --symbol AAPL --date 2012-06-01
    ragsignal evaluate backtests/sample.toml
    ragsignal audit backtests/sample.toml
    ragsignal train stockllm backtests/shipped.train.toml
    ragsignal data check prices/
    ragsignal weights list

Exit codes: 0 done, 1 the run failed, 2 the spec or an argument is wrong.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ragsignal.cli_audit import audit
from ragsignal.cli_cost import announce, cost_line, estimate_of_backtest, estimate_of_evaluation, tell_estimate
from ragsignal.cli_sweep import Jobs, MayStartRay, Ray, strategies_of, sweep
from ragsignal.cli_training import train_app
from ragsignal.errors import ConfigError, DataError, RagSignalError
from ragsignal.terminal import answer, people, progress

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
data_app = typer.Typer(no_args_is_help=True, help="Check price files, or download some.")
weights_app = typer.Typer(no_args_is_help=True, help="Which model weights are here, and are they intact.")
app.add_typer(data_app, name="data")
app.add_typer(weights_app, name="weights")
app.add_typer(train_app, name="train")
app.command(cls=MayStartRay)(sweep)
app.command()(audit)

SpecPath = Annotated[Path, typer.Argument(help="A TOML spec, such as backtests/sample.toml.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what the run would cost, and stop there.")]
VariantName = Annotated[str | None, typer.Option(help="A variant of the spec; default: the first with a signal.")]


@app.command(cls=MayStartRay)
def backtest(
    spec: SpecPath,
    out: Annotated[Path, typer.Option(help="Folder that receives the run's folder.")] = Path("runs"),
    dry_run: DryRun = False,
    jobs: Jobs = None,
    ray: Ray = None,
) -> None:
    """Run every variant of SPEC on identical bars and costs, and write the report."""
    from ragsignal.config import load_spec

    loaded = load_spec(spec)
    folder = out / loaded.name
    if dry_run:
        tell_estimate(estimate_of_backtest(loaded))
        return
    with progress() as report:
        from ragsignal.backtest import run_spec
        from ragsignal.parallel import open_pool
        from ragsignal.report import answers_in_words, check_target, write_report

        check_target(folder)  # before the work, not after it
        # one process unless asked: a few variants are traded sooner than others have started
        with open_pool(jobs if ray else jobs or 1, ray, strategies_of(loaded)) as pool:
            result = run_spec(loaded, report, announce, pool)
        report("writing the report", 0, 1)
        record = write_report(replace(result, command=f"ragsignal backtest {spec}"), folder)
        report("writing the report", 1, 1)
    costs = {variant.name: variant.cost for variant in result.variants}
    rows = [row | costs[row["name"]] for row in record["variants"]]
    _show_table(rows, loaded.benchmark)
    people.print(cost_line(list(costs.values())), markup=False, highlight=False, soft_wrap=True)
    for line in answers_in_words(result.findings, result.times["trials"]):
        people.print(line, markup=False, highlight=False, soft_wrap=True)
    for note in result.notes:
        people.print(f"[yellow]note[/] {escape(note)}", soft_wrap=True)
    people.print(f"report: {folder / 'index.html'}", markup=False, highlight=False, soft_wrap=True)
    answer(
        {"run_dir": str(folder), "report": str(folder / "index.html"), "variants": rows, "notes": list(result.notes)}
    )


@app.command()
def evaluate(
    spec: SpecPath,
    out: Annotated[Path, typer.Option(help="Folder that receives the evaluation's folder.")] = Path("runs"),
    dry_run: DryRun = False,
) -> None:
    """Score every variant's signals as forecasts, without a broker, beside baselines that cost nothing."""
    from ragsignal.config import load_spec

    loaded = load_spec(spec)
    folder = out / f"{loaded.name}-evaluation"
    if dry_run:
        tell_estimate(estimate_of_evaluation(loaded))
        return
    with progress() as report:
        from ragsignal.evaluation.record import console_table, write_evaluation
        from ragsignal.evaluation.run import evaluate_spec

        record = write_evaluation(evaluate_spec(loaded, report, announce), folder)
    people.print(console_table(record))
    people.print(cost_line(list(record["times"]["variants"].values())), markup=False, highlight=False, soft_wrap=True)
    people.print(f"record: {folder / 'record.json'}", markup=False, highlight=False, soft_wrap=True)
    answer({"run_dir": str(folder), "forecasters": record["forecasters"], "comparisons": record["comparisons"]})


@app.command()
def inspect(
    spec: SpecPath,
    symbol: Annotated[str, typer.Option(help="A symbol of the spec's data.")],
    on: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="As of the close of this day.")],
    variant: VariantName = None,
) -> None:
    """Show the query, the hits, the prompt and the probability of one symbol on one date."""
    from ragsignal.config import load_spec
    from ragsignal.study import Workshop

    loaded = load_spec(spec)
    chosen = loaded.find_variant(variant)
    with progress() as report:
        workshop = Workshop(loaded, report)
        pipeline = workshop.pipeline(chosen)
        query = _query_of(workshop, symbol, on.date())
        (signal,) = pipeline.signals([query])
        ((answering, _),) = pipeline.parts([query])  # of a walk-forward, the pipeline of the day's step
        prompt = answering.scorer.render(query, tuple(signal.hits))
    people.print(prompt.text, markup=False, highlight=False)
    answer(
        {
            "variant": chosen.name,
            "symbol": symbol,
            "as_of": query.as_of,
            "query": {"dates": query.dates, "closes": query.closes},
            "hits": [_hit_record(hit) for hit in signal.hits],
            "prompt": {"system": prompt.system, "text": prompt.text},
            "probability": {"rise": signal.probability, "fall": 1.0 - signal.probability},
            "signal": signal.value,
            "abstained": signal.abstained,
            "key": signal.key,
            "tokens": signal.tokens,
        }
    )


@data_app.command("check")
def data_check(
    path: Annotated[Path, typer.Argument(help="A folder of CSVs, or one long Parquet or CSV table.")],
) -> None:
    """List everything that is wrong with the prices in PATH; exit 1 if there is anything."""
    from ragsignal.data.check import check

    problems = check(path)
    table = Table("file", "symbol", "rule", "rows", "repair", title=f"{len(problems)} problem(s) in {path}")
    for it in problems:
        table.add_row(Path(it.file).name, it.symbol, it.rule, ", ".join(it.rows), it.repair)
    people.print(table if problems else f"{path}: nothing wrong")
    answer([asdict(it) | {"file": str(it.file)} for it in problems])
    raise typer.Exit(1 if problems else 0)


@data_app.command("download")
def data_download(
    symbols: Annotated[list[str], typer.Argument(help="Yahoo symbols.")],
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])],
    end: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])],
    out: Annotated[Path, typer.Option(help="Folder that receives one CSV a symbol.")] = Path("prices"),
) -> None:
    """Download daily prices with yfinance, as CSVs that `source = "folder"` reads."""
    from ragsignal.data.readers import download

    answer([str(path) for path in download(symbols, start.date(), end.date(), out)])


@weights_app.command("list")
def weights_list() -> None:
    """List the embedded weights and the shipped artifacts, whether they are installed, and how to get them."""
    from ragsignal.artifacts import embedded_status, shipped_status

    rows = [*embedded_status(), *shipped_status()]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("weights", no_wrap=True)
    for title in ("role", "installed", "intact", "install with"):
        table.add_column(title)
    for row in rows:
        table.add_row(row["name"], row["role"], _yes(row["installed"]), _yes(row["intact"]), row["install"])
    people.print(table)
    answer(rows)


@weights_app.command("verify")
def weights_verify(
    ref: Annotated[
        str | None, typer.Argument(help="embedded:NAME, a folder, or a Hub id; default: all embedded.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Commit hash of a Hub id.")] = None,
) -> None:
    """Resolve weights as a run would, and check their SHA-256; exit 1 if something is missing or altered."""
    from ragsignal.artifacts import EMBEDDED, resolve

    refs = [ref] if ref else [f"embedded:{name}" for name in EMBEDDED]
    found = [resolve(it, revision) for it in refs]
    for weights in found:
        people.print(f"{weights.ref}: verified, {weights.digest[:16]}")
    answer([{"ref": it.ref, "folder": str(it.folder), "digest": it.digest} for it in found])


def main() -> None:
    """Run the command line; turn this library's errors into a message and an exit code."""
    try:
        app()
    except ConfigError as error:
        _fail(error, 2)
    except RagSignalError as error:
        _fail(error, 1)


def _fail(error: RagSignalError, code: int) -> None:
    people.print(f"[bold red]{type(error).__name__}[/]", end=" ")
    people.print(str(error), markup=False, highlight=False, soft_wrap=True)
    raise SystemExit(code)


def _query_of(workshop: Any, symbol: str, on: date) -> Any:
    from ragsignal.data.windows import cut_query

    whole = workshop.prices.select([symbol]).frames[symbol]
    frame = whole.loc[: str(on)]
    if frame.empty:
        raise DataError(f"{symbol} has no bar on or before {on}; its prices begin later")
    if str(on) > str(whole.index[-1].date()):
        raise DataError(f"the prices of {symbol} end on {whole.index[-1].date()}, before {on}; see data.end")
    days = [stamp.date() for stamp in frame.index]
    return cut_query(symbol, days, frame["close"].tolist(), workshop.spec.corpus.lookback)


def _hit_record(hit: Any) -> dict[str, Any]:
    it = hit.candidate
    return {
        **{"rank": hit.rank, "score": hit.score, "id": it.id, "symbol": it.symbol, "sequence": it.sequence},
        **{"dates": it.dates, "values": it.values, "scaled": it.scaled, "movement": it.movement.word},
        **{"outcome": it.outcome, "available_at": it.available_at},
    }


def _show_table(rows: list[dict[str, Any]], benchmark: str) -> None:
    table = Table(
        title=f"after costs; benchmark: {benchmark}", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    table.add_column("variant", no_wrap=True)
    for title in ("return", "Sharpe", "max DD", "trades", "costs", "hit rate", "calls"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        cells = [_percent(row["return"]), _number(row["sharpe"]), _percent(row["max_drawdown"]), str(row["trades"])]
        cells += [f"{row['costs_paid']:,.0f}", _percent(row["hit_rate"]), str(row["model_calls"])]
        table.add_row(row["name"], *cells)
    people.print(table)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _yes(value: bool | None) -> str:
    return {True: "yes", False: "NO", None: "–"}[value]


if __name__ == "__main__":
    main()
