"""A census of jobs: what is counted on request, from the columns of their trace, by one function for all engines.

A scenario asks for it by `warmup`, `batches`, `measures: all` or `trace: {nodes: ...}`. All sums are whole numbers, so
that jobs may come in any order and in any parts. A job counts when its fate is known. Times in ms.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.engines.account import Account, BySchedulers, NodeTrace, Received
from emulator.engines.episode import COMPLETED, DROPPED, IN_SYSTEM, OUTCOMES, Totals
from emulator.engines.histogram import PLACES, place_of
from emulator.engines.service import Service, Times, new_times, spend, ticks_of
from emulator.engines.ticks import tick_at
from emulator.machine.compiling import compiled
from emulator.model.system import System

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

BY_OUTCOME = ("completions", "drops", "in_system", "refused", "lost", "gave_up")
"""What jobs are called by their outcomes, in the order of these."""

kernel = compiled(nogil=True, error_model="numpy")


class Sheets(NamedTuple):
    """What is counted; parts are the batches, or the one span after the warm-up."""

    bounds: Floats
    """Where the parts begin, and the horizon."""
    outcomes: Integers
    """Parts x outcomes."""
    sojourn_ticks: Integers
    """Of the completed jobs of each part, as are the three following."""
    waiting_ticks: Integers
    sojourn_counts: Integers
    waiting_counts: Integers
    reached: Integers
    """Of each server, as are the four following."""
    dropped: Integers
    presence: Integers
    """In ticks, the time at each length, times the length."""
    busy: Integers
    """In ticks."""
    length: Integers
    """At the time up to which jobs are known."""
    jobs: Integers
    """Of each scheduler, as are the three following."""
    lost: Integers
    completed: Integers
    scheduler_ticks: Integers
    """Sojourn times of its completed jobs."""


@kernel
def _part_at(bounds, time):  # type: ignore[no-untyped-def]
    """Return in which part a time lies, -1 if in none."""
    parts = len(bounds) - 1
    if not bounds[0] <= time:
        return -1
    part = min(int((time - bounds[0]) / (bounds[parts] - bounds[0]) * parts), parts - 1)
    while part > 0 and time < bounds[part]:
        part -= 1
    while part + 1 < parts and time >= bounds[part + 1]:
        part += 1
    return part


@kernel
def _note_fates(sheets, per_ms, server, scheduler, arrival, reached, start, departure, outcome):  # type: ignore[no-untyped-def]
    """Count jobs by what became of them."""
    for job in range(len(server)):
        here, fate = server[job], outcome[job]
        if reached[job] >= sheets.bounds[0]:
            sheets.reached[here] += 1
            sheets.dropped[here] += fate == DROPPED
        part = _part_at(sheets.bounds, arrival[job])
        if part < 0:
            continue
        sheets.outcomes[part, fate] += 1
        owner = scheduler[job]
        sheets.jobs[owner] += 1
        if fate == COMPLETED:
            born, gone = tick_at(arrival[job], per_ms), tick_at(departure[job], per_ms)
            sheets.sojourn_ticks[part] += gone - born
            sheets.sojourn_counts[part, place_of(departure[job] - arrival[job])] += 1
            sheets.waiting_ticks[part] += tick_at(start[job], per_ms) - tick_at(reached[job], per_ms)
            sheets.waiting_counts[part, place_of(start[job] - reached[job])] += 1
            sheets.completed[owner] += 1
            sheets.scheduler_ticks[owner] += gone - born
        elif fate != IN_SYSTEM:
            sheets.lost[owner] += 1


@kernel
def _ways(per_ms, server, reached, departure, outcome, leave_server, leave_tick):  # type: ignore[no-untyped-def]
    """Return which servers jobs enter, at which ticks, and which they leave; others are known to leave later."""
    count, known = len(server), len(leave_server)
    enters, enter_ticks = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int64)
    leaves, leave_ticks = np.empty(count + known, dtype=np.int32), np.empty(count + known, dtype=np.int64)
    leaves[:known], leave_ticks[:known] = leave_server, leave_tick
    entered, left = 0, known
    for job in range(count):
        fate = outcome[job]
        if fate == DROPPED or not reached[job] >= 0.0:
            continue
        enters[entered], enter_ticks[entered] = server[job], tick_at(reached[job], per_ms)
        entered += 1
        if departure[job] >= 0.0:
            leaves[left], leave_ticks[left] = server[job], tick_at(departure[job], per_ms)
            left += 1
    return enters[:entered], enter_ticks[:entered], leaves[:left], leave_ticks[:left]


@kernel
def _grouped(servers, ticks, count):  # type: ignore[no-untyped-def]
    """Return ticks by server, in order, and where each server's begin."""
    starts = np.zeros(count + 1, dtype=np.int64)
    for server in servers:
        starts[server + 1] += 1
    starts = np.cumsum(starts)
    place, ordered = starts[:-1].copy(), np.empty(len(ticks), dtype=np.int64)
    for i in range(len(ticks)):
        ordered[place[servers[i]]] = ticks[i]
        place[servers[i]] += 1
    for server in range(count):
        for i in range(starts[server] + 1, starts[server + 1]):
            if ordered[i] < ordered[i - 1]:
                ordered[starts[server] : starts[server + 1]].sort()
                break
    return ordered, starts


