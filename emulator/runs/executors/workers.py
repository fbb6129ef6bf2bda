"""How the cores at hand are used, and by which executor."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from emulator.errors import InputError
from emulator.machine.cores import cores_at_hand
from emulator.machine.processes import check_main_module
from emulator.runs.executors.executor import Executor
from emulator.runs.executors.here import Here
from emulator.runs.executors.processes import Processes
from emulator.runs.executors.ray import RayCluster
from emulator.runs.tasks import Task

WORTH_A_PROCESS = 4.0
"""Seconds of work that are much longer than it takes to start a process."""

MANY_EPISODES = 20_000
"""So many are worth it whatever they hold; no more are looked at, for there may be millions."""


class Workers(NamedTuple):
    """Processes that run episodes, and threads that share one of the compiled engine."""

    processes: int
    threads: int


def executor_for(tasks: Iterator[Task], wanted: int | None, cluster: str | None) -> Executor:
    """Return what runs tasks on so many cores, or on the Ray cluster at an address or `local`; see `workers_for`."""
    if cluster is not None:
        return RayCluster(cluster, wanted)
    processes, threads = workers_for(tasks, wanted)
    return Here(threads) if processes == 1 else Processes(processes, threads)


def workers_for(tasks: Iterator[Task], wanted: int | None) -> Workers:
    """Return what to use: `wanted` cores, else those at hand if the work is worth starting processes.

    Of `tasks` no more are looked at than matter. Where there are fewer than cores, each process has several threads.
    Raises `InputError` for a wrong number, or if no processes can be started from where this is called.
    """
    if wanted is not None and wanted < 1:
        raise InputError(f"--workers must be >= 1, got {wanted}")
    cores = cores_at_hand() if wanted is None else wanted
    episodes, seconds = 0, 0.0
    for task in islice(tasks, MANY_EPISODES):
        episodes += 1
        seconds += task.seconds
        if episodes > cores and seconds > WORTH_A_PROCESS * cores:
            break
    if episodes == MANY_EPISODES:
        seconds = math.inf
    processes = cores if wanted is not None else int(min(cores, seconds // WORTH_A_PROCESS))
    processes = max(1, min(processes, episodes))
    if processes > 1:
        check_main_module()
    threads = min(cores, 4 * (os.cpu_count() or 1)) // processes
    return Workers(processes, max(1, threads) if processes == episodes else 1)
