"""From a spec to working parts, what they will cost, what they have seen, and how often they were tried."""

from __future__ import annotations

from ragsignal.study.cost import Before, Estimate, Work, duration, estimate, spread, work_of
from ragsignal.study.day_evidence import (
    DayEvidence,
    StateValue,
    both_ends,
    day_evidence,
    evidence_of_days,
    hit_record,
    market_in_words,
    payoffs_in_words,
    strongest,
)
from ragsignal.study.first_spec import choose_first_spec, write_first_spec
from ragsignal.study.frame import RunFrame, data_digests
from ragsignal.study.growing import GrowingSource
from ragsignal.study.materials import Materials
from ragsignal.study.news import NewsSource, news_rules
from ragsignal.study.parts import Parts, open_store
from ragsignal.study.provenance import (
    Provenance,
    notes_on_news,
    notes_on_prices,
    notes_on_training,
    weights_without_card,
)
from ragsignal.study.study import Study, load_pipeline
from ragsignal.study.symbols import with_symbols
from ragsignal.study.trials import (
    Bars,
    LuckFigures,
    Trial,
    TrialCount,
    TrialLedger,
    bars_between,
    configuration_of,
    count,
    count_run,
    deflated,
    ledger_path,
    sharpe_of,
)
from ragsignal.study.walk_forward.address import TrainedKind, training_order
from ragsignal.study.walk_forward.plan import Plan
from ragsignal.study.walk_forward.steps import Step

__all__ = [
    "Bars",
    "Before",
    "DayEvidence",
    "Estimate",
    "GrowingSource",
    "LuckFigures",
    "Materials",
    "NewsSource",
    "Parts",
    "Plan",
    "Provenance",
    "RunFrame",
    "StateValue",
    "Step",
    "Study",
    "TrainedKind",
    "Trial",
    "TrialCount",
    "TrialLedger",
    "Work",
    "bars_between",
    "both_ends",
    "choose_first_spec",
    "configuration_of",
    "count",
    "count_run",
    "data_digests",
    "day_evidence",
    "deflated",
    "duration",
    "estimate",
    "evidence_of_days",
    "hit_record",
    "ledger_path",
    "load_pipeline",
    "market_in_words",
    "news_rules",
    "notes_on_news",
    "notes_on_prices",
    "notes_on_training",
    "open_store",
    "payoffs_in_words",
    "sharpe_of",
    "spread",
    "strongest",
    "training_order",
    "weights_without_card",
    "with_symbols",
    "work_of",
    "write_first_spec",
]
