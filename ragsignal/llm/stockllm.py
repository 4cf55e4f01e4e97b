"""P(rise) from one forward pass: the softmax over two label tokens' logits at the last position.

No ``generate`` and no parsing of text. The body runs in bfloat16 where the processor has it; the two rows of the
output matrix are applied in float32, so that scores do not tie (a bf16 head leaves 18-30 distinct values in 200).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.errors import ModelError
from ragsignal.llm.prompt import Template
from ragsignal.llm.weights import Weights, digest_of_folder
from ragsignal.protocols import Recipe
from ragsignal.quiet import quiet_loading
from ragsignal.types import Hit, Prompt, Query, Score

if TYPE_CHECKING:
    import torch

# bf16 logits have a spacing of 0.06-0.12 at the usual magnitude of 8-30; a head that does anything else is off by more.
_HEAD_TOLERANCE = 0.25
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
    adapter : Path, optional
        A peft adapter folder (safetensors).
    dtype : {"auto", "bfloat16", "float32"}
        ``auto``: bfloat16 where the device computes in it, else float32.
    device : {"cpu", "cuda"}
        Used as asked; a missing GPU raises.
    batch_size : int
        Prompts in one forward pass. Part of the recipe: bf16 results depend on the batch's shape by up to 0.02.

    Raises
    ------
    ModelError
        If the device is missing, the adapter does not fit, the labels share a token, the model transforms its logits
        after the output matrix, or a prompt is longer than the model's context.
    """

    is_model = True

    def __init__(
        self,
        weights: Weights,
        template: Template,
        adapter: Path | None = None,
        dtype: str = "auto",
        device: str = "cpu",
        batch_size: int = 32,
    ) -> None:
        self.template = template
        self.batch_size = batch_size
        self._weights = weights
        self._adapter = adapter
        self._adapter_digest = _digest_of_adapter(adapter) if adapter else None
        self._device = _checked_device(device)
        self._dtype = _best_dtype(device) if dtype == "auto" else dtype
        self._model: Any = None
        self._tokenizer: Any = None

    @property
    def recipe(self) -> Recipe:
        """Identity: weights, adapter, template, numeric type, device, batch policy and the libraries that compute."""
        return {
            "scorer": "stockllm/1",
            "weights": self._weights.digest,
            "adapter": self._adapter_digest,
            "dtype": self._dtype,
            "device": self._device,
            "libraries": {name: metadata.version(name) for name in ("torch", "transformers")},
            "batch": f"sorted by length, {self.batch_size} at most",
            **self.template.recipe,
        }

    def render(self, query: Query, hits: tuple[Hit, ...]) -> Prompt:
        """The prompt of the template."""
        return self.template.render(query, hits)

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        """P(rise) of every prompt; batches are formed by length.

        Returns
        -------
        list of Score
            In the order of ``prompts``, with the prompt's tokens and its share of the batch's seconds.
        """
        self._load()
        tokens = [self._encode(prompt) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda number: len(tokens[number]))
        scores: list[Score] = [Score(0.5)] * len(prompts)
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            began = time.perf_counter()
            odds = self._log_odds([tokens[number] for number in batch])
            share = (time.perf_counter() - began) / len(batch)
            for number, log_odds in zip(batch, odds, strict=True):
                probability = float(1.0 / (1.0 + np.exp(-log_odds)))
                scores[number] = Score(probability, tokens=len(tokens[number]), seconds=share)
        return scores

    def _log_odds(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """(batch,) log P(rise)/P(fall) of token sequences."""
        import torch

        with torch.inference_mode():
            hidden = self._last_hidden(batch)  # (batch, width) in the body's dtype
            logits = _transformed(hidden.float() @ self._head.T + self._bias, self._config)  # (batch, 2) float32
            difference: NDArray[np.float64] = (logits[:, 0] - logits[:, 1]).double().cpu().numpy()
        return difference

    def _last_hidden(self, batch: Sequence[Sequence[int]]) -> torch.Tensor:
        """Final hidden state of each sequence's last token."""
        import torch

        # Padding on the right: under a causal mask no real token sees it, so it needs no attention mask.
        width = max(map(len, batch))
        ids = torch.tensor([[*tokens, *([self._pad] * (width - len(tokens)))] for tokens in batch], device=self._device)
        last = torch.tensor([len(tokens) - 1 for tokens in batch], device=self._device)
        states: torch.Tensor = self._body(input_ids=ids, use_cache=False).last_hidden_state  # (batch, width, hidden)
        return states[torch.arange(len(batch), device=self._device), last]

    def _encode(self, prompt: Prompt) -> list[int]:
        if self.template.chat:
            turns = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.text}]
            text = self._tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True, date_string=_DAY
            )
            tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        else:
            tokens = self._tokenizer(prompt.text)["input_ids"]
        limit = getattr(self._config, "max_position_embeddings", self._tokenizer.model_max_length)
        if len(tokens) > limit:
            raise ModelError(
                f"the prompt of {prompt.query.symbol} as of {prompt.query.as_of} has {len(tokens)} tokens, but "
                f"{self._weights.ref} reads {limit}; a prompt is never cut: use a smaller retrieval.k or "
                'llm.template = "compact"'
            )
        return tokens

    def _load(self) -> None:
        if self._model is not None:
            return
        with quiet_loading():
            self._tokenizer = self._load_tokenizer()
            model = self._load_model().to(self._device).eval()
        self._pad = self._tokenizer.pad_token_id or 0
        self._prepare_head(model, self._label_tokens())
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

        dtype = getattr(torch, self._dtype)
        load: Any = AutoModelForCausalLM.from_pretrained
        model = load(str(self._weights.folder), dtype=dtype, use_safetensors=True, **_LOCAL)
        return _with_adapter(model, self._adapter) if self._adapter else model

    def _label_tokens(self) -> list[int]:
        first = [self._tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in self.template.labels]
        if first[0] == first[1]:
            raise ModelError(
                f"the labels {self.template.labels} begin with the same token in {self._weights.ref}'s vocabulary; "
                "choose another model or template"
            )
        return first

    def _prepare_head(self, model: Any, labels: list[int]) -> None:
        """Keep two rows of the output matrix in float32; prove on a short text that they give the model's logits."""
        import torch

        base = model.get_base_model() if self._adapter else model
        self._config = base.config.get_text_config()
        self._body = base.get_decoder()
        output = base.get_output_embeddings()
        self._head = output.weight.detach()[labels].float()
        bias = getattr(output, "bias", None)
        self._bias = bias.detach()[labels].float() if bias is not None else torch.zeros(2, device=self._device)
        probe = self._tokenizer("adj_close: C F H B A rise")["input_ids"]
        with torch.inference_mode():
            ids = torch.tensor([probe], device=self._device)
            logits = model(input_ids=ids, use_cache=False).logits[0, -1, labels].float()
        gap = abs(float(logits[0] - logits[1]) - float(self._log_odds([probe])[0]))
        if gap > _HEAD_TOLERANCE:
            raise ModelError(
                f"{self._weights.ref} transforms its logits after the output matrix in a way that the label read-out "
                f"does not know (they differ by {gap:.2f}); use another model"
            )


