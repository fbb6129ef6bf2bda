"""The engine for size: the SimPy engine's episodes to the last bit, window by window instead of event by event.

Only queue lengths cross at an epoch's start. So an epoch is: look at the queues, ask the dispatcher, and then for each
window of the epoch draw and route all jobs, group them by server, and let each server take its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import numpy as np
from numba import njit, typeof
from numpy.typing import NDArray

from dispatchers.contract import Dispatcher, JobView, PerJobDispatcher, name_of
from dispatchers.errors import DispatcherError
from emulator.engines.compiled import kernels, rules
from emulator.engines.compiled.decisions import Decisions
from emulator.engines.decisions import EpochDraws
from emulator.engines.episode import DROPPED, Episode, EpochTrace, JobTrace, Totals
from emulator.machine.compiling import is_ours
from emulator.model.system import System
from emulator.workload.workload import Workload

WINDOW_JOBS = 4.0
"""Expected jobs of a scheduler in a window, which is what is kept of an epoch at a time: it bounds the memory."""

SMALLEST_WINDOW = 100_000
"""Expected jobs of all schedulers that are worth a window of their own, whatever that is for each."""


class CompiledEngine:
    """Emulates episodes of one system under one dispatcher; keeps the dispatcher's answers from one to the next.

    `threads` share the work of each window; the results are the same for any number.
    """

    def __init__(self, system: System, dispatcher: Dispatcher, threads: int = 1):
        self.system = system
        self.dispatcher = dispatcher
        self.decisions = Decisions(dispatcher, system)
        self.graph = kernels.Graph(system.access_offsets, system.access)
        self.threads = max(1, min(threads, system.nodes))
        self._bounds = np.linspace(0, system.nodes, self.threads + 1).astype(np.int64)
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None
        self.draw = kernels.draw if is_ours(system.arrivals, system.work) else kernels.draw_for_users
        self.chosen: Any = None
        """What makes the kernels' rule of a per-job dispatcher."""
        if isinstance(dispatcher, PerJobDispatcher):
            self.chosen = rules.BUILT_IN.get(dispatcher.choose)
            if self.chosen is None:
                self.draw = kernels.draw_for_users
                self.chosen = partial(rules.ChosenByUser, choose=_compiled_choice(dispatcher.choose))

    def run_episode(
        self,
        workload: Workload,
        *,
        jobs: bool = False,
        epochs: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> Episode:
        """Emulate one episode and return its sums, and the traces asked for, as the SimPy engine does."""
        run = _Run(self, workload, jobs, epochs)
        job_parts, epoch_parts = zip(*run.parts(progress), strict=True)
        return Episode(
            engine="compiled",
            totals=run.totals(),
            jobs=_joined(job_parts) if jobs else None,
            epochs=_joined(epoch_parts) if epochs else None,
        )

    def job_parts(self, workload: Workload) -> Iterator[JobTrace]:
        """Emulate one episode and yield the jobs of each epoch, each gone before the next."""
        for jobs, _ in _Run(self, workload, jobs=True, epochs=False).parts():
            assert jobs is not None
            yield jobs

    def epoch_parts(self, workload: Workload) -> Iterator[EpochTrace]:
        """Emulate one episode and yield what every node saw in each epoch, each gone before the next."""
        for _, epoch in _Run(self, workload, jobs=False, epochs=True).parts():
            assert epoch is not None
            yield epoch

    def each_part(self, work: Callable[[int, int, int], Any]) -> list[Any]:
        """Return what `work(part, first, last)` returns for each thread's part of the nodes."""
        first, last = self._bounds[:-1], self._bounds[1:]
        return list((self._pool.map if self._pool else map)(work, range(self.threads), first, last))


@cache
def _compiled_choice(choose: Callable[[JobView], int]) -> Any:
    return njit(error_model="numpy")(choose)


def obstacle_to(dispatcher: Dispatcher) -> str | None:
    """Return why the compiled engine cannot run a dispatcher, None if it can: all but some users' per-job rules."""
    if not isinstance(dispatcher, PerJobDispatcher) or dispatcher.choose in rules.BUILT_IN:
        return None
    job = JobView(np.zeros((1, 1)), np.zeros(1, np.int64), np.zeros(1, np.int64), 0, 0.0, 0.0)
    try:
        _compiled_choice(dispatcher.choose).compile((typeof(job),))
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = next((line for line in lines if not line.startswith("Failed in")), type(error).__name__)
        return f"numba cannot compile its choose: {told}"
    return None


class _Run:
    """One episode on its way."""

    def __init__(self, engine: CompiledEngine, workload: Workload, jobs: bool, epochs: bool):
        system = engine.system
        nodes = system.nodes
        self.engine = engine
        self.system = system
        self.workload = workload
        self.is_traced = jobs or epochs
        self.wants = jobs, epochs
        self.streams = kernels.Streams(np.empty(nodes), np.empty(nodes, dtype=np.int32))
        self.servers = kernels.Servers(
            np.full((nodes, system.buffer), -np.inf),
            np.zeros(nodes, dtype=np.int32),
            system.service_rates,
            np.zeros(nodes),
            np.zeros(nodes),
        )
        self.lengths = np.zeros(nodes, dtype=np.int32)
        self.carried = engine.decisions.at_start()
        self.counts = np.zeros((engine.threads, nodes), dtype=np.int32)
        self.starts = np.zeros(nodes + 1, dtype=np.int32)
        self.sent = np.zeros(len(system.access) if isinstance(engine.dispatcher, PerJobDispatcher) else 0, np.int64)
        self.expected_jobs = workload.arrival_rates * np.diff(workload.times)
        """Of a scheduler in each epoch."""
        self.windows = np.ceil(self.expected_jobs / max(WINDOW_JOBS, SMALLEST_WINDOW / nodes))
        """In each epoch; none where nothing arrives."""
        self.records, self.places = self._room()
        self.drops_by_epoch = np.zeros(workload.epochs, dtype=np.int64)
        self.arrivals = self.completions = self.fingerprint = 0

    def parts(
        self, progress: Callable[[float], None] | None = None
    ) -> Iterator[tuple[JobTrace | None, EpochTrace | None]]:
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
            messages=self._messages(),
            fingerprint=self.fingerprint,
        )

    def _messages(self) -> int:
        each_epoch = len(self.system.access)
        if self.engine.dispatcher.observes == "all":
            each_epoch += 2 * self.system.nodes  # to the monitor and from it
        return each_epoch * self.workload.epochs

    def _run_epoch(self, epoch: int) -> tuple[JobTrace | None, EpochTrace | None]:
        start = self.workload.times[epoch]
        self.engine.each_part(
            lambda part, first, last: kernels.queue_lengths(self.servers.departures, start, self.lengths, first, last)
        )
        rule = self._decide(EpochDraws(self.workload, epoch))
        rows = [_empty_rows(0)]
        self.streams.number[:] = 0
        for window in self._windows(epoch):
            rows.append(self._run_window(window, rule))
        jobs, epochs = self.wants
        return (
            _in_job_order(epoch, rows, self.streams.number) if jobs else None,
            self._epoch_trace(rule, rows) if epochs else None,
        )

    def _decide(self, draws: EpochDraws) -> Any:
        """Return the rule of an epoch as the kernels take it."""
        decisions, dispatcher = self.engine.decisions, self.engine.dispatcher
        decisions.decide(self.lengths, draws, self.carried)
        if isinstance(dispatcher, PerJobDispatcher):
            self.sent[:] = 0
            return self.engine.chosen(decisions.answers, decisions.row, draws.orders, self.sent)
        if dispatcher.draws == "epoch":
            columns = np.empty(self.system.nodes, dtype=np.int32)
            kernels.fixed_columns(decisions.answers, decisions.row, draws.coins, columns)
            return rules.Fixed(columns)
        return rules.Drawn(decisions.answers, decisions.row)

    def _windows(self, epoch: int) -> Iterator[kernels.Window]:
        source, (start, end) = self.workload.source(epoch), self.workload.times[epoch : epoch + 2]
        count = int(self.windows[epoch])
        for number in range(count):
            yield kernels.Window(
                source,
                float(start),
                float(end if number + 1 == count else start + (end - start) * (number + 1) / count),
                number == 0,
            )

    def _run_window(self, window: kernels.Window, rule: Any) -> Any:
        """Draw and serve the jobs of a window; return their rows if jobs are traced."""
        engine, system = self.engine, self.system
        totals = engine.each_part(
            lambda part, first, last: engine.draw(
                rule, window, engine.graph, self.streams, self.records, self.counts, part, first, last
            )
        )
        self._check(totals)
        kernels.offsets_of(self.counts, self.starts)
        total = int(self.starts[-1])
        places = self.places[:total]
        drawn = np.array(totals)
        rows = _empty_rows(total) if self.is_traced else None

        def serve(part: int, first: int, last: int) -> tuple[int, int, int]:
            largest = kernels.group(self.counts, drawn, self.records, self.starts, places, first, last)
            return kernels.serve(
                self.servers,
                self.records,
                self.starts,
                places,
                largest,
                float(system.horizon),
                rows,
                first,
                last,
            )

        for dropped, completed, fingerprint in engine.each_part(serve):
            self.drops_by_epoch[window.source.epoch] += dropped
            self.completions += completed
            self.fingerprint = (self.fingerprint + int(fingerprint)) % 2**64
        self.arrivals += total
        return rows

    def _room(self) -> tuple[kernels.Records, NDArray[np.int32]]:
        """Return room for the jobs of any window of the episode."""
        threads = self.engine.threads
        each = float(np.max(self.expected_jobs / np.maximum(self.windows, 1))) * (self.system.nodes / threads + 1)
        room = int(each + 12.0 * math.sqrt(each) + 2 * kernels.BLOCK)
        traced = (threads, room) if self.is_traced else (0, 0)
        records = kernels.Records(
            np.empty((threads, room)),
            np.empty((threads, room)),
            np.empty((threads, room), dtype=np.int32),
            np.empty(traced, dtype=np.int32),
            np.empty(traced, dtype=np.int32),
        )
        return records, np.empty(threads * room, dtype=np.int32)

    def _check(self, totals: list[int]) -> None:
        if kernels.WRONG_COLUMN in totals:
            raise DispatcherError(
                f"{name_of(self.engine.dispatcher)}: choose must return a column of an accessible server; "
                "engine simpy says what it returned"
            )
        if kernels.NO_ROOM in totals:
            raise RuntimeError("more jobs in a window than twelve standard deviations above their mean")

    def _epoch_trace(self, rule: Any, rows: list[kernels.JobRows]) -> EpochTrace:
        server = np.concatenate([row.server for row in rows])
        dropped = np.concatenate([row.outcome for row in rows]) == DROPPED

        def counted(servers: NDArray[np.int32]) -> NDArray[np.int32]:
            return np.bincount(servers, minlength=self.system.nodes).astype(np.int32)[None, :]

        return EpochTrace(
            queue_length=self.lengths.copy()[None, :],
            arrivals=counted(server),
            drops=counted(server[dropped]),
            offload_probability=self._offload_probability(rule)[None, :],
        )

    def _offload_probability(self, rule: Any) -> NDArray[np.float64]:
        if isinstance(rule, rules.Drawn):
            return 1.0 - rule.cumulative[rule.row, 0]
        if isinstance(rule, rules.Fixed):
            return (rule.column != 0).astype(np.float64)
        number = self.streams.number
        kept = rule.sent[self.system.access_offsets[:-1]]
        share = np.full(len(number), np.nan)
        np.divide(kept, number, out=share, where=number > 0)
        return 1.0 - share


def _empty_rows(count: int) -> kernels.JobRows:
    whole, real = np.int32, np.float64
    columns: list[Any] = [whole, whole, whole, real, real, real, real, whole, np.int8]
    return kernels.JobRows(*(np.empty(count, dtype=dtype) for dtype in columns))


def _in_job_order(epoch: int, rows: list[kernels.JobRows], born: NDArray[np.int32]) -> JobTrace:
    """Return an epoch's jobs by scheduler and then time, given how many were born at each scheduler."""
    columns = {name: np.concatenate([getattr(row, name) for row in rows]) for name in kernels.JobRows._fields}
    first = np.cumsum(born, dtype=np.int64) - born
    place = first[columns["scheduler"]] + columns.pop("number")
    ordered = {}
    for name, column in columns.items():
        ordered[name] = np.empty_like(column)
        ordered[name][place] = column
    return JobTrace(epoch=np.full(len(place), epoch, dtype=np.int32), **ordered)


def _joined(parts: Sequence[Any]) -> Any:
    """Return the traces of several epochs as one."""
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])}
    return type(parts[0])(**columns)
