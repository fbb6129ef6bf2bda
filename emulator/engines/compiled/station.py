"""Stations at work: several servers, shared ones, priorities, patience, failures; one kernel for all engines.

Between two jobs that reach a node, what happens there is its own affair: departures, timeouts, repairs and failures,
and patience that runs out, in this order at equal times. So a node is left alone until a job reaches it or somebody
looks at it, and then `advance` lets it catch up. Times in ms, rates per ms.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emulator.engines.episode import (
    COMPLETED,
    DROPPED,
    GAVE_UP,
    IN_SYSTEM,
    LOST_JOB,
    REFUSED,
    job_fingerprint,
    outcome_word,
)
from emulator.engines.histogram import PLACES, place_of
from emulator.engines.service import Times, new_times, spend, ticks_of
from emulator.engines.ticks import tick_at
from emulator.machine.compiling import compiled
from emulator.model.system import System

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

PART: Any = {"nogil": True, "error_model": "numpy", "_nrt": False}
"""For parts of kernels: they make no arrays."""

DEPARTS, TIMES_OUT, FAILS, LOSES_PATIENCE = np.arange(4)
"""What happens at a node by itself, in the order of equal times; `FAILS` stands for repairs, too."""

NOT_YET = -1.0
"""In the place of an instant that has not come."""

NOBODY = (0, 0, 0, 0)
"""Who a job is, where nobody hears what becomes of it."""

RESUME, RESTART, LOSE = range(3)
"""What becomes of started jobs at a failure."""

NODE = np.dtype(
    [
        ("time", np.float64),  # when something happens next by itself
        ("service_rate", np.float64),
        ("speed", np.float64),  # work that a server does in a ms: 0 while the node is down
        ("clock", np.float64),  # with sharing: the service of a job that was always here
        ("since", np.float64),  # when the clock was read, and the work that was given
        ("toggle", np.float64),  # when it fails or is repaired next
        ("first_toggle", np.int64),  # the place in `Stations.toggles` of its first failure, were all of them there
        ("sojourn_time", np.float64),  # from arrival to departure, added up over completed jobs
        ("time_here", np.float64),  # from reaching the node, added up over all that have left
        ("waiting_time", np.float64),  # from reaching it to the horizon, over those that are still here then
        ("given", np.float64),  # work that servers did that are never idle while a job waits
        ("done", np.float64),  # work that was done of jobs
        ("fingerprint", np.uint64),
        ("tick", np.int64),  # when times were added up last
        ("presence", np.int64),  # its own times after the warm-up, in ticks, see `emulator.engines.service.Service`
        ("busy", np.int64),
        ("down", np.int64),
        ("step", np.int32),  # what happens next
        ("place", np.int32),  # to the job in which place
        ("jobs", np.int32),
        ("served", np.int32),  # how many jobs are at servers
        ("admitted", np.int32),
        ("toggled", np.int32),  # how often it has failed or was repaired; it is down if that is odd
        ("completed", np.int32),
        ("dropped", np.int32),
        ("refused", np.int32),
        ("lost", np.int32),
        ("gave_up", np.int32),
        ("received", np.int32),  # jobs that reached it in the present epoch
    ]
)
"""A node."""

SLOT = np.dtype(
    [
        ("arrival_time", np.float64),
        ("reached_time", np.float64),
        ("start_time", np.float64),
        ("work", np.float64),
        ("left", np.float64),  # of its work when it was looked at last; with sharing the clock when it will be done
        ("since", np.float64),  # when that was
        ("departure", np.float64),  # if nothing changes before: infinity where it does not have a server of its own
        ("deadline", np.float64),  # when its patience runs out
        ("patience", np.float64),
        ("row", np.int64),  # among the traced jobs
        ("number", np.int64),  # of its scheduler's jobs; like the next three it says which job it is, if it comes again
        ("scheduler", np.int32),
        ("attempt", np.int32),
        ("class_", np.int32),
        ("admission", np.int32),
        ("priority", np.int32),
        ("is_served", np.bool_),
        ("is_overdue", np.bool_),  # whether it has timed out out of service, and is about to give up
        ("gave_up", np.bool_),  # whether it has given up, but the server goes on
    ]
)
"""A job at a node."""


ENDED = np.dtype(
    [
        ("time", np.float64),  # when it ended
        ("work", np.float64),
        ("patience", np.float64),
        ("number", np.int64),
        ("scheduler", np.int32),
        ("attempt", np.int32),
        ("class_", np.int32),
        ("priority", np.int32),
        ("outcome", np.int32),
    ]
)
"""A job that has just ended, one way or another."""

FATE = np.dtype(
    [
        ("reached_time", np.float64),
        ("start_time", np.float64),
        ("departure_time", np.float64),
        ("queue_length_at_arrival", np.int32),
        ("outcome", np.int8),
    ]
)
"""What becomes of a traced job; see `emulator.engines.episode.JobTrace`."""


class Stations(NamedTuple):
    """All nodes; their jobs stand in the first places, in any order."""

    nodes: Any
    """See `NODE`."""
    slots: Any
    """Nodes x buffer, see `SLOT`."""
    factors: Floats
    """By how much the service rate is multiplied, by jobs present; with none of no meaning."""
    toggles: Floats
    """When groups fail and are repaired, in turn: all that is needed in the present epoch."""
    units: int
    """Servers of a node."""
    is_shared: bool
    preempts: bool
    has_failures: bool
    at_failure: int
    """See `RESUME`."""
    refuses: bool
    is_told: bool
    of_sojourn: bool
    """Whether patience counts until departure."""
    goes_on: bool
    """Whether the server serves jobs that have given up, too."""
    horizon: float
    is_traced: bool
    fates: Any
    """Of each traced job, see `FATE`."""
    is_reported: bool
    """Whether somebody hears what becomes of jobs."""
    ended: Any
    """Those of which nobody has heard yet, see `ENDED`, and how many they are."""
    ended_count: Integers
    times: Times
    """What nodes add up together; like the following, those of one thread."""
    sojourn_counts: Integers
    """See `emulator.engines.histogram`."""


@njit(**PART)
def _work_left(left, elapsed, speed):  # type: ignore[no-untyped-def]
    """Return what is left of a job's work after some time of service."""
    return max(0.0, left - elapsed * speed)


