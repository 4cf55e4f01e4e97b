"""Kept formulas as sequences and as factors: what reads them, what they may not see, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.audit.signals import signals, visibility
from ragsignal.audit.signals.signals import audit_signals
from ragsignal.config import CorpusSpec, KeptAlpha, RunSpec, load_spec
from ragsignal.data import (
    RANK_FACTORS,
    SEQUENCES,
    alpha_days,
    build_rank_letters,
    digest_of,
    load_prices,
    parse,
    with_alphas,
)
from ragsignal.errors import ConfigError, DataError, LookAheadError, ModelError
from ragsignal.explanation import explain
from ragsignal.retrieval import Beside, build_corpus
from ragsignal.signals import queries_of
from ragsignal.study import Study
from ragsignal.study.walk_forward.plan import _other_formulas
from ragsignal.training.ranks.boosting import train_boosting
from ragsignal.training.run import TrainingRun
from ragsignal.utils import silent
from tests.specs import HOLD, VOTE, spec, train_spec, write_spec
from tests.tiny import TINY_VOCABULARY, tiny_finseer, tiny_recall
from tests.universe import universe

FADE: dict[str, Any] = {"name": "fade", "formula": "-ts_delta(close, 1) / close", "known_through": date(2008, 12, 31)}
RANGE: dict[str, Any] = {
    "name": "range",
    "formula": "rank((close - low) / (high - low))",
    "known_through": date(2007, 6, 1),
}
SYMBOLS = [f"S{number:02d}" for number in range(24)]
MARKET = {"source": "planted", "symbols": SYMBOLS}
DATA = MARKET | {"start": date(2012, 1, 2), "end": date(2012, 3, 30)}
RANKED: dict[str, Any] = {
    "data": DATA,
    "corpus": {"indicators": ["adj_close"], "target": "relative", "alphas": [FADE, RANGE]},
    "retrieval": {"retriever": "none"},
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path_factory.getbasetemp() / "alphas-cache"))


def with_file(folder: Path, text: str) -> Path:
    """A spec that names a file of formulas."""
    (folder / "my.alphas.toml").write_text(text)
    return write_spec(folder, corpus={"alphas": "my.alphas.toml"}, data={"symbols": SYMBOLS[:6]})


ONE = '[[alpha]]\nname = "fade"\nformula = "-ts_delta(close, 1)"\nknown_through = 2008-12-31\n'


# ---------------------------------------------------------------------------------------------------------- sequences


def voting(**corpus: Any) -> RunSpec:
    """A vote over the formulas' windows."""
    return spec(
        data=DATA | {"symbols": SYMBOLS[:6]},
        corpus={"indicators": ["alpha.fade", "alpha.range"], "alphas": [FADE, RANGE], **corpus},
        variant=[VOTE, HOLD],
    )


def test_a_file_whose_formula_was_edited_is_refused(tmp_path: Path) -> None:
    sound = f'{ONE}digest = "{digest_of(parse("-ts_delta(close, 1)"))}"\n'
    assert "digest" not in str(load_spec(with_file(tmp_path, sound)).model_dump(mode="json"))
    assert Study(load_spec(with_file(tmp_path, sound))).materials.alpha_days.formulas
    edited = load_spec(with_file(tmp_path, sound.replace("close, 1", "close, 2")))
    with pytest.raises(ConfigError, match="fade is not the formula that was tested"):
        _ = Study(edited).materials.alpha_days


def test_formulas_of_a_file_are_part_of_the_spec_and_of_the_corpus(tmp_path: Path) -> None:
    wanted = load_spec(with_file(tmp_path, ONE))
    assert wanted.corpus.alphas == (KeptAlpha.model_validate(FADE | {"formula": "-ts_delta(close, 1)"}),)
    assert wanted.model_dump(mode="json")["corpus"]["alphas"][0]["known_through"] == "2008-12-31"
    corpus = Study(load_spec(write_spec(tmp_path, corpus={"indicators": [], "alphas": "my.alphas.toml"}))).spec.corpus
    assert corpus.reads_alphas


