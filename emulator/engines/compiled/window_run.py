"""Windows: what is kept of an epoch at a time, and the episode of FIFO queues that goes through them.

Only queue lengths cross at an epoch's start. So an epoch is: look at the queues, ask the dispatcher, and then for each
window of the epoch draw and route all jobs, group them by server, and let each server take its own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatchers.choice import Chosen, Drawn, Fixed
from dispatchers.contract import Dispatcher, PerJobDispatcher
from emulator.engines.account import Account, Received
from emulator.engines.census import Census, usual_account
from emulator.engines.compiled import fifo, lanes, routing, rules
from emulator.engines.compiled.filling import Filling
from emulator.engines.compiled.in_parts import EngineInParts
from emulator.engines.compiled.numbering import AllAtOnce
from emulator.engines.compiled.rows import JobRows, empty_rows, in_job_order
from emulator.engines.engine import Part
from emulator.engines.episode import EpochTrace, Totals, Traces, epoch_trace
from emulator.engines.histogram import PLACES
from emulator.engines.news import STATE_BYTES, Ages, Mail, age_over, ages_of, distribution_bytes
from emulator.engines.observations import EpochDraws
from emulator.engines.service import Service, scale_of
from emulator.machine.compiling import is_ours
from emulator.model.system import System
from emulator.workload import drawing
from emulator.workload.workload import Workload

WINDOW_JOBS = 4.0
"""Expected jobs of a scheduler in a window, which is what is kept of an epoch at a time: it bounds the memory."""

SMALLEST_WINDOW = 100_000
"""Expected jobs of all schedulers that are worth a window of their own, whatever that is for each."""


class Windows(EngineInParts):
    """Emulates episodes of one system under one dispatcher; keeps the dispatcher's answers from one to the next.

    `threads` share the work of each window; the results are the same for any number.
    """

    name = "compiled"

    def __init__(self, system: System, dispatcher: Dispatcher, threads: int = 1):
        self.system = system
        self.dispatcher = dispatcher
        self.observations = AllAtOnce(dispatcher, system)
        self.access = routing.Entries(system.access.offsets, system.access.servers, system.access.has_own)
        self.threads = max(1, min(threads, system.access.scheduler_count))
        self.lanes = [lanes.lanes(system.buffer) for _ in range(self.threads)]
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None
        self.chosen: Any = None
        """What makes the rule values of a per-job dispatcher."""
        if isinstance(dispatcher, PerJobDispatcher):
            kind = rules.kind_of(dispatcher.choose)
            self.chosen = partial(kind, choose=rules.compiled_choice(dispatcher.choose) if kind is Chosen else None)
        self.draw, self.send = self._loops()

    def _loops(self) -> tuple[Any, Any]:
        """Return the loops over jobs for this dispatcher, the first one for these laws, too."""
        is_kept = getattr(self.chosen, "func", None) is not Chosen
        is_counted = self.chosen is not None and not is_ours(self.dispatcher)
        send = routing.send_counting if is_counted else routing.send
        draw = routing.draw_counting if is_counted else routing.draw
        is_all_kept = is_kept and is_ours(self.system.arrivals, self.system.work)
        return draw if is_all_kept else routing.draw_for_users, send if is_kept else routing.send_for_users

    def each_part(self, count: int, work: Callable[[int, int, int], Any]) -> list[Any]:
        """Return what `work(part, first, last)` returns for each thread's part of so many schedulers or servers."""
        bounds = [count * part // self.threads for part in range(self.threads + 1)]
        return list((self._pool.map if self._pool else map)(work, range(self.threads), bounds[:-1], bounds[1:]))


class Run:
    """One episode on its way."""

    def __init__(self, engine: Windows, workload: Workload, traces: Traces):
        system, access = engine.system, engine.system.access
        self.engine = engine
        self.system = system
        self.workload = workload
        self.traces = traces
        self.census = Census(system) if traces.nodes or system.measuring.needs_census else None
        self.keeps_rows = traces.jobs or traces.epochs
        self.is_traced = self.keeps_rows or self.census is not None
        self.schedulers, self.server_count = access.scheduler_count, access.server_count
        self.cursor = workload.cursor(engine.threads)
        self.servers = fifo.Servers(
            np.full((self.server_count, system.buffer), -np.inf),
            np.zeros(self.server_count, dtype=np.int32),
            system.service_rates,
            np.zeros(self.server_count),
            np.zeros(self.server_count),
        )
        self.lengths = np.zeros(self.server_count, dtype=np.int32)
        self.carried = engine.observations.at_start()
        entries = len(access.servers) if isinstance(engine.dispatcher, PerJobDispatcher) else 0
        self.sent = np.zeros(entries, dtype=np.int64)
        self.windows = np.ceil(workload.expected_jobs / max(WINDOW_JOBS, SMALLEST_WINDOW / self.schedulers))
        """In each epoch; none where nothing arrives."""
        if not self.cursor.is_by_epoch:
            self.windows = np.maximum(self.windows, 1)
        self.filling = Filling(engine, self.cursor, self._room(), is_numbered=self.numbers_jobs)
        self.starts = np.zeros(self.server_count + 1, dtype=np.int32)
        self.most_others = int(access.others.max())
        self.drops_by_epoch = np.zeros(workload.epochs, dtype=np.int64)
        self.received = Received(*np.zeros((2, workload.epochs), dtype=np.int64))
        self.received_now = np.zeros(self.server_count, dtype=np.int32)
        """Of each server in the present epoch."""
        self.arrivals = self.completions = self.fingerprint = self.busy = 0
        self.per_ms = per_ms = scale_of(system)
        self.sojourn_counts = np.zeros((engine.threads, PLACES + 1), dtype=np.int64)
        self.books = [lanes.Book(float(system.horizon), per_ms, counts) for counts in self.sojourn_counts]

    @property
    def numbers_jobs(self) -> bool:
        """Whether the numbers of jobs are kept."""
        return self.is_traced

    def parts(self, progress: Callable[[float], None] | None = None) -> Iterator[Part]:
        """Run epoch by epoch and yield the traces of each that are wanted."""
        for epoch in range(self.workload.epochs):
            if progress is not None:
                progress(self.workload.times[epoch])
            yield self._run_epoch(epoch)
        if progress is not None:
            progress(self.system.horizon)

    def totals(self) -> Totals:
        """Return the sums, when all epochs have been run."""
        sojourn, waiting = self.servers.sojourn_time, self.servers.waiting_time
        drops = int(self.drops_by_epoch.sum())
        return Totals(
            arrivals=self.arrivals,
            completions=self.completions,
            drops=drops,
            in_system=self.arrivals - self.completions - drops,
            drops_by_epoch=self.drops_by_epoch,
            sojourn_time=float(np.sum(sojourn)),
            presence_time=float(np.sum(sojourn + waiting)),
            decisions=self.workload.epochs * self.schedulers,
            mail=self._mail(),
            ages=self._ages(),
            fingerprint=self.fingerprint,
        )

    def accounts(self, totals: Totals) -> dict[str, Any]:
        """Return what is counted beside the sums, by the names in `Episode`."""
        if self.census is not None:
            return self.census.accounts(self.workload.times[:-1], self.drops_by_epoch, self.received, self.service())
        return {"account": self.account(totals)}

    def service(self) -> Service | None:
        """Return what stations have done, None of FIFO queues."""
        return None

    def account(self, totals: Totals) -> Account:
        """Return the account of the whole episode, of which no census was taken."""
        counts = self.sojourn_counts[:, :PLACES].sum(axis=0)
        return usual_account(self.system, totals, counts, self.received, self.busy / self.per_ms)

    def _mail(self) -> Mail:
        """Return the messages, which all arrive."""
        states, distributions = len(self.system.access.servers), 0
        if self.engine.observations.is_global:
            states, distributions = states + self.server_count, self.schedulers  # to the monitor and from it
        bytes_sent = states * STATE_BYTES + distributions * distribution_bytes(self.system.buffer)
        messages, bytes_sent = ((states + distributions) * self.workload.epochs, bytes_sent * self.workload.epochs)
        return Mail(sent=messages, received=messages, bytes_sent=bytes_sent)

    def _ages(self) -> Ages:
        """Return how old what schedulers know is: the news of each epoch's start until its end."""
        others, epochs = self.system.access.others, self.workload.epochs
        each = np.arange(self.most_others + 1)  # the same for all schedulers that have so many others
        over_time, at_decisions = np.zeros(len(each)), np.zeros(len(each))
        for start, end in itertools.pairwise(self.workload.times.tolist()):
            sampled = self._sampled(start)
            over_time += age_over(each, sampled, start, end)
            at_decisions += each * start - sampled
        jobs, age = self.cursor.jobs_so_far, self.filling.streams.age
        decisions, horizon = np.full(self.schedulers, epochs), self.system.horizon
        return ages_of(others, horizon, over_time[others], decisions, at_decisions[others], jobs, age)

    def _sampled(self, time: float) -> NDArray[np.float64]:
        """Return the sum of no, one, two and more times of a sample, for as many as a scheduler has others."""
        sums: NDArray[np.float64] = routing.repeated_sums(time, self.most_others)
        return sums

    def _look(self, epoch: int) -> None:
        """Note how long the queues are that schedulers hear of at an epoch's start."""
        start = self.workload.times[epoch]
        self.engine.each_part(
            self.server_count,
            lambda part, first, last: fifo.queue_lengths(self.servers.departures, start, self.lengths, first, last),
        )

    def _run_epoch(self, epoch: int) -> Part:
        self._look(epoch)
        rule = self._decide(EpochDraws(self.workload, epoch))
        self.cursor.begin(epoch)
        rows = [empty_rows(0)]
        for begin, window in self._windows(epoch):
            rows += self._run_window(epoch, begin, window, rule)
        return self._traces(epoch, rule, rows)

    def _traces(self, epoch: int, rule: Any, rows: list[Any]) -> Part:
        """Return the traces of an epoch that are wanted."""
        return (
            in_job_order(epoch, rows, self.cursor.number) if self.traces.jobs else None,
            self._epoch_trace(rule, rows) if self.traces.epochs else None,
        )

    def _decide(self, draws: EpochDraws) -> Any:
        """Return the rule of an epoch as the kernels take it."""
        observations, dispatcher = self.engine.observations, self.engine.dispatcher
        observations.decide(self.lengths, draws, self.carried)
        if isinstance(dispatcher, PerJobDispatcher):
            self.sent[:] = 0
            return self.engine.chosen(observations.answers, observations.start, draws.orders, self.sent)
        if dispatcher.draws == "epoch":
            columns = np.empty(self.schedulers, dtype=np.int32)
            routing.fixed_columns(
                observations.answers, observations.start, self.engine.access.offsets, draws.coins, columns
            )
            return Fixed(columns)
        return Drawn(observations.answers, observations.start)

    def _windows(self, epoch: int) -> Iterator[tuple[float, routing.Window]]:
        """Yield the windows of an epoch and when each begins."""
        start, end = (float(time) for time in self.workload.times[epoch : epoch + 2])
        source = self.cursor.source if self.cursor.is_by_epoch else None
        count, sampled, begin = int(self.windows[epoch]), self._sampled(start), start
        for number in range(1, count + 1):
            stop = end if number == count else start + (end - start) * number / count
            yield begin, routing.Window(source, start, stop, sampled)
            begin = stop

    def _run_window(self, epoch: int, begin: float, window: routing.Window, rule: Any) -> Iterator[Any]:
        """Draw and serve the jobs of a window, part by part; yield their rows if jobs are traced."""
        while begin < window.end:
            is_first = begin == window.epoch_start
            begin = self.filling.fill(rule, window, begin)
            squares = fifo.offsets_of(self.filling.counts, self.starts, self.received_now, is_first)
            self.received.squares[epoch] = squares
            self.received.jobs[epoch] += self.starts[-1]
            yield self._serve(epoch, begin)

    def _serve(self, epoch: int, until: float) -> Any:
        """Let the servers take the jobs that have been drawn, those before `until`; return their rows if traced."""
        total = int(self.starts[-1])
        rows = empty_rows(total) if self.is_traced else None
        served = self.engine.each_part(self.server_count, self._serving(rows))
        for dropped, completed, fingerprint, busy in served:
            self.drops_by_epoch[epoch] += dropped
            self.completions += completed
            self.busy += busy
            self.fingerprint = (self.fingerprint + int(fingerprint)) % 2**64
        self.arrivals += total
        if self.census is not None:
            self.census.add(rows, until)
        return rows if self.keeps_rows else None

    def _serving(self, rows: JobRows | None) -> Callable[[int, int, int], tuple[int, int, int, int]]:
        """Return what lets a part of the servers take their jobs."""
        engine, filling, starts = self.engine, self.filling, self.starts
        records, jobs, counts, filled = filling.records, filling.jobs, filling.counts, np.array(filling.filled)

        def serve(part: int, first: int, last: int) -> tuple[int, int, int, int]:
            fifo.group(counts, filled, records, starts, jobs, first, last)
            room, book = engine.lanes[part], self.books[part]
            return fifo.serve(self.servers, records, starts, jobs, room, book, rows, first, last)

        return serve

    def _room(self) -> int:
        """Return for how many jobs a thread has room at first: those of any window of the episode, most often."""
        expected = float(np.max(self.workload.expected_jobs / np.maximum(self.windows, 1)))
        each = expected * (self.schedulers / self.engine.threads + 1)
        return int(each + 12.0 * math.sqrt(each) + 2 * drawing.BLOCK)

    def _epoch_trace(self, rule: Any, rows: list[JobRows]) -> EpochTrace:
        server = np.concatenate([row.server for row in rows])
        return epoch_trace(
            self.lengths.copy()[None, :],
            self._offload_probability(rule)[None, :],
            np.zeros(len(server), dtype=np.int32),
            server,
            np.concatenate([row.outcome for row in rows]),
        )

    def _offload_probability(self, rule: Any) -> NDArray[np.float64]:
        if not self.system.access.has_own:
            return np.full(self.schedulers, np.nan)
        if isinstance(rule, Drawn):
            return 1.0 - rule.cumulative[rule.start]
        if isinstance(rule, Fixed):
            return (rule.chosen != 0).astype(np.float64)
        number = self.cursor.number
        kept = rule.sent[self.system.access.offsets[:-1]]
        share = np.full(len(number), np.nan)
        np.divide(kept, number, out=share, where=number > 0)
        return 1.0 - share