@njit(**PART)
def _is_down(node):  # type: ignore[no-untyped-def]
    return node.toggled & 1 == 1


@njit(**PART)
def _add_up(stations, node, now):  # type: ignore[no-untyped-def]
    """Add up the time until now, before the number of jobs changes, or whether the node is up."""
    tick, is_down = tick_at(now, stations.times.per_ms), _is_down(node)
    at_work = 0 if is_down else min(np.int64(node.jobs), stations.units)
    counted = spend(stations.times, node.jobs, at_work, is_down, node.tick, tick)
    node.tick = tick
    node.presence += node.jobs * counted
    node.busy += at_work * counted
    node.down += is_down * counted


@njit(**PART)
def _read_clock(stations, node, now):  # type: ignore[no-untyped-def]
    """Note what the servers have done until now, before anything changes."""
    _add_up(stations, node, now)
    if node.jobs > 0 and node.speed > 0.0:
        capacity = node.speed * min(np.int64(node.jobs), stations.units)
        work = (now - node.since) * capacity
        node.given += work
        node.clock += work / node.jobs
    node.since = now


@njit(**PART)
def _change_speed(stations, server, now):  # type: ignore[no-untyped-def]
    """Let jobs in service depart earlier or later if the number of jobs, or a failure or repair, makes it so."""
    node, slots = stations.nodes[server], stations.slots[server]
    speed = 0.0 if _is_down(node) else node.service_rate * stations.factors[node.jobs]
    if speed == node.speed:
        return
    if not stations.is_shared:
        for place in range(node.jobs):
            slot = slots[place]
            if slot.is_served:
                slot.left = _work_left(slot.left, now - slot.since, node.speed)
                slot.since = now
                slot.departure = now + slot.left / speed if speed > 0.0 else np.inf
    node.speed = speed


@njit(**PART)
def _start(stations, server, place, now):  # type: ignore[no-untyped-def]
    """Let a job have a server."""
    node, slot = stations.nodes[server], stations.slots[server, place]
    if slot.start_time == NOT_YET:
        slot.start_time = now
        if not stations.of_sojourn:
            slot.deadline = np.inf
    slot.is_served = True
    slot.since = now
    slot.departure = now + slot.left / node.speed
    node.served += 1


