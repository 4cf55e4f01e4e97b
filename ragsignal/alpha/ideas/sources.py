"""What proposes formulas: templates, and causal language models under the grammar."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import islice

from ragsignal.alpha.ideas.brief import Brief, prompt_of
from ragsignal.alpha.ideas.causal import CausalModel
from ragsignal.alpha.ideas.draw import Sampling, draw
from ragsignal.alpha.ideas.grammar import Limits, TextGrammar
from ragsignal.alpha.ideas.knowledge import Knowledge
from ragsignal.alpha.ideas.propose import Harvest
from ragsignal.alpha.ideas.templates import WINDOWS, Filled, FormulaTemplate, filled
from ragsignal.alpha.ideas.tokens import Masks
from ragsignal.alpha.ideas.words import field_words
from ragsignal.errors import ConfigError

_DRAWS = 4  # times the formulas that are wanted: models repeat themselves
_LIKE_CLOSE = ("open", "high", "low", "vwap")
_EVERY = re.compile(r"\b(stocks?|shares?|names?|that|which|whose|with)\b", re.IGNORECASE)
_LEAST = 3  # templates at least, where as many fit: an idea has more sides than one


class TemplateSource:
    """Templates whose words are most like the idea; needs no language model.

    Parameters
    ----------
    knowledge : Knowledge
        Its encoder compares the words, its floor says what fits.
    """

    name = "templates"

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge

    def seeds(self, brief: Brief, count: int, seed: int) -> Harvest:
        """Formulas of the templates that fit: first one of each, then with other windows.

        Raises
        ------
        ConfigError
            If none fits.
        """
        windows = brief.windows or _shuffled(seed)
        near = self._near(brief)
        most = max(_LEAST, count // len(windows) + 1)
        fitting = [it for it, cosine in near if cosine >= self.knowledge.floor][:most]
        if not fitting:
            nearest = f"; the nearest says {near[0][0].words!r}, cosine {near[0][1]:.2f}" if near else ""
            raise ConfigError(
                f"no template fits the idea {brief.idea!r}{nearest}, and {self.knowledge.floor:g} is asked for; say it "
                "in words of prices and volume, or give a language model: --model embedded:SmolLM2-135M-Instruct"
            )
        harvest = Harvest(brief.fields, count)
        texts = _texts(fitting, windows)
        while harvest.lacks > 0 and (some := list(islice(texts, harvest.lacks))):
            for text in some:
                harvest.take(text)
        return harvest

    def _near(self, brief: Brief) -> list[tuple[Filled, float]]:
        """Each template with the fields that are most like the idea, and how like: likest first."""
        said = [(it, words) for it in filled(brief.fields) if _is_meant(it, brief.idea) for words in it.sayings]
        near = self.knowledge.nearest(_core(brief.idea), [_core(words) for _, words in said], len(said))
        best: dict[FormulaTemplate, tuple[Filled, float]] = {}
        for place, cosine in near:
            best.setdefault(said[place][0].template, (said[place][0], cosine))
        return list(best.values())


def _core(words: str) -> str:
    """Without what every idea says: it is no reason to be like one."""
    return " ".join(_EVERY.sub(" ", words).split()) or words


def _is_meant(it: Filled, idea: str) -> bool:
    """Prices that are like the close say the same of a stock: they stand only for themselves, by name."""
    name = it.fields["x"]
    return name not in _LIKE_CLOSE or field_words(name) in idea.lower() or (name == "vwap" and name in idea.lower())


def _shuffled(seed: int) -> tuple[int, ...]:
    return tuple(random.Random(seed).sample(WINDOWS, len(WINDOWS)))


def _texts(fitting: list[Filled], windows: tuple[int, ...]) -> Iterator[str]:
    written = [it.template.write(it.fields, bars) for bars in windows for it in fitting]
    yield from dict.fromkeys(written)  # a template without a window is the same with each


class ModelSource:
    """A causal language model, held to the grammar token by token.

    Parameters
    ----------
    model : CausalModel
    knowledge : Knowledge
    limits : Limits
    sampling : Sampling
    """

    def __init__(
        self,
        model: CausalModel,
        knowledge: Knowledge,
        limits: Limits,
        sampling: Sampling,
    ) -> None:
        self.knowledge, self.name = knowledge, model.ref
        self._model, self._limits, self._sampling = model, limits, sampling

    def seeds(self, brief: Brief, count: int, seed: int) -> Harvest:
        """Draw until there are ``count`` distinct formulas, or four times as many were drawn."""
        windows = tuple(sorted({*self._limits.windows, *brief.windows}))
        limits = Limits(self._limits.depth, windows, self._limits.numbers)
        masks = Masks(TextGrammar(brief.fields, limits), self._model.vocabulary, self._model.ref)
        harvest, prompt = Harvest(brief.fields, count), prompt_of(brief)
        for start in range(0, _DRAWS * count, self._sampling.rows):
            rows = range(start, start + min(self._sampling.rows, harvest.lacks))
            for text in draw(self._model, masks, prompt, [(seed, number) for number in rows], self._sampling):
                harvest.take(text)
            if harvest.lacks <= 0:
                break
        return harvest
