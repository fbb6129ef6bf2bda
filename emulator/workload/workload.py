"""What happens to a system whatever its dispatcher and engine, every number drawn at an address; times in ms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emulator.model.arrivals.batch import NoBatch
from emulator.model.arrivals.process import Arrivals, ByEpoch, Setting
from emulator.model.laws.drawing import told_apart
from emulator.model.system import System
from emulator.workload import coins
from emulator.workload.bits import BitsNumbers
from emulator.workload.cursor import Cursor
from emulator.workload.jobs import EpisodeSource, EpochJobs, JobSource

if TYPE_CHECKING:
    Floats = NDArray[np.float64]


class Workload:
    """The workload of one replication of a system."""

    def __init__(self, system: System, replication: int):
        self.system = system
        self.replication = replication
        self.times = system.timetable.times
        self.epochs = system.timetable.epochs
        self.seeds = np.uint64(system.seed), np.uint64(replication)
        """The seed and the replication, as compiled functions take them."""
        is_by_class = bool(system.station.classes) and not system.arrivals.brings_work
        self._work = BitsNumbers() if is_by_class else told_apart(system.work.numbers())
        self.arrivals: Arrivals | None = None
        """Those of the episode, unless they start anew with each epoch."""
        process = system.arrivals
        if process.is_by_epoch:
            assert isinstance(process, ByEpoch)
            self.arrival_rates: Floats = process.rates(system.seed, replication, self.epochs)
            """Jobs per ms of the mean scheduler in each epoch; where they are not known, in the long run."""
        else:
            self.arrivals = process.arrivals(Setting(system.seed, replication, self.times, system.weights))
            self.arrival_rates = self.arrivals.rates * process.batch_mean
        self.expected_jobs: Floats = self.arrival_rates * np.diff(self.times)
        """Of the mean scheduler in each epoch."""

    def scheduler_rates(self) -> Iterator[Floats]:
        """Yield the jobs per ms of every scheduler, epoch by epoch."""
        schedulers, batch = self.system.access.scheduler_count, self.system.arrivals.batch_mean
        if self.arrivals is None:
            yield from (np.full(schedulers, rate) for rate in self.arrival_rates)
        else:
            yield from (batch * rates for rates in self.arrivals.rates_of_schedulers())

    def source(self, epoch: int) -> JobSource | EpisodeSource:
        """Return where the jobs of an epoch are drawn, for compiled functions; works of classes as mere bits."""
        process = self.system.arrivals
        if self.arrivals is None:
            assert isinstance(process, ByEpoch)
            stream = told_apart(process.stream(float(self.arrival_rates[epoch])))
            return JobSource(*self.seeds, np.uint64(epoch), stream, self._work)
        batch = NoBatch() if process.batch is None else process.batch.numbers()
        return EpisodeSource(*self.seeds, told_apart(self.arrivals.stream), batch, self._work)

    def cursor(self, threads: int = 1) -> Cursor:
        """Return what draws the jobs of an episode, from its beginning on, for so many threads at once."""
        return Cursor(self, threads)

    def jobs(self, epoch: int) -> EpochJobs:
        """Draw the jobs born in an epoch, and if arrivals go on from epoch to epoch, those before it, too."""
        cursor = self.cursor()
        for earlier in range(0 if self.arrivals is not None else epoch, epoch):
            cursor.jobs(earlier)
        return cursor.jobs(epoch)

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