@kernel
def _pass(sheets, times, server, length, since, until):  # type: ignore[no-untyped-def]
    """Add up a span of ticks in which a server had so many jobs."""
    counted = spend(times, length, length > 0, 0, since, until)
    sheets.presence[server] += length * counted
    sheets.busy[server] += (length > 0) * counted


@kernel
def _note_lengths(sheets, times, enter_server, enter_tick, leave_server, leave_tick, since, until):  # type: ignore[no-untyped-def]
    """Add up how long queues had each length from tick `since` to `until`.

    Jobs enter before `until`; those that leave from then on are returned: their servers, and the ticks.
    """
    servers = len(sheets.length)
    enters, enter_starts = _grouped(enter_server, enter_tick, servers)
    leaves, leave_starts = _grouped(leave_server, leave_tick, servers)
    later_server, later_tick = np.empty_like(leave_server), np.empty_like(leave_tick)
    later = 0
    for server in range(servers):
        enter, last_enter = enter_starts[server], enter_starts[server + 1]
        leave, last_leave = leave_starts[server], leave_starts[server + 1]
        length, now = sheets.length[server], since
        while enter < last_enter or (leave < last_leave and leaves[leave] < until):
            leaves_first = leave < last_leave and (enter == last_enter or leaves[leave] <= enters[enter])
            time = leaves[leave] if leaves_first else enters[enter]
            _pass(sheets, times, server, length, now, time)
            now = max(now, time)
            if leaves_first:
                length, leave = length - 1, leave + 1
            else:
                length, enter = length + 1, enter + 1
        _pass(sheets, times, server, length, now, until)
        sheets.length[server] = length
        for place in range(leave, last_leave):
            later_server[later], later_tick[later] = server, leaves[place]
            later += 1
    return later_server[:later].copy(), later_tick[:later].copy()


