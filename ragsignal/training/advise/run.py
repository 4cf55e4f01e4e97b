"""Build a ladder: tell what it costs, train what is missing on all cores, fit, advise, and write it down.

    training spec ─► examples ─► teachers of each share ─► points ─► fit ─► `advise/advice.json`

Every point is kept when it is done, in ``out/advise/points``; a killed ladder goes on from there, and the point that it
was at from the trainer's last checkpoint.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import InitVar, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragsignal.errors import ConfigError
from ragsignal.parallel import open_pool
from ragsignal.training.advise.plan import LadderCost, Point, check_days, check_ladder, identity, points_of
from ragsignal.training.ranks.examples import rank_examples
from ragsignal.training.run import TrainingRun
from ragsignal.utils import Record, json_digest, plain, versions_of, write_json

if TYPE_CHECKING:
    from ragsignal.training.advise.points import Ladder

_LADDER = "ladder.json"


@dataclass
class SizeAdvice:
    """The ladder of a training spec with a reader of ranks.

    Parameters
    ----------
    run : TrainingRun
    processes : int, optional
        Of one thread each; default one a core. 1 is this process.

    Raises
    ------
    ConfigError
        If no ladder can be built of the spec.
    """

    run: TrainingRun
    processes: InitVar[int | None] = None

    def __post_init__(self, processes: int | None) -> None:
        check_ladder(self.run.spec)
        self.jobs = processes or os.cpu_count() or 1

    @property
    def folder(self) -> Path:
        """Where the points lie, and the record."""
        return self.run.spec.out / "advise"

    @property
    def record_path(self) -> Path:
        """Where the record is written."""
        return self.folder / "advice.json"

    @cached_property
    def ladder(self) -> Ladder:
        """Examples, checked.

        Raises
        ------
        DataError, LookAheadError
            As :func:`~ragsignal.training.ranks.examples.rank_examples`; and if there are too few days.
        ConfigError
            If the folder holds points of another spec.
        """
        # here, because it imports torch
        from ragsignal.training.advise.points import Ladder

        self._refuse_foreign()
        examples = rank_examples(self.run)
        check_days(self.run.spec, examples)
        return Ladder(examples, self.run.spec, self.folder)

    @property
    def missing(self) -> list[Point]:
        """Points that are not there yet."""
        return [point for point in points_of(self.run.spec) if not self.ladder.point_file(point).is_file()]

    def estimate(self) -> LadderCost:
        """Measure what is missing: seconds for a ladder of the bundled prices, nothing where all is there."""
        from ragsignal.training.advise.cost import estimate

        self.run.progress("measure the cost", 0, 1)
        cost = estimate(self.ladder, self.missing, self._untaught(self.missing))
        self.run.progress("measure the cost", 1, 1)
        return cost

    def build(self) -> Record:
        """Train what is missing, fit, and write ``advice.json``.

        Returns
        -------
        dict
            The record, as it is written. All but ``times`` has the same bytes however often the ladder was killed.
        """
        with self.run.alone():
            self._refuse_foreign()  # once more: another process may have built here meanwhile
            self._train()
            return self._write()

    def _train(self) -> None:
        # here, because it imports torch
        from ragsignal.training.advise.points import teach, train_point

        missing, untaught = self.missing, self._untaught(self.missing)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / _LADDER, plain({"digest": self._digest, **identity(self.run.spec)}))
        jobs = min(self.jobs, max(1, len(missing)))
        with open_pool(jobs) as pool, pool.holding(self.ladder) as workers:
            self._do("train teachers", workers.map_unordered(teach, untaught), len(untaught))
            self._do("train points of the ladder", workers.map_unordered(train_point, missing), len(missing))
        shutil.rmtree(self.ladder.work, ignore_errors=True)

    def _do(self, what: str, done: Iterator[Any], total: int) -> None:
        if total:
            self.run.progress(what, 0, total)
        for number, _ in enumerate(done, start=1):
            self.run.progress(what, number, total)

    def _untaught(self, missing: Sequence[Point]) -> list[float]:
        """Shares that missing points learn from, and whose teacher has left no targets yet; the largest first."""
        shares = sorted({point.fraction for point in missing}, reverse=True)
        return [share for share in shares if not self.ladder.targets_file(share).is_file()]

    @cached_property
    def _digest(self) -> str:
        from ragsignal.training.ranks.train import COMPUTING

        known = [identity(self.run.spec), self.run.prices.digest, self.run.further_recipe, versions_of(COMPUTING)]
        return json_digest(known)

    def _refuse_foreign(self) -> None:
        """Refuse a folder whose points are of other data, or were trained otherwise."""
        path = self.folder / _LADDER
        if not path.is_file():
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise ConfigError(f"{self.folder} is not empty, and holds no ladder; name another `out`, or empty it")
            return
        try:
            theirs = json.loads(path.read_text(encoding="utf-8"))["digest"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path} cannot be read ({error!r}); delete {self.folder} to build it anew") from error
        if theirs != self._digest:
            raise ConfigError(
                f"{self.folder} holds the ladder of another spec, of other prices, or of other versions; delete it, or "
                "name another `out`"
            )

    def _write(self) -> Record:
        from ragsignal.training.advise.record import advice_record

        record: Record = plain(advice_record(self.ladder, self._digest))
        write_json(self.record_path, record)
        return record