@njit(**PART)
def _is_before(slot, other):  # type: ignore[no-untyped-def]
    """Return whether a job's turn comes before that of another one."""
    if slot.priority != other.priority:
        return slot.priority < other.priority
    return slot.admission < other.admission


@njit(**PART)
def _assign(stations, server, now):  # type: ignore[no-untyped-def]
    """Let jobs start at servers that are free, or that have to give up a job of lower priority."""
    node, slots = stations.nodes[server], stations.slots[server]
    if stations.is_shared or _is_down(node):
        return
    while node.served < node.jobs:
        first, last = -1, -1
        for place in range(node.jobs):
            if slots[place].is_served:
                if last < 0 or _is_before(slots[last], slots[place]):
                    last = place
            elif first < 0 or _is_before(slots[place], slots[first]):
                first = place
        if node.served == stations.units:
            if not stations.preempts or slots[first].priority >= slots[last].priority:
                return
            slot = slots[last]
            slot.left = _work_left(slot.left, now - slot.since, node.speed)
            slot.is_served = False
            slot.departure = np.inf
            node.served -= 1
        _start(stations, server, first, now)


@njit(**PART)
def note(stations, node, slot, now):  # type: ignore[no-untyped-def]
    """Add up, and count, the time of a job that is completed now."""
    node.sojourn_time += now - slot.arrival_time
    stations.sojourn_counts[place_of(now - slot.arrival_time)] += 1


@njit(**PART)
def _count(node, outcome):  # type: ignore[no-untyped-def]
    node.completed += outcome == COMPLETED
    node.dropped += outcome == DROPPED
    node.refused += outcome == REFUSED
    node.lost += outcome == LOST_JOB
    node.gave_up += outcome == GAVE_UP


@njit(**PART)
def tell(stations, server, row, outcome, arrival, start, departure):  # type: ignore[no-untyped-def]
    """Count what has become of a job, and write it down; instants that did not come are negative."""
    node = stations.nodes[server]
    _count(node, outcome)
    node.fingerprint += job_fingerprint(server, outcome_word(outcome), arrival, start, departure)
    if stations.is_traced:
        fate = stations.fates[row]
        fate.start_time = start if start >= 0.0 else np.nan
        fate.departure_time = departure if departure >= 0.0 else np.nan
        fate.outcome = outcome


@njit(**PART)
def report(stations, time, outcome, who, work, priority, patience):  # type: ignore[no-untyped-def]
    """Let it be heard that a job has ended; `who` says which: (scheduler, number, attempt, class)."""
    if stations.is_reported:
        one = stations.ended[stations.ended_count[0]]
        stations.ended_count[0] += 1
        one.time, one.outcome = time, outcome
        one.scheduler, one.number, one.attempt, one.class_ = who
        one.work, one.priority, one.patience = work, priority, patience


@njit(**PART)
def _report_from(stations, slot, outcome, now):  # type: ignore[no-untyped-def]
    who = np.int64(slot.scheduler), slot.number, np.int64(slot.attempt), np.int64(slot.class_)
    report(stations, now, outcome, who, slot.work, slot.priority, slot.patience)


@njit(**PART)
def _work_done(stations, node, slot, now):  # type: ignore[no-untyped-def]
    """Return how much was done of a job's work; the clock was read now."""
    if stations.is_shared:
        return slot.work - max(0.0, slot.left - node.clock)
    if slot.is_served:
        return slot.work - _work_left(slot.left, now - slot.since, node.speed)
    return slot.work - slot.left


@njit(**PART)
def _leave(stations, server, place, outcome, now):  # type: ignore[no-untyped-def]
    """Let a job go, and the next one start."""
    node, slots = stations.nodes[server], stations.slots[server]
    _read_clock(stations, node, now)
    slot = slots[place]
    if outcome == COMPLETED:
        node.clock = slot.left
        node.done += slot.work
    else:
        node.done += _work_done(stations, node, slot, now)
    if slot.gave_up:
        outcome = GAVE_UP
    else:
        _report_from(stations, slot, outcome, now)
    node.time_here += now - slot.reached_time
    if outcome == COMPLETED:
        note(stations, node, slot, now)
    tell(stations, server, slot.row, outcome, slot.arrival_time, slot.start_time, now)
    node.served -= slot.is_served
    node.jobs -= 1
    if place < node.jobs:
        slots[place] = slots[node.jobs]
    _change_speed(stations, server, now)
    _assign(stations, server, now)


