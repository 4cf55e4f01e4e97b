"""One column of the comparison, resolved: the tables of its run with its own keys on top, and what follows from them.

What a variant is, is decided here and nowhere else: whoever needs to know asks a property.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ragsignal.config.tables import WALK, ExternalSpec, LLMSpec, RetrievalSpec, StrategySpec, Walked

SignalName = Literal["llm", "vote", "classifier", "external", "none"]


@dataclass(frozen=True)
class Variant:
    """A variant with the whole of each table that it is made of.

    Parameters
    ----------
    name : str
    signal : str
        What makes its signal: ``llm``, ``vote`` (of the hits), ``classifier``, ``external`` (decisions of a file), or
        ``none``: it trades prices alone.
    retrieval : RetrievalSpec
    llm : LLMSpec
    strategy : StrategySpec
    classifier : str
        The artifact that ``signal = "classifier"`` reads.
    own_strategy : bool
        Whether it names a strategy of its own, and does not trade by the run's.
    external : ExternalSpec
        The file that ``signal = "external"`` reads.
    """

    name: str
    signal: SignalName
    retrieval: RetrievalSpec
    llm: LLMSpec
    strategy: StrategySpec
    classifier: str
    own_strategy: bool
    external: ExternalSpec

    @property
    def has_signal(self) -> bool:
        """Whether it has a signal at all."""
        return self.signal != "none"

    @property
    def is_llm(self) -> bool:
        """Whether a language model makes its signal."""
        return self.signal == "llm"

    @property
    def reads_text(self) -> bool:
        """Whether a language model reads prompts of words, and not rank letters."""
        return self.is_llm and not self.llm.is_artifact

    @property
    def is_zero_shot(self) -> bool:
        """Whether an untaught language model reads the query's text alone: no adapter, no hits."""
        return self.reads_text and self.llm.adapter is None and not self.reads_corpus

    @property
    def is_vote(self) -> bool:
        """Whether the hits alone make its signal."""
        return self.signal == "vote"

    @property
    def is_classifier(self) -> bool:
        """Whether the classifier makes its signal, from the query alone."""
        return self.signal == "classifier"

    @property
    def is_external(self) -> bool:
        """Whether its signal is read from a file of decisions that somebody else made."""
        return self.signal == "external"

    @property
    def has_retriever(self) -> bool:
        """Whether its signal is made with a retriever, even if that is the one that finds nothing."""
        return self.signal in ("llm", "vote")

    @property
    def reads_corpus(self) -> bool:
        """Whether its signal depends on candidates."""
        return self.has_retriever and self.retrieval.retriever != "none"

    @property
    def reads_days(self) -> bool:
        """Whether the candidates that its signal depends on are days."""
        return self.reads_corpus and self.retrieval.finds_days

    @property
    def reads_sequences(self) -> bool:
        """Whether the candidates that its signal depends on are sequences of stocks: those of ``[corpus]``."""
        return self.reads_corpus and not self.retrieval.finds_days

    @property
    def draws_at_random(self) -> bool:
        """Whether its candidates are drawn by chance: a control, which shows what a retriever is worth."""
        return self.reads_corpus and self.retrieval.retriever == "random"

    @property
    def embeds_text(self) -> bool:
        """Whether its candidates are found by text weights that nobody trained on outcomes."""
        return self.has_retriever and self.retrieval.retriever == "embedding"

    @property
    def reads_finseer(self) -> bool:
        """Whether its candidates are found by a trained retriever."""
        return self.has_retriever and self.retrieval.needs_finseer

    @property
    def trunk(self) -> LLMSpec:
        """Its language model without what reads hits: a model on rank letters reads days by an adapter, and only so."""
        return self.llm.model_copy(update={"adapter": None}) if self.llm.is_artifact else self.llm

    @property
    def quotes_headlines(self) -> bool:
        """Whether its prompts quote headlines of the news."""
        return self.reads_text and self.llm.headlines > 0

    @property
    def reads_letters(self) -> bool:
        """Whether its language model reads quantile letters."""
        return self.is_llm and self.llm.reads_letters

    @property
    def reads_ranks(self) -> bool:
        """Whether its model reads ranks among the stocks of the day."""
        return self.signal in ("llm", "classifier") and self.llm.reads_ranks

    @property
    def retrained(self) -> tuple[Walked, ...]:
        """What in it is trained anew at every step: the kinds behind its ``walk:KIND`` references."""
        refs = {
            "llm": (self.llm.model, self.llm.adapter, self.retrieval.encoder if self.reads_finseer else None),
            "vote": (self.retrieval.encoder if self.reads_finseer else None,),
            "classifier": (self.classifier,),
            "external": (),
            "none": (),
        }[self.signal]
        return tuple(kind for ref in refs for kind in get_args(Walked) if ref == WALK + kind)
