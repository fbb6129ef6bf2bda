"""Trainings: the tasks of some scenarios, those that are still to be done, and what comes of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path

from dispatchers.errors import DispatcherError, one_line
from emulator.errors import InputError
from emulator.machine.cores import cores_at_hand
from emulator.machine.processes import Fatal, Report, Work, check_main_module, run_in_processes
from emulator.report.figure import picture_of_training
from emulator.scenario.plan import load
from policies.learned import is_learned, learn, log_folder
from policies.log import check_identity
from policies.table import write_trainings
from policies.tasks import Overrides, Task, tasks_of


class Trainings:
    """All tasks of training scenarios, checked before any begins; see `policies.train`. Raises `InputError`."""

    def __init__(
        self,
        scenarios: str | Path | Sequence[str | Path],
        overrides: Overrides = Overrides(),  # noqa: B008
        *,
        out: str | Path | None = None,
        logs: str | Path = "runs/training",
        settings: Sequence[str] = (),
        fresh: bool = False,
    ):
        paths = [scenarios] if isinstance(scenarios, str | Path) else scenarios
        self.plans = [load(path, settings) for path in paths]
        self.logs = Path(logs)
        self.fresh = fresh
        self.tasks = tasks_of(self.plans, overrides, None if out is None else Path(out))
        try:
            for task in self.tasks:
                _check_places(task.out, log_folder(task, self.logs))
        except OSError as error:  # a name that is too long, say
            told = f"{one_line(str(error.filename), 150)}: {error.strerror}"
            raise InputError(f"--out and --logs must lead to files and folders, got {told}") from None
        self.pictures = [picture_of_training(plan) for plan in self.plans]

    @cached_property
    def left(self) -> list[Task]:
        """The tasks that are to be done. Raises `InputError` for a log of another training, or a damaged one."""
        if self.fresh:
            return self.tasks
        left = [task for task in self.tasks if not is_learned(task, self.logs)]
        for task in left:
            check_identity(log_folder(task, self.logs), task.identity)
        return left

    @property
    def seconds(self) -> float:
        """About how long those take."""
        return sum(task.algorithm.steps(task.draws) * _seconds_per_step(task) for task in self.left)

    def make_folders(self) -> None:
        """Make the folders that are written to. Raises `InputError`."""
        for key, folder in (("--out", self.tasks[0].out.parent), ("--logs", self.logs)):
            if not is_writable(folder):
                raise InputError(f"{key} must lead to a folder that can be written to, got {folder}")

    def run(self, command: str, workers: int | None, advance: Report) -> Iterator[str]:
        """Do what is left, telling `advance` of the seconds; yield a line for each task and each picture."""
        for task in self.tasks:
            if task not in self.left:
                yield f"{task.out}: is there already (--fresh trains it anew)"
        yield from run_all(self.left, partial(run_task, command, self.logs, self.fresh), workers, advance)
        first = 0
        for plan, picture in zip(self.plans, self.pictures, strict=True):
            own = self.tasks[first : first + len(plan.points)]
            first += len(plan.points)
            if picture is not None:
                write_trainings(own, self.logs, own[0].out.parent, picture)
                yield f"{own[0].out.parent}: training.parquet and summary.png of {plan.name}"


def run_all(tasks: Sequence[Task], prepare: Callable[[], Work], workers: int | None, advance: Report) -> Iterator[str]:
    """Do tasks by what `prepare` returns, in several processes if there are cores, and yield the line of each."""
    processes = min(len(tasks), workers or cores_at_hand())
    outcomes: Iterator[tuple[Task, str | Fatal | Exception]]
    if processes <= 1:
        work = prepare()
        outcomes = ((task, work(task, advance)) for task in tasks)
    else:
        check_main_module()
        outcomes = run_in_processes(prepare, iter(tasks), processes, advance, ahead=1)
    for task, outcome in outcomes:
        if isinstance(outcome, Fatal):
            raise outcome.error
        if isinstance(outcome, Exception):
            raise RuntimeError(f"{task.out}: {outcome}")
        yield outcome


def run_task(command: str, logs: Path, fresh: bool) -> Work:
    """Return what does a task, in this process or in one of several."""

    def work(task: Task, report: Report) -> str | Fatal:
        seconds = _seconds_per_step(task)
        try:
            return learn(task, command, logs, fresh, lambda steps: report(steps * seconds))
        except InputError as error:
            return Fatal(error)
        except DispatcherError as error:
            return Fatal(InputError(f"{task.out}: {error}"))

    return work


def _seconds_per_step(task: Task) -> float:
    return task.algorithm.seconds_per_step(task.scenario)


def is_writable(folder: Path) -> bool:
    """Make a folder if it is not there, and return whether files can be written to it."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder.is_dir() and os.access(folder, os.W_OK)


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

        import policies.algorithms.stable_baselines  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(
            f"training needs {error.name}, which is not installed: pip install 'load-balancing-emulator[train]'"
        ) from error
