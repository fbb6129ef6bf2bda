"""The SimPy engine's book: the jobs of an episode, what was noted of them, and the episode they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.engines.account import Received
from emulator.engines.census import Census, usual_account
from emulator.engines.episode import (
    COMPLETED,
    DROPPED,
    GAVE_UP,
    IN_SYSTEM,
    LOST_JOB,
    OUTCOMES,
    REFUSED,
    Episode,
    EpochTrace,
    JobTrace,
    MessageRecord,
    Totals,
    Traces,
    epoch_trace,
    fingerprint_of,
    reached_epoch,
    share_elsewhere,
)
from emulator.engines.histogram import counts_of
from emulator.engines.news import Ages, Mail
from emulator.engines.service import Service, scale_of
from emulator.engines.simpy.job import Job
from emulator.engines.ticks import tick_sum
from emulator.model.system import System
from emulator.workload.marks import StationDraws
from emulator.workload.workload import Workload


class Ledger:
    """Hands out each epoch's jobs, and keeps what is noted."""

    def __init__(self, system: System, workload: Workload, draws: StationDraws):
        self.system = system
        self.workload = workload
        self.cursor = workload.cursor()
        self.draws = draws
        self.epochs = workload.epochs
        self.starts: list[float] = system.timetable.starts
        """The start of each epoch."""
        self.jobs: list[Job] = []
        """All jobs born so far, by epoch, then scheduler, then time."""
        self.again: list[Job] = []
        """Further attempts, in order of time."""
        self.offsets: list[list[int]] = []
        """Of each epoch so far, where the jobs of each scheduler begin."""
        self.before = np.zeros(system.access.scheduler_count, dtype=np.int64)
        """How many jobs each scheduler has met in these epochs."""
        self.offload_probability = np.full((self.epochs, system.access.scheduler_count), np.nan)
        self.queue_length = np.zeros((self.epochs, system.access.server_count), dtype=np.int32)

    def born(self, epoch: int, scheduler: int) -> list[Job]:
        """Return the jobs that a scheduler meets in an epoch, in time order."""
        while epoch >= len(self.offsets):
            self._begin(len(self.offsets))
        offsets = self.offsets[epoch]
        return self.jobs[offsets[scheduler] : offsets[scheduler + 1]]

    def _begin(self, epoch: int) -> None:
        born = self.cursor.jobs(epoch)
        self.offsets.append((born.offsets + len(self.jobs)).tolist())
        works, counts = born.works.copy(), np.diff(born.offsets)
        scheduler = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        number = self.before[scheduler] + np.arange(len(works)) - born.offsets[scheduler]
        marks: tuple[Any, ...] = ()
        if self.system.station.has_marks:
            class_, patience = self.draws.mark_all(scheduler, number, works)
            marks = class_.tolist(), patience.tolist()
        self.before += counts
        columns = scheduler.tolist(), number.tolist(), born.arrival_times.tolist(), works.tolist(), born.coins.tolist()
        self.jobs.extend(map(Job, *columns, *marks))

    def add(self, job: Job) -> None:
        """Add a further attempt of a job."""
        self.again.append(job)

    def job_trace(self) -> JobTrace:
        """Return every job as columns."""
        born = np.diff(np.array(self.offsets), axis=1)
        epoch = np.repeat(np.arange(len(born), dtype=np.int32), born.sum(axis=1))
        jobs = self.jobs
        if self.again:
            times = [job.arrival_time for job in self.again]
            later = np.searchsorted(self.workload.times, times, side="right") - 1
            jobs, epoch = [*jobs, *self.again], np.append(epoch, later.astype(np.int32))
            places, schedulers = ([getattr(job, name) for job in jobs] for name in ("place", "scheduler"))
            order = np.lexsort(np.array([places, schedulers, epoch]))
            jobs, epoch = [jobs[index] for index in order.tolist()], epoch[order]

        def column(name: str, dtype: type) -> Any:
            return np.array([getattr(job, name) for job in jobs], dtype=dtype)

        arrival_time = column("arrival_time", np.float64)
        at_once = self.system.network.dispatch.is_none
        return JobTrace(
            epoch=epoch,
            scheduler=column("scheduler", np.int32),
            server=column("server", np.int32),
            arrival_time=arrival_time,
            reached_time=arrival_time if at_once else column("reached_time", np.float64),
            start_time=column("start_time", np.float64),
            departure_time=column("departure_time", np.float64),
            work=column("work", np.float64),
            queue_length_at_arrival=column("queue_length_at_arrival", np.int32),
            outcome=column("outcome", np.int8),
            class_=column("class_", np.int32),
            attempt=column("attempt", np.int32),
        )

    def episode(
        self,
        *,
        traces: Traces,
        sojourn_times: Sequence[float],
        presence_times: Sequence[float],
        decisions: int,
        mail: Mail,
        ages: Ages,
        records: list[MessageRecord] | None,
        is_chosen: bool,
        service: Service | None,
    ) -> Episode:
        """Close the book: the sums over all nodes, given each server's times, and the traces asked for.

        `is_chosen` says whether a rule chooses for each job, and so has no probability of its own; `service` is what
        stations have done, None of FIFO queues.
        """
        trace = self.job_trace()
        epoch = reached_epoch(trace, self.workload.times)
        counts = np.bincount(trace.outcome, minlength=len(OUTCOMES))
        dropped = epoch[trace.outcome == DROPPED]
        totals = Totals(
            arrivals=len(trace.epoch),
            completions=int(counts[COMPLETED]),
            drops=int(counts[DROPPED]),
            in_system=int(counts[IN_SYSTEM]),
            drops_by_epoch=np.bincount(dropped, minlength=self.epochs),
            sojourn_time=float(np.sum(sojourn_times)),
            presence_time=float(np.sum(presence_times)),
            decisions=decisions,
            mail=mail,
            ages=ages,
            fingerprint=int(
                fingerprint_of(trace.server, trace.outcome, trace.arrival_time, trace.start_time, trace.departure_time)
            ),
            refused=int(counts[REFUSED]),
            lost=int(counts[LOST_JOB]),
            gave_up=int(counts[GAVE_UP]),
            retries=int((trace.attempt > 0).sum()),
        )
        return Episode(
            engine="simpy",
            totals=totals,
            **self._accounts(trace, epoch, totals, traces, service),
            jobs=trace if traces.jobs else None,
            epochs=self._epoch_trace(trace, epoch, is_chosen) if traces.epochs else None,
            messages=records,
        )

    def _accounts(
        self, jobs: JobTrace, epoch: NDArray[np.int32], totals: Totals, traces: Traces, service: Service | None
    ) -> dict[str, Any]:
        """Return what is counted beside the sums, by the names in `Episode`."""
        system, servers, horizon = self.system, self.system.servers, float(self.system.horizon)
        place = epoch.astype(np.int64) * servers + jobs.server
        by_server = np.bincount(place[epoch >= 0], minlength=self.epochs * servers).reshape(self.epochs, servers)
        received = Received(by_server.sum(axis=1), (by_server**2).sum(axis=1))
        if traces.nodes or system.measuring.needs_census:
            census = Census(system)
            census.add(jobs, horizon)
            return census.accounts(self.workload.times[:-1], totals.drops_by_epoch, received, service)
        sojourn_times = (jobs.departure_time - jobs.arrival_time)[jobs.outcome == COMPLETED]
        counts, per_ms = counts_of(sojourn_times), scale_of(system)
        if service is None:
            ends = np.where(np.isnan(jobs.departure_time), horizon, jobs.departure_time)
            times = tick_sum(jobs.start_time, ends, per_ms) / per_ms, 0.0
        else:
            times = int(service.times.busy.sum()) / per_ms, int(service.times.down.sum()) / per_ms
        return {"account": usual_account(system, totals, counts, received, *times)}

    def _epoch_trace(self, jobs: JobTrace, epoch: NDArray[np.int32], is_chosen: bool) -> EpochTrace:
        offload_probability = self.offload_probability
        if is_chosen:
            offload_probability = share_elsewhere(jobs, self.system.access, offload_probability.shape)
        return epoch_trace(self.queue_length, offload_probability, epoch, jobs.server, jobs.outcome)
