"""Runs episodes in this process, one after the other."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

from emulator.machine.progress import Advance
from emulator.runs.episode_runner import EpisodeRunner, Study
from emulator.runs.executors.executor import Outcome, outcome_of
from emulator.runs.tasks import Task


@dataclass(frozen=True)
class Here:
    """An executor without other processes. Threads share an episode of the compiled engine."""

    threads: int = 1

    def run(
        self, study: Study, tasks: Iterable[Task], staging: Path, advance: Advance
    ) -> Generator[tuple[Task, Outcome]]:
        """See `emulator.runs.executors.executor.Executor.run`."""
        runner = EpisodeRunner(study, staging, self.threads)
        runner.compile()
        for task in tasks:
            yield task, outcome_of(runner, task, advance)