def test_their_windows_are_ranks_among_the_stocks_of_the_day() -> None:
    corpus = Study(voting()).corpus
    assert set(corpus.sequences) == {"alpha.fade", "alpha.range"}
    assert 0.0 < np.min(corpus.values) < np.max(corpus.values) < 1.0
    assert set(np.unique(np.round(corpus.values * 12).astype(int))) == {1, 3, 5, 7, 9, 11}  # six stocks
    without = CorpusSpec(indicators=("close",), alphas=(KeptAlpha.model_validate(FADE),))
    assert not without.reads_alphas


def test_a_retriever_that_learned_another_formula_by_the_name_is_refused(tmp_path: Path) -> None:
    names = (*SEQUENCES, "alpha.fade", "alpha.range")
    formulas = Study(voting()).materials.alpha_days.formulas
    for known in ("-ts_delta(close, 2)", formulas["alpha.fade"]):
        recipe = {"formulas": {**formulas, "alpha.fade": known}}
        tiny_finseer(tmp_path / known[-4:], sequences=names, recipe=recipe)
        tiny_recall(
            tmp_path / ("recall" + known[-4:]), vocabulary=replace(TINY_VOCABULARY, sequences=names), recipe=recipe
        )

    def keys(retriever: str, encoder: str) -> Any:
        table = {"retriever": retriever, "encoder": str(tmp_path / encoder), "k": 3}
        indicators = ["adj_close", "alpha.fade"]
        run = voting(indicators=indicators).model_dump(mode="json", by_alias=True)
        run["variant"] = [VOTE | {"retrieval": table}, HOLD]
        study = Study(RunSpec.model_validate(run))
        return study.pipeline(study.spec.variants[0]).recipe

    same = formulas["alpha.fade"][-4:]
    for retriever, prefix in (("finseer", ""), ("recall", "recall")):
        with pytest.raises(
            ModelError, match=r"was trained with alpha\.fade = '-ts_delta\(close, 2\)', and corpus\.alphas"
        ):
            keys(retriever, prefix + ", 2)")
        assert keys(retriever, prefix + same)


def test_a_card_names_the_formulas_that_sequences_were_made_of() -> None:
    data, corpus = {"symbols": SYMBOLS[:6]}, {"alphas": [FADE, RANGE]}
    for indicators, known in (
        (["adj_close"], None),
        (["alpha.fade"], ["alpha.fade"]),
        ([], ["alpha.fade", "alpha.range"]),
    ):
        run = TrainingRun(train_spec(data=data, corpus={**corpus, "indicators": indicators}))
        formulas = run.card_recipe({}).get("formulas")
        assert (formulas and list(formulas)) == known


def test_another_formula_is_another_signal_and_the_same_one_is_a_hit() -> None:
    keys = []
    for alphas in ([FADE, RANGE], [FADE, RANGE], [FADE | {"formula": "ts_delta(close, 2)"}, RANGE]):
        study = Study(voting(alphas=alphas))
        queries = queries_of(study.materials.traded.frames, 5)[-3:]
        keys.append([it.key for it in study.pipeline(study.spec.variants[0]).signals(queries)])
    assert keys[0] == keys[1]
    assert not set(keys[0]) & set(keys[2])


FRAMES = universe(8, 60)


@settings(deadline=None, max_examples=15)
@given(last=st.integers(30, 59), kind=st.sampled_from(["cut", "poison"]))
def test_later_bars_change_no_candidate_that_was_known(last: int, kind: str) -> None:
    wanted = CorpusSpec(indicators=("alpha.fade", "alpha.range"), alphas=(alpha(FADE), alpha(RANGE)))
    day = next(iter(FRAMES.values())).index[last]
    changed = {
        name: frame.loc[:day] if kind == "cut" else frame.mul(np.where(frame.index <= day, 1.0, 1.5 + number), axis=0)
        for number, (name, frame) in enumerate(FRAMES.items())
    }
    made = [build_corpus(it, wanted, Beside(alphas=alpha_days(wanted.alphas, it))) for it in (FRAMES, changed)]
    assert made[0].digest_as_of(day.date()) == made[1].digest_as_of(day.date()) != ""


def alpha(table: dict[str, Any]) -> KeptAlpha:
    return KeptAlpha.model_validate(table)


