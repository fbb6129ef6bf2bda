"""How far an episode has been drawn: every episode of every engine has a cursor of its own over a workload."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.machine.compiling import is_ours
from emulator.model.system import System
from emulator.workload import drawing
from emulator.workload.drawing import JobColumns, job_columns, longer
from emulator.workload.jobs import EpisodeSource, EpochJobs, JobSource, before_all


class Timed(Protocol):
    """What a cursor must know of a workload."""

    system: System
    times: NDArray[np.float64]
    """When epochs begin, and the horizon, ms."""
    expected_jobs: NDArray[np.float64]
    """Of the mean scheduler in each epoch."""

    def source(self, epoch: int) -> JobSource | EpisodeSource:
        """Return where the jobs of an epoch are drawn."""
        ...


class Cursor:
    """Draws the jobs of an episode, epoch by epoch, and within an epoch up to one time after another."""

    def __init__(self, workload: Timed, threads: int = 1):
        system = workload.system
        self.workload = workload
        self.schedulers = system.access.scheduler_count
        self.number = np.zeros(self.schedulers, dtype=np.int32)
        """Each scheduler's jobs of the epoch so far."""
        self.before = np.zeros(self.schedulers, dtype=np.int64)
        """Each scheduler's jobs of the epochs before."""
        self.clock = np.zeros(self.schedulers)
        """When each scheduler's last job of the epoch arrived, or the epoch's start; see `is_by_epoch`."""
        self.is_by_epoch = system.arrivals.is_by_epoch
        """Whether arrivals start anew with each epoch, else what comes next stands ready."""
        self.source: Any = workload.source(0)
        make: Any = drawing.block if self.is_by_epoch else drawing.episode_block
        self.blocks = [make() for _ in range(threads)]
        """Room of each thread."""
        is_kept = is_ours(system.arrivals, *system.arrivals.laws(), system.work)
        self._kernels = drawing.KEPT if is_kept else drawing.FOR_USERS
        self.ready = None if self.is_by_epoch else before_all(self.source, self.schedulers)

    @property
    def jobs_so_far(self) -> NDArray[np.int64]:
        """Each scheduler's jobs of the episode so far."""
        return self.before + self.number

    def begin(self, epoch: int) -> None:
        """Go on to an epoch: the next one, unless arrivals start anew with each."""
        self.before += self.number
        self.number[:] = 0
        if self.is_by_epoch:
            self.source = self.workload.source(epoch)
            self.clock[:] = self.workload.times[epoch]

    def fill(
        self, end: float, jobs: JobColumns, filled: int, first: int, last: int, thread: int = 0
    ) -> tuple[int, int]:
        """Draw jobs before `end` of the schedulers `first` to `last` - 1 behind those that are there.

        Returns how many there are then, and which scheduler was not reached: `last` unless the room has ended.
        """
        where = self.blocks[thread], jobs, filled, first, last
        if self.is_by_epoch:
            count, reached = self._kernels.draw_in_epoch(self.source, end, self.clock, self.number, *where)
        else:
            count, reached = self._kernels.draw_in_episode(self.source, self.ready, end, self.number, *where)
        return int(count), int(reached)

    def draw(self, end: float, expected: float) -> JobColumns:
        """Draw the jobs of all schedulers before `end`, of which about so many are expected."""
        jobs, filled, reached = job_columns(int(expected + 12.0 * expected**0.5) + 2 * drawing.BLOCK), 0, 0
        while True:
            filled, reached = self.fill(end, jobs, filled, reached, self.schedulers)
            if reached == self.schedulers:
                columns: list[Any] = [column[:filled] for column in jobs]
                return JobColumns(*columns)
            jobs = longer(jobs, filled, 2 * len(jobs.time))

    def jobs(self, epoch: int) -> EpochJobs:
        """Go on to an epoch, see `begin`, and draw its jobs."""
        self.begin(epoch)
        end = float(self.workload.times[epoch + 1])
        jobs = self.draw(end, self.workload.expected_jobs[epoch] * self.schedulers)
        order: NDArray[np.int64] = np.argsort(jobs.scheduler, kind="stable")
        offsets = np.append(0, np.cumsum(self.number, dtype=np.int64))
        return EpochJobs(offsets, jobs.time[order], jobs.work[order], jobs.coin[order])
