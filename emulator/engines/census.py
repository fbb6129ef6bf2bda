"""A census of jobs: what is counted on request, from the columns of their trace, by one function for all engines.

A scenario asks for it by `warmup`, `batches`, `measures: all` or `trace: {nodes: ...}`. All sums are whole numbers, so
that jobs may come in any order and in any parts. A job counts when its fate is known. Times in ms.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.engines.account import Account, BySchedulers, NodeTrace, Received
from emulator.engines.episode import COMPLETED, DROPPED, IN_SYSTEM, Totals
from emulator.engines.histogram import PLACES, place_of
from emulator.engines.ticks import tick_at, ticks_per_ms
from emulator.machine.compiling import compiled
from emulator.model.system import System

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

OUTCOME_CODES = 6
"""How many outcomes a job can have: completed, dropped, in system, refused, lost, gave up."""

REFUSED = 3
"""The outcome of a job that, like one dropped, never was in a queue: its server was down."""

kernel = compiled(nogil=True, error_model="numpy")


class Sheets(NamedTuple):
    """What is counted; parts are the batches, or the one span after the warm-up."""

    bounds: Floats
    """Where the parts begin, and the horizon; and the same in ticks."""
    bound_ticks: Integers
    outcomes: Integers
    """Parts x outcomes."""
    sojourn_ticks: Integers
    """Of the completed jobs of each part, as are the three following."""
    waiting_ticks: Integers
    sojourn_counts: Integers
    waiting_counts: Integers
    length_ticks: Integers
    """Parts x queue lengths: time, added up over servers."""
    reached: Integers
    """Of each server, as are the four following."""
    dropped: Integers
    presence_ticks: Integers
    busy_ticks: Integers
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
        if fate in (DROPPED, REFUSED) or not reached[job] >= 0.0:
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
def _spend(sheets, server, length, part, since, until):  # type: ignore[no-untyped-def]
    """Add up a time at a length, from tick to tick; return the part in which it ends."""
    bounds, parts = sheets.bound_ticks, len(sheets.bound_ticks) - 1
    since = max(since, bounds[0])
    while since < until:
        while part + 1 < parts and bounds[part + 1] <= since:
            part += 1
        end = min(until, bounds[part + 1]) if part + 1 < parts else until
        sheets.length_ticks[part, length] += end - since
        sheets.presence_ticks[server] += length * (end - since)
        sheets.busy_ticks[server] += (length > 0) * (end - since)
        since = end
    return part


@kernel
def _note_lengths(sheets, enter_server, enter_tick, leave_server, leave_tick, since, until):  # type: ignore[no-untyped-def]
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
        length, now, part = sheets.length[server], since, 0
        while enter < last_enter or (leave < last_leave and leaves[leave] < until):
            leaves_first = leave < last_leave and (enter == last_enter or leaves[leave] <= enters[enter])
            time = leaves[leave] if leaves_first else enters[enter]
            part = _spend(sheets, server, length, part, now, time)
            now = max(now, time)
            if leaves_first:
                length, leave = length - 1, leave + 1
            else:
                length, enter = length + 1, enter + 1
        _spend(sheets, server, length, part, now, until)
        sheets.length[server] = length
        for place in range(leave, last_leave):
            later_server[later], later_tick[later] = server, leaves[place]
            later += 1
    return later_server[:later].copy(), later_tick[:later].copy()


@kernel
def _ticks_of(times, per_ms):  # type: ignore[no-untyped-def]
    ticks = np.empty(len(times), dtype=np.int64)
    for place in range(len(times)):
        ticks[place] = tick_at(times[place], per_ms)
    return ticks


class Census:
    """Counts the jobs of an episode, part by part, in order of time."""

    def __init__(self, system: System):
        self.system = system
        servers, schedulers, buffer = system.servers, system.schedulers, system.buffer
        self.per_ms = ticks_per_ms(system.horizon, servers * (buffer + 1))
        bounds = system.measuring.bounds(float(system.horizon))
        parts = len(bounds) - 1

        def zeros(*shape: int) -> Integers:
            return np.zeros(shape, dtype=np.int64)

        self.sheets = Sheets(
            bounds,
            self._ticks(bounds),
            zeros(parts, OUTCOME_CODES),
            zeros(parts),
            zeros(parts),
            zeros(parts, PLACES),
            zeros(parts, PLACES),
            zeros(parts, buffer + 1),
            *zeros(5, servers),
            *zeros(4, schedulers),
        )
        self._since = int(self._ticks(np.zeros(1))[0])
        self._leave_server = np.empty(0, dtype=np.int32)
        self._leave_tick = zeros(0)

    def _ticks(self, times: Floats) -> Integers:
        ticks: Integers = _ticks_of(times, self.per_ms)
        return ticks

    def add(self, jobs: Any, until: float) -> None:
        """Count jobs, given as columns named as in `JobTrace`: all that reach a server before `until`, once each.

        A job that has left its server without being completed has the time at which it did as its `departure_time`.
        """
        arrival, reached = jobs.arrival_time, getattr(jobs, "reached_time", jobs.arrival_time)
        columns = jobs.server, jobs.scheduler, arrival, reached, jobs.start_time, jobs.departure_time, jobs.outcome
        _note_fates(self.sheets, self.per_ms, *columns)
        ways = jobs.server, reached, jobs.departure_time, jobs.outcome
        self._go_on(_ways(self.per_ms, *ways, self._leave_server, self._leave_tick), until)

    def _go_on(self, ways: Any, until: float) -> None:
        """Add up times at lengths, given who enters and leaves a queue meanwhile, or leaves it later; see `_ways`."""
        end = int(self._ticks(np.array([until]))[0])
        self._leave_server, self._leave_tick = _note_lengths(self.sheets, *ways, self._since, end)
        self._since = end

    def accounts(self, starts: Floats, drops_by_epoch: Integers, received: Received) -> dict[str, Any]:
        """Return what was counted, by the names in `Episode`; each epoch has a start and its counts."""
        nobody, never = np.empty(0, dtype=np.int32), self._ticks(np.empty(0))
        self._go_on((nobody, never, self._leave_server, self._leave_tick), float(self.system.horizon))
        epochs = starts, drops_by_epoch, received
        batches = range(self.system.measuring.batches)
        return {
            "account": self._account(slice(None), *epochs),
            "batches": tuple(self._account(slice(part, part + 1), *epochs) for part in batches),
            "nodes": self._nodes(),
        }

    def _account(self, parts: slice, starts: Floats, drops_by_epoch: Integers, received: Received) -> Account:
        sheets = self.sheets
        begin, end = sheets.bounds[:-1][parts][0], sheets.bounds[1:][parts][-1]
        epochs = slice(*np.searchsorted(starts, (begin, end)).tolist())
        length_ticks = sheets.length_ticks[parts].sum(axis=0)
        is_whole = len(sheets.bounds[:-1][parts]) == len(sheets.bounds) - 1
        completions, drops, in_system, refused, lost, gave_up = sheets.outcomes[parts].sum(axis=0).tolist()
        return Account(
            span=float(end - begin),
            arrivals=int(sheets.outcomes[parts].sum()),
            completions=completions,
            drops=drops,
            in_system=in_system,
            refused=refused,
            lost=lost,
            gave_up=gave_up,
            sojourn_time=self._ms(sheets.sojourn_ticks[parts].sum()),
            presence_time=self._ms(length_ticks @ np.arange(len(length_ticks))),
            busy_time=self._ms(length_ticks[1:].sum()),
            sojourn_counts=sheets.sojourn_counts[parts].sum(axis=0),
            drops_by_epoch=drops_by_epoch[epochs],
            received=received.of(epochs),
            waiting_time=self._ms(sheets.waiting_ticks[parts].sum()),
            waiting_counts=sheets.waiting_counts[parts].sum(axis=0),
            time_at_length=length_ticks / self.per_ms,
            schedulers=self._schedulers() if is_whole else None,
        )

    def _schedulers(self) -> BySchedulers:
        sheets = self.sheets
        return BySchedulers(sheets.jobs, sheets.lost, sheets.completed, sheets.scheduler_ticks / self.per_ms)

    def _ms(self, ticks: np.int64) -> float:
        return float(ticks) / self.per_ms

    def _nodes(self) -> NodeTrace:
        """Return what is counted of each server and each scheduler."""
        sheets, span = self.sheets, float(self.sheets.bounds[-1] - self.sheets.bounds[0])
        sojourn = np.full(len(sheets.jobs), np.nan)
        np.divide(sheets.scheduler_ticks / self.per_ms, sheets.completed, out=sojourn, where=sheets.completed > 0)
        return NodeTrace(
            arrivals=sheets.reached,
            drops=sheets.dropped,
            busy_time=sheets.busy_ticks / self.per_ms,
            down_time=np.zeros(len(sheets.reached)),
            mean_queue_length=sheets.presence_ticks / self.per_ms / span,
            jobs=sheets.jobs,
            lost=sheets.lost,
            mean_sojourn_time=sojourn,
        )


def usual_account(
    system: System, totals: Totals, busy_time: float, sojourn_counts: Integers, received: Received
) -> Account:
    """Return the account of a whole episode of which no census was taken, from what an engine counts in any case."""
    return Account(
        span=float(system.horizon),
        arrivals=totals.arrivals,
        completions=totals.completions,
        drops=totals.drops,
        in_system=totals.in_system,
        refused=0,
        lost=0,
        gave_up=0,
        sojourn_time=totals.sojourn_time,
        presence_time=totals.presence_time,
        busy_time=busy_time,
        sojourn_counts=sojourn_counts,
        drops_by_epoch=totals.drops_by_epoch,
        received=received,
    )
