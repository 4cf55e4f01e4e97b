"""The classifier baseline: fine-tuned on the query alone, stopped early on validation days.

    examples -> fit (bert | logistic) -> reader -> log-odds of validation queries -> calibration, metrics -> artifact

What retrieval is worth is the distance from this baseline: same queries, same days, same letters, no candidates.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.artifacts import Artifact, Weights, refuse_foreign, resolve, save_artifact
from ragsignal.config import ClassifierTraining
from ragsignal.data import log_returns
from ragsignal.errors import DataError
from ragsignal.llm import BertClassifier, ClassifierModel, LogisticClassifier, checked_device, encode, load_encoder
from ragsignal.training.calibration import fit_calibration, validation_metrics
from ragsignal.training.examples import Example, draw
from ragsignal.types import Prompt
from ragsignal.utils import versions_of

if TYPE_CHECKING:
    from ragsignal.training.run import Bench

_KEPT = ("adapter_config.json", "adapter_model.safetensors")
_COMPUTING = ("torch", "transformers", "peft")
_OF_BERT = ("rank", "epochs", "learning_rate", "batch_size", "eval_steps", "patience")


@dataclass(frozen=True)
class _Fitted:
    """A trained model: how it reads, how it is saved, and the base it needs."""

    reader: ClassifierModel
    write: Callable[[Path], None]
    base: dict[str, Any] | None


def train_classifier(bench: Bench) -> Artifact:
    """Train, calibrate and save the classifier of ``bench.spec.classifier``.

    A run that was killed goes on from its last checkpoint, if recipe, examples, base and libraries are the same.

    Returns
    -------
    Artifact
        Of kind ``classifier``, in ``bench.folder("classifier")``.

    Raises
    ------
    DataError
        If training or validation lacks a rise or a fall.
    ModelError
        If the base is missing or altered, or a query's line is longer than it reads.
    """
    spec = bench.spec.classifier
    refuse_foreign(bench.folder("classifier"))
    train = draw(bench.train, spec.examples, spec.seed)
    valid = draw(bench.valid, spec.valid_examples, spec.seed)
    for name, part in (("training", train), ("validation", valid)):
        _check_outcomes(name, part)
    fitted = {"bert": _fit_bert, "logistic": _fit_logistic}[spec.kind](bench, train, valid)
    rise = _rises(valid)
    prompter = fitted.reader.prompter(bench.template)
    log_odds = fitted.reader.log_odds([prompter.render(it.query, ()) for it in valid])
    calibration = fit_calibration(log_odds, rise, "platt")
    card = bench.card(
        "classifier",
        _recipe(bench),
        validation_metrics(log_odds, rise, calibration),
        base=fitted.base,
        template=fitted.reader.reads(bench.template),
        train=train,
        valid=valid,
        calibration=calibration,
    )
    artifact = save_artifact(bench.folder("classifier"), card, fitted.write)
    shutil.rmtree(bench.scratch("classifier"), ignore_errors=True)  # its checkpoints have served
    return artifact


def _recipe(bench: Bench) -> dict[str, Any]:
    """What decided the result, without what the other kind would have read."""
    spec = bench.spec.classifier
    chosen = ("kind", "examples", "valid_examples", "seed", *(_OF_BERT if spec.kind == "bert" else ()))
    return {"lookback": bench.spec.corpus.lookback, **{name: getattr(spec, name) for name in chosen}}


def _check_outcomes(name: str, part: Sequence[Example]) -> None:
    rises = sum(example.rise for example in part)
    if rises in (0, len(part)):
        raise DataError(
            f"{rises} of {len(part)} {name} queries rose: a classifier needs rises and falls; "
            "widen data.start .. data.end around split.valid_from, or take more symbols"
        )


def _rises(examples: Sequence[Example]) -> NDArray[np.bool_]:
    return np.array([example.rise for example in examples])


def _fit_logistic(bench: Bench, train: Sequence[Example], valid: Sequence[Example]) -> _Fitted:  # noqa: ARG001
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    returns = np.array([log_returns(example.query) for example in train])
    scaler = StandardScaler().fit(returns)
    model = LogisticRegression().fit(scaler.transform(returns), _rises(train))
    reader = LogisticClassifier(model.coef_[0], model.intercept_, scaler.mean_, scaler.scale_)
    return _Fitted(reader, reader.save, None)


def _fit_bert(bench: Bench, train: Sequence[Example], valid: Sequence[Example]) -> _Fitted:
    spec = bench.spec.classifier
    weights = resolve(spec.base, spec.revision)
    best = _fine_tuned(bench, weights, _run_folder(bench, weights, train, valid), train, valid)
    base = {"ref": weights.ref, "revision": spec.revision, "sha256": weights.digest}

    def write(target: Path) -> None:
        for name in _KEPT:  # and not peft's README.md, which names folders of this machine
            shutil.copy2(best / name, target / name)

    return _Fitted(BertClassifier(weights, best, bench.spec.llm.device), write, base)


def _run_folder(bench: Bench, weights: Weights, *parts: Sequence[Example]) -> Path:
    """Named after all that decides the weights: a checkpoint of anything else is never gone on from."""
    from ragsignal.training import loop

    decides = {
        "recipe": _recipe(bench),
        "base": weights.digest,
        "device": bench.spec.llm.device,
        "libraries": versions_of(_COMPUTING),
        "examples": [[[bench.template.query_line(it.query), it.rise] for it in part] for part in parts],
    }
    return loop.run_folder(bench.scratch("classifier"), decides)


def _fine_tuned(
    bench: Bench, weights: Weights, folder: Path, train: Sequence[Example], valid: Sequence[Example]
) -> Path:
    """Fine-tune below ``folder``, or go on there; return the folder of the best adapter."""
    from transformers import DataCollatorWithPadding, Trainer, set_seed

    from ragsignal.training import loop

    spec, device = bench.spec.classifier, checked_device(bench.spec.llm.device)
    set_seed(spec.seed)  # before the model is made: head and adapter start at random
    model, tokenizer = _with_lora(weights, spec.rank)
    trainer = Trainer(
        model=model,
        args=_arguments(spec, folder, device),
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=_rows(bench, tokenizer, model.config, train),
        eval_dataset=_rows(bench, tokenizer, model.config, valid),
        callbacks=loop.callbacks(partial(bench.progress, "classifier"), spec.patience),
    )
    loop.run(trainer, folder)
    _save(model, weights.ref, folder / "best")
    return folder / "best"


def _with_lora(weights: Weights, rank: int) -> tuple[Any, Any]:
    """Lay LoRA over every linear layer; what the base lacks, the head first of all, is trained and saved in full."""
    from peft import LoraConfig, TaskType, get_peft_model

    encoder, tokenizer, fresh = load_encoder(weights)
    lora = LoraConfig(
        task_type=TaskType.SEQ_CLS, r=rank, lora_alpha=2 * rank, target_modules="all-linear", modules_to_save=fresh
    )
    return get_peft_model(encoder, lora), tokenizer


def _save(model: Any, ref: str, folder: Path) -> None:
    """Save adapter and head in bytes that depend neither on the machine nor on the process."""
    config = model.active_peft_config
    config.base_model_name_or_path = ref  # not the folder, which is a place on this machine
    config.target_modules = sorted(config.target_modules)  # peft makes a set of them
    # False, because "auto" would ask the Hub whether ``ref`` had other embeddings: nothing here trains them.
    model.save_pretrained(str(folder), save_embedding_layers=False)


def _rows(bench: Bench, tokenizer: Any, config: Any, part: Sequence[Example]) -> list[dict[str, Any]]:
    """Token ids and labels, 0 fall and 1 rise, of the lines that :class:`BertClassifier` will read."""
    prompts = [Prompt(it.query, (), bench.template.query_line(it.query)) for it in part]
    tokens = encode(tokenizer, config, prompts)
    return [{"input_ids": row, "labels": int(it.rise)} for row, it in zip(tokens, part, strict=True)]


def _arguments(spec: ClassifierTraining, folder: Path, device: str) -> Any:
    from ragsignal.training import loop

    return loop.arguments(
        folder,
        device=device,
        every=spec.eval_steps,
        num_train_epochs=spec.epochs,
        learning_rate=spec.learning_rate,
        warmup_steps=loop.WARMUP,
        per_device_train_batch_size=spec.batch_size,
        per_device_eval_batch_size=BertClassifier.batch_size,
        seed=spec.seed,
        label_names=["labels"],  # the Trainer cannot see them through peft's wrapper
    )
