"""Runs the episodes of a plan in this process or in several; the results are the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NamedTuple

from dispatchers.checking import describe
from dispatchers.contract import DispatcherError
from emulator.engines import EnginesDifferError
from emulator.errors import InputError
from emulator.replications import Emulator, Row, Task, expected_seconds
from emulator.scenario_file import Plan

WORTH_A_PROCESS = 4.0
"""Seconds of work that are much longer than it takes to start a process."""


class Workers(NamedTuple):
    """How the cores are used: processes that run episodes, and threads that share one of the compiled engine."""

    processes: int
    threads: int


def workers_for(plan: Plan, tasks: Collection[Task], wanted: int | None) -> Workers:
    """Return what to use: `wanted` cores, else those at hand if the work is worth starting processes.

    Where there are fewer episodes than cores, each process has several threads.
    """
    if wanted is not None and wanted < 1:
        raise InputError(f"--workers must be >= 1, got {wanted}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if wanted is not None:
        processes, cores = wanted, wanted
    else:
        work = sum(expected_seconds(plan, task) for task in tasks)
        processes = min(cores, int(work // WORTH_A_PROCESS))
    processes = max(1, min(processes, len(tasks)))
    threads = min(cores, 4 * (os.cpu_count() or 1)) // processes
    return Workers(processes, max(1, threads) if processes == len(tasks) else 1)


def run_tasks(
    plan: Plan,
    tasks: Iterable[Task],
    staging: Path | None,
    workers: Workers,
    advance: Callable[[float], None],
) -> Iterator[tuple[Task, Row | Exception]]:
    """Run episodes and yield each one's row as it is finished, in any order, or the error that ended it.

    `tasks` is asked for the next one only shortly before it is run. `advance` is called with the expected seconds of
    work dealt with since the last call. Raises `InputError` if a file cannot be written and `EnginesDifferError`.
    """
    if workers.processes == 1:
        emulator = Emulator(plan, staging, workers.threads)
        for task in tasks:
            yield task, outcome_of(emulator, task, advance)
    else:
        yield from _run_in_processes(plan, iter(tasks), staging, workers, advance)


def outcome_of(emulator: Emulator, task: Task, advance: Callable[[float], None]) -> Row | Exception:
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


AHEAD = 4
"""Episodes that a process has at hand, so that it need not wait for the next; a plan may have a million of them."""

PROGRESS_INTERVAL = 0.1
"""Seconds between a process's reports."""


class _Worker:
    """A process and the pipe to it. Nothing else is shared, so it may die, or be ended, at any moment."""

    def __init__(self, plan: Plan, staging: Path | None, threads: int):
        context = multiprocessing.get_context("spawn")  # threads of this process must not be forked
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, plan, staging, threads), daemon=True)
        self.process.start()
        theirs.close()
        self.tasks: deque[Task] = deque()
        """What it was given and has not answered, the one it works on first."""

    def give(self, next_task: Callable[[], Task | None]) -> None:
        """Give it as many tasks as it should have at hand."""
        while len(self.tasks) < AHEAD and (task := next_task()) is not None:
            self.tasks.append(task)
            with suppress(OSError):  # it has died, which the next `wait` tells
                self.connection.send(task)

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection, plan: Plan, staging: Path | None, threads: int) -> None:
    """Run the episodes that come through a pipe, in a process of its own, until the pipe is closed.

    What is sent back is a number, expected seconds of work dealt with, or else an episode's row or error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    emulator = Emulator(plan, staging, threads)
    with suppress(EOFError, OSError):  # the first process has gone
        while True:
            connection.send(_answer(emulator, connection.recv(), connection))


def _answer(emulator: Emulator, task: Task, connection: Connection) -> Row | Exception | Fatal:
    unsaid, last = 0.0, time.monotonic()

    def advance(seconds: float) -> None:
        nonlocal unsaid, last
        unsaid += seconds
        if time.monotonic() - last > PROGRESS_INTERVAL:
            connection.send(unsaid)
            unsaid, last = 0.0, time.monotonic()

    try:
        outcome = outcome_of(emulator, task, advance)
    except (InputError, EnginesDifferError) as error:
        return Fatal(error)
    connection.send(unsaid)
    return outcome if isinstance(outcome, dict) else portable(outcome)


class Fatal(NamedTuple):
    """An error that ends the run."""

    error: Exception


def portable(error: Exception) -> Exception:
    """Return an error that can be sent to another process: a user's own kind may not be known there."""
    if type(error) in (DispatcherError, MemoryError):
        return error
    return RuntimeError(describe(error))


def _run_in_processes(
    plan: Plan,
    waiting: Iterator[Task],
    staging: Path | None,
    count: Workers,
    advance: Callable[[float], None],
) -> Iterator[tuple[Task, Row | Exception]]:
    unlucky: Counter[Task] = Counter()
    again: deque[Task] = deque()

    def next_task() -> Task | None:
        return again.popleft() if again else next(waiting, None)

    workers: list[_Worker] = []
    try:
        workers.extend(_Worker(plan, staging, count.threads) for _ in range(count.processes))
        while True:
            for worker in workers:
                worker.give(next_task)
            busy = {worker.connection: worker for worker in workers if worker.tasks}
            if not busy:
                return
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                try:
                    answer = worker.connection.recv()
                except (EOFError, OSError):
                    worker.stop()
                    workers[workers.index(worker)] = _Worker(plan, staging, count.threads)
                    task = worker.tasks[0]
                    unlucky[task] += 1
                    if unlucky[task] > 1:  # it is the episode that ends processes
                        worker.tasks.popleft()
                        yield task, RuntimeError(f"its process died twice, with status {worker.process.exitcode}")
                    again.extend(worker.tasks)
                    continue
                if isinstance(answer, float):
                    advance(answer)
                elif isinstance(answer, Fatal):
                    raise answer.error
                else:
                    yield worker.tasks.popleft(), answer
    finally:
        for worker in workers:
            worker.stop()
