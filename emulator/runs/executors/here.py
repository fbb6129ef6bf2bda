"""Runs the episodes of a plan in this process or in several; the results are the same."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from dispatchers.checking import describe
from dispatchers.errors import DispatcherError
from emulator.engines.comparison import EnginesDifferError
from emulator.errors import InputError
from emulator.machine.cores import cores_at_hand
from emulator.machine.processes import Fatal, Report, Work, check_main_module, run_in_processes
from emulator.runs.episode_runner import EpisodeRunner
from emulator.runs.tasks import Row, Task, expected_seconds
from emulator.scenario.plan import Plan

WORTH_A_PROCESS = 4.0
"""Seconds of work that are much longer than it takes to start a process."""

MANY_EPISODES = 20_000
"""So many are worth it whatever they hold; no more are looked at, for there may be millions."""


class Workers(NamedTuple):
    """How the cores are used: processes that run episodes, and threads that share one of the compiled engine."""

    processes: int
    threads: int


def workers_for(plan: Plan, tasks: Iterator[Task], wanted: int | None) -> Workers:
    """Return what to use: `wanted` cores, else those at hand if the work is worth starting processes.

    Of `tasks` no more are looked at than matter. Where there are fewer than cores, each process has several threads.
    Raises `InputError` for a wrong number, or if no processes can be started from where this is called.
    """
    if wanted is not None and wanted < 1:
        raise InputError(f"--workers must be >= 1, got {wanted}")
    cores = cores_at_hand() if wanted is None else wanted
    episodes, seconds = 0, 0.0
    for task in tasks:
        episodes += 1
        seconds += expected_seconds(plan, task)
        if episodes > cores and seconds > WORTH_A_PROCESS * cores:
            break
        if episodes == MANY_EPISODES:
            seconds = math.inf
            break
    processes = cores if wanted is not None else int(min(cores, seconds // WORTH_A_PROCESS))
    processes = max(1, min(processes, episodes))
    if processes > 1:
        check_main_module()
    threads = min(cores, 4 * (os.cpu_count() or 1)) // processes
    return Workers(processes, max(1, threads) if processes == episodes else 1)


def run_tasks(
    plan: Plan,
    tasks: Iterable[Task],
    staging: Path | None,
    workers: Workers,
    advance: Callable[[float], None],
    hashes: Mapping[str, str] = MappingProxyType({}),
) -> Generator[tuple[Task, Row | Exception]]:
    """Run episodes and yield each one's row as it is finished, in any order, or the error that ended it.

    `tasks` is asked for the next one only shortly before it is run. `advance` is called with the expected seconds of
    work dealt with since the last call. `hashes` are the files that dispatchers depend on, by their absolute paths.
    Raises `InputError` if one of them has changed or a file cannot be written, and `EnginesDifferError`.
    """
    if workers.processes == 1:
        emulator = EpisodeRunner(plan, staging, workers.threads, hashes)
        emulator.compile()
        for task in tasks:
            yield task, outcome_of(emulator, task, advance)
    else:
        prepare = partial(_episodes, plan, staging, workers.threads, dict(hashes))
        yield from run_in_processes(prepare, iter(tasks), workers.processes, advance)


def outcome_of(emulator: EpisodeRunner, task: Task, advance: Callable[[float], None]) -> Row | Exception:
    """Run one episode; return its row, or the error that ended it unless that must end the run."""
    try:
        with _Share(emulator.plan, task, advance) as share:
            return emulator.run(task, share.report)
    except (InputError, EnginesDifferError):
        raise
    except (Exception, SystemExit) as error:
        return error if isinstance(error, Exception) else RuntimeError(describe(error))


class _Share:
    """Turns simulated time of one episode into steps of expected seconds, which add up exactly."""

    def __init__(self, plan: Plan, task: Task, advance: Callable[[float], None]):
        self.seconds = expected_seconds(plan, task)
        self.horizon = plan.points[task.point].scenario.horizon
        self.advance = advance
        self.done = 0.0

    def report(self, time: float) -> None:
        step = self.seconds * time / self.horizon - self.done
        self.done += step
        self.advance(step)

    def __enter__(self) -> _Share:
        return self

    def __exit__(self, *error: object) -> None:
        self.advance(self.seconds - self.done)


def _episodes(plan: Plan, staging: Path | None, threads: int, hashes: Mapping[str, str]) -> Work:
    """Return what runs the episodes of a plan in a process of its own."""
    emulator = EpisodeRunner(plan, staging, threads, hashes)
    emulator.compile()

    def work(task: Task, report: Report) -> Row | Exception | Fatal:
        try:
            outcome = outcome_of(emulator, task, report)
        except (InputError, EnginesDifferError) as error:
            return Fatal(error)
        return outcome if isinstance(outcome, dict) else portable(outcome)

    return work


def portable(error: Exception) -> Exception:
    """Return an error that can be sent to another process: a user's own kind may not be known there."""
    if type(error) in (DispatcherError, MemoryError):
        return error
    return RuntimeError(describe(error))
