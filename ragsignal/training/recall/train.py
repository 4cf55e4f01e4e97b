"""A recall: a language model that learns to name the candidates that helped StockLLM most.

    teacher scores ──► best candidates ──► titles and letters ──► student ──► artifact
                             └─ shuffled ──────────────────────► control ──► beside it in the card

As with FinSeer two others stand beside it in the card, measured on the same later queries: the untrained model, and one
trained with the same settings on shuffled scores. What the control reaches is not learned from the teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial

from ragsignal.artifacts import Artifact, refuse_foreign, save_artifact
from ragsignal.data import SEQUENCES
from ragsignal.errors import ConfigError
from ragsignal.retrieval import Corpus, CorpusTokens, fit_vocabulary, letters_recipe
from ragsignal.training.finseer.feedback import Feedback, load_feedback
from ragsignal.training.finseer.ranking import ScoredQuery, gather, hold_out, order_agreement, recall_by_chance
from ragsignal.training.finseer.train import refuse_stale
from ragsignal.training.recall.student import Lessons, RecallStudent, lessons_of
from ragsignal.training.run import Learned, TrainingResult, TrainingRun
from ragsignal.types import Recipe
from ragsignal.utils import versions_of


def train_recall(run: TrainingRun) -> Artifact:
    """Train on the teacher scores of ``run``.

    Parameters
    ----------
    run : TrainingRun
        Its folder ``feedback`` holds the scores.

    Returns
    -------
    Artifact
        Of kind ``recall``; its metrics are of held-out queries, and have the suffix ``_untrained`` and ``_shuffled``
        for the model before training and for the control.

    Raises
    ------
    StoreError
        If there are no teacher scores, or they are damaged.
    ConfigError
        If they are not this spec's, too few or all tied, or windows have fewer letters than are to be named.
    """
    settings = run.spec.recall
    refuse_foreign(run.folder("recall"))
    _check_letters(run)
    feedback = load_feedback(run.folder("feedback"))
    refuse_stale(run, feedback)
    train, valid = hold_out(gather(feedback, run.train, run.corpus.digest), settings.valid_share, "recall.valid_share")
    tokens = _tokens(run, train)
    metrics = _suffixed(order_agreement(RecallStudent(tokens, settings).similarities(valid), valid), "_untrained")
    recipe = _recipe(run, feedback)
    for shuffled, suffix, word in ((True, "_shuffled", ", control"), (False, "", "")):
        student = RecallStudent(tokens, settings)
        lessons = [_lessons(tokens, part, run, shuffled) for part in (train, valid)]
        folder = run.work_folder("recall", [recipe, shuffled, run.corpus.digest, versions_of(("torch",))])
        history = student.fit(lessons[0], lessons[1], folder, partial(run.progress, f"recall{word}"))
        metrics |= _suffixed(order_agreement(student.similarities(valid), valid), suffix)
        metrics |= _suffixed({"loss": min(history)}, suffix)
    metrics |= {"recall_at_5_chance": recall_by_chance(valid)}
    result = TrainingResult(
        recipe=recipe,
        metrics=metrics | {"parameters": int(student.model.num_parameters())},
        base=None,
        template=letters_recipe(run.bins),
        train=Learned.of([query.example for query in train]),
        valid=Learned.of([query.example for query in valid]),
        # the teacher may have learned from later days than the queries it was asked
        seen_through=date.fromisoformat(feedback.meta["trained_through"]),
    )
    return save_artifact(run.folder("recall"), run.card("recall", result), student.write)


def _check_letters(run: TrainingRun) -> None:
    letters, lookback = run.spec.recall.letters, run.spec.corpus.lookback
    if letters > lookback:
        raise ConfigError(
            f"recall.letters is {letters}, but a window has corpus.lookback = {lookback} letters; write recall.letters "
            f"= {lookback} or less"
        )


def _tokens(run: TrainingRun, train: Sequence[ScoredQuery]) -> CorpusTokens:
    """Tokens whose states are cut by days of training alone."""
    corpus: Corpus = run.corpus
    known = (*SEQUENCES, *(name for name in corpus.sequences if name not in SEQUENCES))  # those of news
    seen = max(corpus.visible(query.example.query.as_of) for query in train)
    settings = run.spec.recall
    vocabulary = fit_vocabulary(corpus, known, settings.letters, settings.states, seen)
    return CorpusTokens(corpus, vocabulary, run.bins)


def _lessons(tokens: CorpusTokens, queries: Sequence[ScoredQuery], run: TrainingRun, shuffled: bool) -> Lessons:
    lessons = lessons_of(tokens, queries, run.spec.recall, shuffled)
    if lessons is None:
        raise ConfigError(
            f"the teacher has no preference in any of {len(queries)} queries: there is nothing to name; train StockLLM "
            "for longer, or raise feedback.queries"
        )
    return lessons


def _recipe(run: TrainingRun, feedback: Feedback) -> Recipe:
    settings = run.spec.recall.model_dump(mode="json")
    return settings | {"lookback": run.spec.corpus.lookback, "feedback": feedback.meta["digest"]}


def _suffixed(metrics: dict[str, float], suffix: str) -> dict[str, object]:
    return {f"{name}{suffix}": value for name, value in metrics.items()}
