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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.artifacts import Artifact, Base, Weights, refuse_foreign, resolve, save_artifact
from ragsignal.data import log_returns
from ragsignal.errors import DataError
from ragsignal.llm import BertClassifier, ClassifierModel, LogisticClassifier, checked_device, encode, load_encoder
from ragsignal.training.calibration import fit_calibration, validation_metrics
from ragsignal.training.examples import Example, draw
from ragsignal.training.ranks.boosting import train_boosting
from ragsignal.training.run import Learned, TrainingResult, TrainingRun
from ragsignal.types import Prompt, Recipe
from ragsignal.utils import versions_of

_KEPT = ("adapter_config.json", "adapter_model.safetensors")
_COMPUTING = ("torch", "transformers", "peft")
_OF_BERT = ("rank", "epochs", "learning_rate", "batch_size", "eval_steps", "patience")


@dataclass(frozen=True)
class _Model:
    """A trained model: how it reads, how it is saved, and the base it needs."""

    reader: ClassifierModel
    write: Callable[[Path], None]
    base: Base | None


def train_classifier(run: TrainingRun) -> Artifact:
    """Train, calibrate and save the classifier of ``run.spec.classifier``.

    A run that was killed goes on from its last checkpoint, if recipe, examples, base and libraries are the same.

    Returns
    -------
    Artifact
        Of kind ``classifier``, in ``run.folder("classifier")``.

    Raises
    ------
    DataError
        If training or validation lacks a rise or a fall.
    ModelError
        If the base is missing or altered, or a query's line is longer than it reads.
    """
    spec = run.spec.classifier
    if spec.kind == "boosting":
        return train_boosting(run)
    refuse_foreign(run.folder("classifier"))
    train = draw(run.train, spec.examples, spec.seed)
    valid = draw(run.valid, spec.valid_examples, spec.seed)
    _check_outcomes("training", train)
    _check_outcomes("validation", valid)
    model = _fit_logistic(train) if spec.kind == "logistic" else _fit_bert(run, train, valid)
    rise = _rises(valid)
    prompter = model.reader.prompter(run.template)
    log_odds = model.reader.log_odds([prompter.render(example.query, ()) for example in valid])
    calibration = fit_calibration(log_odds, rise, "platt")
    result = TrainingResult(
        recipe=_recipe(run),
        metrics=validation_metrics(log_odds, rise, calibration),
        base=model.base,
        template=model.reader.reads(run.template),
        train=Learned.of(train),
        valid=Learned.of(valid),
        calibration=calibration,
    )
    artifact = save_artifact(run.folder("classifier"), run.card("classifier", result), model.write)
    shutil.rmtree(run.scratch("classifier"), ignore_errors=True)  # its checkpoints have served
    return artifact


def _recipe(run: TrainingRun) -> Recipe:
    """What decided the result, without what the other kind would have read."""
    spec = run.spec.classifier
    names = ["kind", "examples", "valid_examples", "seed", *(_OF_BERT if spec.kind == "bert" else ())]
    return {"lookback": run.spec.corpus.lookback} | {name: getattr(spec, name) for name in names}


def _check_outcomes(name: str, part: Sequence[Example]) -> None:
    rises = sum(example.rise for example in part)
    if rises in (0, len(part)):
        raise DataError(
            f"{rises} of {len(part)} {name} queries rose: a classifier needs rises and falls; "
            "widen data.start .. data.end around split.valid_from, or take more symbols"
        )


def _rises(examples: Sequence[Example]) -> NDArray[np.bool_]:
    return np.array([example.rise for example in examples])


def _fit_logistic(train: Sequence[Example]) -> _Model:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    returns = np.array([log_returns(example.query) for example in train])
    scaler = StandardScaler().fit(returns)
    model = LogisticRegression().fit(scaler.transform(returns), _rises(train))
    reader = LogisticClassifier(model.coef_[0], model.intercept_, scaler.mean_, scaler.scale_)
    return _Model(reader, reader.save, None)


def _fit_bert(run: TrainingRun, train: Sequence[Example], valid: Sequence[Example]) -> _Model:
    spec = run.spec.classifier
    weights = resolve(spec.base, spec.revision)
    best = _fine_tune(run, weights, _work_folder(run, weights, train, valid), train, valid)
    base: Base = {"ref": weights.ref, "revision": spec.revision, "sha256": weights.digest}

    def write(target: Path) -> None:
        for name in _KEPT:  # and not peft's README.md, which names folders of this machine
            shutil.copy2(best / name, target / name)

    return _Model(BertClassifier(weights, best, run.spec.llm.device), write, base)


def _work_folder(run: TrainingRun, weights: Weights, *parts: Sequence[Example]) -> Path:
    decides = {
        "recipe": _recipe(run),
        "base": weights.digest,
        "device": run.spec.llm.device,
        "libraries": versions_of(_COMPUTING),
        "examples": [[[run.template.query_line(it.query), it.rise] for it in part] for part in parts],
    }
    return run.work_folder("classifier", decides)


def _fine_tune(
    run: TrainingRun, weights: Weights, folder: Path, train: Sequence[Example], valid: Sequence[Example]
) -> Path:
    """Fine-tune below ``folder``, or go on there; return the folder of the best adapter."""
    from transformers import DataCollatorWithPadding, Trainer, set_seed

    from ragsignal.training import loop

    spec, device = run.spec.classifier, checked_device(run.spec.llm.device)
    set_seed(spec.seed)  # before the model is made: head and adapter start at random
    model, tokenizer = _with_lora(weights, spec.rank)
    arguments = loop.arguments(
        spec,
        folder,
        device,
        warmup_steps=loop.WARMUP,
        per_device_eval_batch_size=BertClassifier.batch_size,
        label_names=["labels"],  # the Trainer cannot see them through peft's wrapper
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=_token_rows(run, tokenizer, model.config, train),
        eval_dataset=_token_rows(run, tokenizer, model.config, valid),
        callbacks=loop.callbacks(partial(run.progress, "classifier"), spec.patience),
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


def _token_rows(
    run: TrainingRun, tokenizer: Any, config: Any, part: Sequence[Example]
) -> list[dict[str, list[int] | int]]:
    """Token ids and labels, 0 fall and 1 rise, of the lines that :class:`BertClassifier` will read."""
    prompts = [Prompt(it.query, (), run.template.query_line(it.query)) for it in part]
    tokens = encode(tokenizer, config, prompts)
    return [{"input_ids": ids, "labels": int(example.rise)} for ids, example in zip(tokens, part, strict=True)]
