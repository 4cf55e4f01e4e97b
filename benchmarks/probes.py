"""What training does to a retriever's metric: untouched, distilled, contrasted, and both, probed and in use, 2011-2014.

python -m benchmarks.probes [FOLDER]     # an hour of a busy core, teacher included; goes on where it was killed

Encoders are trained on days before October 2010. How the contrast is made (positives, temperature) is chosen for the
numeric encoder on the last fifth of these days, by the kNN probe's log-loss of movements, and taken for the text
encoder too. 2011 to 2014 is looked at once, and chooses nothing. The teacher is SmolLM2-135M with LoRA, on 224 queries.

Lift is the share of ten hits that moved as the query did, over the share among all candidates that were known as of its
day, less 1; the vote is the share of rises among the hits. Both sides of a paired difference are of the same queries.
"""

from __future__ import annotations

import sys
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Measure, main
from ragsignal.artifacts import Artifact, Card, load_artifact, resolve, save_artifact
from ragsignal.config import FinseerTraining, RunSpec, TrainSpec, load_train_spec
from ragsignal.data import SEQUENCES, movement_of
from ragsignal.evaluation import Probes, prepare, probe_spec
from ragsignal.evaluation.days import rank_correlations
from ragsignal.retrieval import EXTRA, READS, Corpus, DenseRetriever, load_sentence_model
from ragsignal.retrieval.tower import TowerConfig, new_tower, save_tower
from ragsignal.statistics import Interval, ratio_interval
from ragsignal.training import TRAINERS, TrainingRun, run_feedback
from ragsignal.training.finseer.students import KINDS, EncoderName
from ragsignal.training.run import Learned, TrainingResult
from ragsignal.types import FloatArray
from ragsignal.utils import write_json

ROOT = Path(__file__).parents[1]
SPEC = ROOT / "backtests" / "probes.train.toml"
CONTROL = ROOT / "backtests" / "planted.train.toml"
ARMS = ("random", "untouched", "kl", "infonce", "supcon", "supcon-kl")
FIRST, LAST = date(2011, 1, 3), date(2014, 12, 31)
EVERY = {"numeric": 5, "text": 10}
"""Bars from one query of a symbol to the next."""
SYMBOLS = {"numeric": 100, "text": 40}
"""Of the bundled ones in the order of the alphabet: a text encoder takes minutes for 12,000 lines on a busy core."""
GRID: tuple[dict[str, Any], ...] = (
    {"positives": "same", "temperature": 0.05},
    {"positives": "same", "temperature": 0.2},
    {"positives": "overlap", "temperature": 0.05},
    {"positives": "overlap", "temperature": 0.2},
)
K = 10
CHOSEN_BY = "knn_movement_log_loss"
_CHUNK = 1000


def spec_of(folder: Path, **finseer: Any) -> TrainSpec:
    """The training spec with other keys of ``[finseer]``, into a folder; teacher scores are those of ``teacher``."""
    spec = load_train_spec(SPEC)
    settings = FinseerTraining.model_validate(spec.finseer.model_dump() | finseer)
    return spec.model_copy(update={"out": folder, "finseer": settings})


def trained(folder: Path, encoder: EncoderName, teacher: Path, **finseer: Any) -> Artifact:
    """An encoder, trained now if it is not there."""
    kind = KINDS[encoder]
    if not (folder / kind / "card.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("stockllm", "feedback"):
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(teacher / name)
        run = TrainingRun(spec_of(folder, **finseer), progress=told)
        with run.alone():
            TRAINERS[kind](run)
    return load_artifact(str(folder / kind), kind)


def told(what: str, done: int, total: int) -> None:
    """Progress, a line every so often."""
    if done in (0, total) or done % 100 == 0:
        print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)


def teach(folder: Path) -> None:
    """Train the teacher, and ask it, where that is not done: twenty minutes of a busy core."""
    run = TrainingRun(spec_of(folder), progress=told)
    with run.alone():
        if not (folder / "stockllm" / "card.json").is_file():
            TRAINERS["stockllm"](run)
        if not (folder / "feedback" / "feedback.json").is_file():
            run_feedback(run)


