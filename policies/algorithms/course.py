"""A course: the lessons of some training scenarios, those that are still to be learned, and what comes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from dispatchers.errors import one_line
from emulator.errors import InputError
from emulator.report.figure import picture_of_training
from policies.learning import expected_seconds, is_learned, learn_all, log_folder, teacher
from policies.log import check_identity
from policies.provenance import identity_of
from policies.table import write_trainings
from policies.tasks import Lesson, Wishes, lessons_of

if TYPE_CHECKING:
    from emulator.machine.processes import Report
    from emulator.scenario.plan import Plan


class Course:
    """All lessons of training scenarios, checked before any begins.

    `out` is as in `lessons_of`, `logs` the folder of the logs; with `fresh` all is learned anew. Raises `InputError`.
    """

    def __init__(self, plans: Sequence[Plan], wishes: Wishes, out: Path | None, logs: Path, *, fresh: bool = False):
        self.plans = plans
        self.logs = logs
        self.fresh = fresh
        self.lessons = lessons_of(plans, wishes, out)
        try:
            for lesson in self.lessons:
                _check_places(lesson.out, log_folder(lesson, logs))
        except OSError as error:  # a name that is too long, say
            told = f"{one_line(str(error.filename), 150)}: {error.strerror}"
            raise InputError(f"--out and --logs must lead to files and folders, got {told}") from None
        self.pictures = [picture_of_training(plan) for plan in plans]

    @cached_property
    def left(self) -> list[Lesson]:
        """The lessons that are to be learned. Raises `InputError` for a log of another training, or a damaged one."""
        if self.fresh:
            return self.lessons
        left = [lesson for lesson in self.lessons if not is_learned(lesson, self.logs)]
        for lesson in left:
            check_identity(log_folder(lesson, self.logs), identity_of(lesson))
        return left

    @property
    def seconds(self) -> float:
        """About how long it takes to learn those."""
        return sum(map(expected_seconds, self.left))

    def teach(self, command: str, workers: int | None, advance: Report) -> Iterator[str]:
        """Learn what is left, yield a line for each lesson and each picture; `command` is told in the files."""
        for lesson in self.lessons:
            if lesson not in self.left:
                yield f"{lesson.out}: is there already (--fresh trains it anew)"
        yield from learn_all(self.left, partial(teacher, command, self.logs, self.fresh), workers, advance)
        first = 0
        for plan, picture in zip(self.plans, self.pictures, strict=True):
            own = self.lessons[first : first + len(plan.points)]
            first += len(plan.points)
            if picture is not None:
                write_trainings(own, self.logs, own[0].out.parent, picture)
                yield f"{own[0].out.parent}: training.parquet and summary.png of {plan.name}"


def _check_places(out: Path, log: Path) -> None:
    if out.exists() and not out.is_file():
        kind = "the folder" if out.is_dir() else "what is none,"
        raise InputError(f"--out must lead to files, got {kind} {out}")
    if log.exists() and not log.is_dir():
        raise InputError(f"--logs must lead to folders, got {log}")


def check_libraries() -> None:
    """Raise `InputError` if one of the libraries that training needs is not installed."""
    try:
        import cma  # noqa: F401

        import policies.algorithms.ppo  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(
            f"training needs {error.name}, which is not installed: pip install 'load-balancing-emulator[train]'"
        ) from error
