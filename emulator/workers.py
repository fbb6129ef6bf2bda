"""Runs the episodes of a plan in this process or in several; the results are the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Any

from emulator.errors import InputError
from emulator.replications import Emulator, Row, Task, expected_jobs, tasks_of
from emulator.scenario_file import Plan, Point

WORTH_A_PROCESS = 400_000
"""Expected jobs that keep a process busy for much longer than it takes to start one."""


def worker_count(plan: Plan, wanted: int | None) -> int:
    """Return how many processes to use: as `wanted`, else the cores at hand if the work is worth starting them."""
    if wanted is not None and wanted < 1:
        raise InputError(f"--workers must be >= 1, got {wanted}")
    tasks = tasks_of(plan)
    if wanted is not None:
        return min(wanted, len(tasks))
    work = sum(expected_jobs(plan.points[task.point]) for task in tasks)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, len(tasks), int(work // WORTH_A_PROCESS)))


def run_tasks(
    plan: Plan, staging: Path | None, workers: int, advance: Callable[[float], None]
) -> Iterator[tuple[Task, Row]]:
    """Run all episodes of a plan and yield each one's row as it is finished, in any order.

    `advance` is called with the expected jobs that were dealt with since the last call.
    """
    if workers == 1:
        emulator = Emulator(plan, staging)
        for task in tasks_of(plan):
            with _Share(plan.points[task.point], advance) as share:
                row = emulator.run(task, share.report)
            yield task, row
    else:
        yield from _run_in_processes(plan, staging, workers, advance)


class _Share:
    """Turns simulated time of one episode into steps of expected jobs, which add up exactly."""

    def __init__(self, point: Point, advance: Callable[[float], None]):
        self.jobs = expected_jobs(point)
        self.horizon = point.scenario.horizon
        self.advance = advance
        self.done = 0.0

    def report(self, time: float) -> None:
        step = self.jobs * time / self.horizon - self.done
        self.done += step
        self.advance(step)

    def __enter__(self) -> _Share:
        return self

    def __exit__(self, *error: object) -> None:
        self.advance(self.jobs - self.done)


_worker: tuple[Emulator, Any] | None = None
"""In a worker process: its emulator, and the counter of expected jobs it shares with all others."""


def _start_worker(plan: Plan, staging: Path | None, counter: Any) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    _worker = (Emulator(plan, staging), counter)


def _run_in_worker(task: Task) -> Row:
    assert _worker is not None
    emulator, counter = _worker

    def advance(jobs: float) -> None:
        with counter.get_lock():
            counter.value += jobs

    with _Share(emulator.plan.points[task.point], advance) as share:
        return emulator.run(task, share.report)


def _run_in_processes(
    plan: Plan, staging: Path | None, workers: int, advance: Callable[[float], None]
) -> Iterator[tuple[Task, Row]]:
    context = multiprocessing.get_context("spawn")  # threads of this process must not be forked
    counter = context.Value("d", 0.0)
    told = 0.0
    executor = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(plan, staging, counter)
    )
    try:
        waiting = iter(tasks_of(plan))
        running: dict[Future[Row], Task] = {}
        while True:
            # A few ahead of the workers, not all: a plan may have a million episodes.
            for task in islice(waiting, 4 * workers - len(running)):
                running[executor.submit(_run_in_worker, task)] = task
            if not running:
                break
            done, _ = wait(running, timeout=0.25, return_when=FIRST_COMPLETED)
            advance(counter.value - told)
            told = counter.value
            for future in done:
                yield running.pop(future), future.result()
    finally:
        processes = list((executor._processes or {}).values())
        executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
