"""Which variants read kept formulas, and what is refused: a reader without its formulas, formulas that nobody reads."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from ragsignal.artifacts import Artifact
from ragsignal.config import CorpusSpec, RunSpec, Variant
from ragsignal.errors import ConfigError
from ragsignal.llm import alphas_recipe, reads_alphas

if TYPE_CHECKING:
    from ragsignal.study.parts import Parts


def uses_alphas(spec: RunSpec, variant: Variant, artifacts: Iterable[Artifact]) -> bool:
    """Whether a variant's signals depend on the kept formulas: by its candidates or its reader."""
    of_corpus = variant.reads_sequences and spec.corpus.reads_alphas
    return of_corpus or any(reads_alphas(artifact) for artifact in artifacts)


def fitted_alphas(corpus: CorpusSpec) -> list[tuple[str, date]]:
    """The formulas, each with the last day that had a part in its being chosen."""
    return [(f"formula {alpha.name}", alpha.known_through) for alpha in corpus.alphas]


def check_alphas(parts: Parts, variant: Variant) -> None:
    """Refuse a variant whose reader and whose spec do not mean the same formulas.

    Raises
    ------
    ConfigError
        If the reader was trained with formulas and the spec has none or others, or if no variant of the spec reads
        those that it has.
    ModelError
        If a retriever or a reader of sequences learned another formula by a name of the spec's.
    """
    spec, artifacts = parts.spec, parts.artifacts(variant)
    for artifact in artifacts.values():
        if reads_alphas(artifact):
            _check_reader(parts, variant, artifact)
    if variant.reads_sequences and spec.corpus.reads_alphas:
        for role in ("retriever", "reader"):
            if role in artifacts:
                artifacts[role].check_formulas(parts.materials.alpha_days.formulas)
    if not spec.corpus.alphas or uses_alphas(spec, variant, artifacts.values()):
        return
    if not parts.some_variant(uses_alphas, lambda train: bool(train.corpus.alphas)):
        raise ConfigError(
            f"spec {spec.name!r} has corpus.alphas, and no variant reads them: name a reader that was trained with the "
            "same file (ragsignal train stockllm SPEC), or a retriever of sequences with the formulas among "
            "corpus.indicators; or delete the key"
        )


def _check_reader(parts: Parts, variant: Variant, artifact: Artifact) -> None:
    trained = artifact.card.template["alphas"]
    if not parts.spec.corpus.alphas:
        raise ConfigError(
            f"variant {variant.name!r}: {artifact.ref} reads formulas ({', '.join(trained)}), and the spec has none; "
            "write [corpus] alphas = the file that it was trained with, or name a reader that was trained without"
        )
    given = alphas_recipe(parts.materials.alpha_days.formulas)["alphas"]
    if given != trained:
        other = next(name for name in {**trained, **given} if trained.get(name) != given.get(name))
        raise ConfigError(
            f"variant {variant.name!r}: {artifact.ref} was trained with {other} = {trained.get(other)!r}, and "
            f"corpus.alphas has {given.get(other)!r}; name the file that it was trained with, or train again: "
            f"{artifact.card.command}"
        )
