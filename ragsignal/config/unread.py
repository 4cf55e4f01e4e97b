"""Keys of a spec that stand in its file and that nothing reads: each is refused, as whoever wrote it wanted something.

A key is read only where another one says so (``finseer.positives`` where ``finseer.loss`` is ``supcon``), and what
several variants share has to be read by one of them. Where ``--set`` lays another choice over the file, the file's own
keys stay: they belong to the choice that stands there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ragsignal.config.alpha import SearchSpec
from ragsignal.config.prices import MADE_UP
from ragsignal.config.run import RunSpec
from ragsignal.config.tables import Table
from ragsignal.config.train import ClassifierTraining, StockLLMTraining, TrainSpec
from ragsignal.config.variant import Variant
from ragsignal.config.walk_forward import OF_WARM
from ragsignal.errors import ConfigError

T = TypeVar("T")
Spec = RunSpec | TrainSpec | SearchSpec


@dataclass(frozen=True)
class Rule(Generic[T]):
    """Keys of a table that are read under a condition.

    Parameters
    ----------
    table : str
    keys : collection of str
        Empty stands for all of the table.
    by : str
        What reads them, as a spec says it.
    reads : callable
        Whether a spec, or a variant, does.
    choices : sequence of str
        Places, or the ends of places, that decide it.
    """

    table: str
    keys: Collection[str]
    by: str
    reads: Callable[[T], bool]
    choices: Sequence[str]

    def unread(self, written: Collection[str], settings: Sequence[str], owner: str = "") -> list[str]:
        """Places of its keys among those that were written; none of a file whose choice is another one by ``--set``.

        ``owner`` begins a place of a table that is a variant's.
        """
        set_now = {word.partition("=")[0].strip() for word in settings}
        chosen = any(f".{place}".endswith(f".{choice}") for place in set_now for choice in self.choices)
        found = [f"{owner}{self.table}.{key}" for key in written if not self.keys or key in self.keys]
        return [place for place in found if not chosen or place in set_now]


def _but(kind: type[Table], *read: str) -> tuple[str, ...]:
    return tuple(name for name in kind.model_fields if name not in read)


def _either(names: Sequence[str]) -> str:
    return " or ".join(f'"{name}"' for name in names)


_BERT = _but(ClassifierTraining, "kind", "examples", "valid_examples", "seed")
_OF_DATA: tuple[Rule[Spec], ...] = (
    Rule("data", ("seed", "strength"), f"data.source = {_either(MADE_UP)}", lambda it: it.data.source in MADE_UP,
         ("data.source",)),
)  # fmt: skip
_OF_TRAINING: tuple[Rule[TrainSpec], ...] = (
    Rule("finseer", ("positives", "state", "buckets", "per_class", "windows"), 'finseer.loss = "supcon"',
         lambda it: it.finseer.loss == "supcon", ("finseer.loss",)),
    Rule("finseer", ("mix",), 'finseer.loss = "mix"', lambda it: it.finseer.loss == "mix", ("finseer.loss",)),
    Rule("finseer", ("negatives", "batch_size", "numeric_batch_size"), 'finseer.loss = "kl", "infonce" or "mix"',
         lambda it: it.finseer.loss != "supcon", ("finseer.loss",)),
    Rule("stockllm", _but(StockLLMTraining, "reader"), 'stockllm.reader = "text"',
         lambda it: it.stockllm.reader == "text", ("stockllm.reader",)),
    Rule("stockllm", ("candidates",), "stockllm.k above 0", lambda it: any(it.stockllm.k), ("stockllm.k",)),
    Rule("ranks", (), 'stockllm.reader = "ranks"', lambda it: it.stockllm.reader == "ranks", ("stockllm.reader",)),
    Rule("ranks", ("candidates",), "ranks.k above 0", lambda it: it.ranks.reads_hits, ("ranks.k",)),
    Rule("classifier", _BERT, 'classifier.kind = "bert"', lambda it: it.classifier.kind == "bert",
         ("classifier.kind",)),
    Rule("classifier", ("examples", "valid_examples", "seed"), 'classifier.kind = "bert" or "logistic"',
         lambda it: it.classifier.kind != "boosting", ("classifier.kind",)),
    Rule("boosting", (), 'classifier.kind = "boosting"', lambda it: it.classifier.kind == "boosting",
         ("classifier.kind",)),
)  # fmt: skip
_OF_SEARCH: tuple[Rule[SearchSpec], ...] = (
    Rule("ideas", ("depth", "windows", "tokens", "threads"), "an ideas.model without ideas.url",
         lambda it: it.ideas is None or it.ideas.url is None, ("ideas.url",)),
)  # fmt: skip
_OF_RUN: tuple[Rule[RunSpec], ...] = (
    Rule("walk_forward", OF_WARM, "walk_forward.warm = true",
         lambda it: it.walk_forward is None or it.walk_forward.warm, ("walk_forward.warm",)),
    Rule("walk_forward", ("half_life",), "walk_forward.replay = true",
         lambda it: it.walk_forward is None or it.walk_forward.replay, ("walk_forward.replay",)),
)  # fmt: skip
_FOUND = ("retriever", "candidates", "signal")
_READ = ("llm.model", "signal")
_WITH_VECTORS = ("finseer", "embedding", "shape")
_CONCERNED: dict[str, Callable[[Variant], bool]] = {  # so that a signal may be turned off for a trial
    "retrieval": lambda it: it.has_retriever,
    "llm": lambda it: it.is_llm,
    "external": lambda _: True,
}
_OF_VARIANTS: tuple[Rule[Variant], ...] = (
    Rule("retrieval", ("seed",), 'retriever = "random"', lambda it: it.draws_at_random, _FOUND),
    Rule("retrieval", ("macro", "macro_lag"), 'retriever = "regimes"', lambda it: it.retrieval.retriever == "regimes",
         _FOUND),
    Rule("retrieval", ("storage", "index"), f"retriever = {_either(_WITH_VECTORS)} of sequences",
         lambda it: it.reads_sequences and it.retrieval.retriever in _WITH_VECTORS, _FOUND),
    Rule("retrieval", ("revision",), 'retriever = "embedding"', lambda it: it.embeds_text, _FOUND),
    Rule("retrieval", ("encoder",), 'retriever = "finseer", "embedding" or "recall", or by candidates = "days"',
         lambda it: it.embeds_text or it.reads_finseer, _FOUND),
    Rule("external", ("valid_bars", "hold"), 'signal = "external"', lambda it: it.is_external, ("signal",)),
    Rule("llm", (), 'signal = "llm" or "classifier"', lambda it: it.is_llm or it.is_classifier, _READ),
    Rule("llm", ("template", "mask"), "a model that reads text", lambda it: it.reads_text or it.is_classifier, _READ),
    Rule("llm", ("dtype", "batch_size", "sha256", "revision"), "a model that reads text", lambda it: it.reads_text,
         _READ),
)  # fmt: skip


def check_unread(spec: Spec, where: str, settings: Sequence[str]) -> None:
    """Refuse keys that were written and that nothing reads.

    Parameters
    ----------
    spec : RunSpec, TrainSpec or SearchSpec
        As its file says it, ``settings`` laid over it: what it says by default was not written.
    where : str
        Where it was read, for the message.
    settings : sequence of str
        ``place=value`` words.

    Raises
    ------
    ConfigError
        In one line: the keys, what would read them, and the repair.
    """
    _check(spec, _OF_DATA, where, settings)
    if isinstance(spec, TrainSpec):
        _check(spec, _OF_TRAINING, where, settings)
    elif isinstance(spec, SearchSpec):
        _check(spec, _OF_SEARCH, where, settings)
    else:
        _check(spec, _OF_RUN, where, settings)
        _check_variants(spec, where, settings)


def _check(spec: T, rules: Sequence[Rule[T]], where: str, settings: Sequence[str]) -> None:
    for rule in rules:
        if not rule.reads(spec):
            _refuse(rule.by, rule.unread(_written(getattr(spec, rule.table)), settings), where)


def _check_variants(spec: RunSpec, where: str, settings: Sequence[str]) -> None:
    """What variants share is read by one of them, where it concerns any, and what is a variant's own by itself."""
    for rule in _OF_VARIANTS:
        concerns = any(map(_CONCERNED[rule.table], spec.variants))
        if rule.keys and concerns and not any(map(rule.reads, spec.variants)):
            _refuse(rule.by, rule.unread(_written(getattr(spec, rule.table)), settings), where)
        for raw, variant in zip(spec.variant, spec.variants, strict=True):
            if not rule.reads(variant):
                own = rule.unread(getattr(raw, rule.table), settings, f"variant.{raw.name}.")
                _refuse(rule.by, own, where)
    for raw, variant in zip(spec.variant, spec.variants, strict=True):
        if "classifier" in raw.model_fields_set and not variant.is_classifier:
            _refuse('signal = "classifier"', [f"variant.{raw.name}.classifier"], where)


def _written(table: Table | None) -> list[str]:
    return [] if table is None else [name for name in type(table).model_fields if name in table.model_fields_set]


def _refuse(by: str, places: Sequence[str], where: str) -> None:
    if places:
        it, keys = ("them", "the keys") if len(places) > 1 else ("it", "the key")
        raise ConfigError(
            f"{where}: {', '.join(places)} would be read by {by} alone, and here nothing reads {it}: write that, or "
            f"delete {keys}"
        )
