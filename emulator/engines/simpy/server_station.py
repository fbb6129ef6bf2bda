"""What all servers have in common that are more than one queue: who is let in, who gives up, when they fail."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from math import inf, isnan

from emulator.engines.episode import COMPLETED, DROPPED, GAVE_UP, IN_SYSTEM, LOST_JOB, REFUSED
from emulator.engines.service import Times, spend
from emulator.engines.simpy.event_loop import FAILURE, PATIENCE, TIMEOUT, EventLoop, turn
from emulator.engines.simpy.job import Job
from emulator.engines.simpy.network import StateMessage
from emulator.engines.simpy.server import Process, Server
from emulator.engines.ticks import tick_at
from emulator.model.station import Patience, Station


class StationServer(Server):
    """At most `buffer` jobs, which can lose patience, at a node that can fail.

    How it serves them is told by `join`, `take_away`, `restart` and `go`.
    """

    __slots__ = (
        "admitted",
        "busy",
        "down",
        "ended",
        "is_down",
        "presence",
        "since_tick",
        "station",
        "times",
        "times_up_and_down",
    )

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
        super().__init__(loop, index, service_rate, buffer)
        self.station = station
        self.times = times
        """What nodes add up together."""
        self.since_tick = tick_at(0.0, times.per_ms)
        """When these were added up last, in ticks."""
        self.presence = self.busy = self.down = 0
        """The node's own times, in ticks: see `Service`."""
        self.times_up_and_down = times_up_and_down
        """How long it is up, and then down, in turn."""
        self.is_down = False
        self.admitted = 0
        """Jobs that were let in."""

    @property
    def speed(self) -> float:
        """Work that a server does in a ms."""
        return 0.0 if self.is_down else self.service_rate * self.station.factor(len(self.jobs))

    def receive(self, job: Job) -> None:
        """Let a job in, unless the node is down and refuses it, or the buffer is full."""
        failures, patience = self.station.failures, self.station.patience
        job.server = self.index
        job.queue_length_at_arrival = len(self.jobs)
        if failures is not None and failures.refuses and self.is_down:
            self.end(job, REFUSED)
        elif len(self.jobs) >= self.buffer:
            self.end(job, DROPPED)
        else:
            self.add_up(self.loop.now)
            job.admission = self.admitted
            self.admitted += 1
            if patience is not None and job.outcome == IN_SYSTEM:
                since = job.arrival_time if patience.of_sojourn else job.reached_time
                self.loop.process(self.lose_patience(job, patience, since + job.patience))
            self.join(job)

    def deadline_of(self, job: Job) -> float:
        """Return when a job gives up that has not reached the node, if patience counts until departure."""
        patience = self.station.patience
        return job.arrival_time + job.patience if patience is not None and patience.of_sojourn else inf

    def goes_on_with(self, job: Job) -> bool:
        """Let a job give up on its way; return whether it reaches the node all the same."""
        self.end(job, GAVE_UP)
        return self.station.patience is not None and self.station.patience.goes_on

    def lose_patience(self, job: Job, patience: Patience, deadline: float) -> Process:
        """Let a job give up at its deadline: a job in service at the end of a timeout, others after repairs."""
        loop = self.loop
        if patience.stops_service:
            yield loop.at(deadline, turn(TIMEOUT, self.index, job.admission))
            if job in self.jobs and self.is_served(job):
                self.take_away(job, GAVE_UP)
        yield loop.at(deadline, turn(PATIENCE, self.index, job.admission))
        if job not in self.jobs:
            return
        if patience.goes_on:
            self.end(job, GAVE_UP)
        elif patience.of_sojourn or isnan(job.start_time):
            self.take_away(job, GAVE_UP)

    def fail(self) -> Process:
        """Be up and down in turn; what has started goes on later, starts again, or is lost."""
        loop, failures = self.loop, self.station.failures
        assert failures is not None
        for up, down in self.times_up_and_down:
            yield loop.at(loop.now + up, turn(FAILURE, self.index))
            self.add_up(loop.now)
            self.go(is_down=True)
            for job in [job for job in self.jobs if not isnan(job.start_time)]:
                if failures.jobs == "restart":
                    self.restart(job)
                elif failures.jobs == "lose":
                    self.take_away(job, LOST_JOB)
            yield loop.at(loop.now + down, turn(FAILURE, self.index))
            self.add_up(loop.now)
            self.go(is_down=False)

    def leave(self, job: Job, outcome: int) -> None:
        """Let a job go."""
        now = self.loop.now
        self.add_up(now)
        self.jobs.remove(job)
        job.departure_time = now
        self.time_here += now - job.reached_time
        self.end(job, outcome)
        if job.outcome == COMPLETED:
            self.sojourn_time += now - job.arrival_time

    def add_up(self, now: float) -> None:
        """Add up the time until now, before the number of jobs changes, or whether the node is up."""
        tick, length = tick_at(now, self.times.per_ms), len(self.jobs)
        at_work = 0 if self.is_down else min(length, self.station.servers)
        counted = spend(self.times, length, at_work, int(self.is_down), self.since_tick, tick)
        self.since_tick = tick
        self.presence += length * counted
        self.busy += at_work * counted
        self.down += self.is_down * counted

    def end(self, job: Job, outcome: int) -> None:
        """Note what has become of a job, unless it has given up before and the server has gone on."""
        if job.outcome == IN_SYSTEM:
            job.outcome = outcome
            if self.on_end is not None:
                self.on_end(job)

    def state(self, number: int) -> StateMessage:
        """Say how long the queue is now; where failures are told, a node that is down says that its queue is full."""
        failures, message = self.station.failures, super().state(number)
        is_told = failures is not None and failures.told and self.is_down
        return message._replace(queue_length=self.buffer) if is_told else message

    @abstractmethod
    def join(self, job: Job) -> None:
        """Put a job among those that are here, and serve it if its turn has come."""

    @abstractmethod
    def is_served(self, job: Job) -> bool:
        """Return whether one of the servers has this job."""

    @abstractmethod
    def take_away(self, job: Job, outcome: int) -> None:
        """Let a job go before it is done."""

    @abstractmethod
    def restart(self, job: Job) -> None:
        """Undo what was done of a job, while the node is down."""

    @abstractmethod
    def go(self, *, is_down: bool) -> None:
        """Go down, or up again."""


def work_left(left: float, elapsed: float, speed: float) -> float:
    """Return what is left of a job's work after some time of service."""
    return max(0.0, left - elapsed * speed)
