"""A node of several servers before one queue, by order of arrival or by priority: M/M/c and its relatives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf, isnan

import simpy

from emulator.engines.episode import COMPLETED
from emulator.engines.service import Times
from emulator.engines.simpy.event_loop import DEPARTURE, EventLoop, turn
from emulator.engines.simpy.job import Job
from emulator.engines.simpy.server import Process
from emulator.engines.simpy.server_station import StationServer, work_left
from emulator.model.station import Station

SPEED, NEXT = "speed", "next"
"""Why a server is interrupted: its speed has changed, or it has to take another job."""


class Unit:
    """One of the servers of a node: a process that serves one job after another."""

    __slots__ = ("job", "node", "process")

    def __init__(self, node: QueueServer):
        self.node = node
        self.job: Job | None = None
        self.process: simpy.Process

    def serve(self) -> Process:
        """Serve one job after another."""
        node, loop = self.node, self.node.loop
        self.process = loop.running
        while True:
            self.job = job = node.next_job()
            try:
                if job is None:
                    yield loop.event()  # which never happens: somebody interrupts
                    continue
                yield from self.work_on(job)
            except simpy.Interrupt:
                continue  # it is another job's turn
            self.job = None
            node.leave(job, COMPLETED)

    def work_on(self, job: Job) -> Process:
        """Serve a job until it is done, at whatever speed."""
        node, loop = self.node, self.node.loop
        if isnan(job.start_time):
            job.start_time = loop.now
        while True:
            since, speed = loop.now, node.speed
            end = since + job.left / speed if speed > 0.0 else inf
            try:
                yield loop.alarm(end, turn(DEPARTURE, node.index, job.admission))
            except simpy.Interrupt as interrupt:
                job.left = work_left(job.left, loop.now - since, speed)
                if interrupt.cause == NEXT:
                    raise
            else:
                return


class QueueServer(StationServer):
    """Jobs wait until one of the servers is free; with priorities the first class goes first."""

    __slots__ = ("last_speed", "units")

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
        self.units = [Unit(self) for _ in range(station.servers)]
        self.last_speed = self.speed
        """What servers at work reckon with."""

    def processes(self) -> Iterator[Process]:
        """Yield a process for each server, and that of failures."""
        for unit in self.units:
            yield unit.serve()
        if self.station.failures is not None:
            yield self.fail()

    def rank(self, job: Job) -> tuple[int, int]:
        """Return what says whose turn it is: the least comes first."""
        priority = self.station.classes[job.class_].priority if self.station.has_priorities else 0
        return priority, job.admission

    def unit_with(self, job: Job | None) -> Unit | None:
        """Return the server that has this job, or none, if there is one."""
        return next((unit for unit in self.units if unit.job is job), None)

    def is_served(self, job: Job) -> bool:
        """See `StationServer.is_served`."""
        return self.unit_with(job) is not None

    def next_job(self) -> Job | None:
        """Return the job whose turn it is, if there is one and the node is up."""
        if self.is_down:
            return None
        return min((job for job in self.jobs if not self.is_served(job)), key=self.rank, default=None)

    def join(self, job: Job) -> None:
        """See `StationServer.join`."""
        job.left = job.work
        self.jobs.append(job)
        self.change_speed()
        self.assign()

    def assign(self) -> None:
        """Let jobs start at servers that are free, or that have to give up a job of lower priority."""
        while (job := self.next_job()) is not None:
            unit = self.unit_with(None)
            if unit is None and self.station.preempts:
                last = max(filter(self.is_served, self.jobs), key=self.rank)
                unit = self.unit_with(last) if self.rank(job)[0] < self.rank(last)[0] else None
            if unit is None:
                return
            self.loop.interrupt(unit.process, NEXT)

    def change_speed(self) -> None:
        """Let servers at work know it if their speed has changed."""
        if self.speed != self.last_speed:
            self.last_speed = self.speed
            for unit in self.units:
                if unit.job is not None:
                    self.loop.interrupt(unit.process, SPEED)

    def leave(self, job: Job, outcome: int) -> None:
        """See `StationServer.leave`."""
        super().leave(job, outcome)
        self.change_speed()

    def take_away(self, job: Job, outcome: int) -> None:
        """See `StationServer.take_away`."""
        unit = self.unit_with(job)
        self.leave(job, outcome)
        if unit is not None:
            self.loop.interrupt(unit.process, NEXT)

    def restart(self, job: Job) -> None:
        """See `StationServer.restart`."""
        job.left = job.work

    def go(self, *, is_down: bool) -> None:
        """See `StationServer.go`."""
        self.is_down = is_down
        self.change_speed()
        self.assign()
