"""A table ``[ideas]`` becomes what proposes formulas."""

from __future__ import annotations

from collections.abc import Mapping

from ragsignal.alpha.ideas.causal import CausalModel
from ragsignal.alpha.ideas.draw import Sampling
from ragsignal.alpha.ideas.grammar import Limits
from ragsignal.alpha.ideas.knowledge import Knowledge, SentenceModel, explained, read_own
from ragsignal.alpha.ideas.propose import Source
from ragsignal.alpha.ideas.sources import ModelSource, TemplateSource
from ragsignal.alpha.ideas.templates import template_formulas
from ragsignal.alpha.ideas.url import ChatClient, Server, UrlSource
from ragsignal.artifacts import resolve
from ragsignal.config import IdeasSpec
from ragsignal.data import BAR_FIELDS, Kind, library
from ragsignal.utils import Steps, cache_folder, silent_steps


def open_knowledge(
    spec: IdeasSpec, fields: Mapping[str, Kind] = BAR_FIELDS, progress: Steps = silent_steps
) -> Knowledge:
    """What ideas are looked up in: the own list of formulas, templates, and the published ones with their parts."""
    own = read_own(spec.library, fields) if spec.library else []
    published = explained({it.name: it.formula for it in library(fields)})
    encoder, cache = SentenceModel(resolve(spec.encoder)), cache_folder() / "embeddings.sqlite"
    return Knowledge([*own, *template_formulas(fields), *published], encoder, cache, spec.floor, progress)


def open_source(spec: IdeasSpec, fields: Mapping[str, Kind] = BAR_FIELDS, progress: Steps = silent_steps) -> Source:
    """What proposes formulas: a URL or a model where the table names one, else templates.

    Raises
    ------
    ConfigError
        If the list of formulas cannot be read.
    ModelError
        If the weights of model or encoder cannot be used.
    """
    knowledge = open_knowledge(spec, fields, progress)
    if spec.url is not None and spec.model is not None:
        server = Server(spec.url, spec.model, spec.key, spec.timeout, spec.retries)
        return UrlSource(ChatClient(server), knowledge, spec.asks, spec.temperature)
    if spec.model is None:
        return TemplateSource(knowledge)
    model = CausalModel(resolve(spec.model, spec.revision), spec.threads)
    limits = Limits(spec.depth, spec.windows)
    return ModelSource(model, knowledge, limits, Sampling(spec.temperature, spec.tokens))
