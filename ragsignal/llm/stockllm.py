"""P(rise) from one forward pass: the softmax over two label tokens' logits at the last position.

No ``generate`` and no parsing of text. The body runs in bfloat16 where the processor has it, the head in float32
(:mod:`ragsignal.llm.head`). Prompts of a batch that begin alike, as all prompts of a template do, share that beginning:
it is read once, and its keys and values serve them all.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ragsignal.artifacts import Artifact, Weights, check_adapter_files, digest_of_folder, with_adapter
from ragsignal.errors import ModelError
from ragsignal.llm.base_model import load_causal, load_config, load_tokenizer
from ragsignal.llm.calibration import calibrated, probability_of
from ragsignal.llm.device import checked_device, chosen_dtype, computing, rows_in_memory
from ragsignal.llm.prompt import Template
from ragsignal.types import FloatArray, Hit, IntArray, Prompt, Query, Recipe, Score
from ragsignal.utils import libraries_of, quiet_loading

if TYPE_CHECKING:
    import torch

# Llama's chat template writes today's date into the prompt: a repeated run would read another text.
_DAY = "26 Jul 2024"  # the date that template falls back to
_GPU_PROMPTS = 4096  # a GPU reads these in seconds: what a killed run loses at most
_COUNTED = 1 << 16  # prompts whose tokens are remembered between measuring and reading: 100 bytes a token


class StockLLM:
    """A causal language model, with an optional peft adapter, as prompter and scorer.

    Parameters
    ----------
    weights : Weights
        Verified base model.
    template : Template
    adapter : Artifact or Path, optional
        What ``ragsignal train stockllm`` wrote, with its calibration; or a folder written by peft (safetensors).
    dtype : {"auto", "bfloat16", "float32"}
        ``auto``: bfloat16 where the device computes in it, else float32.
    device : {"cpu", "cuda"}
        Used as asked; a missing GPU raises.
    batch_size : int or "auto"
        Prompts in one forward pass. Part of the recipe: bf16 results depend on the batch's shape by up to 0.02.
        ``auto``: 32 on a CPU, which larger batches do not make faster; on a GPU as many as its memory holds.
    threads : int, optional
        At most; by default as many as there are free cores. No part of the recipe: it moves no signal.

    Raises
    ------
    ModelError
        If the device is missing, the adapter was trained on another model or template, the labels share a token, or a
        prompt is longer than the model's context.
    """

    is_model = True

    def __init__(
        self,
        weights: Weights,
        template: Template,
        adapter: Artifact | Path | None = None,
        dtype: str = "auto",
        device: str = "cpu",
        batch_size: int | Literal["auto"] = 32,
        threads: int | None = None,
    ) -> None:
        self.template = template
        self._rows = 32 if batch_size == "auto" and device == "cpu" else batch_size
        self._weights = weights
        self._threads = threads
        if isinstance(adapter, Artifact):
            adapter.check_base(weights.digest)
            adapter.check_template(template.recipe)
            self._adapter: Path | None = adapter.folder
            self._adapter_digest: str | None = adapter.digest
            self._calibration: Mapping[str, Any] | None = adapter.card.calibration
        else:
            self._adapter = adapter
            self._adapter_digest = _digest_of_adapter(adapter) if adapter else None
            self._calibration = None
        self._device = checked_device(device)
        self._dtype = chosen_dtype(dtype, device)
        self._model: Any = None
        self._tokenizer: Any = None
        self._virtual = False  # whether the adapter puts virtual tokens before the text
        self._counted: dict[str, list[int]] = {}  # tokens of prompts that were measured and not read yet
        self._begun: tuple[Sequence[int], Any] = ((), None)  # the last common beginning, and its keys and values

    @property
    def batch_size(self) -> int:
        """Prompts that are scored, and therefore stored, together; one forward pass, or several in a row on a GPU."""
        return _GPU_PROMPTS if self._rows == "auto" else self._rows

    @property
    def recipe(self) -> Recipe:
        """Identity: weights, adapter, template, numeric type, device, batch policy and the libraries that compute."""
        rows = "what memory holds" if self._rows == "auto" else self._rows
        return {
            "scorer": "stockllm/2",
            "weights": self._weights.digest,
            "adapter": self._adapter_digest,
            "dtype": self._dtype,
            "device": self._device,
            "libraries": libraries_of("torch", "transformers"),
            "batch": f"sorted by length, {rows} at most, common beginnings shared",
            "calibration": self._calibration,
            **self.template.recipe,
        }

    def render(self, query: Query, hits: Sequence[Hit]) -> Prompt:
        """The prompt of the template."""
        return self.template.render(query, hits)

    def context_digest(self, query: Query) -> str:
        """The template's digest: its ranks as of that day, or nothing."""
        return self.template.context_digest(query)

    def length(self, prompt: Prompt) -> int:
        """Tokens of a prompt; reads the tokenizer, and not the weights."""
        self._load_words()
        if len(self._counted) >= _COUNTED:
            self._counted.clear()
        self._counted[prompt.text] = tokens = self._encode(prompt)
        return len(tokens)

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        """P(rise) of every prompt, calibrated where the adapter brings a calibration; batches are formed by length.

        Returns
        -------
        list of Score
            In the order of ``prompts``, with the prompt's tokens and its share of the batch's seconds.
        """
        odds, tokens, seconds = self._read(prompts)
        chances = probability_of(calibrated(odds, self._calibration))
        return [
            Score(float(chance), tokens=count, seconds=share)
            for chance, count, share in zip(chances, tokens, seconds, strict=True)
        ]

    def log_odds(self, prompts: Sequence[Prompt]) -> FloatArray:
        """(n,) raw log P(rise)/P(fall), before any calibration; shares all that the prompts of a batch begin with."""
        return self._read(prompts, whole=True)[0]

    def _read(self, prompts: Sequence[Prompt], whole: bool = False) -> tuple[FloatArray, list[int], list[float]]:
        """Log-odds, tokens and seconds of every prompt."""
        self._load()
        began = time.perf_counter()
        tokens = [self._counted.pop(prompt.text, []) or self._encode(prompt) for prompt in prompts]
        lengths = np.array([len(row) for row in tokens])
        order = np.argsort(lengths, kind="stable")
        # Fetched when all are under way: a GPU works on one batch while the next one is prepared.
        under_way = [
            (batch, self._log_odds([tokens[number] for number in batch], whole))
            for batch in self._batches(order, lengths)
        ]
        odds = np.zeros(len(prompts))
        for batch, difference in under_way:
            odds[batch] = difference.double().cpu().numpy()
        spent = time.perf_counter() - began
        return odds, lengths.tolist(), (spent * lengths / max(1, lengths.sum())).tolist()

    def _batches(self, order: IntArray, lengths: IntArray) -> Iterator[IntArray]:
        """Runs of ``order``, ascending by length, that one forward pass takes."""
        while len(order):
            rows = self._rows if self._rows != "auto" else rows_in_memory(self._config, lengths[order], self._device)
            yield order[:rows]
            order = order[rows:]

    def _log_odds(self, batch: Sequence[list[int]], whole: bool = False) -> torch.Tensor:
        """(batch,) log P(rise)/P(fall) of token sequences; ``whole`` shares all that they begin with, not the head."""
        import torch

        from ragsignal.llm.head import pad_right

        # Cut after the template's head, in a batch as for a prompt alone: another cut moves bf16 results by up to 0.04.
        # A chat template has no head, and would not gain by one: with keys before it, attention over 800 tokens takes
        # a mask, and the slower kernel costs more than the 72 tokens save.
        shared = 0 if self._virtual else _common_beginning(batch if whole else [*batch, self._head])
        ids, last = pad_right([tokens[shared:] for tokens in batch], self._pad, self._device)
        with torch.inference_mode(), computing(self._threads):
            every = self._logits(batch[0][:shared], ids)
            last += every.shape[1] - ids.shape[1]  # virtual tokens, where an adapter puts some, stand in front
            logits = every[torch.arange(len(batch), device=self._device), last]
            return logits[:, 0] - logits[:, 1]

    def _logits(self, beginning: Sequence[int], ids: torch.Tensor) -> torch.Tensor:
        """(batch, width, 2) label logits of ``ids``, read after the one ``beginning`` that they all have."""
        if not beginning:
            plain: torch.Tensor = self._model(input_ids=ids, use_cache=False).logits
            return plain
        cache = copy.deepcopy(self._read_beginning(beginning))
        cache.batch_repeat_interleave(len(ids))
        rest: torch.Tensor = self._model(input_ids=ids, past_key_values=cache, use_cache=True).logits
        return rest

    def _read_beginning(self, beginning: Sequence[int]) -> Any:
        """Keys and values of a beginning; those of the last one are kept, as a template has one for all its prompts."""
        import torch
        from transformers import DynamicCache

        if self._begun[0] != beginning:
            cache = DynamicCache(config=self._config)
            self._model(
                input_ids=torch.tensor([list(beginning)], device=self._device), past_key_values=cache, use_cache=True
            )
            self._begun = (beginning, cache)
        return self._begun[1]

    def _encode(self, prompt: Prompt) -> list[int]:
        limit = getattr(self._config, "max_position_embeddings", self._tokenizer.model_max_length)
        return token_ids(prompt, self.template, self._tokenizer, limit)

    def _load(self) -> None:
        if self._model is not None:
            return
        self._load_words()
        model = self._load_model().to(self._device).eval()
        self._pad = self._tokenizer.pad_token_id or 0
        self._head: list[int] = self._tokenizer(self.template.head)["input_ids"] if self.template.head else []
        self._model = model  # last: a model that failed a check must fail it again

    def _load_words(self) -> None:
        """The tokenizer and the model's sizes: enough to write and measure prompts that another process reads."""
        if self._tokenizer is not None:
            return
        self._config, self._tokenizer = load_config(self._weights), self._load_tokenizer()

    def _load_tokenizer(self) -> Any:
        tokenizer = load_tokenizer(self._weights)
        if self.template.chat and not tokenizer.chat_template:
            raise ModelError(f"{self._weights.ref} has no chat template, which {self.template.name!r} needs")
        if (
            self.template.chat
            and "strftime_now" in tokenizer.chat_template
            and "date_string" not in tokenizer.chat_template
        ):
            raise ModelError(
                f"the chat template of {self._weights.ref} writes today's date, so that no run could be repeated; "
                "save its tokenizer with a template that has no strftime_now"
            )
        return tokenizer

    def _load_model(self) -> Any:
        from ragsignal.llm.head import LabelHead, label_tokens

        labels = label_tokens(self._tokenizer, self.template.labels, self._weights.ref)
        model = load_causal(self._weights, self._dtype)
        model.set_output_embeddings(LabelHead(model.get_output_embeddings(), labels))
        if self._adapter is None:
            return model
        with quiet_loading():
            adapted = with_adapter(model, self._adapter)
        self._virtual = bool(adapted.active_peft_config.is_prompt_learning)
        return adapted


