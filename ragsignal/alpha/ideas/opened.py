"""A table ``[ideas]`` becomes what proposes formulas."""

from __future__ import annotations

from collections.abc import Mapping

from ragsignal.alpha.ideas.causal import CausalModel
from ragsignal.alpha.ideas.draw import Sampling
from ragsignal.alpha.ideas.grammar import Limits
from ragsignal.alpha.ideas.knowledge import Knowledge, SentenceModel, read_own
from ragsignal.alpha.ideas.propose import Source
from ragsignal.alpha.ideas.sources import ModelSource, TemplateSource
from ragsignal.alpha.ideas.templates import template_formulas
from ragsignal.alpha.ideas.url import ChatClient, Server, UrlSource
from ragsignal.artifacts import resolve
from ragsignal.config import IdeasSpec
from ragsignal.data import BAR_FIELDS, Kind
from ragsignal.utils import cache_folder


def open_knowledge(spec: IdeasSpec, fields: Mapping[str, Kind] = BAR_FIELDS) -> Knowledge:
    """What ideas are looked up in: the own list of formulas first, then templates."""
    own = read_own(spec.library, fields) if spec.library else []
    encoder = SentenceModel(resolve(spec.encoder))
    return Knowledge([*own, *template_formulas(fields)], encoder, cache_folder() / "embeddings.sqlite", spec.floor)


def open_source(spec: IdeasSpec, fields: Mapping[str, Kind] = BAR_FIELDS) -> Source:
    """What proposes formulas: a URL or a model where the table names one, else templates.

    Raises
    ------
    ConfigError
        If the list of formulas cannot be read.
    ModelError
        If the weights of model or encoder cannot be used.
    """
    knowledge = open_knowledge(spec, fields)
    if spec.url is not None and spec.model is not None:
        server = Server(spec.url, spec.model, spec.key, spec.timeout, spec.retries)
        return UrlSource(ChatClient(server), knowledge, spec.asks, spec.temperature)
    if spec.model is None:
        return TemplateSource(knowledge)
    model = CausalModel(resolve(spec.model, spec.revision), spec.threads)
    limits = Limits(spec.depth, spec.windows)
    return ModelSource(model, knowledge, limits, Sampling(spec.temperature, spec.tokens))
