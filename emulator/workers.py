"""Runs the episodes of a plan in this process or in several; the results are the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import Connection, wait
from pathlib import Path

from emulator.errors import InputError
from emulator.replications import Emulator, Row, Task, expected_seconds, tasks_of
from emulator.scenario_file import Plan

WORTH_A_PROCESS = 4.0
"""Seconds of work that are much longer than it takes to start a process."""


def worker_count(plan: Plan, wanted: int | None) -> int:
    """Return how many processes to use: as `wanted`, else the cores at hand if the work is worth starting them."""
    if wanted is not None and wanted < 1:
        raise InputError(f"--workers must be >= 1, got {wanted}")
    tasks = tasks_of(plan)
    if wanted is not None:
        return min(wanted, len(tasks))
    work = sum(expected_seconds(plan, task) for task in tasks)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, len(tasks), int(work // WORTH_A_PROCESS)))


def run_tasks(
    plan: Plan, staging: Path | None, workers: int, advance: Callable[[float], None]
) -> Iterator[tuple[Task, Row]]:
    """Run all episodes of a plan and yield each one's row as it is finished, in any order.

    `advance` is called with the expected seconds of work dealt with since the last call.
    """
    if workers == 1:
        emulator = Emulator(plan, staging)
        for task in tasks_of(plan):
            with _Share(plan, task, advance) as share:
                row = emulator.run(task, share.report)
            yield task, row
    else:
        yield from _run_in_processes(plan, staging, workers, advance)


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

    def __init__(self, plan: Plan, staging: Path | None):
        context = multiprocessing.get_context("spawn")  # threads of this process must not be forked
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, plan, staging), daemon=True)
        self.process.start()
        theirs.close()
        self.tasks: deque[Task] = deque()
        """What it was given and has not answered, the one it works on first."""

    def give(self, tasks: Iterator[Task]) -> None:
        """Give it as many tasks as it should have at hand."""
        for task in islice(tasks, AHEAD - len(self.tasks)):
            self.tasks.append(task)
            with suppress(OSError):  # it has died, which the next `wait` tells
                self.connection.send(task)

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection, plan: Plan, staging: Path | None) -> None:
    """Run the episodes that come through a pipe, in a process of its own, until the pipe is closed.

    What is sent back is a number, expected seconds of work dealt with, or else an episode's row or error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    emulator = Emulator(plan, staging)
    with suppress(EOFError, OSError):  # the first process has gone
        while True:
            connection.send(_answer(emulator, connection.recv(), connection))


def _answer(emulator: Emulator, task: Task, connection: Connection) -> Row | BaseException:
    unsaid, last = 0.0, time.monotonic()

    def advance(seconds: float) -> None:
        nonlocal unsaid, last
        unsaid += seconds
        if time.monotonic() - last > PROGRESS_INTERVAL:
            connection.send(unsaid)
            unsaid, last = 0.0, time.monotonic()

    try:
        with _Share(emulator.plan, task, advance) as share:
            row = emulator.run(task, share.report)
    except Exception as error:
        return error
    connection.send(unsaid)
    return row


def _run_in_processes(
    plan: Plan, staging: Path | None, count: int, advance: Callable[[float], None]
) -> Iterator[tuple[Task, Row]]:
    unlucky: Counter[Task] = Counter()
    again: deque[Task] = deque()
    waiting = iter(tasks_of(plan))

    def next_tasks() -> Iterator[Task]:
        while again:
            yield again.popleft()
        yield from waiting

    workers: list[_Worker] = []
    try:
        workers.extend(_Worker(plan, staging) for _ in range(count))
        while True:
            for worker in workers:
                worker.give(next_tasks())
            busy = {worker.connection: worker for worker in workers if worker.tasks}
            if not busy:
                return
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                try:
                    answer = worker.connection.recv()
                except (EOFError, OSError):
                    unlucky[worker.tasks[0]] += 1
                    _tell_if_twice(unlucky, worker)
                    again.extend(worker.tasks)
                    worker.stop()
                    workers[workers.index(worker)] = _Worker(plan, staging)
                    continue
                if isinstance(answer, float):
                    advance(answer)
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    yield worker.tasks.popleft(), answer
    finally:
        for worker in workers:
            worker.stop()


def _tell_if_twice(unlucky: Counter[Task], worker: _Worker) -> None:
    """Raise `RuntimeError` if the episode that a process died of had been the end of another one."""
    task = worker.tasks[0]
    if unlucky[task] > 1:
        worker.process.join()
        raise RuntimeError(f"worker processes died twice, last with {worker.process.exitcode}, running {task}")
