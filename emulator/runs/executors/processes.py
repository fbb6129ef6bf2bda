"""Runs episodes in several processes of this machine, an episode in each at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from emulator.engines.comparison import EnginesDifferError
from emulator.errors import InputError
from emulator.machine.processes import Fatal, Report, Work, run_in_processes
from emulator.machine.progress import Advance
from emulator.runs.episode_runner import EpisodeRunner, Study
from emulator.runs.executors.executor import Outcome, outcome_of, portable
from emulator.runs.tasks import Task


@dataclass(frozen=True)
class Processes:
    """An executor of so many processes, each with so many threads. A task travels as its address."""

    processes: int
    threads: int = 1

    def run(
        self, study: Study, tasks: Iterable[Task], staging: Path, advance: Advance
    ) -> Generator[tuple[Task, Outcome]]:
        """See `emulator.runs.executors.executor.Executor.run`."""
        prepare = partial(_work, study, staging, self.threads)
        addresses = (task.address for task in tasks)
        with closing(run_in_processes(prepare, addresses, self.processes, advance)) as outcomes:
            for address, outcome in outcomes:
                yield study.task(address), outcome


def _work(study: Study, staging: Path, threads: int) -> Work:
    """Return what runs the episodes of a study in a process of its own."""
    runner = EpisodeRunner(study, staging, threads)
    runner.compile()

    def work(address: tuple[int, int, int], report: Report) -> Outcome | Fatal:
        try:
            return portable(outcome_of(runner, study.task(address), report))
        except (InputError, EnginesDifferError) as error:
            return Fatal(error)

    return work
