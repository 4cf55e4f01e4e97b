"""StockLLM on the real embedded weights, and on a tiny random llama with a LoRA adapter."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from peft import LoraConfig, PeftModel, PrefixTuningConfig, PromptTuningConfig, get_peft_model
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

from ragsignal.artifacts.artifact import Artifact, save_artifact
from ragsignal.artifacts.card import Card
from ragsignal.artifacts.weights import Weights, resolve
from ragsignal.config import TemplateName
from ragsignal.data.bins import shipped_bins
from ragsignal.data.wide import build_panel
from ragsignal.errors import ModelError
from ragsignal.llm.device import bytes_a_token, rows_for
from ragsignal.llm.prompt import Template
from ragsignal.llm.stockllm import StockLLM
from ragsignal.types import Prompt, Score
from tests.llm.test_prompt import HITS, QUERY
from tests.markets import bars
from tests.tiny import tiny_llama

pytestmark = pytest.mark.slow


def _template(name: TemplateName = "compact") -> Template:
    return Template(name, True, shipped_bins())


def _few_prompts(template: Template) -> list[Prompt]:
    """Of three lengths, one of them twice: for the real model, whose every token is dear."""
    return [template.render(QUERY, HITS * count) for count in (0, 2, 0, 1)]


def _prompts(template: Template) -> list[Prompt]:
    return [template.render(QUERY, HITS * count) for count in (0, 1, 3, 2, 0, 4)]


@pytest.fixture(scope="module")
def base(language_model: str) -> Weights:
    return resolve(language_model)


@pytest.fixture(scope="module")
def tiny(base: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random llama with the real tokenizer."""
    return tiny_llama(tmp_path_factory.mktemp("tiny"), AutoTokenizer.from_pretrained(str(base.folder)))


@pytest.fixture(scope="module")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(str(tiny)),
        LoraConfig(r=4, lora_alpha=32, target_modules=["q_proj", "v_proj"], init_lora_weights=False),
    )
    model.save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def in_float32(base: Weights) -> list[Score]:
    """What the real model says of a few prompts in one batch."""
    return StockLLM(base, _template(), dtype="float32").score(_few_prompts(_template()))


def _roomy(tiny: Path) -> Weights:
    """The tiny llama, said to read more: wide prompts are long, and its positions are computed, not learned."""
    folder = tiny.parent / "roomy"
    if not folder.exists():
        shutil.copytree(tiny, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 1024}))
    return resolve(str(folder))


def _reference(model: Any, tokenizer: Any, texts: list[str], labels: tuple[str, str]) -> list[float]:
    """P(rise) by the plain way: the model's own logits at the last position, one text at a time."""
    pair = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in labels]
    with torch.inference_mode():
        logits = [model(**tokenizer(text, return_tensors="pt")).logits[0, -1, pair].float() for text in texts]
    return [float(torch.softmax(row, dim=0)[0]) for row in logits]


def test_probability_is_the_softmax_over_the_two_label_tokens(base: Weights, in_float32: list[Score]) -> None:
    template = _template()
    prompts = _few_prompts(template)
    model = AutoModelForCausalLM.from_pretrained(str(base.folder), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(str(base.folder))
    expected = _reference(model, tokenizer, [prompt.text for prompt in prompts], template.labels)
    np.testing.assert_allclose([score.probability for score in in_float32], expected, atol=1e-4)
    assert [score.tokens for score in in_float32] == [len(tokenizer(prompt.text)["input_ids"]) for prompt in prompts]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.02)])
def test_batch_is_one_by_one_within_the_laws_tolerance(
    base: Weights, dtype: str, tolerance: float, request: pytest.FixtureRequest
) -> None:
    template = _template()
    prompts = _few_prompts(template)
    single = StockLLM(base, template, dtype=dtype, batch_size=1)
    if dtype == "float32":
        together = request.getfixturevalue("in_float32")
    else:
        together = StockLLM(base, template, dtype=dtype).score(prompts)
    pairs = zip(together, single.score(prompts), strict=True)
    assert max(abs(left.probability - right.probability) for left, right in pairs) <= tolerance


def test_a_candidate_costs_a_handful_of_tokens(tiny: Path) -> None:
    template = _template()
    llm = StockLLM(resolve(str(tiny)), template)  # the real tokenizer, which alone decides
    bare, one = llm.score([template.render(QUERY, ()), template.render(QUERY, HITS[:1])])
    assert one.tokens - bare.tokens == 11  # adj _ close : and five letters, the movement, the line's end


