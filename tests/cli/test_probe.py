"""``ragsignal probe`` as a user meets it: JSON alone on stdout, a verdict a figure, one line for a wrong spec."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from ragsignal.cli.app import main
from tests.specs import HOLD, RANDOM, VOTE, write_spec

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def _probe(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ragsignal.cli", "probe", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_the_command_writes_a_record_and_says_what_cannot_be_told_apart(tmp_path: Path) -> None:
    data = {"start": date(2015, 1, 5), "end": date(2015, 7, 31)}
    path = write_spec(tmp_path, data=data, probe={"windows": 400}, variant=[VOTE, RANDOM, HOLD])
    done = _probe(path, "--out", tmp_path / "runs", "--set", "probe.k=10")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    record = json.loads((Path(answer["run_dir"]) / "record.json").read_text(encoding="utf-8"))
    assert record["rows"] == answer["rows"]
    assert record["probe"]["k"] == 10
    verdicts = {figure["verdict"] for figure in answer["rows"][0]["figures"]}
    assert "not distinguishable from the base rate" in verdicts
    assert "random has no row: random compares no vectors." in " ".join(done.stderr.split())


def test_a_spec_without_a_metric_is_answered_in_words_and_with_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_spec(tmp_path, variant=[RANDOM, HOLD])
    monkeypatch.setattr(sys, "argv", ["ragsignal", "probe", str(path), "--out", str(tmp_path / "runs")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert "no retriever with a metric to probe" in " ".join(told.err.split())
    assert told.out == ""