def _transformed(logits: torch.Tensor, config: Any) -> torch.Tensor:
    """Do to the logits what Gemma, Granite and Cohere do after the output matrix."""
    import torch

    logits = logits * (getattr(config, "logit_scale", None) or 1.0) / (getattr(config, "logits_scaling", None) or 1.0)
    cap = getattr(config, "final_logit_softcapping", None)
    return cap * torch.tanh(logits / cap) if cap else logits


def _digest_of_adapter(folder: Path) -> str:
    digest = digest_of_folder(folder)
    if not (folder / "adapter_model.safetensors").is_file():  # else peft would look for a pickle
        raise ModelError(f"{folder} holds no adapter_model.safetensors; expected an adapter written by peft")
    return digest


def _with_adapter(model: Any, folder: Path) -> Any:
    from peft import PeftConfig, PeftModel

    config = PeftConfig.from_pretrained(str(folder))
    if config.is_prompt_learning:
        raise ModelError(f"the adapter {folder} is {config.peft_type}: only adapters of the layers (LoRA ...) are read")
    # Not merged: merging into bf16 weights moves log-odds by 0.2-0.7.
    return PeftModel.from_pretrained(model, str(folder))


def _checked_device(device: str) -> str:
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ModelError(
                'llm.device = "cuda", but torch sees no GPU here; install a CUDA build or say device = "cpu"'
            )
    return device


def _best_dtype(device: str) -> str:
    import torch

    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    features = torch.cpu.get_capabilities()
    return "bfloat16" if any(features.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")) else "float32"