@njit(**PART)
def _fail_or_be_repaired(stations, server, now):  # type: ignore[no-untyped-def]
    """Go down or up; what has started goes on later, starts again, or is lost."""
    node, slots = stations.nodes[server], stations.slots[server]
    _read_clock(stations, node, now)
    node.toggled += 1
    node.toggle = stations.toggles[node.first_toggle + node.toggled]
    _change_speed(stations, server, now)
    if not _is_down(node):
        for place in range(node.jobs if stations.is_shared else 0):
            if slots[place].start_time == NOT_YET:
                _start(stations, server, place, now)
        _assign(stations, server, now)
    elif stations.at_failure == RESTART:
        for place in range(node.jobs):
            slot = slots[place]
            if slot.start_time != NOT_YET:
                node.done += _work_done(stations, node, slot, now)
                slot.left = slot.work + (node.clock if stations.is_shared else 0.0)
    elif stations.at_failure == LOSE:
        while True:
            first = np.int64(-1)
            for place in range(node.jobs):
                if slots[place].start_time != NOT_YET and (
                    first < 0 or slots[place].admission < slots[first].admission
                ):
                    first = place
            if first < 0:
                break
            _leave(stations, server, first, np.int64(LOST_JOB), now)


@njit(**PART)
def _departure(stations, node, slot):  # type: ignore[no-untyped-def]
    """Return when a job will be done if nothing changes before."""
    if not stations.is_shared:
        return slot.departure
    if node.speed == 0.0:
        return np.inf
    capacity = node.speed * min(np.int64(node.jobs), stations.units)
    return node.since + max(0.0, slot.left - node.clock) * node.jobs / capacity


@njit(**PART)
def _plan(stations, server):  # type: ignore[no-untyped-def]
    """Find out what happens next by itself: at equal times by step, then by admission."""
    node, slots = stations.nodes[server], stations.slots[server]
    node.time, node.step, node.place = np.inf, LOSES_PATIENCE, -1
    if stations.is_shared:
        for place in range(node.jobs):
            one = slots[place]
            if node.place >= 0:
                other = slots[node.place]
                if other.left < one.left or (other.left == one.left and other.admission < one.admission):
                    continue
            node.place = place
        if node.place >= 0:
            node.time, node.step = _departure(stations, node, slots[node.place]), DEPARTS
    else:
        for place in range(node.jobs):
            if slots[place].departure < np.inf:
                _take_earlier(node, slots, place, slots[place].departure, DEPARTS)
    for place in range(node.jobs):
        if slots[place].deadline < np.inf:
            first_look = stations.of_sojourn and not stations.goes_on and not slots[place].is_overdue
            _take_earlier(node, slots, place, slots[place].deadline, TIMES_OUT if first_look else LOSES_PATIENCE)
    if stations.has_failures and (node.toggle < node.time or (node.toggle == node.time and node.step > FAILS)):
        node.time, node.step, node.place = node.toggle, FAILS, -1


@njit(**PART)
def _take_earlier(node, slots, place, time, step):  # type: ignore[no-untyped-def]
    """Let something be what happens next if it comes before what was found so far."""
    if time > node.time:
        return
    if time == node.time and node.place >= 0:
        if step > node.step:
            return
        if step == node.step and slots[node.place].admission < slots[place].admission:
            return
    node.time, node.step, node.place = time, step, place


@njit(**PART)
def happen(stations, server):  # type: ignore[no-untyped-def]
    """Let happen what happens next."""
    node, slots = stations.nodes[server], stations.slots[server]
    now, place = node.time, np.int64(node.place)
    if node.step == DEPARTS:
        _leave(stations, server, place, np.int64(COMPLETED), now)
    elif node.step == FAILS:
        _fail_or_be_repaired(stations, server, now)
    elif stations.goes_on:
        slots[place].gave_up, slots[place].deadline = True, np.inf
        _report_from(stations, slots[place], np.int64(GAVE_UP), now)
    elif node.step == TIMES_OUT and not slots[place].is_served:
        slots[place].is_overdue = True
    else:
        _leave(stations, server, place, np.int64(GAVE_UP), now)
    _plan(stations, server)


