"""How an evaluation was done, in sentences that stand beside its figures."""

from __future__ import annotations

from ragsignal.config import EvaluationSpec, RunSpec
from ragsignal.evaluation.baselines import HELD_BACK, MOST_LABELS
from ragsignal.evaluation.metrics import AUC_BINS, DECILES_FROM, ECE_BINS, LEAST_RESIDUAL
from ragsignal.evaluation.questions import Questions
from ragsignal.statistics import LEAST_DAYS, REPETITIONS, block_length

LEAK_WORDS = (
    "The same-date oracle knows the day's outcome: it reads the labels of the other symbols on the very day it speaks "
    "of. Nobody can forecast so. A forecaster that comes near it leaks."
)

NO_LEAK_WORDS = (
    "Outcomes relative to the day's median: half of the names rise every day by construction, so other symbols' labels "
    "of that day tell nothing, and there is no same-date oracle."
)

_TARGETS = {
    "movement": "close to next close",
    "open_to_open": "next open to the open after it, what an order at the next open can earn in a day",
    "relative": "close to next close, less the median of the evaluated symbols on that day",
}


def notes_of(spec: RunSpec, questions: Questions) -> list[str]:
    """List what a reader must know before the first figure."""
    options = spec.evaluation
    notes = [
        f"Outcome: {_TARGETS[options.target]}{_ahead(options.horizon)}; a rise is an outcome above 0. Queries are "
        f"every symbol on every {_ordinal(options.every)}trading day of the test, the same for all forecasters, cut "
        "from the past only.",
        "The set non-freeze leaves out outcomes from -0.5 % to +0.55 %, as the paper does: nobody knows at trade time "
        "which days those are.",
        f"Free baselines learn from labels known {options.embargo} bars or more before the test begins. The best one "
        f"is chosen for each figure on the last {HELD_BACK:.0%} of the training days, by baselines fitted before them; "
        f"never on the test. The two models learn from {MOST_LABELS:,} labels at most, drawn by chance.",
        f"Intervals are 95 %, from {REPETITIONS:,} resamplings of whole days in blocks of "
        f"{block_length(questions.n_days, overlap_of(options))}, the same days for all figures, widened for few "
        f"blocks. A figure of fewer than {LEAST_DAYS} days has none.",
        "A difference is distinguishable if its p stays below 0.05 after Holm's correction for all differences of its "
        "family. Questions about retrieval (less the same reader without, less random retrieval, less the vote of the "
        "same hits) and questions of skill are families apart; in each, ICs are one, and the other figures one on each "
        "set of queries. A variant whose candidates are drawn by chance is a control: it is compared with what it "
        "controls, and with nothing else.",
        "P(rise) of exactly 0.5 counts half for each side. Abstentions are left out of a forecaster's figures and "
        "counted; differences are on the queries that both sides answered.",
        f"AUC is over pairs of all days, scores in {AUC_BINS} bins; ECE has {ECE_BINS} bins of equal mass, and is "
        "above 0 by chance alone.",
        f"IC is Spearman's correlation of score and outcome{_ahead(options.horizon)} among the symbols of a day, mean "
        "of days: close to close, and open to open (what an order at the next open can earn). The residual IC is of "
        "what the day's ranks of dollar volume, volatility, momentum and last return leave of the score's ranks.",
        f"ICs, daily AUC and spread are means over days with {questions.least} symbols or more (residual IC: "
        f"{max(questions.least, LEAST_RESIDUAL)}); the spread is the top tenth less the bottom tenth (fifths below "
        f"{DECILES_FROM} symbols), in basis points before costs.",
    ]
    if options.target == "relative":
        notes.append("acc_ranked takes a score above the day's median for a rise, and half a rise at it.")
    if options.reference:
        notes.append("Published figures are on other data, days and splits: they stand beside ours, not against them.")
    return notes


def overlap_of(options: EvaluationSpec) -> int:
    """How many queries of a symbol in a row share a part of their outcome."""
    return -(-options.horizon // options.every)


def _ahead(horizon: int) -> str:
    return "" if horizon == 1 else f", {horizon} bars ahead in the place of one"


def _ordinal(every: int) -> str:
    return "" if every == 1 else f"{every}. "
