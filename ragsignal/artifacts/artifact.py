"""What training leaves behind: a folder of weights, and the card that says what they are and what they have seen.

    save_artifact: scratch folder -> hashes -> card.json, README.md -> renamed into place
    load_artifact: card.json -> format, kind, every hash -> Artifact

Whoever uses an artifact goes through :func:`load_artifact`, so that changed files, pickles and weights of another kind
stop here. ``trained_through`` is the date after which the artifact may be judged; a backtest reads it from the card.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ragsignal.artifacts.card import CARD, FORMAT, README, Card, Kind, describe
from ragsignal.artifacts.sound import check_fetched
from ragsignal.artifacts.weights import WeightsStatus
from ragsignal.errors import ModelError
from ragsignal.utils import canonical_json, file_digest, json_digest, write_folder

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
_GUARDED = (".safetensors", ".json", *_PICKLES)  # a loader may pick these up by name, so none may slip in


@dataclass(frozen=True)
class Artifact:
    """A verified artifact.

    Parameters
    ----------
    ref : str
        As the user wrote it.
    folder : Path
    card : Card
    digest : str
        SHA-256 over the card, which holds the hashes of all files; part of every recipe.
    """

    ref: str
    folder: Path
    card: Card
    digest: str

    def check_template(self, recipe: Mapping[str, Any]) -> None:
        """Refuse to be fed another text than in training.

        Raises
        ------
        ModelError
            Naming every key that differs, on both sides.
        """
        trained, given = self.card.template, json.loads(canonical_json(dict(recipe)))
        keys = [key for key in sorted({*trained, *given}) if trained.get(key, ...) != given.get(key, ...)]
        if keys:
            raise ModelError(
                f"{self.ref} was trained on template {_only(trained, keys)}, but {_only(given, keys)} was asked for: "
                f"write in the spec what it was trained on, or train again; it was made by: {self.card.command}"
            )

    def check_study(self, target: str, lookback: int, horizon: int) -> None:
        """Refuse candidates whose outcomes, or windows whose lengths, are not those of training.

        A card that names no horizon was trained at 1 bar.

        Raises
        ------
        ModelError
            Naming both sides.
        """
        recipe = self.card.recipe
        if horizon in recipe.get("horizons", ()):  # of a retriever that holds outcomes over several
            recipe = recipe | {"horizon": horizon}
        trained = {
            "corpus.target": self.card.target,
            "corpus.lookback": recipe.get("lookback", lookback),
            "corpus.horizon": recipe.get("horizon", 1),
        }
        given = {"corpus.target": target, "corpus.lookback": lookback, "corpus.horizon": horizon}
        keys = [key for key in given if trained[key] != given[key]]
        if keys:
            raise ModelError(
                f"{self.ref} was trained with {_only(trained, keys)}, but the spec has {_only(given, keys)}; write "
                f"what it was trained on, or train again: {self.card.command}"
            )

    def check_formulas(self, given: Mapping[str, str]) -> None:
        """Refuse sequences of kept formulas that have the name of others that were trained on.

        Parameters
        ----------
        given : mapping of str to str
            Formulas by name.

        Raises
        ------
        ModelError
            Naming both formulas.
        """
        trained: Mapping[str, str] = self.card.recipe.get("formulas", {})
        for name, formula in trained.items():
            if given.get(name, formula) != formula:
                raise ModelError(
                    f"{self.ref} was trained with {name} = {formula!r}, and corpus.alphas has {given[name]!r}; give "
                    f"one of the two another name, or train it again: {self.card.command}"
                )

    def check_base(self, digest: str) -> None:
        """Refuse to be laid over other weights than those it was trained on.

        Raises
        ------
        ModelError
            Naming both.
        """
        base = self.card.base
        if base is None:
            raise ModelError(f"{self.ref} has no base model, but weights {digest} were given; delete llm.adapter")
        if base["sha256"] != digest:
            pinned = f", revision {base['revision']}" if base["revision"] else ""
            raise ModelError(
                f"{self.ref} was trained on {base['ref']}{pinned} with SHA-256 {base['sha256']}, but the spec's base "
                f"has {digest}; name that base in the spec, or train again: {self.card.command}"
            )


def refuse_foreign(folder: Path) -> None:
    """Raise ``ModelError`` if ``folder`` holds something that is no artifact: asked before a training, not after it."""
    if folder.exists() and not (folder / CARD).is_file() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ModelError(f"{folder} holds no {CARD}, so it is not ours to replace; name another folder, or delete it")


def save_artifact(folder: Path, card: Card, write: Callable[[Path], None]) -> Artifact:
    """Write an artifact, in the place of one that is there.

    Parameters
    ----------
    folder : Path
    card : Card
        Without ``files``.
    write : callable
        Saves the model into the empty folder it receives. A README.md of its own is replaced.

    Raises
    ------
    ModelError
        If ``folder`` holds something that is no artifact, or ``write`` left a pickle.
    """
    folder = Path(folder).resolve()
    refuse_foreign(folder)

    def fill(scratch: Path) -> None:
        write(scratch)
        pickles = [name for name in _names_in(scratch) if name.endswith(_PICKLES)]
        if pickles:
            raise ModelError(f"{', '.join(pickles)} would be saved as a pickle, which can run code; save safetensors")
        hashes = {name: file_digest(scratch / name) for name in _names_in(scratch)}
        full = card.model_copy(update={"files": hashes})
        (scratch / CARD).write_text(full.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (scratch / README).write_text(describe(full), encoding="utf-8")

    write_folder(folder, fill, replace=True)
    return load_artifact(folder)


def load_artifact(ref: str | Path, *kinds: Kind) -> Artifact:
    """Find and verify an artifact.

    Parameters
    ----------
    ref : str or Path
        ``shipped:NAME`` for one inside this package, else a folder.
    *kinds : str
        Which kinds will do; none given means any.

    Raises
    ------
    ModelError
        If it is not there, is of another format or kind, or differs by any file from what was saved.
    """
    ref = str(ref)
    folder = _folder_of(ref, kinds)
    card = _read_card(ref, folder, kinds)
    if kinds and card.kind not in kinds:
        raise ModelError(f"{ref} is a {card.kind}, but {_one_of(kinds)} is needed here; {_how_to_train(kinds)}")
    _verify_files(ref, folder, card)
    return Artifact(ref, folder, card, json_digest(card.model_dump(mode="json")))


def shipped_artifacts() -> list[str]:
    """Names of the artifacts inside this package, for ``shipped:NAME``."""
    return sorted(path.parent.name for path in _shipped_folder().glob(f"*/{CARD}"))


def _shipped_folder() -> Path:
    return Path(str(resources.files("ragsignal.artifacts"))) / "shipped"


def shipped_status() -> list[WeightsStatus]:
    """Return the state of each artifact inside this package."""
    return [_status(f"shipped:{name}") for name in shipped_artifacts()]


def _status(ref: str) -> WeightsStatus:
    try:
        card = load_artifact(ref).card
        role, intact = f"{card.kind}, trained through {card.trained_through}", True
    except ModelError:
        role, intact = "unreadable", False
    return {"name": ref, "installed": True, "install": "part of this package", "role": role, "intact": intact}


def _folder_of(ref: str, kinds: tuple[Kind, ...]) -> Path:
    if not ref.startswith("shipped:"):
        return Path(ref)
    name, names = ref.removeprefix("shipped:"), shipped_artifacts()
    if name not in names:
        there = ", ".join(f"shipped:{each}" for each in names) or "none"
        raise ModelError(f"no shipped artifact {name!r}; there are: {there}; {_how_to_train(kinds)}")
    return _shipped_folder() / name


def _read_card(ref: str, folder: Path, kinds: tuple[Kind, ...]) -> Card:
    try:
        check_fetched(folder / CARD)
        text = (folder / CARD).read_text(encoding="utf-8")
        raw = json.loads(text)
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"no artifact in {ref}: expected a folder with {CARD}; {_how_to_train(kinds)}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {folder / CARD}: {error}; {_how_to_restore(ref)}") from error
    version = raw.get("format") if isinstance(raw, dict) else None
    if version != FORMAT:
        raise ModelError(
            f"{folder / CARD} has format {version!r}, but this version reads {FORMAT}; "
            f"type: pip install --upgrade ragsignal, or {_how_to_train(kinds).removeprefix('type: ')}"
        )
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, it['loc'])) or 'card'}: {it['msg']}" for it in error.errors())
        raise ModelError(f"{folder / CARD} is no artifact's card ({places}); {_how_to_restore(ref)}") from None


def _verify_files(ref: str, folder: Path, card: Card) -> None:
    present = _names_in(folder)
    for name, recorded in card.files.items():
        if name not in present:
            raise ModelError(f"{ref} lacks {name}, which its card lists; {_how_to_restore(ref, card)}")
        check_fetched(folder / name)
        digest = file_digest(folder / name)
        if digest != recorded:
            raise ModelError(
                f"{name} of {ref} has SHA-256 {digest}, but {recorded} was recorded when it was saved: it was changed; "
                f"{_how_to_restore(ref, card)}"
            )
    unlisted = [name for name in present if name not in card.files and name.endswith(_GUARDED)]
    if unlisted:
        listed = ", ".join(str(folder / name) for name in unlisted)
        raise ModelError(
            f"{ref} holds files that its card does not list; if you did not put them there, delete {listed}"
        )


def _names_in(folder: Path) -> list[str]:
    """Every file but the two that are ours, as POSIX paths below ``folder``."""
    names = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
    return [name for name in names if name not in (CARD, README)]


def _only(recipe: Mapping[str, Any], keys: list[str]) -> str:
    return json.dumps({key: recipe[key] for key in keys if key in recipe})


def _one_of(kinds: tuple[Kind, ...]) -> str:
    return " or ".join(kinds)


def _how_to_train(kinds: tuple[Kind, ...]) -> str:
    word = "stockllm|days|finseer|recall|classifier"
    if kinds:
        word = "days" if kinds[0].endswith("-days") else kinds[0].partition("-")[0]
    return f"type: ragsignal train {word} SPEC"


def _how_to_restore(ref: str, card: Card | None = None) -> str:
    if ref.startswith("shipped:"):
        return "type: pip install --force-reinstall --no-deps ragsignal"
    made_by = f"; it was made by: {card.command}" if card else ""
    return f"copy the folder again from where it came, or train again{made_by}"