@njit(**PART)
def advance(stations, server, time, last_step):  # type: ignore[no-untyped-def]
    """Let a node catch up until `time`, and there until the steps of an instant up to `last_step`."""
    node = stations.nodes[server]
    while node.time < time or (node.time == time and node.step <= last_step):
        happen(stations, server)


@njit(**PART)
def length_told(stations, server):  # type: ignore[no-untyped-def]
    """Return how long a node says its queue is; where failures are told, one that is down says that it is full."""
    node = stations.nodes[server]
    return stations.slots.shape[1] if stations.is_told and _is_down(node) else np.int64(node.jobs)


@njit(**PART)
def gives_up_by(stations, instant, arrival, patience):  # type: ignore[no-untyped-def]
    """Return whether a job that is on its way to a node gives up by an instant, and before the horizon."""
    return stations.of_sojourn and arrival + patience <= instant and arrival + patience < stations.horizon


@njit(**PART)
def write_absent(stations, row, outcome):  # type: ignore[no-untyped-def]
    """Write down a job that does not reach a node, or not by the horizon."""
    fate = stations.fates[row]
    fate.reached_time = fate.start_time = fate.departure_time = np.nan
    fate.queue_length_at_arrival = -1
    fate.outcome = outcome


@njit(**PART)
def turn_back(stations, server, reached, arrival, row, priority, patience, who, work):  # type: ignore[no-untyped-def]
    """Return whether a job gives up on its way, so that it does not reach its server; then note it."""
    if not gives_up_by(stations, reached, arrival, patience):
        return False
    report(stations, arrival + patience, np.int64(GAVE_UP), who, work, priority, patience)
    if stations.goes_on:
        return False
    tell(stations, server, row, np.int64(GAVE_UP), arrival, NOT_YET, NOT_YET)
    if stations.is_traced:
        write_absent(stations, row, GAVE_UP)
    return True


@njit(**PART)
def receive(stations, server, arrival, reached, work, row, priority, patience, who, gave_up):  # type: ignore[no-untyped-def]
    """Let a job in, unless the node is down and refuses it, or the buffer is full.

    The node has caught up until now. `who` is that of `report`, and the job may have given up on its way.
    """
    node, slots = stations.nodes[server], stations.slots[server]
    node.received += 1
    if stations.is_traced:
        stations.fates[row].reached_time = reached
        stations.fates[row].queue_length_at_arrival = node.jobs
    is_refused = stations.refuses and _is_down(node)
    if is_refused or node.jobs == len(slots):
        outcome = np.int64(GAVE_UP if gave_up else REFUSED if is_refused else DROPPED)
        if not gave_up:
            report(stations, reached, outcome, who, work, priority, patience)
        tell(stations, server, row, outcome, arrival, NOT_YET, NOT_YET)
        return
    _read_clock(stations, node, reached)
    slot = slots[node.jobs]
    slot.arrival_time, slot.reached_time, slot.start_time = arrival, reached, NOT_YET
    slot.work, slot.left, slot.since = work, work + (node.clock if stations.is_shared else 0.0), reached
    slot.departure, slot.patience = np.inf, patience
    slot.deadline = np.inf if gave_up else (arrival if stations.of_sojourn else reached) + patience
    slot.scheduler, slot.number, slot.attempt, slot.class_ = who
    slot.row, slot.admission, slot.priority = row, node.admitted, priority
    slot.is_served, slot.is_overdue, slot.gave_up = False, False, gave_up
    node.admitted += 1
    node.jobs += 1
    _change_speed(stations, server, reached)
    if stations.is_shared and not _is_down(node):
        _start(stations, server, node.jobs - 1, reached)
    _assign(stations, server, reached)
    _plan(stations, server)


