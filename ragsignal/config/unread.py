"""Keys of a spec that stand in its file and that nothing reads: each is told, as whoever wrote it wanted something.

A key is read only where another one says so (``finseer.positives`` where ``finseer.loss`` is ``supcon``), and what
several variants share has to be read by one of them. They are told and not refused: a choice may be changed for a trial
while the keys of the other one stay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ragsignal.config.alpha import SearchSpec
from ragsignal.config.prices import MADE_UP
from ragsignal.config.run import RunSpec
from ragsignal.config.tables import Table
from ragsignal.config.train import ClassifierTraining, StockLLMTraining, TrainSpec
from ragsignal.config.variant import Variant

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
    """

    table: str
    keys: Collection[str]
    by: str
    reads: Callable[[T], bool]

    def unread(self, written: Collection[str], owner: str = "") -> list[str]:
        """Places of its keys among those that were written; ``owner`` begins a place of a table that is a variant's."""
        return [f"{owner}{self.table}.{key}" for key in written if not self.keys or key in self.keys]


def _but(kind: type[Table], *read: str) -> tuple[str, ...]:
    return tuple(name for name in kind.model_fields if name not in read)


def _either(names: Sequence[str]) -> str:
    return " or ".join(f'"{name}"' for name in names)


_BERT = _but(ClassifierTraining, "kind", "examples", "valid_examples", "seed")
_OF_DATA: tuple[Rule[Spec], ...] = (
    Rule("data", ("seed", "strength"), f"data.source = {_either(MADE_UP)}", lambda it: it.data.source in MADE_UP),
)  # fmt: skip
_OF_TRAINING: tuple[Rule[TrainSpec], ...] = (
    Rule("finseer", ("positives", "state", "buckets", "per_class", "windows"), 'finseer.loss = "supcon"',
         lambda it: it.finseer.loss == "supcon"),
    Rule("finseer", ("mix",), 'finseer.loss = "mix"', lambda it: it.finseer.loss == "mix"),
    Rule("finseer", ("negatives", "batch_size", "numeric_batch_size"), 'finseer.loss = "kl", "infonce" or "mix"',
         lambda it: it.finseer.loss != "supcon"),
    Rule("stockllm", _but(StockLLMTraining, "reader"), 'stockllm.reader = "text"',
         lambda it: it.stockllm.reader == "text"),
    Rule("stockllm", ("candidates",), "stockllm.k above 0", lambda it: any(it.stockllm.k)),
    Rule("ranks", (), 'stockllm.reader = "ranks"', lambda it: it.stockllm.reader == "ranks"),
    Rule("ranks", ("candidates",), "ranks.k above 0", lambda it: it.ranks.reads_hits),
    Rule("classifier", _BERT, 'classifier.kind = "bert"', lambda it: it.classifier.kind == "bert"),
    Rule("classifier", ("examples", "valid_examples", "seed"), 'classifier.kind = "bert" or "logistic"',
         lambda it: it.classifier.kind != "boosting"),
    Rule("boosting", (), 'classifier.kind = "boosting"', lambda it: it.classifier.kind == "boosting"),
)  # fmt: skip
_OF_SEARCH: tuple[Rule[SearchSpec], ...] = (
    Rule("ideas", ("depth", "windows", "tokens", "threads"), "an ideas.model without ideas.url",
         lambda it: it.ideas is None or it.ideas.url is None),
)  # fmt: skip
_WITH_VECTORS = ("finseer", "embedding", "shape")
_CONCERNED: dict[str, Callable[[Variant], bool]] = {  # so that a signal may be turned off for a trial
    "retrieval": lambda it: it.has_retriever,
    "llm": lambda it: it.is_llm,
    "external": lambda _: True,
}
_OF_VARIANTS: tuple[Rule[Variant], ...] = (
    Rule("retrieval", ("seed",), 'retriever = "random"', lambda it: it.draws_at_random),
    Rule("retrieval", ("macro", "macro_lag"), 'retriever = "regimes"', lambda it: it.retrieval.retriever == "regimes"),
    Rule("retrieval", ("storage", "index"), f"retriever = {_either(_WITH_VECTORS)} of sequences",
         lambda it: it.reads_sequences and it.retrieval.retriever in _WITH_VECTORS),
    Rule("retrieval", ("revision",), 'retriever = "embedding"', lambda it: it.embeds_text),
    Rule("retrieval", ("encoder",), 'retriever = "finseer", "embedding" or "recall", or by candidates = "days"',
         lambda it: it.embeds_text or it.reads_finseer),
    Rule("external", ("valid_bars", "hold"), 'signal = "external"', lambda it: it.is_external),
    Rule("llm", (), 'signal = "llm" or "classifier"', lambda it: it.is_llm or it.is_classifier),
    Rule("llm", ("template", "mask"), "a model that reads text", lambda it: it.reads_text or it.is_classifier),
    Rule("llm", ("dtype", "batch_size", "sha256", "revision"), "a model that reads text", lambda it: it.reads_text),
)  # fmt: skip


def unread_keys(spec: Spec) -> list[str]:
    """Say of each choice which keys were written for another one; what a spec says by default was not written.

    Parameters
    ----------
    spec : RunSpec, TrainSpec or SearchSpec

    Returns
    -------
    list of str
        A sentence each: the keys, and what would read them.
    """
    found = _of_tables(spec, _OF_DATA)
    if isinstance(spec, TrainSpec):
        found += _of_tables(spec, _OF_TRAINING)
    elif isinstance(spec, SearchSpec):
        found += _of_tables(spec, _OF_SEARCH)
    else:
        found += _of_variants(spec)
    return found


def _of_tables(spec: T, rules: Sequence[Rule[T]]) -> list[str]:
    unread = [(rule.by, rule.unread(_written(getattr(spec, rule.table)))) for rule in rules if not rule.reads(spec)]
    return _words(unread)


def _of_variants(spec: RunSpec) -> list[str]:
    """What variants share is read by one of them, where it concerns any, and what is a variant's own by itself."""
    unread: list[tuple[str, list[str]]] = []
    for rule in _OF_VARIANTS:
        concerns = any(map(_CONCERNED[rule.table], spec.variants))
        if rule.keys and concerns and not any(map(rule.reads, spec.variants)):
            unread.append((rule.by, rule.unread(_written(getattr(spec, rule.table)))))
        for raw, variant in zip(spec.variant, spec.variants, strict=True):
            if not rule.reads(variant):
                unread.append((rule.by, rule.unread(getattr(raw, rule.table), f"variant.{raw.name}.")))
    for raw, variant in zip(spec.variant, spec.variants, strict=True):
        if "classifier" in raw.model_fields_set and not variant.is_classifier:
            unread.append(('signal = "classifier"', [f"variant.{raw.name}.classifier"]))
    return _words(unread)


def _written(table: Table | None) -> list[str]:
    return [] if table is None else [name for name in type(table).model_fields if name in table.model_fields_set]


def _words(unread: Iterable[tuple[str, list[str]]]) -> list[str]:
    return [
        f"{', '.join(places)}: read by {by} alone, and here nothing reads {'them' if len(places) > 1 else 'it'}"
        for by, places in unread
        if places
    ]