def audited(wanted: RunSpec, patch: pytest.MonkeyPatch) -> dict[str, str]:
    """Verdicts by test, on a short history and at a few cut points."""
    patch.setattr(visibility, "SECONDS", 0.5)
    patch.setattr(visibility, "_FEWEST", 3)
    patch.setattr(signals, "DAYS", 1)
    study = Study(wanted, history=load_prices(wanted.data).between(date(2010, 9, 1), None))
    frames = dict(study.prices.select(wanted.data.symbols).between(wanted.data.start, wanted.data.end).frames)
    return {it.test: it.verdict for it in audit_signals(study, frames, silent)}


def test_the_audit_proves_a_vote_over_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    found = audited(voting(), monkeypatch)
    assert {found["signal-prefix"], found["signal-poison"]} == {"passed"}
    assert "failed" not in found.values()


def test_a_window_on_which_a_formula_was_chosen_is_refused() -> None:
    late = voting(alphas=[FADE | {"known_through": date(2012, 1, 2)}, RANGE])
    with pytest.raises(LookAheadError, match=r"formula fade \(fitted through 2012-01-02\), but the backtest starts"):
        Study(late).pipeline(late.variants[0])


# ------------------------------------------------------------------------------------------------------------ factors


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boosting that reads two formulas beside the factors of bars."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGSIGNAL_CACHE", str(tmp_path_factory.getbasetemp() / "alphas-cache"))
        small = train_spec(
            out=str(tmp_path_factory.mktemp("alphas")),
            data=MARKET | {"seed": 1, "start": date(2008, 1, 2), "end": date(2008, 12, 31)},
            split={"valid_from": date(2008, 10, 1)},
            corpus=RANKED["corpus"],
            classifier={"kind": "boosting"},
            boosting={"members": 1, "trees": 10, "leaves": 8, "least_rows": 100},
        )
        return train_boosting(TrainingRun(small)).folder


def ranked(reader: Path, **changes: Any) -> RunSpec:
    variant = {"name": "boosted", "signal": "classifier", "classifier": str(reader)}
    return spec(**{**RANKED, "variant": [variant, HOLD], **changes})


@pytest.mark.slow
def test_the_audit_proves_a_reader_of_formulas(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = audited(ranked(trained), monkeypatch)
    assert {found["signal-prefix"], found["signal-poison"]} == {"passed"}


@pytest.mark.slow
def test_a_reader_reads_them_behind_the_factors_of_bars(trained: Path) -> None:
    study = Study(ranked(trained))
    variant = study.spec.variants[0]
    card = study.artifacts(variant)["classifier"].card
    assert card.template["alphas"] == {"alpha.fade": "-ts_delta(close, 1) / close", "alpha.range": RANGE["formula"]}
    assert card.trained_through >= FADE["known_through"]
    letters = study.materials.letters(alphas=True, news=False)
    assert letters.factors == (*RANK_FACTORS, "alpha.fade", "alpha.range")
    assert letters.letters.shape[2] == len(RANK_FACTORS) + 2
    (signal,) = study.pipeline(variant).signals(queries_of(study.materials.traded.frames, 5)[-1:])
    assert signal.abstained is None


@pytest.mark.slow
def test_an_explanation_names_them(trained: Path) -> None:
    study = Study(ranked(trained))
    (told,) = explain(study, study.spec.variants[0], ["S03"], date(2012, 3, 29))
    assert [it.words for it in told.factors if it.name.startswith("alpha.")] == ["formula fade", "formula range"]
    assert "kept formulas" in {group.name for group in told.groups}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alphas", "said"),
    [
        ([], r"reads formulas \(alpha.fade, alpha.range\), and the spec has none"),
        ([FADE], "was trained with alpha.range = .* and corpus.alphas has None"),
        ([FADE | {"formula": "open"}, RANGE], "was trained with alpha.fade = .* and corpus.alphas has 'open'"),
    ],
)
def test_a_reader_and_a_spec_with_other_formulas_are_refused(trained: Path, alphas: list[Any], said: str) -> None:
    wanted = ranked(trained, corpus=RANKED["corpus"] | {"alphas": alphas})
    with pytest.raises(ConfigError, match=said):
        Study(wanted).pipeline(wanted.variants[0])


