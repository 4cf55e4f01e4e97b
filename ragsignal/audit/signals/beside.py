"""What sequences are made of besides their own bars, made anew of changed prices: news and kept formulas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pandas as pd

from ragsignal.audit.signals.news import audited_news, known_news
from ragsignal.data import alpha_days
from ragsignal.retrieval import Beside
from ragsignal.study import Study


def beside_until(study: Study, frames: Mapping[str, pd.DataFrame], last: date | None = None) -> Beside:
    """What the items that were available by the close of ``last`` said on the bars of ``frames``, and formulas on them.

    Parameters
    ----------
    study : Study
    frames : mapping of symbol to DataFrame
        Bars of all symbols of the study, as formulas rank stocks among each other; they end with ``last``.
    last : date, optional
        By default all items count.
    """
    news, corpus = audited_news(study), study.spec.corpus
    said = None if news is None else news.make(news.items if last is None else known_news(news.items, last), frames)
    return Beside(said, alpha_days(corpus.alphas, frames) if corpus.reads_alphas else None)
