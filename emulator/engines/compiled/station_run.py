"""One episode of the windows in which stations serve: each takes its jobs of a window in order of time.

What becomes of a job can be known much later than it came. So traces are kept until the episode is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.engines.account import Account
from emulator.engines.compiled import fates, fifo
from emulator.engines.compiled.nodes import Nodes
from emulator.engines.compiled.station import NOBODY, take_in
from emulator.engines.compiled.window_run import Run, Windows
from emulator.engines.engine import Part
from emulator.engines.episode import GONE, JobTrace, Totals, Traces, epoch_trace
from emulator.engines.service import Service
from emulator.machine.compiling import compiled
from emulator.workload.workload import Workload

Indices = NDArray[np.int32]
Floats = NDArray[np.float64]


class StationRun(Run):
    """One episode on its way."""

    def __init__(self, engine: Windows, workload: Workload, traces: Traces):
        super().__init__(engine, workload, traces)
        self.nodes = Nodes(
            self.system,
            workload.replication,
            is_traced=self.is_traced,
            each_part=engine.each_part,
            threads=engine.threads,
        )
        self.rows, self.traced = fates.empty_rows(0), 0
        """The jobs that are traced, and how many there are."""
        self.lengths_by_epoch: list[Indices] = []
        self.offload_probability: list[Floats] = []

    @property
    def numbers_jobs(self) -> bool:
        """See `Run.numbers_jobs`: marks are drawn by number."""
        return self.is_traced or self.system.station.has_marks

    def parts(self, progress: Callable[[float], None] | None = None) -> Iterator[Part]:
        """Run epoch by epoch and yield all traces at the end."""
        for _ in super().parts(progress):
            pass
        self.nodes.close()
        yield self._whole()

    def totals(self) -> Totals:
        """See `Run.totals`."""
        sums = self.nodes.sums()
        gone = sum(sums[name] for name in GONE)
        return Totals(
            arrivals=self.arrivals,
            in_system=self.arrivals - gone,
            drops_by_epoch=self.drops_by_epoch,
            decisions=self.workload.epochs * self.schedulers,
            mail=self._mail(),
            ages=self._ages(),
            fingerprint=self.nodes.fingerprint(),
            **sums,
        )

    def service(self) -> Service:
        """See `Run.service`."""
        return self.nodes.service()

    def account(self, totals: Totals) -> Account:
        """See `Run.account`."""
        return self.nodes.account(self.system, totals, self.received)

    def _look(self, epoch: int) -> None:
        start, end = (float(time) for time in self.workload.times[epoch : epoch + 2])
        self.nodes.begin(start, end)
        self.lengths = self.nodes.told

    def _traces(self, epoch: int, rule: Any, rows: list[Any]) -> Part:
        """Keep what is seen of an epoch now, and count its drops."""
        self.drops_by_epoch[epoch] = self.nodes.count("dropped") - self.drops_by_epoch[:epoch].sum()
        if self.traces.epochs:
            self.lengths_by_epoch.append(self.nodes.lengths.copy())
            self.offload_probability.append(self._offload_probability(rule))
        return None, None

    def _serve(self, epoch: int, until: float) -> None:
        """Let all stations take the jobs that have been drawn."""
        filling, total, starts = self.filling, int(self.starts[-1]), self.starts
        records, jobs, filled = filling.records, filling.jobs, np.array(filling.filled)
        class_, priority, patience = self._marks()
        if self.is_traced:
            self.nodes.make_room(self.traced + total)

        def serve(part: int, first: int, last: int) -> None:
            fifo.group(filling.counts, filled, records, starts, jobs, first, last)
            _serve(self.nodes.of(part), records, priority, patience, starts, jobs, self.traced, first, last)

        self.engine.each_part(self.server_count, serve)
        self.arrivals += total
        if self.is_traced:
            self._note(epoch, class_)

    def _note(self, epoch: int, class_: Indices) -> None:
        """Write down what is known of a window's jobs beforehand."""
        total, records, jobs = int(self.starts[-1]), self.filling.records, self.filling.jobs
        if self.traced + total > len(self.rows.server):
            self.rows = fates.longer(self.rows, self.traced, 2 * (self.traced + total))
        here, whose, rows = slice(self.traced, self.traced + total), jobs.place[:total], self.rows
        rows.scheduler[here], rows.number[here] = records.scheduler.ravel()[whose], records.number.ravel()[whose]
        rows.epoch[here], rows.server[here] = epoch, np.repeat(np.arange(self.server_count), np.diff(self.starts))
        rows.arrival_time[here], rows.work[here] = jobs.arrival_time[:total], jobs.work[:total]
        rows.class_[here] = class_[whose] if len(class_) else 0
        self.traced += total

    def _marks(self) -> tuple[Indices, Indices, Floats]:
        """Return class, priority and patience of the jobs in the records, or nothing if none are drawn."""
        records, filled = self.filling.records, self.filling.filled
        if not self.system.station.has_marks:
            return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32), np.empty(0)
        class_, priority = np.empty((2, *records.work.shape), dtype=np.int32)
        patience = np.empty(records.work.shape)

        def mark(part: int, *_: int) -> None:
            here = part, slice(filled[part])
            scheduler = records.scheduler[here]
            number = self.cursor.before[scheduler] + records.number[here]
            class_[here], priority[here], patience[here] = self.nodes.marks(scheduler, number, records.work[here])

        self.engine.each_part(len(filled), mark)
        return class_.ravel(), priority.ravel(), patience.ravel()

    def _whole(self) -> Part:
        """Return the traces of the episode."""
        if not self.is_traced:
            return None, None
        rows = self.rows._replace(**self.nodes.fates(self.traced))
        if self.census is not None:
            self.census.add(fates.first(rows, self.traced), float(self.system.horizon))
        if not self.keeps_rows:
            return None, None
        jobs: JobTrace = fates.in_job_order(rows, self.traced, at_once=True)
        epochs = None
        if self.traces.epochs:
            queue_length, probability = np.array(self.lengths_by_epoch), np.array(self.offload_probability)
            epochs = epoch_trace(queue_length, probability, jobs.epoch, jobs.server, jobs.outcome)
        return jobs if self.traces.jobs else None, epochs


@compiled(nogil=True, error_model="numpy")
def _serve(stations, records, priority, patience, starts, jobs, first_row, first, last):  # type: ignore[no-untyped-def]
    """Let the stations `first` to `last` - 1 take their jobs, which are traced from `first_row` on."""
    schedulers = records.scheduler.reshape(-1)
    for server in range(first, last):
        begin, end = starts[server], starts[server + 1]
        time, work, place = jobs.arrival_time[begin:end], jobs.work[begin:end], jobs.place[begin:end]
        fifo.sort(time, work, place, schedulers)
        for i in range(len(time)):
            rank, ready = np.int64(0), np.inf
            if len(priority) > 0:
                rank, ready = np.int64(priority[place[i]]), patience[place[i]]
            take_in(stations, server, time[i], time[i], work[i], first_row + begin + i, rank, ready, NOBODY, False)
