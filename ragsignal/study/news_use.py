"""Which variants read news, and what is refused: a reader without its news, news without a reader, another scorer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ragsignal.artifacts import Artifact
from ragsignal.config import RunSpec, Variant
from ragsignal.data import NEWS_FACTORS
from ragsignal.errors import ConfigError
from ragsignal.llm import news_recipe, reads_news

if TYPE_CHECKING:
    from ragsignal.study.parts import Parts

COUNTED_BY_DATE = 'news that came after the close (news.counts_for = "date")'
"""What a variant has seen of the days that it is traded on, where items count for the bar of their calendar day."""


def uses_news(spec: RunSpec, variant: Variant, artifacts: Iterable[Artifact]) -> bool:
    """Whether a variant's signals depend on the news: by its reader, its candidates or its prompts."""
    of_corpus = variant.reads_sequences and bool({*spec.corpus.indicators} & {*NEWS_FACTORS})
    return of_corpus or variant.quotes_headlines or any(reads_news(artifact) for artifact in artifacts)


def check_news(parts: Parts, variant: Variant) -> None:
    """Refuse a variant whose reader and whose spec do not mean the same news.

    Raises
    ------
    ConfigError
        If the reader was trained with news and the spec has none or scores them otherwise, or if no variant of the spec
        reads the news that it has.
    """
    spec, artifacts = parts.spec, parts.artifacts(variant)
    for artifact in artifacts.values():
        if reads_news(artifact):
            _check_reader(parts, variant, artifact)
    if spec.news is None or uses_news(spec, variant, artifacts.values()):
        return
    if not parts.some_variant(uses_news, lambda train: train.news is not None):
        raise ConfigError(
            f"spec {spec.name!r} has a table [news], and no variant reads it: name a reader that was trained with the "
            'same table (ragsignal train stockllm SPEC), a sequence in corpus.indicators, such as "news_sentiment", or '
            "llm.headlines; or delete the table"
        )


def _check_reader(parts: Parts, variant: Variant, artifact: Artifact) -> None:
    trained = artifact.card.template["news"]
    if parts.spec.news is None:
        raise ConfigError(
            f"variant {variant.name!r}: {artifact.ref} reads the day's news ({', '.join(trained['factors'])}), and the "
            'spec has none; write a table [news] with path = "news.csv" and the scorer of its training '
            f"({json.dumps(trained['scorer'])}), or name a reader that was trained without"
        )
    source = parts.materials.news
    given = news_recipe(source.recipe if source else None).get("news", {})
    differing = sorted(key for key in {*trained, *given} if trained.get(key) != given.get(key))
    if differing:
        raise ConfigError(
            f"variant {variant.name!r}: {artifact.ref} was trained on news with {_only(trained, differing)}, and "
            f"[news] has {_only(given, differing)}; write what it was trained on, or train again: "
            f"{artifact.card.command}"
        )


def _only(recipe: dict[str, object], keys: list[str]) -> str:
    return json.dumps({key: recipe[key] for key in keys if key in recipe}, default=str)