@pytest.mark.parametrize("name", ["percent", "finseer-json"])
def test_every_template_is_read(tiny: Path, name: TemplateName) -> None:
    template = _template(name)
    (score,) = StockLLM(_roomy(tiny), template).score([template.render(QUERY, HITS)])
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


@pytest.mark.skipif(torch.cuda.is_available(), reason="the error of a missing GPU")
def test_a_gpu_that_was_asked_for_and_is_missing_raises(tiny: Path) -> None:
    with pytest.raises(ModelError, match="torch sees no GPU"):
        StockLLM(resolve(str(tiny)), _template(), device="cuda")


@pytest.mark.parametrize("kind", [PrefixTuningConfig, PromptTuningConfig])
def test_adapters_of_virtual_tokens_are_read_as_they_read_themselves(tiny: Path, tmp_path: Path, kind: Any) -> None:
    torch.manual_seed(0)
    config = kind(task_type="CAUSAL_LM", num_virtual_tokens=2)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(str(tiny)), config).eval()
    for name, it in model.named_parameters():
        if it.requires_grad:
            assert "prompt" in name
            it.data.normal_()
    model.save_pretrained(str(tmp_path))
    template = _template()
    prompts = _prompts(template)
    scored = StockLLM(resolve(str(tiny)), template, tmp_path, dtype="float32").score(prompts)
    tokenizer = AutoTokenizer.from_pretrained(str(tiny))
    expected = _reference(model, tokenizer, [prompt.text for prompt in prompts], template.labels)
    np.testing.assert_allclose([score.probability for score in scored], expected, atol=1e-4)
    plain = StockLLM(resolve(str(tiny)), template, dtype="float32").score(prompts)
    assert max(abs(one.probability - two.probability) for one, two in zip(scored, plain, strict=True)) > 1e-3


# --- common beginnings


def _wide_prompts() -> tuple[Template, list[Prompt]]:
    """Two queries, each with several sets of candidates: what the teacher asks, long beginnings in common."""
    days = pd.bdate_range(end=str(QUERY.as_of), periods=300)
    frames = {name: bars(300, seed, days=days) for seed, name in enumerate("AB")}
    template = Template("wide", True, shipped_bins(), build_panel(frames))
    queries = [replace(QUERY, symbol="A"), replace(QUERY, symbol="B", closes=QUERY.closes[::-1])]
    return template, [template.render(query, HITS[:count]) for query in queries for count in (0, 1, 2)]


def test_a_common_beginning_is_read_once_and_changes_nothing(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, ...]] = []
    forward = LlamaForCausalLM.forward

    def counted(self: Any, input_ids: Any, **options: Any) -> Any:
        read.append(tuple(input_ids.shape))
        return forward(self, input_ids=input_ids, **options)

    monkeypatch.setattr(LlamaForCausalLM, "forward", counted)
    wide, wide_prompts = _wide_prompts()
    for template, prompts in ((_template(), _prompts(_template())), (wide, wide_prompts), (wide, wide_prompts[:3])):
        llm = StockLLM(_roomy(tiny), template, dtype="float32")
        read.clear()
        together = llm.log_odds(prompts)
        (one, shared), (n, _) = read
        assert (one, n) == (1, len(prompts))
        assert shared > 10
        single = [float(llm.log_odds([prompt])[0]) for prompt in prompts]
        np.testing.assert_allclose(together, single, atol=1e-4)
        assert len(set(single)) > 1


def test_a_prompt_that_another_one_begins_with_keeps_its_own_last_token(tiny: Path) -> None:
    template = _template()
    long = template.render(QUERY, ())
    short = replace(long, text=long.text[:-4])
    llm = StockLLM(resolve(str(tiny)), template, dtype="float32")
    together = llm.log_odds([long, short, long])
    np.testing.assert_allclose(together, [float(llm.log_odds([it])[0]) for it in (long, short, long)], atol=1e-4)


# --- artifacts


def _artifact(weights: Weights, adapter: Path, template: Template, folder: Path, **changes: Any) -> Artifact:
    span = {"first": date(2010, 1, 4), "last": date(2010, 12, 31), "queries": 9}
    card = {
        **{"kind": "stockllm", "name": "toy-stockllm", "target": "movement", "recipe": {}, "protocol": "time"},
        **{"base": {"ref": "owner/base", "revision": None, "sha256": weights.digest}, "template": template.recipe},
        **{"train": span, "valid": None, "trained_through": date(2011, 1, 5), "seed": 0, "versions": {}, "metrics": {}},
        **{"data": {"source": "planted", "symbols": ["A"], "fingerprint": "0"}, "command": "ragsignal train x"},
        **changes,
    }

    def write(target: Path) -> None:
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copyfile(adapter / name, target / name)

    return save_artifact(folder, Card.model_validate(card), write)


