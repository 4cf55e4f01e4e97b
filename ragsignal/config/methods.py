"""``[methods]`` of a run spec: ways to teach the run's text reader, compared on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from ragsignal.config.tables import LLMSpec, Table
from ragsignal.config.train import TrainSpec
from ragsignal.config.variant import Variant

MethodName = Literal["lora", "adalora", "prefix"]


def _distinct(rates: tuple[float, ...]) -> tuple[float, ...]:
    if len(set(rates)) != len(rates):
        raise ValueError(f"a learning rate stands twice in {list(rates)}; write each once")
    return rates


Rates = Annotated[
    tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(default=(), strict=False), AfterValidator(_distinct)
]


class MethodsSpec(Table):
    """Methods that teach the run's language model, for ``ragsignal train methods``.

    ``train`` is written as the path of a training spec, which is read with the run's: all methods learn from its
    examples, in its number of steps. The base is the run's ``[llm]``. ``lora``, ``adalora`` and ``prefix`` list the
    learning rates that are tried; the one with the least log-loss on validation days is kept. Its adapter lies in
    ``METHOD/stockllm`` below the training spec's ``out``; an empty list leaves a method out.
    """

    train: TrainSpec
    lora: Rates
    adalora: Rates
    prefix: Rates

    @property
    def rates(self) -> dict[MethodName, tuple[float, ...]]:
        """The learning rates of each method that is trained."""
        listed: dict[MethodName, tuple[float, ...]] = {name: getattr(self, name) for name in get_args(MethodName)}
        return {name: rates for name, rates in listed.items() if rates}

    def folder(self, method: MethodName) -> Path:
        """Where what a method comes to lies: the folder that holds ``stockllm``."""
        return self.train.out / method

    def training(self, method: MethodName, rate: float, llm: LLMSpec) -> TrainSpec:
        """The training spec of one method at one learning rate, upon the base of ``llm``."""
        stockllm = self.train.stockllm.model_copy(update={"method": method, "learning_rate": rate})
        base = llm.model_copy(update={"adapter": None})
        out = self.folder(method) / f"rate-{rate:g}"
        return self.train.model_copy(update={"stockllm": stockllm, "llm": base, "out": out})

    @model_validator(mode="after")
    def _check(self) -> MethodsSpec:
        if not self.rates:
            raise ValueError("no method has a learning rate to try; write for one of them, such as lora = [0.001]")
        if self.train.stockllm.reader != "text":
            raise ValueError('train: stockllm.reader = "ranks" has no adapter to be taught by; write reader = "text"')
        if self.train.split.protocol == "paper":
            raise ValueError('train.split.protocol = "paper" trains on the days it validates on; write "time"')
        return self

    def check_run(self, start: date, llm: LLMSpec, variants: Sequence[Variant]) -> None:
        """Raise ``ValueError`` unless a run's first day, base and variants fit what is trained."""
        if self.train.data.end >= start:
            raise ValueError(
                f"methods.train learns through {self.train.data.end}, and the run starts on {start}: move data.start "
                f"after it, or end the training spec's data before, on {start - timedelta(days=1)} at the latest"
            )
        if self.train.llm not in (LLMSpec(), llm.model_copy(update={"adapter": None})):
            raise ValueError(
                "methods.train has a table [llm] of its own, and what is compared is the run's model; delete it there"
            )
        _zero_shot(variants)
        read = {Path(it.llm.adapter) for it in variants if it.reads_text and it.llm.adapter}
        for method in self.rates:
            if (self.folder(method) / "stockllm").resolve() not in {path.resolve() for path in read}:
                raise ValueError(
                    f"methods.{method} is trained and no variant reads it; write a variant with llm = {{ adapter = "
                    f'"{self.folder(method) / "stockllm"}" }}, or methods.{method} = []'
                )


def _zero_shot(variants: Sequence[Variant]) -> None:
    plain = [it.name for it in variants if it.is_zero_shot]
    if len(plain) != 1:
        raise ValueError(
            f"methods are compared with one variant that reads the query alone without an adapter, and {plain} do; "
            'write one with retrieval = { retriever = "none" } and no llm.adapter'
        )
