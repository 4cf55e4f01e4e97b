"""``ragsignal alpha ideas``: JSON of what was proposed, words beside it, and a line for what is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragsignal.cli import main
from ragsignal.config import load_search_spec
from ragsignal.data import parse
from tests.alpha.ideas.readers import CountsWords
from tests.searches import SMALL_SEARCH
from tests.specs import changed, write

Answered = tuple[int, Any, str]
Ideas = Callable[..., Answered]
VOLUME = "unusual volume: traded more than on average"


def _spec(folder: Path, **tables: Any) -> Path:
    return write(folder / "hunt.toml", changed(SMALL_SEARCH, **tables))


@pytest.fixture
def ideas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ideas:
    monkeypatch.setattr("ragsignal.alpha.ideas.opened.SentenceModel", lambda _: CountsWords())
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))

    def run(*words: str, **table: Any) -> Answered:
        spec = ["--spec", str(_spec(tmp_path, ideas=table))] if table else []
        monkeypatch.setattr(sys, "argv", ["ragsignal", "alpha", "ideas", *words, *spec])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        return code, json.loads(out) if out.strip() else None, " ".join(err.split())

    return run


def test_templates_answer_without_a_model(ideas: Ideas) -> None:
    code, record, words = ideas(VOLUME, "--count", "3", "--seed", "1")
    assert code == 0
    assert record["proposals"][0]["formula"].startswith("rank(volume / ts_mean(volume, ")
    assert {it["came_from"] for it in record["proposals"]} == {"templates"}
    assert record["context"][0]["words"] == VOLUME
    assert all(parse(it["formula"]) for it in record["proposals"])
    assert "High where this is high: rank of (volume divided by (mean of volume over" in words
    assert ideas(VOLUME, "--count", "3", "--seed", "1")[1] == record


def test_a_spec_brings_an_own_list_beside_it(ideas: Ideas, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("zebras on the move: rank(ts_delta(volume, 3))\n", encoding="utf-8")
    code, record, _ = ideas(f"zebras on the move, {VOLUME}", library="own.txt", floor=0.3)
    assert code == 0
    assert record["context"][0]["formula"] in ("rank(ts_delta(volume, 3))", "rank(volume / ts_mean(volume, 20))")
    assert {"own.txt", "templates"} <= {it["origin"] for it in record["context"]}


def test_a_spec_without_the_table_dumps_as_before(tmp_path: Path) -> None:
    assert "ideas" not in load_search_spec(_spec(tmp_path)).model_dump(mode="json", by_alias=True)
    table = {"url": "http://localhost:1/v1", "model": "m", "key": "MY_KEY"}
    spec = load_search_spec(_spec(tmp_path, ideas=table))
    assert "MY_KEY" in str(spec.model_dump(mode="json"))  # the name of the variable, never what it holds


@pytest.mark.parametrize(
    ("words", "table", "said"),
    [
        (["tomato soup"], {}, r"no template fits the idea 'tomato soup'; the nearest"),
        ([" "], {}, r"the idea ' ' has no words"),
        ([VOLUME, "--count", "0"], {}, r"count = 0: 1 to 500"),
        ([VOLUME, "--url", "http://localhost:1/v1"], {}, "url needs model, the name that its server has for one"),
        ([VOLUME, "--url", "ftp://x/v1", "--model", "m"], {}, "'ftp://x/v1': the URL of an OpenAI-compatible server"),
        ([VOLUME, "--url", "http://me:pw@x/v1", "--model", "m"], {}, "a URL without user, password"),
        ([VOLUME, "--model", "embedded:GPT-9"], {}, "GPT-9"),
        ([VOLUME], {"key": "sk-abcdefgh0123"}, "ideas.key: the name of an environment variable was expected"),
        ([VOLUME], {"key": "MY_KEY"}, "key belongs to url"),
        ([VOLUME], {"windows": [5, 0]}, "ideas.windows.1: Input should be greater than or equal to 1"),
        ([VOLUME], {"depth": 99}, "ideas.depth: Input should be less than or equal to 12"),
        ([VOLUME], {"modle": "x"}, "ideas.modle: unknown key. Did you mean 'model'?"),
        ([VOLUME], {"library": "none.txt"}, "cannot read the formulas of"),
        ([VOLUME], {"url": "http://x/v1", "model": "m", "revision": "abc"}, "revision belongs to a model of the Hub"),
        ([VOLUME], {"encoder": "embedded:BERT-9"}, "BERT-9"),
    ],
)
def test_wrong_inputs(ideas: Ideas, words: list[str], table: dict[str, Any], said: str) -> None:
    code, record, told = ideas(*words, **table)
    assert code in (1, 2)
    assert record is None
    assert said in told
    assert "Traceback" not in told
    assert "pw@" not in told
