"""StockLLM on the real embedded weights, and on a tiny random llama with a LoRA adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from test_prompt import HITS, QUERY
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    CohereConfig,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
)

from ragsignal.config import TemplateName
from ragsignal.data.bins import shipped_bins
from ragsignal.errors import ModelError
from ragsignal.llm.prompt import Template
from ragsignal.llm.stockllm import StockLLM
from ragsignal.llm.weights import Weights, resolve
from ragsignal.types import Prompt

BASE = "embedded:SmolLM2-135M-Instruct"


def _template(name: TemplateName = "compact") -> Template:
    return Template(name, True, shipped_bins())


def _prompts(template: Template) -> list[Prompt]:
    return [template.render(QUERY, HITS * count) for count in (0, 1, 3, 2, 0, 4)]


@pytest.fixture(scope="module")
def base() -> Weights:
    return resolve(BASE)


@pytest.fixture(scope="module")
def tiny(base: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random llama of two layers with the real tokenizer: real loading code, no cost."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=49152, max_position_embeddings=128, **shape)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(str(base.folder)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(str(tiny)),
        LoraConfig(r=4, lora_alpha=32, target_modules=["q_proj", "v_proj"], init_lora_weights=False),
    )
    model.save_pretrained(str(folder))
    return folder


def _reference(model: Any, tokenizer: Any, texts: list[str], labels: tuple[str, str]) -> list[float]:
    """P(rise) by the plain way: the model's own logits at the last position, one text at a time."""
    pair = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in labels]
    with torch.inference_mode():
        logits = [model(**tokenizer(text, return_tensors="pt")).logits[0, -1, pair].float() for text in texts]
    return [float(torch.softmax(row, dim=0)[0]) for row in logits]


def test_probability_is_the_softmax_over_the_two_label_tokens(base: Weights) -> None:
    template = _template()
    prompts = _prompts(template)
    scored = StockLLM(base, template, dtype="float32").score(prompts)
    model = AutoModelForCausalLM.from_pretrained(str(base.folder), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(str(base.folder))
    expected = _reference(model, tokenizer, [prompt.text for prompt in prompts], template.labels)
    np.testing.assert_allclose([score.probability for score in scored], expected, atol=1e-4)
    assert [score.tokens for score in scored] == [len(tokenizer(prompt.text)["input_ids"]) for prompt in prompts]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.02)])
def test_batch_is_one_by_one_within_the_laws_tolerance(base: Weights, dtype: str, tolerance: float) -> None:
    template = _template()
    prompts = _prompts(template)
    together = StockLLM(base, template, dtype=dtype).score(prompts)
    single = StockLLM(base, template, dtype=dtype, batch_size=1).score(prompts)
    gaps = [abs(left.probability - right.probability) for left, right in zip(together, single, strict=True)]
    assert max(gaps) <= tolerance


def test_a_candidate_costs_a_handful_of_tokens(base: Weights) -> None:
    template = _template()
    llm = StockLLM(base, template, dtype="float32")
    bare, one = llm.score([template.render(QUERY, ()), template.render(QUERY, HITS[:1])])
    assert one.tokens - bare.tokens == 11  # adj _ close : and five letters, the movement, the line's end


@pytest.mark.parametrize("name", ["percent", "finseer-json"])
def test_every_template_is_read(base: Weights, name: TemplateName) -> None:
    template = _template(name)
    (score,) = StockLLM(base, template).score([template.render(QUERY, HITS)])
    assert 0.0 < score.probability < 1.0
    assert score.seconds > 0.0


def test_an_adapter_is_read_unmerged_and_decides_the_score(tiny: Path, adapter: Path) -> None:
    template = _template()
    prompts = _prompts(template)
    weights = resolve(str(tiny))
    plain = [score.probability for score in StockLLM(weights, template, dtype="float32").score(prompts)]
    tuned = [score.probability for score in StockLLM(weights, template, adapter, dtype="float32").score(prompts)]
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(str(tiny)), str(adapter))
    texts = [prompt.text for prompt in prompts]
    expected = _reference(model, AutoTokenizer.from_pretrained(str(tiny)), texts, template.labels)
    np.testing.assert_allclose(tuned, expected, atol=1e-4)
    assert np.abs(np.subtract(tuned, plain)).max() > 1e-3


