"""What the README and docs say is run or compared with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ragsignal import config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECORD = ROOT / "backtests" / "sample.record.json"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_the_readmes_strategy_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(ROOT)
    scope: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), scope)
    (ran,) = scope["cerebro"].runstrats[0]  # type: ignore[attr-defined]
    assert len(ran.rag) > 50
    assert ran.rag.evidence().hits


def _row(variant: dict[str, float | None]) -> str:
    figures = [_percent(variant["return"]), _number(variant["sharpe"]), _percent(variant["max_drawdown"])]
    figures += [str(variant["trades"]), f"{variant['costs_paid']:,.0f}", _percent(variant["hit_rate"])]
    return f"| {variant['name']} | {' | '.join(figures)} |"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %".replace("-", "−")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def test_the_readmes_table_is_the_committed_record() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    rows = [_row(variant) for variant in record["variants"]]
    assert len(rows) == 9
    for row in rows:
        assert row in README


def test_the_committed_record_is_of_the_committed_spec() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    spec = config.load_spec(ROOT / "backtests" / "sample.toml")
    assert record["spec"] == spec.model_dump(mode="json", by_alias=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_key_of_a_spec_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")
    tables = [config.DataSpec, config.CorpusSpec, config.RetrievalSpec, config.LLMSpec, config.StrategySpec]
    for table in [*tables, config.CostSpec, config.VariantSpec, config.RunSpec]:
        for name, field in table.model_fields.items():
            assert f"`{field.alias or name}`" in text or f"[{name}]" in text, f"{table.__name__}.{name}"


def test_every_test_that_the_look_ahead_page_names_exists() -> None:
    text = (ROOT / "docs" / "look-ahead.md").read_text(encoding="utf-8")
    for name in re.findall(r"`(test_\w+\.py)`", text):
        assert (ROOT / "tests" / name).exists(), name
