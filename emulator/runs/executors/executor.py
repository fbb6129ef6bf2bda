"""The seam between a run and where its episodes are run: tasks in, outcomes out, the same wherever that is."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Protocol

from dispatchers.errors import DispatcherError, describe
from emulator.engines.comparison import EnginesDifferError
from emulator.errors import InputError
from emulator.machine.progress import Advance
from emulator.runs.episode_runner import EpisodeRunner, Study
from emulator.runs.tasks import Row, Task

Outcome = Row | Exception
"""An episode's row, or the error that ended it."""


class Executor(Protocol):
    """Runs the episodes of a study."""

    def run(
        self, study: Study, tasks: Iterable[Task], staging: Path, advance: Advance
    ) -> Generator[tuple[Task, Outcome]]:
        """Yield each task with its outcome as it is finished, in any order; its traces then stand in `staging`.

        `tasks` is asked for the next one only shortly before it is run; `advance` is told the expected seconds of work
        dealt with since it was last called. Raises `InputError` if a file that dispatchers
        depend on has changed or a file cannot be written, and `EnginesDifferError`.
        """


def outcome_of(runner: EpisodeRunner, task: Task, advance: Advance) -> Outcome:
    """Run one episode; return its row, or the error that ended it unless that must end the run."""
    seconds, horizon, done = task.seconds, task.cell.scenario.horizon, 0.0

    def report(time: float) -> None:
        """Turn simulated time into a step of expected seconds; all steps add up exactly."""
        nonlocal done
        step = seconds * time / horizon - done
        done += step
        advance(step)

    try:
        try:
            return runner.run(task, report)
        finally:
            advance(seconds - done)
    except (InputError, EnginesDifferError):
        raise
    except (Exception, SystemExit) as error:
        return error if isinstance(error, Exception) else RuntimeError(describe(error))


def portable(outcome: Outcome) -> Outcome:
    """Return an outcome that can be sent to another process: a user's own error may not be known there."""
    if isinstance(outcome, dict) or type(outcome) in (DispatcherError, MemoryError):
        return outcome
    return RuntimeError(describe(outcome))
