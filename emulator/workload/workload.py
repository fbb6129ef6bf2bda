"""What happens to a system whatever its dispatcher and engine, every number drawn at an address; times in ms."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from emulator.machine.compiling import is_ours
from emulator.model.system import System
from emulator.workload import coins
from emulator.workload.jobs import EpochJobs, JobSource, draw_epoch, draw_epoch_for_users, told_apart


class Workload:
    """The workload of one replication of a system."""

    def __init__(self, system: System, replication: int):
        self.system = system
        self.replication = replication
        self.times = system.timetable.times
        self.epochs = system.timetable.epochs
        self.arrival_rates = system.arrivals.rates(system.seed, replication, self.epochs)

    @property
    def seeds(self) -> tuple[np.uint64, np.uint64]:
        """The seed and the replication, as compiled functions take them."""
        return np.uint64(self.system.seed), np.uint64(self.replication)

    def source(self, epoch: int) -> JobSource:
        """Return where the jobs of an epoch are drawn, for compiled functions."""
        stream = told_apart(self.system.arrivals.stream(float(self.arrival_rates[epoch])))
        return JobSource(*self.seeds, np.uint64(epoch), stream, told_apart(self.system.work.numbers()))

    def jobs(self, epoch: int) -> EpochJobs:
        """Draw the jobs born in an epoch."""
        source, (start, end) = self.source(epoch), self.times[epoch : epoch + 2]
        expected = self.arrival_rates[epoch] * (end - start) * self.system.access.scheduler_count
        room = int(expected + 10.0 * math.sqrt(expected) + 100.0)
        draw = draw_epoch if is_ours(self.system.arrivals, self.system.work) else draw_epoch_for_users
        return EpochJobs(*draw(source, start, end, self.system.access.scheduler_count, room))

    def decision_coins(self, epoch: int) -> NDArray[np.float64]:
        """Draw each scheduler's decision coin of an epoch: uniform on [0, 1)."""
        return coins.decision_coins(*self.seeds, epoch, self.system.access.scheduler_count)

    def decision_orders(self, epoch: int) -> NDArray[np.int64]:
        """Draw each scheduler's order of its accessible servers in an epoch: columns, laid out as `system.access`."""
        return coins.decision_orders(*self.seeds, epoch, self.system.access.offsets)
