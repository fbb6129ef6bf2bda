"""Clients: who sends a job, hears what has become of it, and then tries again, or thinks and sends another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from emulator.engines.episode import DROPPED, GAVE_UP, LOST_JOB, REFUSED
from emulator.engines.simpy.event_loop import ARRIVAL, EventLoop, turn
from emulator.engines.simpy.job import Job
from emulator.engines.simpy.ledger import Ledger
from emulator.engines.simpy.scheduler import Process, Scheduler
from emulator.model.station import Retries
from emulator.workload.clients import ClientDraws
from emulator.workload.marks import VISITS, StationDraws

REASONS = {"drop": DROPPED, "refuse": REFUSED, "lose": LOST_JOB, "timeout": GAVE_UP}
"""The outcomes after which a job can be tried again."""


class Clients:
    """All clients: of each job one hears how it ends, and sends what comes of that."""

    def __init__(
        self,
        loop: EventLoop,
        schedulers: Sequence[Scheduler],
        ledger: Ledger,
        station_draws: StationDraws,
        draws: ClientDraws | None,
        retries: Retries | None,
    ):
        self.loop = loop
        self.schedulers = schedulers
        self.ledger = ledger
        self.station_draws = station_draws
        self.draws = draws
        """What clients draw who send one job after another, if they do."""
        self.most = 0 if retries is None else retries.most
        """How often a job is tried again."""
        self.outcomes = set() if retries is None else {REASONS[reason] for reason in retries.on}

    def processes(self) -> Iterator[Process]:
        """Yield the processes of those who are there from the beginning, and think first."""
        for scheduler in self.schedulers:
            for client in range(0 if self.draws is None else self.draws.count):
                yield self.think(scheduler.index, client, 0)

    def hear(self, job: Job) -> None:
        """Hear that a job has ended, one way or another."""
        if job.outcome in self.outcomes and job.attempt < self.most:
            self.loop.process(self.try_again(job))
        elif self.draws is not None:
            self.loop.process(self.think(job.scheduler, job.number, job.visit // VISITS + 1))

    def try_again(self, job: Job) -> Process:
        """Wait, and let the scheduler send the same job again."""
        visit = job.visit + 1
        backoff, coin = self.station_draws.backoff(job.scheduler, job.number, visit)
        time = self.loop.now + backoff
        yield self.loop.at(time, turn(ARRIVAL, job.scheduler, job.number, visit))
        self.send(Job(job.scheduler, job.number, time, job.work, coin, job.class_, job.patience, visit))

    def think(self, scheduler: int, client: int, place: int) -> Process:
        """Leave, or think, and let the scheduler send the client's job number `place`."""
        assert self.draws is not None
        thinking, leaves = self.draws.thinking(scheduler, place, client)
        if leaves:
            return
        time, visit = self.loop.now + thinking, VISITS * place
        yield self.loop.at(time, turn(ARRIVAL, scheduler, client, visit))
        work, coin, class_, patience = self.draws.job(scheduler, place, client)
        self.send(Job(scheduler, client, time, work, coin, class_, patience, visit))

    def send(self, job: Job) -> None:
        """Let a scheduler send a job, which arrives now."""
        self.ledger.add(job)
        self.schedulers[job.scheduler].send(job)