def test_the_calibration_of_an_artifact_moves_the_probabilities_and_keeps_their_order(
    tiny: Path, adapter: Path, tmp_path: Path
) -> None:
    weights, template = resolve(str(tiny)), _template()
    prompts = _prompts(template)
    known = {"calibration": {"method": "platt", "slope": 0.5, "intercept": -0.25}}
    llm = StockLLM(weights, template, _artifact(weights, adapter, template, tmp_path / "a", **known), dtype="float32")
    raw = StockLLM(weights, template, adapter, dtype="float32")
    odds = raw.log_odds(prompts)
    np.testing.assert_allclose(llm.log_odds(prompts), odds, atol=1e-6)
    chances = [score.probability for score in llm.score(prompts)]
    np.testing.assert_allclose(chances, 1 / (1 + np.exp(-(0.5 * odds - 0.25))), atol=1e-6)
    np.testing.assert_array_equal(np.argsort(chances), np.argsort([it.probability for it in raw.score(prompts)]))
    assert llm.recipe["calibration"] != raw.recipe["calibration"]


def test_an_artifact_for_another_base_or_template_is_refused_with_both_sides_named(
    tiny: Path, adapter: Path, tmp_path: Path
) -> None:
    weights, template = resolve(str(tiny)), _template()
    artifact = _artifact(weights, adapter, template, tmp_path / "a")
    with pytest.raises(ModelError, match=f"trained on owner/base with SHA-256 {weights.digest}.*base has {'0' * 64}"):
        StockLLM(replace(weights, digest="0" * 64), template, artifact)
    with pytest.raises(ModelError, match=r"trained on template .*compact/1.*, but .*percent/1.* was asked for"):
        StockLLM(weights, _template("percent"), artifact)


def test_the_head_of_a_template_is_read_once_for_all_batches(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = _template()
    scorer, fresh = (StockLLM(_roomy(tiny), template, dtype="float32", batch_size=2) for _ in range(2))
    prompts = _prompts(template)
    scorer.score(prompts[:1])
    model, shapes = scorer._model, []

    def watched(**inputs: Any) -> Any:
        shapes.append(tuple(inputs["input_ids"].shape))
        return model(**inputs)

    monkeypatch.setattr(scorer, "_model", watched)
    again = scorer.score(prompts)
    assert [rows for rows, _ in shapes] == [2, 2, 2]  # three batches, and no pass of one row for the head
    truth = [score.probability for score in fresh.score(prompts)]
    assert [score.probability for score in again] == truth  # to the last bit: the kept keys are not written to


def test_batches_are_formed_by_tokens_and_tokens_are_counted_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = _template()
    scorer = StockLLM(_roomy(tiny), template, dtype="float32")
    prompts = _prompts(template)[:4]
    lengths = [scorer.length(prompt) for prompt in prompts]
    monkeypatch.setattr(scorer, "_encode", None)  # a second encoding would fail
    assert [score.tokens for score in scorer.score(prompts)] == lengths


def test_a_batch_takes_as_many_rows_as_its_padding_leaves_room_for() -> None:
    lengths = np.array([10, 10, 20, 30, 100])
    assert [rows_for(budget, lengths) for budget in (0, 25, 60, 120, 499, 500)] == [1, 2, 3, 4, 4, 5]


def test_a_token_of_a_larger_model_takes_more_memory(tiny: Path) -> None:
    small = LlamaConfig(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4)
    # 2 bytes x (key, value) x 2 layers x 64 numbers, and 4 bytes x (3 x 128 + 6 x 64)
    assert bytes_a_token(small) == 2 * 2 * 2 * 64 + 4 * (3 * 128 + 6 * 64)
    shared = LlamaConfig(**{**small.to_dict(), "num_key_value_heads": 1})
    assert bytes_a_token(shared) == bytes_a_token(small) - 2 * 2 * 2 * (64 - 16)


def test_automatic_batches_are_32_on_a_cpu_and_said_so_in_the_recipe(tiny: Path) -> None:
    asked, automatic = (StockLLM(_roomy(tiny), _template(), batch_size=size) for size in (32, "auto"))
    assert automatic.recipe == asked.recipe
    assert automatic.batch_size == 32