def token_ids(prompt: Prompt, template: Template, tokenizer: Any, limit: int) -> list[int]:
    """The tokens of a prompt, in training and in use.

    Raises
    ------
    ModelError
        If there are more than ``limit``: a prompt is never cut.
    """
    if template.chat:
        turns = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.text}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, date_string=_DAY)
        tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    else:
        tokens = tokenizer(prompt.text)["input_ids"]
    if len(tokens) > limit:
        raise ModelError(
            f"the prompt of {prompt.query.symbol} as of {prompt.query.as_of} has {len(tokens)} tokens, but the model "
            f'reads {limit}; a prompt is never cut: use a smaller retrieval.k or llm.template = "compact"'
        )
    return tokens


def _common_beginning(batch: Sequence[list[int]]) -> int:
    """Tokens that all of a batch begin with; one is left for each to say."""
    low, high = min(batch), max(batch)  # in dictionary order: what these two share, all share
    limit = max(0, min(map(len, batch)) - 1)
    return next((at for at in range(limit) if low[at] != high[at]), limit)


def _digest_of_adapter(folder: Path) -> str:
    if any(folder.glob("*.safetensors")):  # else the digest says what is wrong: nothing there, or pickles alone
        check_adapter_files(folder)
    return digest_of_folder(folder)
