"""Every formula that was evaluated is a trial, on the bars that it was tried on; looks at a holdout are counted too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ragsignal.alpha.evolution import Individual
from ragsignal.alpha.result import CLAIM_LEVEL, CandidateAlpha, JudgedAlpha, Looks, WindowDays
from ragsignal.alpha.scoring import FormulaScore
from ragsignal.alpha.windows import Part
from ragsignal.config import RunSpec, SearchSpec, Target
from ragsignal.study import Trial, TrialLedger, bars_between, ledger_path
from ragsignal.utils import day_of, json_digest

SEARCHED, SELECTED, JUDGED = "alpha search", "alpha selection", "alpha holdout"
"""Commands in the ledger, by the window that a formula was tried on."""
EVALUATED = "alpha eval"
"""The command in the ledger of a formula that was scored by itself."""
_AFTER = " after "  # before the number of formulas that had been looked at when one was judged first
_LOOKS = frozenset({SEARCHED, SELECTED, JUDGED, EVALUATED})


def count_search(
    spec: SearchSpec,
    windows: Sequence[WindowDays],
    tried: Sequence[Individual],
    candidates: Sequence[CandidateAlpha],
    kept: Sequence[JudgedAlpha],
) -> Looks:
    """Write a search into the user's ledger of trials, and tell how often its holdout was looked at.

    A formula is one trial on the same bars however often it is tried there: a search that is run again adds none. The
    p-values of the kept formulas are corrected for every other formula that was ever tried on bars that share a day and
    a symbol with this holdout: judged there, or searched, selected or evaluated by a spec whose windows were others.
    For one that is new there, those that this search found again are earlier looks like any.
    """
    search, selection, holdout = (bars_between(spec.data, it.first, it.last) for it in windows)
    own = {configuration(spec, it.digest) for it in kept}
    ledger = TrialLedger(ledger_path())
    try:
        looks = [it for it in ledger.against(holdout) if it.command.split(_AFTER)[0] in _LOOKS]
        before = {it.configuration for it in looks}
        ledger.add(search, [Trial(configuration(spec, it.digest), SEARCHED, it.score.sharpe) for it in tried])
        ledger.add(selection, [Trial(configuration(spec, it.digest), SELECTED, None) for it in candidates])
        judged = JUDGED if not before else f"{JUDGED}{_AFTER}{len(before)}"
        ledger.add(holdout, [Trial(one, judged if one not in before else JUDGED, None) for one in sorted(own)])
        evaluated = len(ledger.against(search))
    finally:
        ledger.close()
    others = _others_of(own, looks)
    p = {it.name: _corrected(it, *others[configuration(spec, it.digest)]) for it in kept}
    claims = tuple(it.name for it in kept if it.claim and p[it.name] < CLAIM_LEVEL)
    return Looks(len(own), len(before - own), bool(own & before), p, claims, evaluated)


def count_tested(spec: SearchSpec, part: Part, tried: Sequence[tuple[str, FormulaScore]]) -> None:
    """Count formulas that a session or a generation tested, by digest and score, as trials on the search window."""
    days = part.days
    search = bars_between(spec.data, day_of(days[0].item()), day_of(days[-1].item()))
    ledger = TrialLedger(ledger_path())
    try:
        ledger.add(search, [Trial(configuration(spec, digest), SEARCHED, score.sharpe) for digest, score in tried])
    finally:
        ledger.close()


def count_evaluated(spec: RunSpec, digest: str) -> None:
    """Count a formula that was scored by itself, as a trial on the traded days of a spec."""
    label = spec.evaluation
    bars = bars_between(spec.data, spec.data.start, spec.data.end)
    ledger = TrialLedger(ledger_path())
    try:
        ledger.add(bars, [Trial(_tried_for(digest, label.target, label.horizon), EVALUATED, None)])
    finally:
        ledger.close()


def configuration(spec: SearchSpec, digest: str) -> str:
    """Digest of what a formula was tried for: the same formula for another label is another trial."""
    return _tried_for(digest, spec.alpha.target, spec.alpha.horizon)


def _tried_for(digest: str, target: Target, horizon: int) -> str:
    return json_digest({"formula": digest, "target": target, "horizon": horizon})


def _others_of(own: set[str], looks: Sequence[Trial]) -> dict[str, tuple[int, int]]:
    """Of each formula of a search how many it shares its level with, and how many others are looked at before it.

    One that is new on this holdout comes after all that were there; one that was judged there before after as many as
    then, so that a repetition tells the same, and after no fewer than those that are not of this search.
    """
    before = {it.configuration for it in looks}
    then = dict[str, int]()
    for it in looks:  # judged on several holdouts that share days: the strictest
        then[it.configuration] = max(int(it.command.partition(_AFTER)[2] or 0), then.get(it.configuration, 0))
    earlier = {one: then.get(one, len(before)) for one in own}
    group, others = Counter(earlier.values()), len(before - own)
    return {one: (group[n], n) if n >= others and n else (len(own), others) for one, n in earlier.items()}


def _corrected(it: JudgedAlpha, kept: int, others: int) -> float:
    """Holm's p-value where nobody looked before; else one that gets stricter with each look.

    After ``n`` others, ``k`` formulas share ``level * k / ((n + 1) * (n + k + 1))``. Over however many later looks that
    adds up to less than ``level / (1 + those of the first)``, where Bonferroni's ``level * k / (n + k)`` has no limit.
    """
    return it.p_holm if not others else min(1.0, it.holdout.p * (others + 1) * (others + kept + 1))
