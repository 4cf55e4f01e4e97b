"""What a language model may remember of a stock on a day: how to ask it, and how to tell whether memory earns anything.

    (symbol, day) ─► question ─► base model ─► P(rise)              recall: no price is shown
                  └► firm_date_text ─► FamiliarText ─► MIN-K%       how likely the words are to have been read before
    outcome ~ forecast + LAP + forecast x LAP ─► interaction        more right where the model remembers: leakage

The regression is that of Gao, Jiang and Yan, Detecting Lookahead Bias in LLM Forecasts (arXiv 2512.23847): LAP, the
Lookahead Propensity, was MIN-K% of the text in their first version, and comes from a recall query that names firm and
date only in their second. Both stand here. Nothing here reads prices or knows a spec.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.artifacts import Weights
from ragsignal.llm import load_causal, load_tokenizer
from ragsignal.types import FloatArray, Prompt, Query, Recipe, Score
from ragsignal.utils import libraries_of

LEAST_LIKELY = 0.2
"""Share of tokens that MIN-K% averages: Gao, Jiang and Yan take the 20 % that are least likely."""

# The day of publication where no cutoff is stated: later text cannot be in the weights, earlier text may be.
_CUTOFFS = {
    "smollm2": (date(2024, 11, 1), "published in November 2024, on web text into 2024"),
    "llama-3.2": (date(2023, 12, 31), "its model card states December 2023"),
}


def cutoff_of(ref: str) -> tuple[date, str] | None:
    """The last day whose text a base model can have read, and how that is known; None where nothing is known."""
    name = ref.lower().rpartition("/")[2].removeprefix("embedded:")
    return next((cutoff for prefix, cutoff in _CUTOFFS.items() if name.startswith(prefix)), None)


def question(symbol: str, day: date, chat: bool) -> Prompt:
    """Ask for the direction of a day by symbol and date alone; the next token answers, in a template's label words.

    Parameters
    ----------
    symbol : str
    day : date
        The day whose close is compared with the close before it.
    chat : bool
        Whether the text becomes a chat turn, or is continued.
    """
    words = f"Did the stock {symbol} close higher (rise) or lower (fall) on {day} than on the trading day before?"
    text = f"{words} Answer with one word, rise or fall." if chat else f"{words}\nOn {day}, {symbol} saw a"
    system = "You know the daily closes of US stocks." if chat else ""
    return Prompt(Query(symbol, (day,), (1.0,)), (), text, system)


def firm_date_text(symbol: str, day: date) -> Prompt:
    """Words that a model has met where it has read about a stock on a day; no direction in them."""
    text = f"{symbol} stock, {day:%A}, {day:%B} {day.day}, {day.year}: shares closed"
    return Prompt(Query(symbol, (day,), (1.0,)), (), text)


def min_k(log_probabilities: Sequence[float] | FloatArray, share: float = LEAST_LIKELY) -> float:
    """Mean log probability of the least likely ``share`` of tokens, at least one: MIN-K% PROB.

    Parameters
    ----------
    log_probabilities : (n_tokens,) float
        Natural logarithms.
    share : float, in (0, 1]

    References
    ----------
    Shi et al. (2024), Detecting Pretraining Data from Large Language Models, arXiv 2310.16789.
    """
    ordered = np.sort(np.asarray(log_probabilities, dtype=np.float64))
    return float(ordered[: max(1, math.ceil(share * len(ordered)))].mean())


class FamiliarText:
    """A scorer whose number is exp(MIN-K%) of the text itself, in [0, 1]: how familiar the base model finds it.

    Parameters
    ----------
    weights : Weights
        Verified base model; read on first use, without any adapter.
    """

    is_model = True
    batch_size = 8  # the full vocabulary at every position: 8 texts of 30 tokens are 50 MB in float32

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._model: Any = None
        self._tokenizer: Any = None

    @property
    def recipe(self) -> Recipe:
        """Identity: weights, share, numeric type and libraries."""
        identity = {"scorer": "min-k/1", "weights": self._weights.digest, "share": LEAST_LIKELY, "dtype": "float32"}
        return {**identity, "libraries": libraries_of("torch", "transformers")}

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        """exp(MIN-K%) of every prompt's text, in order."""
        scores: list[Score] = []
        for start in range(0, len(prompts), self.batch_size):
            texts = [prompt.text for prompt in prompts[start : start + self.batch_size]]
            scores += [Score(math.exp(min_k(logs)), tokens=len(logs) + 1) for logs in self._log_probabilities(texts)]
        return scores

    def _log_probabilities(self, texts: list[str]) -> list[FloatArray]:
        """Log probability of each text's tokens from the second on, given those before it."""
        import torch

        from ragsignal.llm.head import pad_right

        self._load()
        tokens: list[list[int]] = self._tokenizer(texts)["input_ids"]
        ids, _ = pad_right(tokens, self._tokenizer.pad_token_id or 0, "cpu")
        with torch.inference_mode():
            likely = torch.log_softmax(self._model(input_ids=ids, use_cache=False).logits[:, :-1].float(), dim=-1)
            chosen = likely.gather(-1, ids[:, 1:, None])[..., 0].double().numpy()
        return [row[: len(text) - 1] for row, text in zip(chosen, tokens, strict=True)]

    def _load(self) -> None:
        if self._model is not None:
            return
        self._tokenizer = load_tokenizer(self._weights)
        self._model = load_causal(self._weights, "float32").eval()


