"""An explanation from Python: made by a call, it shows itself in a notebook and in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from html import escape
from pathlib import Path

from ragsignal.config import RunSpec, load_spec, with_settings
from ragsignal.errors import ConfigError
from ragsignal.explanation import Explanation
from ragsignal.explanation import explain as explain_signals
from ragsignal.report.explained import sentences
from ragsignal.report.explained.beside import write_explanations
from ragsignal.report.explained.drawings import bar, overlay
from ragsignal.report.explained.page import largest_effect, render_explanation, sorted_groups, strongest_hits
from ragsignal.study import Study
from ragsignal.utils import Progress, Record, read_stamp, silent

_FACTORS, _HITS = 10, 4  # that a notebook shows; the page has more
_CELL = "padding:2px 8px;text-align:left;white-space:nowrap"
_RIGHT = "padding:2px 8px;text-align:right;white-space:nowrap"


@dataclass(frozen=True)
class Explained:
    """One signal explained; make it with :func:`explain`.

    In a notebook its last line shows what speaks for and against; ``print`` shows it as text.

    Parameters
    ----------
    explanation : Explanation
    """

    explanation: Explanation

    def record(self) -> Record:
        """The whole as JSON-able data, as ``ragsignal explain --json`` prints it."""
        return self.explanation.to_record()

    def html(self) -> str:
        """The page, which loads nothing."""
        return render_explanation(self.explanation)

    def save(self, folder: str | Path) -> Path:
        """Write the page into a folder, or beside a run of a backtest, whose report then links it.

        Raises
        ------
        ConfigError, DataError
            As ``ragsignal explain --out`` would.
        """
        (path,) = write_explanations([self.explanation], Path(folder))
        return path

    def __repr__(self) -> str:
        it = self.explanation
        lines = [sentences.summary(it)]
        lines += [f"  {group.name}: {sentences.effect(group.effect)}" for group in sorted_groups(it)]
        if it.opposite is not None:
            lines.append(f"opposite case: {it.opposite.words}")
        if it.robustness is not None:
            lines.append(sentences.firm_line(it.robustness))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        it = self.explanation
        parts = [f"<p><strong>{escape(sentences.summary(it))}</strong></p>"]
        if it.abstained is None:
            parts += [f"<p>{escape(sentences.meaning(it))}</p>", _groups(it), _factors(it)]
            if it.opposite is not None:
                parts.append(f"<p>Opposite case: {escape(it.opposite.words)}.</p>")
            parts.append(_hits(it))
            if it.robustness is not None:
                parts.append(f"<p>{escape(sentences.firm_line(it.robustness))}</p>")
            parts.append(f"<p><small>{escape(sentences.LIMITS[0])}</small></p>")
        return f"<div>{''.join(parts)}</div>"


def explain(
    spec: str | Path | RunSpec,
    symbol: str,
    on: str | date,
    variant: str | None = None,
    *,
    settings: Sequence[str] = (),
    progress: Progress = silent,
) -> Explained:
    """Explain one signal, as ``ragsignal explain`` does.

    Parameters
    ----------
    spec : str, Path or RunSpec
        A TOML file, or what :func:`~ragsignal.config.load.load_spec` made of one.
    symbol : str
        One of the spec's.
    on : str or date
        As of the close of this day: ``"2013-06-12"``; of bars of hours the end of one, ``"2013-06-12 15:30"``, or a day
        for its last.
    variant : str, optional
        Its name; the first with a signal where it is left out.
    settings : sequence of str
        Other values for keys of the spec, as with ``--set``.
    progress : callable, optional
        Told how far the work is: ``progress(what, done, total)``.

    Raises
    ------
    ConfigError, DataError, LookAheadError, ModelError, StoreError
        As the command would.
    """
    day = _day(on)
    words = [settings] if isinstance(settings, str) else list(settings)
    loaded = with_settings(spec, words) if isinstance(spec, RunSpec) else load_spec(spec, words)
    chosen = loaded.find_variant(variant)
    if not isinstance(symbol, str) or symbol not in loaded.data.symbols:
        raise ConfigError(
            f"one symbol of data.symbols is explained in a call, got {symbol!r}; for many type: ragsignal explain SPEC "
            f"--symbol all --date {day}"
        )
    (explanation,) = explain_signals(Study(loaded, progress), chosen, [symbol], day)
    return Explained(explanation)


def _day(on: str | date) -> date:
    try:
        if isinstance(on, str):
            return read_stamp(on)
        # a datetime is a date too, and so is a pandas Timestamp: at midnight its day is meant
        if isinstance(on, datetime) and on.time() != time():
            return datetime(on.year, on.month, on.day, on.hour, on.minute)
        return date(on.year, on.month, on.day)
    except (ValueError, AttributeError):
        raise ConfigError(f"{on!r} is no day; write it as 2013-06-12, or give a datetime.date") from None


def _groups(it: Explanation) -> str:
    largest = largest_effect(it)
    rows = [(group.name, group.effect) for group in sorted_groups(it)]
    return _table("what speaks for (right) and against", rows, largest) if rows else ""


def _factors(it: Explanation) -> str:
    strongest = [
        (f"{factor.words}, {factor.place}", factor.effect)
        for factor in it.strongest[:_FACTORS]
        if factor.effect is not None
    ]
    return _table(f"the strongest of {len(it.factors)} factors", strongest, largest_effect(it)) if strongest else ""


def _table(title: str, rows: list[tuple[str, float]], largest: float) -> str:
    body = "".join(
        f'<tr><td style="{_CELL}">{escape(name)}</td><td style="{_CELL}">{_bar(effect, largest)}</td>'
        f'<td style="{_RIGHT}">{escape(sentences.effect(effect))}</td></tr>'
        for name, effect in rows
    )
    head = f'<caption style="text-align:left">{escape(title)}: effect on P</caption>'
    return f'<div style="overflow-x:auto"><table>{head}<tbody>{body}</tbody></table></div>'


def _bar(effect: float, largest: float) -> str:
    left, width = bar(effect, largest)
    fill = "#0072b2" if effect > 0 else "#d55e00"
    return (
        '<svg viewBox="0 0 100 10" width="200" height="12" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect x="{left}" y="1" width="{width}" height="8" fill="{fill}"/>'
        '<line x1="50" x2="50" y1="0" y2="10" stroke="#8d959e" stroke-width="0.5"/></svg>'
    )


def _hits(it: Explanation) -> str:
    shown = strongest_hits(it)[:_HITS]
    if not shown:
        return ""
    cards = "".join(
        f'<div style="display:inline-block;width:170px;margin-right:14px"><small>{escape(sentences.title(hit))}<br>'
        f"{escape(sentences.outcome(hit))}</small>{overlay(hit)}</div>"
        for hit in shown
    )
    return f"<p>The {len(shown)} of {it.hits_read} hits with the largest effect, over the query:</p><div>{cards}</div>"
