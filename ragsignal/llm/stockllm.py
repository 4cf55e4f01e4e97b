"""P(rise) from one forward pass: the softmax over two label tokens' logits at the last position.

No ``generate`` and no parsing of text. The body runs in bfloat16 where the processor has it, the head in float32
(:mod:`ragsignal.llm.head`). Prompts of a batch that begin alike, as all prompts of a template do, share that beginning:
it is read once, and its keys and values serve them all.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.artifact import Artifact
from ragsignal.errors import ModelError
from ragsignal.llm.calibration import calibrated, probability_of
from ragsignal.llm.device import checked_device, chosen_dtype
from ragsignal.llm.prompt import Template
from ragsignal.llm.weights import Weights, digest_of_folder
from ragsignal.protocols import Recipe
from ragsignal.quiet import quiet_loading
from ragsignal.types import Hit, Prompt, Query, Score

if TYPE_CHECKING:
    import torch

# Llama's chat template writes today's date into the prompt: a repeated run would read another text.
_DAY = "26 Jul 2024"  # the date that template falls back to
_LOCAL = {"local_files_only": True, "trust_remote_code": False}


class StockLLM:
    """A causal language model, with an optional peft adapter, as a scorer.

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
    batch_size : int
        Prompts in one forward pass. Part of the recipe: bf16 results depend on the batch's shape by up to 0.02.

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
        batch_size: int = 32,
    ) -> None:
        self.template = template
        self.batch_size = batch_size
        self._weights = weights
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

    @property
    def recipe(self) -> Recipe:
        """Identity: weights, adapter, template, numeric type, device, batch policy and the libraries that compute."""
        return {
            "scorer": "stockllm/2",
            "weights": self._weights.digest,
            "adapter": self._adapter_digest,
            "dtype": self._dtype,
            "device": self._device,
            "libraries": {name: metadata.version(name) for name in ("torch", "transformers")},
            "batch": f"sorted by length, {self.batch_size} at most, common beginnings shared",
            "calibration": self._calibration,
            **self.template.recipe,
        }

    def render(self, query: Query, hits: tuple[Hit, ...]) -> Prompt:
        """The prompt of the template."""
        return self.template.render(query, hits)

    def context_digest(self, query: Query) -> str:
        """What the template reads besides query and hits, as of that day."""
        return self.template.context_digest(query)

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

    def log_odds(self, prompts: Sequence[Prompt]) -> NDArray[np.float64]:
        """(n,) raw log P(rise)/P(fall), before any calibration; shares all that the prompts of a batch begin with."""
        return self._read(prompts, whole=True)[0]

    def _read(
        self, prompts: Sequence[Prompt], whole: bool = False
    ) -> tuple[NDArray[np.float64], list[int], list[float]]:
        """Log-odds, tokens and seconds of every prompt."""
        self._load()
        tokens = [self._encode(prompt) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda number: len(tokens[number]))
        odds, seconds = np.zeros(len(prompts)), [0.0] * len(prompts)
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            began = time.perf_counter()
            odds[batch] = self._log_odds([tokens[number] for number in batch], whole)
            share = (time.perf_counter() - began) / len(batch)
            for number in batch:
                seconds[number] = share
        return odds, [len(it) for it in tokens], seconds

    def _log_odds(self, batch: Sequence[list[int]], whole: bool = False) -> NDArray[np.float64]:
        """(batch,) log P(rise)/P(fall) of token sequences; ``whole`` shares all that they begin with, not the head."""
        import torch

        from ragsignal.llm.head import pad_right

        # Cut after the template's head, in a batch as for a prompt alone: another cut moves bf16 results by up to 0.04.
        # A chat template has no head: nothing is shared there.
        shared = 0 if self._virtual else _common_beginning(batch if whole else [*batch, self._head])
        ids, last = pad_right([tokens[shared:] for tokens in batch], self._pad, self._device)
        with torch.inference_mode():
            every = self._logits(batch[0][:shared], ids)
            last += every.shape[1] - ids.shape[1]  # virtual tokens, where an adapter puts some, stand in front
            logits = every[torch.arange(len(batch), device=self._device), last]
            difference: NDArray[np.float64] = (logits[:, 0] - logits[:, 1]).double().cpu().numpy()
        return difference

    def _logits(self, beginning: Sequence[int], ids: torch.Tensor) -> torch.Tensor:
        """(batch, width, 2) label logits of ``ids``, read after the one ``beginning`` that they all have."""
        import torch

        if not beginning:
            plain: torch.Tensor = self._model(input_ids=ids, use_cache=False).logits
            return plain
        from transformers import DynamicCache

        cache = DynamicCache(config=self._config)
        first = torch.tensor([list(beginning)], device=self._device)
        self._model(input_ids=first, past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(len(ids))
        rest: torch.Tensor = self._model(input_ids=ids, past_key_values=cache, use_cache=True).logits
        return rest

    def _encode(self, prompt: Prompt) -> list[int]:
        limit = getattr(self._config, "max_position_embeddings", self._tokenizer.model_max_length)
        return token_ids(prompt, self.template, self._tokenizer, limit)

    def _load(self) -> None:
        if self._model is not None:
            return
        with quiet_loading():
            self._tokenizer = self._load_tokenizer()
            model = self._load_model().to(self._device).eval()
        self._pad = self._tokenizer.pad_token_id or 0
        self._head: list[int] = self._tokenizer(self.template.head)["input_ids"] if self.template.head else []
        self._config = model.config.get_text_config()
        self._model = model  # last: a model that failed a check must fail it again

    def _load_tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(str(self._weights.folder), **_LOCAL)
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
        import torch
        from transformers import AutoModelForCausalLM

        from ragsignal.llm.head import LabelHead, label_tokens

        labels = label_tokens(self._tokenizer, self.template.labels, self._weights.ref)
        dtype = getattr(torch, self._dtype)
        load: Any = AutoModelForCausalLM.from_pretrained
        model = load(str(self._weights.folder), dtype=dtype, use_safetensors=True, **_LOCAL)
        model.set_output_embeddings(LabelHead(model.get_output_embeddings(), labels))
        if self._adapter is None:
            return model
        adapted = _with_adapter(model, self._adapter)
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
    digest = digest_of_folder(folder)
    if not (folder / "adapter_model.safetensors").is_file():  # else peft would look for a pickle
        raise ModelError(f"{folder} holds no adapter_model.safetensors; expected an adapter written by peft")
    return digest


def _with_adapter(model: Any, folder: Path) -> Any:
    from peft import PeftModel

    with warnings.catch_warnings():
        # peft looks for AdaLoRA's ranks under LoRA's names, misses them, and then takes them up all the same
        warnings.filterwarnings("ignore", "The following rank_pattern keys did not match")
        # Not merged: merging into bf16 weights moves log-odds by 0.2-0.7.
        return PeftModel.from_pretrained(model, str(folder))
