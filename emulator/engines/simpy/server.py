"""A server: its queue, its service, and what it tells of itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from math import inf
from typing import Any

import simpy

from emulator.engines.episode import COMPLETED, DROPPED
from emulator.engines.simpy.event_loop import DEPARTURE, SAMPLE, EventLoop, turn
from emulator.engines.simpy.job import Job
from emulator.engines.simpy.network import Carrier, Links, StateMessage

Process = Generator[Any, None, None]


class Server:
    """A FIFO queue of at most `buffer` jobs, the one in service included."""

    __slots__ = ("buffer", "idle", "index", "jobs", "loop", "on_end", "service_rate", "sojourn_time", "time_here")

    def __init__(self, loop: EventLoop, index: int, service_rate: float, buffer: int):
        self.loop = loop
        self.index = index
        self.service_rate = service_rate
        self.buffer = buffer
        self.jobs: deque[Job] = deque()
        """Jobs in the system, the one in service first."""
        self.idle: simpy.Process | None = None
        """The process that serves, while it sleeps for want of a job."""
        self.on_end: Callable[[Job], None] | None = None
        """Who hears what has become of a job, if anybody does."""
        self.sojourn_time = 0.0
        """Time from arrival to departure (ms), added up over completed jobs."""
        self.time_here = 0.0
        """The part of it that they spent here."""

    def processes(self) -> Iterator[Process]:
        """Yield the processes of its service."""
        yield self.serve()

    def receive(self, job: Job) -> None:
        """Queue a job, or drop it if the buffer is full."""
        jobs = self.jobs
        job.server = self.index
        job.queue_length_at_arrival = len(jobs)
        if len(jobs) >= self.buffer:
            job.outcome = DROPPED
            return
        jobs.append(job)
        if self.idle is not None:
            serving, self.idle = self.idle, None
            self.loop.wake(serving)

    def deadline_of(self, job: Job) -> float:
        """Return when a job gives up that has not reached the server: never."""
        return inf

    def goes_on_with(self, job: Job) -> bool:
        """Return whether a job that gives up on its way reaches the server all the same."""
        return True

    def serve(self) -> Process:
        """Serve one job after another, each for `work / service_rate`."""
        loop, jobs, departure = self.loop, self.jobs, turn(DEPARTURE, self.index)
        while True:
            if not jobs:
                self.idle = loop.active_process
                yield loop.until_woken()
            job = jobs[0]
            job.start_time = loop.now
            yield loop.at(job.start_time + job.work / self.service_rate, departure)
            jobs.popleft()
            job.departure_time = loop.now
            job.outcome = COMPLETED
            self.sojourn_time += job.departure_time - job.arrival_time
            self.time_here += job.departure_time - job.reached_time

    def state(self, number: int) -> StateMessage:
        """Say how long the queue is now."""
        return StateMessage(self.index, number, len(self.jobs), self.service_rate, self.loop.now)

    def broadcast(
        self, carrier: Carrier, receivers: Sequence[int], links: Links, times: Iterable[float], difference: int
    ) -> Process:
        """Tell schedulers, at each of some times, how long the queue is, if that differs so much from what was told."""
        told = 0
        for number, time in enumerate(times):
            yield self.loop.at(time, turn(SAMPLE, self.index))
            carrier.advance(links, number)
            message = self.state(number)
            if abs(message.queue_length - told) >= difference:
                told = message.queue_length
                carrier.send(message, receivers, links)

    def presence_time(self, horizon: float) -> float:
        """Return the time (ms) that accepted jobs have spent here, those still here until the horizon."""
        waiting = 0.0
        for job in self.jobs:
            waiting += horizon - job.reached_time
        return self.time_here + waiting
