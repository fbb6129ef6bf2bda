"""A node that serves all its jobs at once, each with an equal share: processor sharing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isnan

import simpy

from emulator.engines.episode import COMPLETED
from emulator.engines.service import Times
from emulator.engines.simpy.event_loop import DEPARTURE, EventLoop, turn
from emulator.engines.simpy.job import Job
from emulator.engines.simpy.server import Process
from emulator.engines.simpy.server_station import StationServer
from emulator.model.station import Station


class SharingServer(StationServer):
    """A clock tells the service that a job would have had that was always here; a job is done at its own mark."""

    __slots__ = ("clock", "process", "since")

    def __init__(
        self,
        loop: EventLoop,
        index: int,
        service_rate: float,
        buffer: int,
        station: Station,
        times_up_and_down: Iterable[tuple[float, float]],
        times: Times,
    ):
        super().__init__(loop, index, service_rate, buffer, station, times_up_and_down, times)
        self.clock = 0.0
        self.since = 0.0
        """When the clock was read last."""
        self.process: simpy.Process

    def processes(self) -> Iterator[Process]:
        """Yield the process of service and that of failures."""
        yield self.serve()
        if self.station.failures is not None:
            yield self.fail()

    @property
    def capacity(self) -> float:
        """Work that is done of all jobs in a ms: of no more jobs at full speed than there are servers."""
        return self.speed * min(len(self.jobs), self.station.servers)

    def serve(self) -> Process:
        """Let the job go that is done first, unless something changes before."""
        loop = self.loop
        self.process = loop.running
        while True:
            try:
                if self.capacity == 0.0:
                    yield loop.event()  # which never happens: somebody interrupts
                job = min(self.jobs, key=lambda job: (job.left, job.admission))
                duration = max(0.0, job.left - self.clock) * len(self.jobs) / self.capacity
                yield loop.alarm(self.since + duration, turn(DEPARTURE, self.index, job.admission))
            except simpy.Interrupt:
                continue
            self.clock, self.since = job.left, loop.now
            self.leave(job, COMPLETED)

    def read_clock(self) -> None:
        """Let the clock go on until now, before anything changes."""
        if self.capacity > 0.0:
            self.clock += (self.loop.now - self.since) * self.capacity / len(self.jobs)
        self.since = self.loop.now

    def join(self, job: Job) -> None:
        """See `StationServer.join`."""
        self.read_clock()
        job.left = self.clock + job.work
        self.jobs.append(job)
        if not self.is_down:
            job.start_time = self.loop.now
        self.loop.interrupt(self.process)

    def is_served(self, job: Job) -> bool:
        """See `StationServer.is_served`."""
        return not isnan(job.start_time)

    def take_away(self, job: Job, outcome: int) -> None:
        """See `StationServer.take_away`."""
        self.read_clock()
        self.leave(job, outcome)
        self.loop.interrupt(self.process)

    def restart(self, job: Job) -> None:
        """See `StationServer.restart`."""
        job.left = self.clock + job.work

    def go(self, *, is_down: bool) -> None:
        """See `StationServer.go`."""
        self.read_clock()
        self.is_down = is_down
        if not is_down:
            for job in self.jobs:
                if isnan(job.start_time):
                    job.start_time = self.loop.now
        self.loop.interrupt(self.process)
