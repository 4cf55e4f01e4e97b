"""The two classifiers: an encoder with a head reads a query's line, a regression its log returns.

Training scores validation days with the very classes of this module: what it reports is what a backtest gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ragsignal.artifacts import Weights, check_encoder, check_fit, reading, with_adapter
from ragsignal.data import log_returns
from ragsignal.errors import ModelError
from ragsignal.llm.device import checked_device, computing
from ragsignal.llm.prompt import LinePrompter, Template, TextlessPrompter
from ragsignal.protocols import Prompter
from ragsignal.types import FloatArray, Prompt, Recipe
from ragsignal.utils import libraries_of, quiet_loading

_REPAIR = "train it again: ragsignal train classifier SPEC"
_LOGISTIC = "logistic.safetensors"
_LOCAL = {"local_files_only": True, "trust_remote_code": False}


class ClassifierModel(Protocol):
    """What the two kinds have in common."""

    @property
    def computed_with(self) -> Recipe:
        """Device and libraries."""
        ...

    def reads(self, template: Template) -> Recipe:
        """Recipe of what is read: the text, or the numbers."""
        ...

    def prompter(self, template: Template) -> Prompter:
        """Return what writes a query as it is read."""
        ...

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Tokens that each prompt costs."""
        ...

    def log_odds(self, prompts: Sequence[Prompt]) -> FloatArray:
        """(n,) log P(rise)/P(fall), before calibration."""
        ...


@dataclass(frozen=True)
class LogisticClassifier:
    """Logistic regression on standardised log returns; every array is (lookback,) float64, ``intercept`` (1,)."""

    coef: FloatArray
    intercept: FloatArray
    mean: FloatArray
    scale: FloatArray

    @classmethod
    def load(cls, folder: Path) -> LogisticClassifier:
        """Read what :meth:`save` wrote."""
        from safetensors.numpy import load_file

        with reading(folder / _LOGISTIC, "a logistic classifier", _REPAIR):
            return cls(**load_file(folder / _LOGISTIC))

    def save(self, folder: Path) -> None:
        """Write the arrays as safetensors."""
        from safetensors.numpy import save_file

        save_file(vars(self), folder / _LOGISTIC)

    @property
    def computed_with(self) -> Recipe:
        """The CPU and numpy."""
        return {"device": "cpu", "libraries": libraries_of("numpy")}

    # No letter and no rank is read, whatever the spec's template: the two below leave it aside.
    def reads(self, template: Template) -> Recipe:  # noqa: ARG002
        """Recipe of the log returns."""
        return {"numbers": "log-returns/1"}

    def prompter(self, template: Template) -> Prompter:  # noqa: ARG002
        """Return a writer of prompts without text."""
        return TextlessPrompter()

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Return 0 for each prompt: no text is read."""
        return [0] * len(prompts)

    def log_odds(self, prompts: Sequence[Prompt]) -> FloatArray:
        """(n,) log-odds of the queries' returns."""
        returns = np.array([log_returns(prompt.query) for prompt in prompts])
        odds: FloatArray = (returns - self.mean) / self.scale @ self.coef + self.intercept[0]
        return odds