class Census:
    """Counts the jobs of an episode, part by part, in order of time."""

    def __init__(self, system: System):
        self.system = system
        self.times = new_times(system)
        """How long FIFO queues had each length; stations count that themselves."""
        bounds = system.measuring.bounds(float(system.horizon))
        parts = len(bounds) - 1

        def zeros(*shape: int) -> Integers:
            return np.zeros(shape, dtype=np.int64)

        self.sheets = Sheets(
            bounds,
            zeros(parts, len(OUTCOMES)),
            *zeros(2, parts),
            *zeros(2, parts, PLACES),
            *zeros(5, system.servers),
            *zeros(4, system.schedulers),
        )
        self._since = self._tick(0.0)
        self._leave_server = np.empty(0, dtype=np.int32)
        self._leave_tick = zeros(0)

    def _tick(self, time: float) -> int:
        return int(ticks_of(np.array([time]), self.times.per_ms)[0])

    def add(self, jobs: Any, until: float) -> None:
        """Count jobs, given as columns named as in `JobTrace`: all that reach a server before `until`, once each."""
        arrival, reached = jobs.arrival_time, getattr(jobs, "reached_time", jobs.arrival_time)
        columns = jobs.server, jobs.scheduler, arrival, reached, jobs.start_time, jobs.departure_time, jobs.outcome
        _note_fates(self.sheets, self.times.per_ms, *columns)
        if self.system.station.is_plain:
            ways = jobs.server, reached, jobs.departure_time, jobs.outcome
            self._go_on(_ways(self.times.per_ms, *ways, self._leave_server, self._leave_tick), until)

    def _go_on(self, ways: Any, until: float) -> None:
        """Add up times at lengths, given who enters and leaves a queue meanwhile, or leaves it later; see `_ways`."""
        end = self._tick(until)
        self._leave_server, self._leave_tick = _note_lengths(self.sheets, self.times, *ways, self._since, end)
        self._since = end

    def accounts(
        self, starts: Floats, drops_by_epoch: Integers, received: Received, service: Service | None
    ) -> dict[str, Any]:
        """Return what was counted, by the names in `Episode`.

        Each epoch has a start and its counts; `service` is what stations have done, None of FIFO queues.
        """
        if service is None:
            nobody, never = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
            self._go_on((nobody, never, self._leave_server, self._leave_tick), float(self.system.horizon))
            presence, busy = self.sheets.presence, self.sheets.busy
            service = Service(self.times, presence, busy, np.zeros_like(busy))
        epochs = starts, drops_by_epoch, received
        batches = range(self.system.measuring.batches)
        return {
            "account": self._account(slice(None), service.times, *epochs),
            "batches": tuple(self._account(slice(part, part + 1), service.times, *epochs) for part in batches),
            "nodes": self._nodes(service),
        }

    def _account(
        self, parts: slice, times: Times, starts: Floats, drops_by_epoch: Integers, received: Received
    ) -> Account:
        sheets, per_ms = self.sheets, times.per_ms
        begin, end = sheets.bounds[:-1][parts][0], sheets.bounds[1:][parts][-1]
        epochs = slice(*np.searchsorted(starts, (begin, end)).tolist())
        at_length = times.at_length[parts].sum(axis=0)
        is_whole = len(sheets.bounds[:-1][parts]) == len(sheets.bounds) - 1
        return Account(
            span=float(end - begin),
            arrivals=int(sheets.outcomes[parts].sum()),
            **dict(zip(BY_OUTCOME, sheets.outcomes[parts].sum(axis=0).tolist(), strict=True)),
            sojourn_time=int(sheets.sojourn_ticks[parts].sum()) / per_ms,
            presence_time=int(at_length @ np.arange(len(at_length))) / per_ms,
            busy_time=int(times.busy[parts].sum()) / per_ms,
            down_time=int(times.down[parts].sum()) / per_ms,
            sojourn_counts=sheets.sojourn_counts[parts].sum(axis=0),
            drops_by_epoch=drops_by_epoch[epochs],
            received=received.of(epochs),
            waiting_time=int(sheets.waiting_ticks[parts].sum()) / per_ms,
            waiting_counts=sheets.waiting_counts[parts].sum(axis=0),
            time_at_length=at_length / per_ms,
            schedulers=self._schedulers() if is_whole else None,
        )

    def _schedulers(self) -> BySchedulers:
        sheets = self.sheets
        return BySchedulers(sheets.jobs, sheets.lost, sheets.completed, sheets.scheduler_ticks / self.times.per_ms)

    def _nodes(self, service: Service) -> NodeTrace:
        """Return what is counted of each server and each scheduler."""
        sheets, per_ms = self.sheets, self.times.per_ms
        sojourn = np.full(len(sheets.jobs), np.nan)
        np.divide(sheets.scheduler_ticks / per_ms, sheets.completed, out=sojourn, where=sheets.completed > 0)
        return NodeTrace(
            arrivals=sheets.reached,
            drops=sheets.dropped,
            busy_time=service.busy / per_ms,
            down_time=service.down / per_ms,
            mean_queue_length=service.presence / per_ms / float(sheets.bounds[-1] - sheets.bounds[0]),
            jobs=sheets.jobs,
            lost=sheets.lost,
            mean_sojourn_time=sojourn,
        )


def usual_account(
    system: System,
    totals: Totals,
    sojourn_counts: Integers,
    received: Received,
    busy_time: float,
    down_time: float = 0.0,
) -> Account:
    """Return the account of a whole episode of which no census was taken, from what an engine counts in any case."""
    return Account(
        span=float(system.horizon),
        arrivals=totals.arrivals,
        **{name: getattr(totals, name) for name in BY_OUTCOME},
        sojourn_time=totals.sojourn_time,
        presence_time=totals.presence_time,
        busy_time=busy_time,
        down_time=down_time,
        sojourn_counts=sojourn_counts,
        drops_by_epoch=totals.drops_by_epoch,
        received=received,
    )
