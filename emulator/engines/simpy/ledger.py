"""The SimPy engine's book: the jobs of an episode, what was noted of them, and the episode they add up to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.engines.decisions import Decision, EpochDraws
from emulator.engines.episode import (
    COMPLETED,
    DROPPED,
    IN_SYSTEM,
    Episode,
    EpochTrace,
    JobTrace,
    MessageRecord,
    Totals,
    Traces,
    epoch_trace,
    fingerprint_of,
)
from emulator.model.system import System
from emulator.workload.workload import Workload


class Job:
    """One job and its fate; times in ms, NaN until they happen."""

    __slots__ = (
        "arrival_time",
        "coin",
        "departure_time",
        "outcome",
        "queue_length_at_arrival",
        "server",
        "start_time",
        "work",
    )

    def __init__(self, arrival_time: float, work: float, coin: float):
        self.arrival_time = arrival_time
        self.work = work
        self.coin = coin
        self.server = -1
        self.start_time = np.nan
        self.departure_time = np.nan
        self.queue_length_at_arrival = -1
        self.outcome = IN_SYSTEM


class Ledger:
    """Hands out each epoch's jobs and draws, and keeps what the processes note."""

    def __init__(self, system: System, workload: Workload):
        self.system = system
        self.workload = workload
        self.timetable = system.timetable
        self.jobs: list[Job] = []
        """All jobs born so far, by epoch, then scheduler, then time."""
        self.schedulers: list[NDArray[np.int32]] = []
        """Of each epoch so far, the scheduler of each job."""
        self.offload_probability = np.full((workload.epochs, system.nodes), np.nan)
        self.queue_length = np.zeros((workload.epochs, system.nodes), dtype=np.int32)
        self._draws = EpochDraws(workload, -1)
        self._offsets: list[int] = []

    def begin(self, epoch: int) -> EpochDraws:
        """Begin an epoch, unless another scheduler did: bring in its jobs; return the draws for its decisions."""
        if epoch != self._draws.epoch:
            self._draws = EpochDraws(self.workload, epoch)
            born = self.workload.jobs(epoch)
            self._offsets = (born.offsets + len(self.jobs)).tolist()
            self.schedulers.append(np.repeat(np.arange(self.system.nodes, dtype=np.int32), np.diff(born.offsets)))
            columns = born.arrival_times.tolist(), born.works.tolist(), born.coins.tolist()
            self.jobs.extend(map(Job, *columns))
        return self._draws

    def born(self, scheduler: int) -> list[Job]:
        """Return the jobs that a scheduler meets in the epoch begun last, in time order."""
        return self.jobs[self._offsets[scheduler] : self._offsets[scheduler + 1]]

    def note_queue_length(self, epoch: int, server: int, length: int) -> None:
        """Note what a server had in its queue at an epoch's start."""
        self.queue_length[epoch, server] = length

    def note_decision(self, epoch: int, scheduler: int, decision: Decision) -> None:
        """Note how a scheduler sent its jobs in an epoch that is over for it."""
        self.offload_probability[epoch, scheduler] = decision.offload_probability

    def job_trace(self) -> JobTrace:
        """Return every job as columns."""
        jobs = self.jobs
        births = [len(schedulers) for schedulers in self.schedulers]

        def column(name: str, dtype: type) -> Any:
            return np.array([getattr(job, name) for job in jobs], dtype=dtype)

        return JobTrace(
            epoch=np.repeat(np.arange(len(births), dtype=np.int32), births),
            scheduler=np.concatenate(self.schedulers),
            server=column("server", np.int32),
            arrival_time=column("arrival_time", np.float64),
            start_time=column("start_time", np.float64),
            departure_time=column("departure_time", np.float64),
            work=column("work", np.float64),
            queue_length_at_arrival=column("queue_length_at_arrival", np.int32),
            outcome=column("outcome", np.int8),
        )

    def episode(
        self,
        *,
        traces: Traces,
        sojourn_times: list[float],
        presence_times: list[float],
        messages: int,
        records: list[MessageRecord] | None,
    ) -> Episode:
        """Close the book: the sums over all nodes, given each server's times, and the traces asked for."""
        trace = self.job_trace()
        counts = np.bincount(trace.outcome, minlength=3)
        dropped = trace.epoch[trace.outcome == DROPPED]
        totals = Totals(
            arrivals=len(self.jobs),
            completions=int(counts[COMPLETED]),
            drops=int(counts[DROPPED]),
            in_system=int(counts[IN_SYSTEM]),
            drops_by_epoch=np.bincount(dropped, minlength=self.workload.epochs),
            sojourn_time=float(np.sum(sojourn_times)),
            presence_time=float(np.sum(presence_times)),
            messages=messages,
            fingerprint=int(
                fingerprint_of(trace.server, trace.outcome, trace.arrival_time, trace.start_time, trace.departure_time)
            ),
        )
        return Episode(
            engine="simpy",
            totals=totals,
            jobs=trace if traces.jobs else None,
            epochs=self._epoch_trace(trace) if traces.epochs else None,
            messages=records,
        )

    def _epoch_trace(self, jobs: JobTrace) -> EpochTrace:
        servers = self.queue_length.shape[1]
        place = jobs.epoch.astype(np.int64) * servers + jobs.server
        return epoch_trace(self.queue_length, self.offload_probability, place, jobs.outcome)