class BertClassifier:
    """An encoder with the trained LoRA and head, in float32; loaded at the first reading.

    Parameters
    ----------
    weights : Weights
        Verified base model.
    adapter : Path
        Folder with ``adapter_config.json`` and ``adapter_model.safetensors``, head included.
    device : {"cpu", "cuda"}
        Used as asked; a missing GPU raises.
    threads : int, optional
        At most; by default as many as there are free cores.
    """

    batch_size = 256

    def __init__(self, weights: Weights, adapter: Path, device: str, threads: int | None = None) -> None:
        self._device = device
        self._threads = threads
        self._weights = weights
        self._adapter = adapter
        self._model: Any = None
        self._tokenizer: Any = None

    @property
    def computed_with(self) -> Recipe:
        """The device, torch and what loads the weights."""
        return {"device": self._device, "libraries": libraries_of("torch", "transformers", "peft")}

    def reads(self, template: Template) -> Recipe:
        """The recipe of the template, and the letters, which a query's line has under every template."""
        return {**template.line_recipe, "bins": template.bins.recipe}

    def prompter(self, template: Template) -> Prompter:
        """Return a writer of query lines, without symbol and date, whether they are masked elsewhere or not."""
        return LinePrompter(template)

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Tokens of each line, the encoder's own [CLS] and [SEP] included."""
        self._load()
        return [len(tokens) for tokens in encode(self._tokenizer, self._model.config, prompts)]

    def log_odds(self, prompts: Sequence[Prompt]) -> FloatArray:
        """(n,) log-odds, in batches of 256."""
        self._load()
        tokens = encode(self._tokenizer, self._model.config, prompts)
        starts = range(0, len(tokens), self.batch_size)
        parts = [self._read(tokens[start : start + self.batch_size]) for start in starts]
        return np.concatenate([np.zeros(0), *parts])

    def _read(self, batch: Sequence[Sequence[int]]) -> FloatArray:
        import torch
        from transformers import DataCollatorWithPadding

        padded = DataCollatorWithPadding(self._tokenizer)([{"input_ids": list(tokens)} for tokens in batch])
        with torch.inference_mode(), computing(self._threads):
            inputs = {name: tensor.to(self._device) for name, tensor in padded.items()}
            logits = self._model(**inputs).logits.double()
        difference: FloatArray = (logits[:, 1] - logits[:, 0]).cpu().numpy()  # labels: 0 fall, 1 rise
        return difference

    def _load(self) -> None:
        if self._model is not None:
            return
        device = checked_device(self._device)
        model, tokenizer, fresh = load_encoder(self._weights)
        with quiet_loading():
            adapted = with_adapter(model, self._adapter)
        brought = adapted.peft_config["default"].modules_to_save or ()
        random = [name for name in fresh if not any(name.endswith(module) for module in brought)]
        check_fit(self._adapter, f"{self._weights.ref}, whose head it has to bring", random, (), _REPAIR)
        self._model, self._tokenizer = adapted.to(device).eval(), tokenizer


def load_encoder(weights: Weights) -> tuple[Any, Any, list[str]]:
    """Load an encoder in float32 with a two-label head.

    Returns
    -------
    model, tokenizer, fresh
        ``fresh`` names the layers that the base lacks and that therefore start at random: the head, and with some bases
        a pooler. They have to be trained and saved beside the adapter.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    load: Any = AutoModelForSequenceClassification.from_pretrained
    options = {"num_labels": 2, "dtype": torch.float32, "use_safetensors": True, "output_loading_info": True}
    with quiet_loading(), reading(weights.ref, "an encoder", "copy the folder again from where it came"):
        model, loading = load(str(weights.folder), **options, **_LOCAL)
        tokenizer = AutoTokenizer.from_pretrained(str(weights.folder), **_LOCAL)
    check_encoder(weights.ref, loading)
    return model, tokenizer, sorted({key.rpartition(".")[0] for key in loading["missing_keys"]})


def encode(tokenizer: Any, config: Any, prompts: Sequence[Prompt]) -> list[list[int]]:
    """Token ids of every prompt's text.

    Raises
    ------
    ModelError
        If a text is longer than the encoder reads (it is never cut), or holds what its vocabulary does not know.
    """
    limit = min(config.max_position_embeddings, tokenizer.model_max_length)
    # Both said: a sentence encoder's tokenizer file may pad and cut to 128 by itself.
    texts = [prompt.text for prompt in prompts]
    tokens: list[list[int]] = tokenizer(texts, padding=False, truncation=False)["input_ids"] if texts else []
    for prompt, row in zip(prompts, tokens, strict=True):
        if len(row) > limit:
            raise ModelError(
                f"the line of {prompt.query.symbol} as of {prompt.query.as_of} has {len(row)} tokens, but the encoder "
                f"reads {limit}; use a smaller corpus.lookback or another base"
            )
        if tokenizer.unk_token_id in row:  # one token for all letters would make all queries alike
            raise ModelError(
                f"the encoder's vocabulary does not know all of {prompt.text!r}: {tokenizer.tokenize(prompt.text)}; "
                "use another base or another template"
            )
    return tokens
