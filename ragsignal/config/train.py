"""A training spec: what ``ragsignal train`` learns from, on which days, and how."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from ragsignal.config.advise import AdviseTraining
from ragsignal.config.news import NewsSpec
from ragsignal.config.prices import DataSpec
from ragsignal.config.tables import (
    ArtifactRef,
    AtLeastOne,
    CorpusSpec,
    Count,
    Day,
    FilePath,
    LLMSpec,
    Name,
    Names,
    StateName,
    Table,
)


class SplitSpec(Table):
    """Which days, and which symbols, may be learned from; the days of ``data`` up to ``data.end`` are all there is.

    ``time``: training queries end ``embargo`` bars before ``valid_from``, validation queries end with the data.
    ``paper``: symbols are split, days are not, as in arXiv 2502.05878: it leaks, and whatever it yields says so.
    """

    protocol: Literal["time", "paper"] = "time"
    valid_from: Day
    embargo: int = Field(default=5, ge=1)
    train_symbols: Names = ()
    valid_symbols: Names = ()


class StockLLMTraining(Table):
    """LoRA (or another peft method) on a causal LM; every prompt has a number of candidates drawn from ``k``.

    All of this is of ``reader = "text"``; with ``"ranks"`` the table ``[ranks]`` says how a small model of its own is
    trained on rank letters, and ``[boosting]`` how its teacher is.
    ``modules`` are the linear layers that are adapted, by name (empty: all of them), in the upper ``upper`` share of
    the blocks: below the lowest adapted block no gradient is computed, which is most of the cost. A killed run goes on
    from its last checkpoint.
    """

    reader: Literal["text", "ranks"] = "text"
    method: Literal["lora", "adalora", "prefix"] = "lora"
    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    modules: Names = ()
    upper: float = Field(default=1.0, gt=0, le=1)
    virtual_tokens: int = Field(default=16, ge=1)
    examples: int = Field(default=8000, ge=1)
    valid_examples: int = Field(default=1000, ge=2)
    k: tuple[Count, ...] = Field(default=(0, 1, 3, 5, 10), min_length=1, strict=False)
    candidates: tuple[Literal["random", "shape"], ...] = Field(default=("random", "shape"), min_length=1, strict=False)
    freeze: Literal["keep", "drop"] = "keep"
    epochs: float = Field(default=1.0, gt=0)
    learning_rate: float = Field(default=2e-4, gt=0)
    batch_size: int = Field(default=32, ge=1)
    accumulate: int = Field(default=1, ge=1)
    eval_steps: int = Field(default=50, ge=1)
    patience: int = Field(default=3, ge=1)
    full_vocabulary: float = Field(default=0.0, ge=0)
    calibration: Literal["platt", "temperature", "none"] = "platt"
    report_to: Names = ()
    seed: Count = 0

    @model_validator(mode="after")
    def _check(self) -> StockLLMTraining:
        if self.upper < 1 and not self.modules:
            raise ValueError("upper < 1 needs modules: the names of the layers to adapt, such as q_proj")
        return self


class FeedbackTraining(Table):
    """Teacher scores of ``queries`` training queries, drawn in blocks of about ``block`` that are near in time.

    A block shares one pool of ``candidates``, all visible as of its earliest query: half drawn at random, half the
    nearest by shape to its queries. Only so can a candidate's effect on every query alike be told from what it does to
    one. At least 4 queries a block: 5 queries then make blocks of 3 and 2, and never one of 1, which has no mean to
    subtract.
    """

    queries: int = Field(default=480, ge=2)
    candidates: int = Field(default=32, ge=4)
    block: int = Field(default=16, ge=4)
    seed: Count = 0


class FinseerTraining(Table):
    """Distillation of teacher scores into an encoder, or contrast of labelled windows.

    Both temperatures belong to the softmax over a query's candidates: ``teacher_temperature`` in log-odds, about the
    spread of the scores; ``temperature`` in cosine similarity. ``mix`` is the share of KL in ``loss = "mix"``. The last
    ``valid_share`` of the blocks of queries is held out. ``base`` .. ``batch_size`` are the text encoder's (LoRA over a
    sentence-transformers model), ``dim`` .. ``numeric_batch_size`` the numeric one's, which begins from nothing and
    therefore needs more passes.

    ``loss = "supcon"`` needs no teacher: windows of one class are drawn together, those of others pushed away (Khosla
    and others 2020, arXiv 2004.11362). A class is a movement, by ``corpus.target``, and one of ``buckets`` of the
    number ``state`` of the market's state on the window's last day. ``positives = "overlap"`` counts windows that share
    one of the two labels as alike too, by a third. A step has ``per_class`` windows of every class, half of them
    queries; an epoch has ``windows`` of them. ``start`` is an artifact of the same encoder that training begins from.
    """

    loss: Literal["kl", "infonce", "mix", "supcon"] = "kl"
    positives: Literal["same", "overlap"] = Field(default="same", exclude_if=lambda it: it == "same")
    state: StateName = Field(default="volatility_20", exclude_if=lambda it: it == "volatility_20")
    buckets: int = Field(default=3, ge=2, le=10, exclude_if=lambda it: it == 3)
    per_class: int = Field(default=8, ge=2, exclude_if=lambda it: it == 8)
    windows: int = Field(default=4000, ge=1, exclude_if=lambda it: it == 4000)
    start: ArtifactRef | None = Field(default=None, exclude_if=lambda it: it is None)
    mix: float = Field(default=0.5, ge=0, le=1)
    teacher_temperature: float = Field(default=0.1, gt=0)
    temperature: float = Field(default=0.05, gt=0)
    negatives: int = Field(default=15, ge=2)
    valid_share: float = Field(default=0.2, gt=0, lt=1)
    base: str = "embedded:all-MiniLM-L6-v2"
    revision: str | None = None
    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    epochs: float = Field(default=2.0, gt=0)
    learning_rate: float = Field(default=2e-4, gt=0)
    batch_size: int = Field(default=8, ge=1)
    dim: int = Field(default=64, ge=8)
    hidden: int = Field(default=128, ge=8)
    numeric_epochs: int = Field(default=30, ge=1)
    numeric_learning_rate: float = Field(default=1e-3, gt=0)
    numeric_batch_size: int = Field(default=32, ge=1)
    save_steps: int = Field(default=20, ge=1)
    seed: Count = 0


class RecallTraining(Table):
    """A small causal language model that names what helped: the title, then the first ``letters`` of its window.

    It learns from the ``best`` candidates of each query that has teacher scores, weighted by the softmax of these at
    ``teacher_temperature`` (in log-odds). Titles hold the market's state, cut into ``states`` parts by trend and as
    many by movement. A Llama decoder of ``layers`` x ``hidden``. The last ``valid_share`` of the blocks is held out:
    its loss, every ``eval_steps`` steps, chooses the weights, and ``patience`` evaluations without a better one end the
    training.
    """

    best: int = Field(default=8, ge=1)
    teacher_temperature: float = Field(default=0.1, gt=0)
    letters: int = Field(default=3, ge=1, le=60)
    states: int = Field(default=3, ge=1, le=10)
    hidden: int = Field(default=64, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    steps: int = Field(default=400, ge=1)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    valid_share: float = Field(default=0.2, gt=0, lt=1)
    eval_steps: int = Field(default=20, ge=1)
    patience: int = Field(default=5, ge=1)
    seed: Count = 0

    @model_validator(mode="after")
    def _check(self) -> RecallTraining:
        if self.hidden % (2 * self.heads):
            raise ValueError(f"hidden {self.hidden} must be an even multiple of heads {self.heads}")
        return self


class ClassifierTraining(Table):
    """The baseline without retrieval: a BERT-style encoder with LoRA and a head, on the query's serialised line.

    ``boosting`` reads rank letters, see ``[boosting]``. ``logistic`` is a regression on the query's log returns; of the
    rest it reads only ``examples``, ``valid_examples`` and ``seed``. ``patience`` counts evaluations, one every
    ``eval_steps`` steps, that bring no lower log-loss on validation queries.
    """

    kind: Literal["bert", "logistic", "boosting"] = "bert"
    base: str = "embedded:all-MiniLM-L6-v2"
    revision: str | None = None
    rank: int = Field(default=16, ge=1)
    examples: int = Field(default=8000, ge=2)
    valid_examples: int = Field(default=2000, ge=2)
    epochs: float = Field(default=2.0, gt=0)
    learning_rate: float = Field(default=2e-4, gt=0)
    batch_size: int = Field(default=32, ge=1)
    eval_steps: int = Field(default=50, ge=1)
    patience: int = Field(default=3, ge=1)
    seed: Count = 0


class BoostingTraining(Table):
    """Gradient boosting on rank letters, averaged over ``members`` that differ by their seed.

    A member has ``trees`` of ``leaves``, at least ``least_rows`` stock-days a leaf; each tree sees the share ``rows``
    of them, each split the share ``factors`` of the factors. The daily signal is weak: smaller leaves fit noise.
    With ``state`` it reads the eight numbers of the market's state on the day beside the letters.
    """

    members: int = Field(default=4, ge=1)
    trees: int = Field(default=400, ge=1)
    leaves: int = Field(default=31, ge=2)
    least_rows: int = Field(default=2000, ge=1)
    learning_rate: float = Field(default=0.04, gt=0)
    factors: float = Field(default=0.5, gt=0, le=1)
    rows: float = Field(default=0.7, gt=0, le=1)
    state: bool = Field(default=False, exclude_if=lambda it: not it)
    seed: Count = 0


class RanksTraining(Table):
    """StockLLM on rank letters: a Llama decoder of ``layers`` x ``hidden``, each day seeing ``window`` days a layer.

    A step reads ``stocks`` stocks on ``days`` days on end, and has a target at each: ``label_weight`` x rank of what
    followed + ``teacher_weight`` x boosting's standardised score (labels alone overfit: signal and noise are one to a
    thousand). ``average`` is the decay of the averaged weights, which are evaluated on validation every ``eval_steps``;
    ``patience`` evaluations without a better information coefficient end the training. ``seeds`` models are one
    artifact.

    With another ``k`` than 0 alone the model learns to read hits too: each step draws their number from ``k``, and from
    ``candidates`` how they are found. They are those of the window's last day, and it alone sees them.
    """

    hidden: int = Field(default=64, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    window: int = Field(default=8, ge=1)
    seeds: int = Field(default=3, ge=1)
    steps: int = Field(default=2000, ge=1)
    days: int = Field(default=24, ge=1)
    stocks: int = Field(default=256, ge=2)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    label_weight: float = Field(default=0.15, ge=0)
    teacher_weight: float = Field(default=0.3, ge=0)
    average: float = Field(default=0.998, ge=0, lt=1)
    eval_steps: int = Field(default=250, ge=1)
    patience: int = Field(default=4, ge=1)
    k: tuple[Count, ...] = Field(default=(0,), min_length=1, strict=False)
    candidates: tuple[Literal["random", "shape"], ...] = Field(default=("random", "shape"), min_length=1, strict=False)
    seed: Count = 0

    @property
    def reads_hits(self) -> bool:
        """Whether the model learns to read hits."""
        return any(self.k)

    @model_validator(mode="after")
    def _check(self) -> RanksTraining:
        if 0 not in self.k:
            raise ValueError(
                "k must hold 0: scores without hits choose the weights, and rank those with hits; write k = [0, 5]"
            )
        if self.hidden % (2 * self.heads):
            raise ValueError(f"hidden {self.hidden} must be an even multiple of heads {self.heads}")
        if not self.label_weight and not self.teacher_weight:
            raise ValueError("label_weight and teacher_weight are both 0: there is nothing to learn")
        return self


class DaysTraining(Table):
    """The adapter by which StockLLM reads retrieved days (LoRA of ``rank`` and ``alpha``), and FinSeer's metric.

    A step reads ``stocks`` stocks on ``days`` days, each with its ``k`` nearest and ``opposite`` most unlike days; in
    ``random_share`` of the steps they are drawn by chance, in ``single_share`` there is one alone, as FinSeer's
    feedback asks. The target is ``label_weight`` x rank + ``teacher_weight`` x standardised score of the teacher:
    boosting that reads the market's state beside the letters. ``product`` is the weight, in standard deviations of the
    trunk's scores, of the product of a stock's factors and the pooled payoffs. The adapters' change is read with that
    of ``weights`` which is best on validation days, where checkpoints are evaluated every ``eval_steps`` too.
    ``teacher`` is a ``classifier`` of the same days (None: the one in ``out``, which sees no state by default).
    """

    teacher: str | None = None

    k: AtLeastOne = 400
    opposite: Count = 200
    rank: int = Field(default=8, ge=1)
    alpha: int = Field(default=16, ge=1)
    steps: int = Field(default=500, ge=1)
    days: int = Field(default=4, ge=1)
    stocks: int = Field(default=256, ge=2)
    learning_rate: float = Field(default=5e-4, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    label_weight: float = Field(default=0.15, ge=0)
    teacher_weight: float = Field(default=0.3, ge=0)
    random_share: float = Field(default=0.1, ge=0, le=1)
    single_share: float = Field(default=0.05, ge=0, le=1)
    product: float = Field(default=0.5, ge=0)
    weights: tuple[float, ...] = Field(default=(0.0, 0.5, 1.0), min_length=1, strict=False)
    average: float = Field(default=0.998, ge=0, lt=1)
    eval_steps: int = Field(default=125, ge=1)
    seed: Count = 0


class TrainSpec(Table):
    """What ``ragsignal train`` learns from and how. Read one with :func:`load_train_spec`.

    ``out`` receives one folder an artifact: ``stockllm``, ``feedback``, ``finseer-text``, ``finseer-numeric``,
    ``recall``, ``classifier``, ``stockllm-days``, ``finseer-days``; and ``advise``, which is no artifact.
    """

    name: Name
    description: str = ""
    out: FilePath
    data: DataSpec
    split: SplitSpec
    corpus: CorpusSpec = CorpusSpec()
    llm: LLMSpec = LLMSpec()
    stockllm: StockLLMTraining = StockLLMTraining()
    feedback: FeedbackTraining = FeedbackTraining()
    finseer: FinseerTraining = FinseerTraining()
    recall: RecallTraining = Field(default=RecallTraining(), exclude_if=lambda it: it == RecallTraining())
    classifier: ClassifierTraining = ClassifierTraining()
    boosting: BoostingTraining = BoostingTraining()
    ranks: RanksTraining = RanksTraining()
    days: DaysTraining = DaysTraining()
    advise: AdviseTraining = Field(default=AdviseTraining(), exclude_if=lambda it: it == AdviseTraining())
    news: NewsSpec | None = Field(default=None, exclude_if=lambda it: it is None)

    @property
    def steps_anew(self) -> int:
        """Optimizer steps at most of a StockLLM that begins from nothing, of each seed."""
        if self.stockllm.reader == "ranks":
            return self.ranks.steps
        batches = math.ceil(self.stockllm.examples / (self.stockllm.batch_size * self.stockllm.accumulate))
        return math.ceil(batches * self.stockllm.epochs)

    @model_validator(mode="after")
    def _check(self) -> TrainSpec:
        if not self.data.start < self.split.valid_from < self.data.end:
            raise ValueError(
                f"split.valid_from {self.split.valid_from} must lie between data.start {self.data.start} "
                f"and data.end {self.data.end}"
            )
        if self.data.universe is not None:  # the training part may know it: whatever it trains is used later
            self.data.universe.check_before(self.split.valid_from, "split.valid_from")
        if self.news is not None:
            self.news.check_close(self.data)
        self.llm.check_headlines(self.news is not None)
        if self.llm.adapter is not None:
            raise ValueError("llm.adapter belongs to a run: training begins from the base model; delete it")
        if self.stockllm.reader == "ranks" and self.classifier.kind != "boosting":
            raise ValueError(
                'stockllm.reader = "ranks" learns from boosting: write a table [classifier] with kind = "boosting"'
            )
        if self.stockllm.reader == "ranks" and self.boosting.state:
            raise ValueError(
                'boosting.state = true cannot teach stockllm.reader = "ranks": a student reads letters alone; delete '
                "one of them (`ragsignal train classifier SPEC` needs no [stockllm])"
            )
        return self
