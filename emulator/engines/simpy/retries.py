"""Jobs that failed and are tried again: each attempt is a job of its own, which its scheduler sends anew."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.engines.episode import DROPPED, GAVE_UP, LOST_JOB, REFUSED
from emulator.engines.simpy.event_loop import ARRIVAL, EventLoop, turn
from emulator.engines.simpy.job import Job
from emulator.engines.simpy.ledger import Ledger
from emulator.engines.simpy.scheduler import Process, Scheduler
from emulator.model.station import Retries
from emulator.workload.marks import StationDraws

REASONS = {"drop": DROPPED, "refuse": REFUSED, "lose": LOST_JOB, "timeout": GAVE_UP}
"""The outcomes after which a job can be tried again."""


class Client:
    """Whoever has sent a job and learns what has become of it; may try again."""

    def __init__(
        self,
        loop: EventLoop,
        schedulers: Sequence[Scheduler],
        ledger: Ledger,
        draws: StationDraws,
        retries: Retries,
    ):
        self.loop = loop
        self.schedulers = schedulers
        self.ledger = ledger
        self.draws = draws
        self.retries = retries
        self.outcomes = {REASONS[reason] for reason in retries.on}

    def hear(self, job: Job) -> None:
        """Hear that a job has ended, one way or another."""
        if job.outcome in self.outcomes and job.attempt < self.retries.most:
            self.loop.process(self.try_again(job))

    def try_again(self, job: Job) -> Process:
        """Wait, and let the scheduler send the same job again."""
        attempt = job.attempt + 1
        backoff, coin = self.draws.backoff(job.scheduler, job.number, attempt)
        time = self.loop.now + backoff
        yield self.loop.at(time, turn(ARRIVAL, job.scheduler, job.number, attempt))
        again = Job(job.scheduler, job.number, time, job.work, coin, job.class_, job.patience, attempt)
        self.ledger.add(again)
        self.schedulers[job.scheduler].send(again)