def test_letters_of_formulas_are_their_rank_on_the_day() -> None:
    frames = universe(26, 300)
    letters = build_rank_letters(frames)
    kept = alpha_days([alpha(FADE)], frames)
    more = with_alphas(letters, kept)
    row = int(np.flatnonzero(letters.ranked.sum(axis=1) > 23)[-1])
    there = np.flatnonzero(letters.ranked[row])
    order = there[np.argsort(kept.on(letters.symbols, letters.days)[0, row, there])]
    assert len(np.unique(more.letters[row, there, -1])) == 16
    assert (np.diff(more.letters[row, order, -1].astype(int)) >= 0).all()
    assert more.values_on(row)[:, -1] == pytest.approx(kept.on(letters.symbols, letters.days)[0, row])
    assert more.day_digests != letters.day_digests


# -------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no formula; expected was a table"),
        ("[[alpha]", "is not a TOML file"),
        (ONE.replace('name = "fade"\n', ""), "missing, and it has no default"),
        (ONE.replace("known_through = 2008-12-31\n", ""), "known_through: missing"),
        (ONE.replace('"fade"', '"Fade me"'), "letters, digits, '.', '_' and '-' were expected"),
        (ONE + ONE, "two formulas are called fade"),
        (ONE + 'note = "x"\n', "unknown key"),
        (ONE.replace("2008-12-31", '"soon"'), "a day was expected"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_spec(with_file(tmp_path, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = write_spec(tmp_path, corpus={"alphas": "none.toml"})
    with pytest.raises(ConfigError, match=r"no file .*none.toml; `ragsignal alpha search SPEC` writes one"):
        load_spec(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"formula": "ts_delta(close, -1)"}, "corpus.alphas: fade: .* no later one can be reached"),
        ({"formula": "clsoe"}, "corpus.alphas: fade: .* Did you mean 'close'"),
        ({"formula": "rank(5)"}, "corpus.alphas: fade: .*it reads no field"),
        ({"digest": "0" * 64}, "fade is not the formula that was tested"),
        ({"formula": "ts_mean(ts_mean(close, 504), 504)"}, "fade gives no value on any of"),
    ],
)
def test_a_formula_that_cannot_be_used_is_told(changes: dict[str, Any], said: str) -> None:
    with pytest.raises((ConfigError, DataError), match=said):
        alpha_days([alpha(FADE | changes)], FRAMES)


def test_too_few_stocks_are_refused() -> None:
    with pytest.raises(DataError, match="rank stocks among each other, and the spec has 3"):
        alpha_days([alpha(FADE)], {name: FRAMES[name] for name in ("S00", "S02", "S04")})


def test_formulas_that_no_variant_reads_are_refused() -> None:
    wanted = voting(indicators=["close"])
    with pytest.raises(ConfigError, match=r"has corpus\.alphas, and no variant reads them"):
        Study(wanted).pipeline(wanted.variants[0])


def test_a_sequence_that_no_formula_is_called_by_is_told() -> None:
    wanted = voting(indicators=["alpha.fad"])
    with pytest.raises(ConfigError, match=r"unknown \['alpha.fad'\].*formulas are named as alpha.NAME"):
        Study(wanted).pipeline(wanted.variants[0]).signals(queries_of(Study(wanted).materials.traded.frames, 5)[-1:])


@pytest.mark.parametrize(
    ("reader", "given", "refused"),
    [
        ("ranks", [], True),
        ("ranks", [RANGE], True),
        ("ranks", [FADE], False),
        ("text", [], False),
        ("text", [FADE | {"formula": "close"}], True),
    ],
)
def test_steps_of_other_formulas_are_refused_before_anything_is_trained(
    reader: Any, given: list[dict[str, Any]], refused: bool
) -> None:
    kind = {"classifier": {"kind": "boosting"}} if reader == "ranks" else {}
    train = train_spec(stockllm={"reader": reader}, corpus={"target": "relative", "alphas": [FADE]}, **kind)
    run = voting(indicators=["adj_close"], alphas=given)
    found = _other_formulas(run, train)
    assert bool(found) == refused
    assert all(it.startswith("corpus.alphas has fade = ") for it in found)