_SMALL = {"vocab_size": 49152, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
_LLAMA_LIKE = {**_SMALL, "intermediate_size": 64, "num_key_value_heads": 2}


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(vocab_size=49152, n_embd=32, n_layer=1, n_head=2),
        GPTNeoXConfig(**_SMALL, intermediate_size=64),
        Qwen3Config(**_LLAMA_LIKE, head_dim=16),
        Gemma2Config(**_LLAMA_LIKE, head_dim=16, final_logit_softcapping=2.0),  # caps its logits
        GraniteConfig(**_LLAMA_LIKE, logits_scaling=8.0),  # divides them
        CohereConfig(**_LLAMA_LIKE, logit_scale=0.0625),  # multiplies them
    ],
    ids=lambda config: config.model_type,
)
def test_other_causal_models_are_read_as_they_read_themselves(config: Any, base: Weights, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    for weights in model.parameters():
        weights.data.mul_(5)  # untrained heads are so flat that any read-out would fit
    model.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(str(base.folder))
    tokenizer.save_pretrained(tmp_path)
    template = _template()
    prompts = _prompts(template)
    scored = StockLLM(resolve(str(tmp_path)), template, dtype="float32").score(prompts)
    expected = _reference(model, tokenizer, [prompt.text for prompt in prompts], template.labels)
    np.testing.assert_allclose([score.probability for score in scored], expected, atol=1e-4)


def test_the_adapters_bytes_are_part_of_the_recipe(tiny: Path, adapter: Path) -> None:
    weights = resolve(str(tiny))
    with_it = StockLLM(weights, _template(), adapter, dtype="float32").recipe
    assert with_it != StockLLM(weights, _template(), dtype="float32").recipe
    assert with_it == StockLLM(weights, _template(), adapter, dtype="float32").recipe


def test_an_adapter_must_be_safetensors(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "other.safetensors").write_bytes(b"")
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"no adapter_model\.safetensors"):
        StockLLM(resolve(str(tiny)), _template(), tmp_path)


def test_a_chat_template_writes_a_fixed_date_and_never_todays(tiny: Path, tmp_path: Path) -> None:
    today = "{{ strftime_now('%d %b %Y') }}"
    llamas = "{% if not date_string is defined %}" + today + "{% else %}{{ date_string }}{% endif %}"
    tokenizer = AutoTokenizer.from_pretrained(str(tiny))
    AutoModelForCausalLM.from_pretrained(str(tiny)).save_pretrained(tmp_path)
    template = _template("finseer-json")
    prompt = template.render(QUERY, ())
    tokenizer.chat_template = llamas
    tokenizer.save_pretrained(tmp_path)
    llm = StockLLM(resolve(str(tmp_path)), template)
    llm._tokenizer, llm._config = llm._load_tokenizer(), LlamaConfig()
    assert llm._tokenizer.decode(llm._encode(prompt)) == "26 Jul 2024"
    tokenizer.chat_template = today
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="writes today's date"):
        StockLLM(resolve(str(tmp_path)), template).score([prompt])


def test_a_prompt_longer_than_the_context_raises_and_is_not_cut(tiny: Path) -> None:
    template = _template()
    with pytest.raises(ModelError, match=r"has \d+ tokens, but .* reads 128; a prompt is never cut"):
        StockLLM(resolve(str(tiny)), template).score([template.render(QUERY, HITS * 8)])


def test_labels_that_share_a_token_are_refused(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Template, "labels", (" rise", " rise"))
    with pytest.raises(ModelError, match="begin with the same token"):
        StockLLM(resolve(str(tiny)), _template()).score(_prompts(_template()))


def test_a_model_that_transforms_its_logits_is_refused(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = LlamaForCausalLM.forward

    def capped(self: Any, *args: Any, **options: Any) -> Any:
        answer = forward(self, *args, **options)
        answer.logits = answer.logits * 100.0
        return answer

    monkeypatch.setattr(LlamaForCausalLM, "forward", capped)
    with pytest.raises(ModelError, match=r"transforms its logits .* does not know"):
        StockLLM(resolve(str(tiny)), _template(), dtype="float32").score(_prompts(_template()))


@pytest.mark.skipif(torch.cuda.is_available(), reason="the error of a missing GPU")
def test_a_gpu_that_was_asked_for_and_is_missing_raises(tiny: Path) -> None:
    with pytest.raises(ModelError, match="torch sees no GPU"):
        StockLLM(resolve(str(tiny)), _template(), device="cuda")


def test_prompt_learning_adapters_are_refused(tiny: Path, tmp_path: Path) -> None:
    from peft import PrefixTuningConfig

    config = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    get_peft_model(AutoModelForCausalLM.from_pretrained(str(tiny)), config).save_pretrained(str(tmp_path))
    with pytest.raises(ModelError, match="only adapters of the layers"):
        StockLLM(resolve(str(tiny)), _template(), tmp_path).score(_prompts(_template()))