@njit(**PART)
def close(stations, server):  # type: ignore[no-untyped-def]
    """Let a node catch up until the horizon, and note the jobs that are still here."""
    advance(stations, server, stations.horizon, TIMES_OUT)
    node, slots = stations.nodes[server], stations.slots[server]
    _read_clock(stations, node, stations.horizon)
    last = -1
    for _ in range(node.jobs):  # in order of admission, which tells them apart
        first = -1
        for place in range(node.jobs):
            if slots[place].admission > last and (first < 0 or slots[place].admission < slots[first].admission):
                first = place
        slot = slots[first]
        last = slot.admission
        node.waiting_time += stations.horizon - slot.reached_time
        node.done += _work_done(stations, node, slot, stations.horizon)
        outcome = GAVE_UP if slot.gave_up else IN_SYSTEM
        tell(stations, server, slot.row, outcome, slot.arrival_time, slot.start_time, NOT_YET)


@compiled(**PART)
def look_at(stations, server, time):  # type: ignore[no-untyped-def]
    """Return how long a node says that its queue is at a time when no job reaches it."""
    advance(stations, server, time, LOSES_PATIENCE)
    return length_told(stations, server)


@compiled(**PART)
def take_in(stations, server, reached, arrival, work, row, priority, patience, who, gave_up):  # type: ignore[no-untyped-def]
    """Let a job reach a node."""
    advance(stations, server, reached, LOSES_PATIENCE)
    receive(stations, server, arrival, reached, work, row, priority, patience, who, gave_up)


@compiled(**PART)
def catch_up(stations, time, last_step, first, last):  # type: ignore[no-untyped-def]
    """Let the nodes `first` to `last` - 1 catch up, see `advance`."""
    for server in range(first, last):
        advance(stations, server, time, last_step)


@compiled(**PART)
def look(stations, lengths, told, first, last):  # type: ignore[no-untyped-def]
    """Fill in how many jobs these nodes have, and how many they say they have."""
    for server in range(first, last):
        lengths[server], told[server] = stations.nodes[server].jobs, length_told(stations, server)


@compiled(**PART)
def close_epoch(stations):  # type: ignore[no-untyped-def]
    """Return how many jobs all nodes have received in an epoch, and the sum of the squares; begin the next one."""
    jobs, squares = 0, 0
    for server in range(len(stations.nodes)):
        count = np.int64(stations.nodes[server].received)
        jobs += count
        squares += count * count
        stations.nodes[server].received = 0
    return jobs, squares


@compiled(**PART)
def close_all(stations):  # type: ignore[no-untyped-def]
    """Let all nodes catch up until the horizon, and note the jobs that are still there."""
    for server in range(len(stations.nodes)):
        close(stations, server)


def new_stations(system: System, *, is_traced: bool, is_reported: bool) -> Stations:
    """Return the nodes of a system at time 0, when nothing has happened and no failures are listed."""
    station, servers = system.station, system.servers
    nodes = np.zeros(servers, dtype=NODE)
    nodes["time"] = nodes["toggle"] = np.inf
    nodes["service_rate"] = system.service_rates
    times = new_times(system)
    nodes["tick"] = ticks_of(np.zeros(1), times.per_ms)[0]
    nodes["speed"] = system.service_rates * station.factor(0)
    failures, patience = station.failures, station.patience
    return Stations(
        nodes=nodes,
        slots=np.zeros((servers, system.buffer), dtype=SLOT),
        factors=np.array([station.factor(jobs) for jobs in range(system.buffer + 1)]),
        toggles=np.zeros(0),
        units=station.servers,
        is_shared=station.discipline == "ps",
        preempts=station.preempts,
        has_failures=failures is not None,
        at_failure=RESUME if failures is None else ("resume", "restart", "lose").index(failures.jobs),
        refuses=failures is not None and failures.refuses,
        is_told=failures is not None and failures.told,
        of_sojourn=patience is not None and patience.of_sojourn,
        goes_on=patience is not None and patience.goes_on,
        horizon=float(system.horizon),
        is_traced=is_traced,
        fates=np.zeros(0, dtype=FATE),
        is_reported=is_reported,
        ended=np.zeros(system.buffer + 2 if is_reported else 0, dtype=ENDED),
        ended_count=np.zeros(1, dtype=np.int64),
        times=times,
        sojourn_counts=np.zeros(PLACES, dtype=np.int64),
    )
