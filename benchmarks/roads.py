"""Two roads not taken: the compiled model and int8 (docs/decisions/0011). Speed against bfloat16, and what it changes.

Real prompts of the compact template, k = 5, in one batch of 32; the model's own forward pass, without an adapter.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from benchmarks.harness import Measure, main, seconds, speedup
from benchmarks.model import _loaded, _Side, _tokens

COMMAND = "python -m benchmarks.roads"
RIVAL = "bfloat16, eager, same batch"


def measures() -> list[Measure]:
    """Four roads, each with its speed and its changed decisions."""
    import torch

    from ragsignal.llm.head import LabelHead, label_tokens, pad_right

    side = _Side("compact", 32)
    _, tokenizer = _loaded()
    ids, last = pad_right(_tokens(side), 0, "cpu")
    labels = label_tokens(tokenizer, (" rise", " fall"), "model")

    def made(dtype: Any) -> Any:
        model = _loaded()[0].to(dtype)
        model.set_output_embeddings(LabelHead(model.get_output_embeddings(), labels))
        return model

    def odds(model: Any) -> Any:
        with torch.inference_mode():
            logits = model(input_ids=ids, use_cache=False).logits[torch.arange(len(ids)), last]
        return logits[:, 0] - logits[:, 1]

    plain, exact = made(torch.bfloat16), made(torch.float32)
    truth = odds(exact)

    def road(name: str, model: Any, extra: dict[str, Any]) -> list[Measure]:
        print(name, file=sys.stderr)
        ratio, detail = speedup(lambda: odds(model), lambda: odds(plain), rounds=5)
        error, turned = (odds(model) - truth).abs(), (odds(model) > 0) != (truth > 0)
        about = detail | extra | {
            "mean_error_of_log_odds": error.mean().item(), "spread_of_log_odds": truth.std().item(),
            "tokens": ids.numel(),
        }  # fmt: skip
        return [
            Measure(f"{name}, tokens/s", ratio, "x", RIVAL, "", COMMAND, about),
            Measure(f"{name}, decisions changed", 100 * turned.double().mean().item(), "%", "float32", "", COMMAND),
        ]

    found = road("float32", exact, {}) + road("bfloat16 again", plain, {})
    found += road("int8, one scale a tensor", _torch_int8(made(torch.float32)), {})
    found += road("int8, one scale a token", _row_int8(made(torch.float32)), {})
    compiled = torch.compile(made(torch.bfloat16), dynamic=True)
    return found + road("torch.compile", compiled, {"compile_s": seconds(lambda: odds(compiled))})


def _torch_int8(model: Any) -> Any:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated in favour of a package of its own
        return torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)


def _row_int8(model: Any) -> Any:
    """Replace every linear layer by int8 products with a scale a row on both sides."""
    import torch

    class Rows(torch.nn.Module):
        def __init__(self, linear: Any) -> None:
            super().__init__()
            weight = linear.weight.detach()
            self.scale = weight.abs().amax(1) / 127
            self.whole = (weight / self.scale[:, None]).round().to(torch.int8).t()

        def forward(self, values: Any) -> Any:
            flat = values.reshape(-1, values.shape[-1])
            scale = flat.abs().amax(1, keepdim=True).clamp_min(1e-8) / 127
            product = torch._int_mm((flat / scale).round().to(torch.int8), self.whole)
            return (product.float() * scale * self.scale).reshape(*values.shape[:-1], -1)

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear):
                setattr(parent, name, Rows(child))
    return model


if __name__ == "__main__":
    main(measures)
