"""From an idea to formulas and back to words, without a language model."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ragsignal.alpha.ideas.brief import CONTEXT, Brief, Tried, polish, prompt_of
from ragsignal.alpha.ideas.knowledge import Knowledge, Known, explained, read_own
from ragsignal.alpha.ideas.propose import Harvest, propose, propose_all, review
from ragsignal.alpha.ideas.sources import TemplateSource
from ragsignal.alpha.ideas.templates import TEMPLATES, WINDOWS, filled, template_formulas
from ragsignal.alpha.ideas.words import describe
from ragsignal.data import (
    BAR_FIELDS,
    Evaluator,
    Kind,
    Window,
    digest_of,
    field_panel,
    library,
    parse,
    parts,
    text_of,
)
from ragsignal.data.prices import load_sample
from ragsignal.errors import ConfigError, RagSignalError
from tests.alpha.ideas.readers import CountsWords, made_knowledge

RICH = {**BAR_FIELDS, "sector": Kind.GROUP, "news_sentiment": Kind.SERIES}


def test_every_template_is_a_formula_with_each_field_and_window() -> None:
    written = {it.template for it in filled(RICH)}
    assert written == set(TEMPLATES)  # none names an operator or a field that there is not
    for it in filled(RICH):
        for window in WINDOWS:
            parse(it.template.write(it.fields, window), RICH)


def test_templates_rank_the_stocks_of_real_bars() -> None:
    prices = load_sample()
    panel = field_panel({name: frame.iloc[-300:] for name, frame in prices.frames.items()})
    evaluator = Evaluator(panel)
    for it in template_formulas(panel.known):
        values = evaluator.values(it.formula)
        assert np.isfinite(values[-50:]).mean() > 0.5, text_of(it.formula)


@pytest.mark.parametrize(
    ("idea", "expected"),
    [
        ("momentum of volume", "rank(ts_returns(volume, "),
        ("low volatility, calm stocks", "rank(-ts_std(returns, "),
        ("a gap that fades", "rank(-(open / ts_delay(close, 1)))"),
        ("stocks whose close price fell come back: reversal", "rank(-ts_returns(close, "),
    ],
)
def test_an_idea_finds_its_template(idea: str, expected: str, tmp_path: Path) -> None:
    proposals = propose(idea, BAR_FIELDS, TemplateSource(made_knowledge(tmp_path)), count=6)
    assert any(text_of(it.formula).startswith(expected) for it in proposals[:3])
    assert len({digest_of(it.formula) for it in proposals}) == len(proposals) == 6
    assert {it.came_from for it in proposals} == {"templates"}


@pytest.mark.parametrize(
    ("idea", "first"),
    [
        ("stocks that fell this week", "rank(-ts_returns(close, 5))"),
        ("stocks near their yearly high", "rank(close / ts_max(high, 250))"),
        ("stocks near their yearly low", "rank(ts_min(low, 250) / close)"),
        ("winners of the last quarter keep winning", "rank(ts_returns(close, 60))"),
        ("busy stocks of 20 days", "rank(volume / ts_mean(volume, 20))"),
        ("the typical price is below its average of 20 days", "rank(ts_mean(vwap, 20) / vwap)"),
    ],
)
def test_an_idea_in_everyday_words_comes_first(idea: str, first: str, tmp_path: Path) -> None:
    proposals = propose(idea, BAR_FIELDS, TemplateSource(made_knowledge(tmp_path)), count=3)
    assert text_of(proposals[0].formula) == first


def test_a_template_stands_for_an_idea_once(tmp_path: Path) -> None:
    proposals = propose(
        "stocks that fell, and come back", BAR_FIELDS, TemplateSource(made_knowledge(tmp_path)), count=3
    )
    without_fields = {re.sub("close|volume|open|high|low|vwap|returns", "x", text_of(it.formula)) for it in proposals}
    assert len(without_fields) == len(proposals) == 3


def test_windows_that_the_idea_names_are_taken(tmp_path: Path) -> None:
    proposals = propose("momentum of volume over 3 weeks", BAR_FIELDS, TemplateSource(made_knowledge(tmp_path)), 2)
    windows = {part.bars for it in proposals for part in parts(it.formula) if isinstance(part, Window)}
    assert 15 in windows
    assert windows <= {15, 3}  # a quarter of it is the shorter one
    assert polish("the last 2 months, or 30-day means").windows == (30, 40)
    assert polish("yearly highs, last month's fall, yesterday").windows == (1, 20, 250)
    assert polish("6 months, a 52-week high").windows == (120, 260)


def test_equal_seeds_give_equal_formulas(tmp_path: Path) -> None:
    source = TemplateSource(made_knowledge(tmp_path))
    assert propose("momentum", RICH, source, 8, 1) == propose("momentum", RICH, source, 8, 1)
    assert propose("momentum", RICH, source, 8, 1) != propose("momentum", RICH, source, 8, 2)


def test_what_does_not_fit_is_no_context(tmp_path: Path) -> None:
    own = [Known(parse("rank(ts_count(returns > 0, 20))"), "many rising days", "mine")]
    knowledge = made_knowledge(tmp_path, more=own)
    brief = polish("stocks with many rising days", BAR_FIELDS, knowledge)
    assert brief.context[0].known == own[0]
    assert len(brief.context) <= CONTEXT
    assert all(it.similarity >= knowledge.floor for it in brief.context)
    assert "many rising days => rank(ts_count(returns > 0, 20))" in prompt_of(brief)
    assert polish("tomato soup", BAR_FIELDS, knowledge).context == ()


def test_formulas_of_other_fields_are_not_found(tmp_path: Path) -> None:
    own = [Known(parse("rank(news_sentiment)", RICH), "good news", "mine")]
    knowledge = made_knowledge(tmp_path, more=own)
    assert [it.known for it in knowledge.search("good news", 1, RICH)] == own
    assert own[0] not in [it.known for it in knowledge.search("good news", 9)]


def test_a_sentence_is_encoded_once(tmp_path: Path) -> None:
    encoder = CountsWords()
    for _ in range(2):
        Knowledge(list(template_formulas()), encoder, tmp_path / "it.sqlite").search("momentum", 3)
    assert encoder.encoded == 1 + len(
        {it.words for it in Knowledge(list(template_formulas()), encoder, tmp_path).known}
    )


def test_published_formulas_are_known_with_their_parts() -> None:
    known = explained({it.name: it.formula for it in library()})
    assert len({digest_of(it.formula) for it in known}) == len(known) > 200
    assert any(it.origin.startswith("a part of alpha") for it in known)
    assert all(it.words and "{" not in it.words for it in known)


def test_words_of_a_formula() -> None:
    said = describe(parse("rank(ts_delta(volume, 20))"))
    assert said == "High where this is high: rank of (change of volume over 20 bars) among the stocks of the day."
    assert "sentiment of the day's news" in describe(parse("rank(news_sentiment)", RICH))


def test_a_review_begins_with_the_strongest_and_says_of_which_days() -> None:
    told = review([Tried(parse("rank(close)"), 0.001, 500), Tried(parse("rank(volume)"), -0.02, 500)])
    assert told.splitlines()[0].startswith("rank(volume): mean rank correlation -0.0200 over 500 days of the search")
    assert "judged on others" in told.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rank(close / close)", "it has div of a part and itself"),
        ("where(open < open, close, low)", "it has less of a part and itself"),
        ("close", "it is a field, and no formula"),
        ("1 + 2", "it reads no field"),
        ("rank(volume)", "it was proposed before"),
        ("rank(close", "cannot be read"),
        ("ts_delay(close, -1)", "no later one can be reached"),
        ("rank(secret)", "there is no field secret"),
    ],
)
def test_what_says_nothing_is_refused_with_the_reason(text: str, reason: str) -> None:
    harvest = Harvest(BAR_FIELDS, 9)
    harvest.take("rank(volume)")
    harvest.take(text)
    assert [text_of(it) for it in harvest.formulas] == ["rank(volume)"]
    assert [it.text for it in harvest.refused] == [text]
    assert reason in harvest.refused[0].reason


def _own(folder: Path, text: str) -> Path:
    (folder / "own.txt").write_text(text, encoding="utf-8")
    return folder / "own.txt"


def test_an_own_list_of_formulas(tmp_path: Path) -> None:
    path = _own(tmp_path, "# mine\nbusy stocks: rank(volume)  # traded\n\nrank(close / open)\n")
    assert [(text_of(it.formula), it.words) for it in read_own(path)] == [
        ("rank(volume)", "busy stocks"),
        ("rank(close / open)", "rank of (close price divided by open price) among the stocks of the day"),
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda _: polish("  "), r"the idea '  ' has no words; say what should rank stocks, such as"),
        (lambda _: polish("123 !!"), r"the idea '123 !!' has no words"),
        (lambda _: polish("word " * 200), r"an idea of 999 characters; say it within 500"),
        (lambda _: polish("a bell \x07 rings"), r"holds characters that cannot be printed"),
        (lambda it: propose("momentum", BAR_FIELDS, it[1], 0), r"count = 0: 1 to 500 formulas may be asked for"),
        (lambda it: propose("momentum", BAR_FIELDS, it[1], 501), r"count = 501: 1 to 500"),
        (lambda it: propose("momentum", BAR_FIELDS, it[1], 5, -1), r"seed = -1: a whole number from 0"),
        (
            lambda it: propose("tomato soup", BAR_FIELDS, it[1], 5),
            r"no template fits the idea 'tomato soup'; the nearest ",
        ),
        (lambda it: made_knowledge(it[0], floor=2.0), r"floor = 2: a cosine of -1 to 1 was expected"),
        (
            lambda it: read_own(it[0] / "none.txt"),
            r"cannot read the formulas of .*none.txt.*; expected a text file with",
        ),
        (lambda it: read_own(_own(it[0], "\n# nothing\n")), r"own.txt holds no formula; write one a line, such as"),
        (lambda it: read_own(_own(it[0], "rank(close)\nranc(close)")), r"own.txt, line 2: .* no operator ranc.*'rank'"),
        (lambda it: read_own(_own(it[0], "x: ts_delay(close, -3)")), r"line 1: .* no later one can be reached"),
    ],
)
def test_wrong_inputs_are_answered_in_a_line(
    wrong: Callable[[tuple[Path, TemplateSource]], object], said: str, tmp_path: Path
) -> None:
    with pytest.raises(RagSignalError, match=said) as error:
        wrong((tmp_path, TemplateSource(made_knowledge(tmp_path))))
    assert "\n" not in str(error.value)


def test_a_brief_can_be_made_by_hand(tmp_path: Path) -> None:
    source = TemplateSource(made_knowledge(tmp_path))
    proposed = propose_all(Brief("volume rose: momentum", BAR_FIELDS, (7,)), BAR_FIELDS, source, 1)
    assert text_of(proposed.proposals[0].formula) == "rank(ts_returns(volume, 7))"
    assert proposed.reasons == {}
    with pytest.raises(ConfigError):
        parse("rank(ts_returns(volume, 0))")