def chosen_contrast(root: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The keys of the contrast that are best on held-out training days, and all that were tried."""
    tried = []
    for number, keys in enumerate(GRID):
        metrics = trained(root / f"grid-{number}", "numeric", root / "teacher", loss="supcon", **keys).card.metrics
        tried.append(keys | {name: metrics[name] for name in (CHOSEN_BY, "knn_state_log_loss")})
    return GRID[int(np.argmin([row[CHOSEN_BY] for row in tried]))], tried


def arms_of(root: Path, encoder: EncoderName, contrast: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """``[retrieval]`` of every arm."""
    teacher, found = root / "teacher", dict[str, Artifact]()
    for loss in ("kl", "infonce"):
        found[loss] = trained(root / f"{encoder}-{loss}", encoder, teacher, loss=loss)
    found["supcon"] = trained(root / f"{encoder}-supcon", encoder, teacher, loss="supcon", **contrast)
    start = str(found["supcon"].folder)
    found["supcon-kl"] = trained(root / f"{encoder}-supcon-kl", encoder, teacher, loss="kl", start=start)
    arms: dict[str, dict[str, Any]] = {
        arm: {"retriever": "finseer", "encoder": str(artifact.folder)} for arm, artifact in found.items()
    }
    if encoder == "text":
        arms["untouched"] = {"retriever": "embedding"}
        arms["random"] = {"retriever": "embedding", "encoder": str(random_sentences(root / "text-random"))}
    else:
        for arm in ("untouched", "random"):
            folder = tower_artifact(root / f"numeric-{arm}", arm == "random", load_train_spec(SPEC))
            arms[arm] = {"retriever": "finseer", "encoder": str(folder)}
    return {arm: arms[arm] | {"k": K} for arm in ARMS}


def tower_artifact(folder: Path, drawn: bool, spec: TrainSpec) -> Path:
    """A tower as it is before training, which knows shapes; ``drawn``: all of it is random numbers."""
    import torch

    if (folder / "card.json").is_file():
        return folder
    run = TrainingRun(spec)
    settings, known = run.spec.finseer, tuple(SEQUENCES)
    tower = new_tower(TowerConfig(run.spec.corpus.lookback + EXTRA, known, settings.hidden, settings.dim), 0)
    if drawn:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for weight in (*tower.layers.parameters(), *tower.line.parameters()):
                torch.nn.init.normal_(weight, std=0.3)
    learned = Learned.of(run.train)
    result = TrainingResult(
        recipe={"untrained": True}, metrics={}, base=None, template=READS, train=learned, valid=None, reads_bins=False
    )
    card: Card = run.card("finseer-numeric", result)
    save_artifact(folder, card, partial(save_tower, tower))
    return folder


def random_sentences(folder: Path) -> Path:
    """The sentence encoder's own network with weights drawn by chance."""
    import torch

    if not (folder / "config.json").is_file():
        model = load_sentence_model(resolve("embedded:all-MiniLM-L6-v2").folder)
        inner = model.transformers_model
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            fresh = type(inner)(inner.config)
        inner.load_state_dict(fresh.state_dict(), strict=False)
        model.save(str(folder))
    return folder


def control(root: Path) -> dict[str, Any]:
    """The same probes where shapes do decide: a made-up market, contrasted through 2007 and judged on 2008 and 2009."""
    spec = load_train_spec(CONTROL)
    settings = FinseerTraining(loss="supcon", numeric_epochs=20, windows=2000)
    spec = spec.model_copy(update={"out": root / "planted", "finseer": settings})
    if not (root / "planted" / "finseer-numeric" / "card.json").is_file():
        TRAINERS["finseer-numeric"](TrainingRun(spec, progress=told))
    towers = {arm: tower_artifact(root / f"planted-{arm}", arm == "random", spec) for arm in ("untouched", "random")}
    arms = {"supcon": spec.out / "finseer-numeric", **towers}
    market = spec.data.model_dump(exclude={"start", "end"}, exclude_unset=True)
    later = {
        "name": "probes-planted",
        "data": market | {"start": date(2008, 1, 2), "end": date(2009, 12, 31)},
        "evaluation": {"train_start": spec.data.start},
    }
    variants = {arm: {"retriever": "finseer", "encoder": str(folder)} for arm, folder in arms.items()}
    return probed(probe_spec(as_run(later, variants), told))


def as_run(tables: dict[str, Any], arms: dict[str, dict[str, Any]]) -> RunSpec:
    """A run of votes, one an arm, over adj_close."""
    variants = [{"name": arm, "signal": "vote", "retrieval": keys} for arm, keys in arms.items()]
    hold = {"name": "hold", "signal": "none", "strategy": {"class": "ragsignal.strategies:BuyAndHold"}}
    fixed = {
        "benchmark": "hold",
        "corpus": {"indicators": ["adj_close"]} | tables.pop("corpus", {}),
        "probe": {"windows": tables.pop("windows", 5000)},
        "strategy": {"class": "ragsignal.strategies:LongShort"},
        "variant": [*variants, hold],
    }
    return RunSpec.model_validate(tables | fixed)


def run_spec_of(encoder: EncoderName, arms: dict[str, dict[str, Any]]) -> RunSpec:
    """The later span as a run: a vote an arm; the first one is what the others are compared with."""
    order = ["kl", *(arm for arm in arms if arm != "kl")]
    symbols = TrainingRun(load_train_spec(SPEC)).spec.data.symbols[: SYMBOLS[encoder]]
    tables = {
        "name": f"probes-{encoder}",
        "data": {"source": "sample", "symbols": symbols, "start": FIRST, "end": LAST},
        "corpus": {"stride": EVERY[encoder]},
        "evaluation": {"every": EVERY[encoder], "train_start": date(2009, 9, 1)},
        "windows": 50 * SYMBOLS[encoder],
    }
    return as_run(tables, {arm: arms[arm] for arm in order})


class Hits:
    """What the hits of each arm are worth, day by day."""

    def __init__(self, spec: RunSpec) -> None:
        self.study, self.questions, _ = prepare(spec)
        self.queries = list(self.questions.queries)
        self.day, self.n_days = self.questions.day, self.questions.n_days
        self.moved = np.asarray(movement_of(self.questions.outcome))
        self.usual = self._usual(self.study.corpus)

    def _usual(self, corpus: Corpus) -> FloatArray:
        """Share of each query's movement among all candidates known as of its day: what random hits would have."""
        shares: dict[date, FloatArray] = {}
        for day in {query.as_of for query in self.queries}:
            shares[day] = np.bincount(corpus.movement[: corpus.visible(day)] + 1, minlength=3) / corpus.visible(day)
        return np.array([shares[it.as_of][moved + 1] for it, moved in zip(self.queries, self.moved, strict=True)])

    def of(self, variant: str) -> dict[str, FloatArray]:
        """By day: sums of alike hits and of what chance would give, and the IC of the vote."""
        study = self.study
        chosen = study.spec.find_variant(variant).retrieval
        retriever = DenseRetriever(study.corpus, study.parts.encoder(chosen), K)
        alike, vote = np.zeros(len(self.queries)), np.zeros(len(self.queries))
        for start in range(0, len(self.queries), _CHUNK):
            chunk = self.queries[start : start + _CHUNK]
            movements = [[int(hit.sequence.movement) for hit in hits] for hits in retriever.retrieve(chunk)]
            for place, found in enumerate(movements, start):
                alike[place] = np.mean([it == self.moved[place] for it in found]) if found else self.usual[place]
                vote[place] = float(np.sign(found).sum()) if found else 0.0
        return {
            "alike": np.bincount(self.day, weights=alike, minlength=self.n_days),
            "usual": np.bincount(self.day, weights=self.usual, minlength=self.n_days),
            "ic": rank_correlations(vote, self.questions.outcome, self.day, self.n_days),
        }


def worth(spec: RunSpec) -> dict[str, Any]:
    """Lift and IC of every arm with intervals, and their paired differences from KL."""
    hits = Hits(spec)
    daily = {it.name: hits.of(it.name) for it in spec.variant if it.signal == "vote"}
    ones = np.ones(hits.n_days)
    rows: dict[str, Any] = {"queries": len(hits.queries), "days": hits.n_days}
    for arm, found in daily.items():
        rows[arm] = {
            "lift": _row(ratio_interval(found["alike"] - found["usual"], found["usual"])),
            "ic": _row(ratio_interval(found["ic"], ones)),
            "lift less kl": _row(ratio_interval(found["alike"] - daily["kl"]["alike"], found["usual"])),
            "ic less kl": _row(ratio_interval(found["ic"] - daily["kl"]["ic"], ones)),
        }
    return rows


def _row(interval: Interval) -> dict[str, Any]:
    return {"difference": interval.difference, "low": interval.low, "high": interval.high, "p": interval.p}


def probed(probes: Probes) -> dict[str, Any]:
    """The record's part of the probes."""
    kept = ("value", "gain", "low", "high", "verdict")
    return {
        "windows": probes.rows[0].windows,
        "queries": probes.rows[0].queries,
        "edges": list(probes.edges),
        "rows": {
            row.name: {
                f"{it.label}, {it.probe}, {it.measure}": {key: getattr(it, key) for key in kept}
                for it in row.figures
                if it.measure != "accuracy"
            }
            for row in probes.rows
        },
        f"less {probes.rows[0].name}": {
            f"{it.name}, {it.label}, {it.probe}": {key: getattr(it, key) for key in ("difference", "low", "high")}
            for it in probes.differences
        },
    }


def rounded(value: Any) -> Any:
    """Five significant digits."""
    if isinstance(value, dict):
        return {key: rounded(it) for key, it in value.items()}
    if isinstance(value, list):
        return [rounded(it) for it in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def measures(root: Path = ROOT / "artifacts" / "probes") -> list[Measure]:
    """Train, probe and score; the whole goes into ``record.json``."""
    teach(root / "teacher")
    contrast, tried = chosen_contrast(root)
    record: dict[str, Any] = {"contrast": contrast, "tried": tried, "chosen_by": CHOSEN_BY}
    record["planted"] = control(root)
    found = []
    encoders: tuple[EncoderName, ...] = ("numeric", "text")
    for encoder in encoders:
        arms = arms_of(root, encoder, contrast)
        spec = run_spec_of(encoder, arms)
        part = {"probes": probed(probe_spec(spec, told)), "hits": worth(spec)}
        record[encoder] = part
        write_json(root / "record.json", rounded(record))
        gap = part["hits"]["supcon"]["ic less kl"]
        size = f"{encoder} encoder, 2011-2014, {part['hits']['queries']:,} queries"
        name = f"IC of the vote, supervised contrast less KL, {size}"
        found.append(Measure(name, gap["difference"], "", "KL distillation", "", "python -m benchmarks.probes", gap))
    return found


if __name__ == "__main__":
    main(partial(measures, *map(Path, sys.argv[1:])))
