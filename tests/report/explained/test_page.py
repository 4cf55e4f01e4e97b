"""The page of an explained signal: each kind of reader, abstentions, hostile names, what it loads, and its size."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from ragsignal.explanation import Explanation, explain
from ragsignal.report.explained import drawings, sentences
from ragsignal.report.explained.page import DRAWN, render_explanation, sorted_groups, strongest_hits
from ragsignal.study import Study
from tests.explanation.studies import DAY, study

HOSTILE = "</script><script>alert('x')</script> & <img src=x onerror=alert(1)>"
Explained = Callable[[str], Explanation]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def explained(opened: Study) -> Explained:
    """The explanation of S00 by a variant; of ``none`` an abstention."""
    made: dict[str, Explanation] = {}

    def of(variant: str) -> Explanation:
        if variant not in made:
            name, symbol = ("reader", "S05") if variant == "none" else (variant, "S00")
            (made[variant],) = explain(opened, opened.spec.find_variant(name), [symbol], DAY)
        return made[variant]

    return of


def words(page: str) -> str:
    """What a reader sees: the text within <main>, without tags."""
    body = page.split("<main>")[1].split("</main>")[0]
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)))


@pytest.mark.parametrize("variant", ["reader", "days", "shape"])
def test_the_page_says_what_the_explanation_holds_in_the_order_that_is_promised(
    explained: Explained, variant: str
) -> None:
    it = explained(variant)
    page = render_explanation(it, "ragsignal explain a.toml")
    shown = words(page)
    hits = [] if variant == "reader" else ["hits"]
    order = ["for-and-against", "opposite", *hits, "neighbours", "robustness", "limits"]
    assert re.findall(r'<section id="([^"]+)"', page) == order
    assert f"P {sentences.probability(it.probability)}" in shown
    assert page.count('<th scope="row" class="name">') == len(it.factors) + len(it.opposite.changes) + len(it.hits)  # type: ignore[union-attr]
    for group in it.groups:
        assert f"{group.name} {len(group.factors)} factor" in shown.replace("  ", " ")
        assert f"{sentences.effect(group.effect)} P {sentences.probability(group.without)} without" in shown
    assert all(factor.words in shown and factor.place in shown for factor in it.factors)
    assert all(limit in shown for limit in sentences.LIMITS)
    assert "Made by ragsignal explain a.toml" in shown


@pytest.mark.parametrize("variant", ["reader", "days", "shape"])
def test_groups_and_hits_are_sorted_by_their_effect(explained: Explained, variant: str) -> None:
    it = explained(variant)
    effects = [group.effect for group in sorted_groups(it)]
    assert effects == sorted(effects, reverse=True)
    sizes = [abs(hit.effect or 0.0) for hit in strongest_hits(it)]
    assert sizes == sorted(sizes, reverse=True)
    page = render_explanation(it)
    assert [page.index(f"<span>{group.name} <small>") for group in sorted_groups(it)] == sorted(
        page.index(f"<span>{group.name} <small>") for group in it.groups
    )
    assert page.count('role="img"') == min(DRAWN, len(it.hits))


def test_an_abstention_says_its_reason_and_nothing_else(explained: Explained) -> None:
    page = render_explanation(explained("none"))
    assert "reader has no view on S05 at the close" in words(page)
    assert "too few bars" in words(page)
    assert "<section" not in page
    assert " P " not in words(page)


def test_hostile_names_and_words_are_escaped_everywhere(explained: Explained) -> None:
    it = explained("shape")
    hits = tuple(replace(hit, symbol=HOSTILE, sequence=HOSTILE, id=HOSTILE) for hit in it.hits)
    factors = tuple(replace(factor, words=HOSTILE, name=HOSTILE, formula=HOSTILE) for factor in it.factors)
    groups = tuple(replace(group, name=HOSTILE) for group in it.groups)
    opposite = replace(it.opposite, words=HOSTILE)  # type: ignore[type-var]
    evil = replace(
        it, symbol=HOSTILE, variant=HOSTILE, hits=hits, factors=factors, groups=groups, opposite=opposite, key=HOSTILE
    )
    overlay = replace(hits[0].overlay, labels=(HOSTILE,) * len(hits[0].overlay.labels))
    evil = replace(evil, hits=(replace(hits[0], overlay=overlay), *hits[1:]))
    silent = replace(explained("none"), abstained=HOSTILE, symbol=HOSTILE)
    for page in (render_explanation(evil, HOSTILE), render_explanation(silent, HOSTILE)):
        assert "<script>alert" not in page
        assert "<img" not in page
        assert page.count("</script>") == 1  # the page's own
        assert "onerror=alert" not in re.sub(r"&lt;img src=x onerror=alert\(1\)&gt;|\\u003cimg.*?\\u003e", "", page)


@pytest.mark.parametrize("variant", ["reader", "days", "shape", "none"])
def test_nothing_is_loaded_and_the_page_is_small(explained: Explained, variant: str) -> None:
    page = render_explanation(explained(variant))
    assert re.findall(r'\b(?:src|href)="([^"]*)"', page) == ["data:,"]
    assert "http" not in re.sub(r"<!--.*?-->", "", page.split("<style>")[0] + page.split("</style>")[1])
    assert "url(" not in page
    assert len(page.encode()) < 120_000


def test_bars_have_one_scale_and_drawings_are_whole_svg(explained: Explained) -> None:
    assert drawings.bar(0.02, 0.02) == (50.0, 50.0)
    assert drawings.bar(-0.01, 0.02) == (25.0, 25.0)
    assert drawings.bar(0.0, 0.0) == (50.0, 0.0)
    for hit in (*explained("shape").hits, *explained("days").hits):
        drawn = ElementTree.fromstring(drawings.overlay(hit))
        lines = drawn.findall("polyline")
        assert len(lines) == 2
        assert all(len(line.attrib["points"].split()) == len(hit.overlay.labels) for line in lines)
        heights = [float(point.split(",")[1]) for line in lines for point in line.attrib["points"].split()]
        assert min(heights) >= 0
        assert max(heights) <= drawings.HEIGHT
    flat = replace(hit.overlay, query_shape=(0.0,) * 8, hit_shape=(1e9,) * 8)
    assert "nan" not in drawings.overlay(replace(hit, overlay=flat))


def test_the_line_of_a_coin_stands_where_one_half_lies_within_the_interval(explained: Explained) -> None:
    like = explained("reader").neighbours
    assert like is not None
    chance = replace(like, true=51, signals=100, share=0.51, low=0.41, high=0.61)
    assert sentences.record_line(chance).endswith("one half lies within, so it may be chance).")
    assert "chance" not in sentences.record_line(replace(chance, low=0.505))
    assert "not all are like it" in sentences.like_line(replace(chance, farthest=0.2, signals=9))
    nothing = replace(like, signals=0, share=None, low=None, high=None, words="no earlier signal had an outcome")
    assert sentences.record_line(nothing) == "No earlier signal like it has an outcome yet."
    assert sentences.like_line(nothing) == "No earlier signal had an outcome."
    render_explanation(replace(explained("reader"), neighbours=nothing))


def test_a_relative_target_is_said_as_one(explained: Explained) -> None:
    it = replace(explained("reader"), side="rise")
    assert "S00 above the median of the stocks" in sentences.summary(it)
    assert "a fall of S00" in sentences.summary(
        replace(it, side="fall", meaning="P that the return from close to close over the next bar is above 0")
    )


def test_the_page_ends_at_the_day(explained: Explained) -> None:
    days = re.findall(r"\b20\d\d-\d\d-\d\d\b", render_explanation(explained("days")))
    assert max(days) == str(DAY)