@dataclass(frozen=True)
class Fit:
    """Coefficients (k,) of a regression, their covariance (k, k), and the clusters that it rests on."""

    coefficients: FloatArray
    covariance: FloatArray
    clusters: int


@dataclass(frozen=True)
class Slope:
    """A coefficient with its standard error, 95 % interval and two-sided p."""

    value: float
    error: float
    low: float
    high: float
    p: float


def clustered_fit(outcome: FloatArray, columns: FloatArray, cluster: NDArray[Any]) -> Fit:
    """Least squares with a covariance that lets rows of one cluster move together.

    Parameters
    ----------
    outcome : (n,) float64
    columns : (n, k) float64
        A constant included.
    cluster : (n,) of anything that compares, such as days

    References
    ----------
    Liang and Zeger (1986), Biometrika 73; with the small-sample factor G/(G-1) (n-1)/(n-k) that Stata and statsmodels
    take.
    """
    inverse = np.linalg.pinv(columns.T @ columns)
    coefficients = inverse @ columns.T @ outcome
    moments = columns * (outcome - columns @ coefficients)[:, None]
    number = np.unique(cluster, return_inverse=True)[1].ravel()
    groups, (n, k) = int(number.max()) + 1, columns.shape
    sums = np.zeros((groups, k))
    np.add.at(sums, number, moments)
    factor = groups / (groups - 1) * (n - 1) / (n - k)
    return Fit(coefficients, factor * inverse @ (sums.T @ sums) @ inverse, groups)


def interaction(outcome: FloatArray, forecast: FloatArray, propensity: FloatArray, day: NDArray[Any]) -> Slope | None:
    """Coefficient of forecast x LAP in ``outcome ~ 1 + forecast + LAP + forecast x LAP``, clustered by day.

    Forecast and LAP are standardised, so that with outcomes of +1 and -1 the coefficient is what a LAP of one standard
    deviation more adds to the mean outcome behind a forecast of one standard deviation: half of it is accuracy.

    Parameters
    ----------
    outcome, forecast, propensity : (n,) float64
    day : (n,)

    Returns
    -------
    Slope or None
        None where forecast or LAP never changes, or there are fewer than 20 days. Intervals are Student's with G - 1
        degrees of freedom.

    References
    ----------
    Gao, Jiang and Yan (2025), arXiv 2512.23847: a positive coefficient means that the forecast is better where the
    model has more to remember.
    """
    if min(np.ptp(forecast), np.ptp(propensity)) <= 0.0 or len(np.unique(day)) < _LEAST_DAYS:
        return None
    x, lap = _standardised(forecast), _standardised(propensity)
    fit = clustered_fit(outcome, np.column_stack([np.ones(len(x)), x, lap, x * lap]), day)
    return _slope(float(fit.coefficients[3]), math.sqrt(float(fit.covariance[3, 3])), fit.clusters - 1)


_LEAST_DAYS = 20  # clusters: below, the covariance itself is noise


def _standardised(values: FloatArray) -> FloatArray:
    scaled: FloatArray = (values - values.mean()) / values.std()
    return scaled


def _slope(value: float, error: float, degrees: int) -> Slope:
    from scipy import stats

    reach = float(stats.t.ppf(0.975, degrees)) * error
    p = float(2.0 * stats.t.sf(abs(value) / error, degrees)) if error > 0.0 else 1.0
    return Slope(value, error, value - reach, value + reach, p)
