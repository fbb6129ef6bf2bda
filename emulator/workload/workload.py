"""What happens to a system whatever its dispatcher and engine, every number drawn at an address; times in ms."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from emulator.machine.compiling import is_ours
from emulator.model.system import System
from emulator.workload import coins
from emulator.workload.bits import BitsNumbers
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
        """Return where the jobs of an epoch are drawn, for compiled functions; works of classes as mere bits."""
        stream = told_apart(self.system.arrivals.stream(float(self.arrival_rates[epoch])))
        work = BitsNumbers() if self.system.station.classes else told_apart(self.system.work.numbers())
        return JobSource(*self.seeds, np.uint64(epoch), stream, work)

    def jobs(self, epoch: int) -> EpochJobs:
        """Draw the jobs born in an epoch."""
        source, (start, end) = self.source(epoch), self.times[epoch : epoch + 2]
        schedulers = self.system.access.scheduler_count
        expected = self.arrival_rates[epoch] * (end - start) * schedulers
        room = int(expected + 10.0 * math.sqrt(expected) + 100.0)
        draw = draw_epoch if is_ours(self.system.arrivals, self.system.work) else draw_epoch_for_users
        return EpochJobs(*draw(source, start, end, schedulers, room))

    def decision_coins(self, number: int, first: int = 0, last: int | None = None) -> NDArray[np.float64]:
        """Draw the coins, uniform on [0, 1), of the decision of this number of the schedulers `first` to `last` - 1.

        By default of all. With synchronous messages schedulers decide once in each epoch, so the number is the epoch's.
        """
        last = self.system.access.scheduler_count if last is None else last
        return coins.decision_coins(*self.seeds, number, first, last)

    def decision_orders(self, number: int, first: int = 0, last: int | None = None) -> NDArray[np.int64]:
        """Draw orders of the accessible servers for the same decisions: columns, laid out as `system.access`."""
        last = self.system.access.scheduler_count if last is None else last
        return coins.decision_orders(*self.seeds, number, self.system.access.offsets, first, last)
