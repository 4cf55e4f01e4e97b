"""``ragsignal probe``: what simple readers can tell from the vectors of each retriever, without a language model."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ragsignal.cli.options import Out, Settings, SpecPath
from ragsignal.cli.terminal import answer, people, progress_bars, say
from ragsignal.utils import NewRun


def probe(spec: SpecPath, out: Out = Path("runs"), settings: Settings = None) -> None:
    """Judge each retriever's metric by a linear and a kNN probe of its frozen encoder, beside the base rate."""
    from ragsignal.config import load_spec

    loaded = load_spec(spec, settings or ())
    with progress_bars() as progress:
        from ragsignal.evaluation import console_probes, difference_words, probe_spec, probe_words, write_probes

        run = NewRun(out / f"{loaded.name}-probes")
        probes = probe_spec(loaded, progress)
        folder, record = run.write(partial(write_probes, probes))
    people.print(console_probes(probes))
    for sentence in (*probe_words(probes), *difference_words(probes)):
        say(sentence)
    say(f"record: {folder / 'record.json'}")
    answer({"run_dir": str(folder)} | {key: record[key] for key in ("rows", "differences", "left_out")})
