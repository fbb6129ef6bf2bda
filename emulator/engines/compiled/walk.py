"""The walk through a slice of time: jobs, samples, deliveries and jobs that reach their servers, merged by time.

All of them but the last stand in order already, and departures are no events: a queue's length at some time is the
number of its last `buffer` departures that are still to come. Where an answer of the dispatcher is missing the walk
stops before it has changed anything of the present event, and goes on with it when it is called again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from emulator.engines.compiled.calendar import NO_ENTRY, UNSEEN
from emulator.engines.compiled.deciding import INLINED, decide, hear
from emulator.engines.compiled.rules import column_of
from emulator.engines.compiled.world import (
    COMPLETIONS,
    DROPS,
    IGNORED,
    LOST,
    PLACE,
    RECEIVED,
    SENT,
    UNDER_WAY,
)
from emulator.engines.episode import COMPLETED, DROPPED, IN_SYSTEM, job_fingerprint
from emulator.machine.compiling import compiled

DONE, ASK, WRONG_COLUMN = range(3)
"""What a walk returns: that it is over, that an answer is missing, or that a rule chose a server that is not there."""

JOB, SAMPLE, DELIVERY = range(3)
"""The next of each in a slice."""


class Rows(NamedTuple):
    """The fates of jobs, in the order in which they arrive; see `emulator.engines.episode.JobTrace`."""

    scheduler: Any
    number: Any
    epoch: Any
    server: Any
    arrival_time: Any
    reached_time: Any
    start_time: Any
    departure_time: Any
    work: Any
    queue_length_at_arrival: Any
    outcome: Any


def empty_rows(count: int) -> Rows:
    """Return room for the fates of so many jobs."""
    whole, real = np.int32, np.float64
    columns: list[Any] = [whole] * 4 + [real] * 5 + [whole, np.int8]
    return Rows(*(np.empty(count, dtype=dtype) for dtype in columns))


@njit(**INLINED)
def _length(departures, time):  # type: ignore[no-untyped-def]
    """Return how many departures are later than `time`."""
    length = 0
    for departure in departures:
        length += departure > time
    return length


@njit(**INLINED)
def _receive(world, settings, rows, server, arrival, reached, work, row):  # type: ignore[no-untyped-def]
    """Let a server queue or drop a job; it is dropped if the oldest of the last `buffer` departures is to come."""
    departures, oldest, tally = world.departures[server], world.oldest[server], world.tally
    start, departure, outcome = -1.0, -1.0, DROPPED
    if settings.is_traced:
        rows.queue_length_at_arrival[row] = _length(departures, reached)
    if departures[oldest] > reached:
        tally[DROPS] += 1
    else:
        previous = departures[oldest - 1 if oldest > 0 else len(departures) - 1]
        start = max(reached, previous)
        departure = start + work / world.service_rates[server]
        departures[oldest] = departure
        world.oldest[server] = oldest + 1 if oldest + 1 < len(departures) else 0
        if departure <= settings.horizon:
            outcome = COMPLETED
            tally[COMPLETIONS] += 1
            world.sojourn_time[server] += departure - arrival
            if settings.has_dispatch:
                world.time_here[server] += departure - reached
        else:
            outcome = IN_SYSTEM
            world.waiting_time[server] += settings.horizon - reached
            departure = -1.0
            if start > settings.horizon:
                start = -1.0
    world.fingerprint[0] += job_fingerprint(server, outcome, arrival, start, departure)
    if settings.is_traced:
        rows.reached_time[row] = reached
        rows.start_time[row] = start if start >= 0.0 else np.nan
        rows.departure_time[row] = departure if departure >= 0.0 else np.nan
        rows.outcome[row] = outcome


@njit(**INLINED)
def _comes_first(one, other):  # type: ignore[no-untyped-def]
    """Return whether a job on its way reaches its server before another one."""
    if one.time != other.time:
        return one.time < other.time
    if one.scheduler != other.scheduler:
        return one.scheduler < other.scheduler
    return one.number < other.number


@njit(**INLINED)
def _copy(heap, place, other):  # type: ignore[no-untyped-def]
    here, there = heap[place], heap[other]
    here.time, here.arrival_time, here.work = there.time, there.arrival_time, there.work
    here.number, here.place, here.scheduler, here.server = there.number, there.place, there.scheduler, there.server


@njit(**INLINED)
def _push(heap, count):  # type: ignore[no-untyped-def]
    """Let the job behind the `count` ones of a heap find its place among them; the place after it is room."""
    _copy(heap, count + 1, count)
    place = count
    while place > 0 and _comes_first(heap[count + 1], heap[(place - 1) >> 1]):
        _copy(heap, place, (place - 1) >> 1)
        place = (place - 1) >> 1
    _copy(heap, place, count + 1)


@njit(**INLINED)
def _pop(heap, count):  # type: ignore[no-untyped-def]
    """Remove the first job of a heap of `count`."""
    last, place = count - 1, 0
    while True:
        child = 2 * place + 1
        if child >= last:
            break
        if child + 1 < last and _comes_first(heap[child + 1], heap[child]):
            child += 1
        if not _comes_first(heap[child], heap[last]):
            break
        _copy(heap, place, child)
        place = child
    _copy(heap, place, last)


@njit(**INLINED)
def _sample(rule, answers, world, settings, table, events, index, time):  # type: ignore[no-untyped-def]
    """Let a server say how long its queue is; return whether no answer is missing."""
    tally, messages = world.tally, events.messages
    place = events.sample_places[index]
    if settings.is_poll:
        entry = messages[place].entry
        messages[place].length = _length(world.departures[world.servers[entry]], time)
        if len(world.sent_ever) > 0:
            messages[place].sent_before = world.sent_ever[entry]
        return True
    sender = events.sender[place]
    length = _length(world.departures[sender], time)
    if abs(length - world.told[sender]) < settings.difference:
        return True
    start, stop = world.seen_offsets[sender], world.seen_offsets[sender + 1]
    if settings.is_instant:
        for seen in range(start + tally[PLACE], stop):
            scheduler = world.receivers[seen]
            if not hear(rule, answers, world, settings, table, scheduler, time):
                tally[PLACE] = seen - start
                return False
            entry = world.entries[seen]
            world.known[entry], world.sampled[entry] = length, time
            if len(world.sent_ever) > 0:
                world.sent_before_news[entry] = world.sent_ever[entry]
        tally[PLACE] = 0
        tally[RECEIVED] += stop - start
    else:
        for message in range(events.first[place], events.stop[place]):
            messages[message].length = length
            if len(world.sent_ever) > 0:
                messages[message].sent_before = world.sent_ever[messages[message].entry]
        tally[LOST] += events.lost[place]
    world.told[sender] = length
    tally[SENT] += stop - start
    return True


@njit(**INLINED)
def _deliver(rule, answers, world, settings, table, events, index, time):  # type: ignore[no-untyped-def]
    """Let a scheduler read a message; return whether no answer is missing."""
    message = events.messages[events.delivery_places[index]]
    if message.length == UNSEEN:
        return True
    scheduler, entry = message.scheduler, message.entry
    if not hear(rule, answers, world, settings, table, scheduler, time):
        return False
    world.tally[RECEIVED] += 1
    if entry == NO_ENTRY:
        if settings.keeps_newest and message.sampled < world.heard_of_time[scheduler]:
            world.tally[IGNORED] += 1
        else:
            world.heard_of[scheduler], world.heard_of_time[scheduler] = message.number, message.sampled
    elif settings.keeps_newest and message.sampled < world.sampled[entry]:
        world.tally[IGNORED] += 1
    else:
        world.known[entry], world.sampled[entry] = message.length, message.sampled
        if len(world.sent_ever) > 0:
            world.sent_before_news[entry] = message.sent_before
    return True


def _walk(rule, answers, world, settings, table, jobs, events, cursor, rows, first_row):  # type: ignore[no-untyped-def]
    """Go on through a slice, whose jobs are traced from `first_row` on; see `DONE`, `ASK` and `WRONG_COLUMN`."""
    tally, schedulers, on_their_way = world.tally, world.schedulers, world.under_way
    job, sample, delivery = cursor[JOB], cursor[SAMPLE], cursor[DELIVERY]
    while True:
        arrives, sampled = jobs.times[job], events.sample_times[sample]
        delivered = events.delivery_times[delivery]
        reached = np.inf
        if settings.has_dispatch and tally[UNDER_WAY] > 0 and on_their_way[0].time < events.end:
            reached = on_their_way[0].time
        if arrives < min(sampled, delivered, reached):
            scheduler = jobs.scheduler[job]
            if not decide(rule, answers, world, settings, table, scheduler, arrives, True, True):
                cursor[JOB], cursor[SAMPLE], cursor[DELIVERY] = job, sample, delivery
                return ASK
            me = schedulers[scheduler]
            first, stop = world.offsets[scheduler], world.offsets[scheduler + 1]
            me.age_at_jobs += (stop - first - settings.own) * arrives - me.sampled
            number = world.total_sent[scheduler] if len(world.total_sent) > 0 else 0
            column = column_of(rule, scheduler, first, stop, number, jobs.coin[job], arrives - me.decided)
            if not 0 <= column < stop - first:
                return WRONG_COLUMN
            entry = first + column
            server, work, row = world.servers[entry], jobs.work[job], first_row + job
            if len(world.total_sent) > 0:
                world.total_sent[scheduler] += 1
                world.sent_ever[entry] += 1
            if settings.is_traced:
                rows.server[row] = server
            duration = 0.0
            if settings.has_dispatch and not (settings.own_is_near and column == 0):
                if len(settings.lengths) > 0:
                    duration = settings.lengths[entry] * settings.per_length
                duration = duration + jobs.base[job] + jobs.jitter[job]
            if duration == 0.0:
                _receive(world, settings, rows, server, arrives, arrives, work, row)
            else:
                new = on_their_way[tally[UNDER_WAY]]
                new.time, new.arrival_time, new.work, new.place = arrives + duration, arrives, work, row
                new.scheduler, new.server, new.number = scheduler, server, jobs.ever[job]
                _push(on_their_way, tally[UNDER_WAY])
                tally[UNDER_WAY] += 1
            job += 1
        elif sampled <= min(delivered, reached):
            if sampled == np.inf:
                return DONE
            if not _sample(rule, answers, world, settings, table, events, sample, sampled):
                cursor[JOB], cursor[SAMPLE], cursor[DELIVERY] = job, sample, delivery
                return ASK
            sample += 1
        elif delivered <= reached:
            if not _deliver(rule, answers, world, settings, table, events, delivery, delivered):
                cursor[JOB], cursor[SAMPLE], cursor[DELIVERY] = job, sample, delivery
                return ASK
            delivery += 1
        else:
            there = on_their_way[0]
            _receive(world, settings, rows, there.server, there.arrival_time, there.time, there.work, there.place)
            _pop(on_their_way, tally[UNDER_WAY])
            tally[UNDER_WAY] -= 1


walk = compiled(nogil=True, error_model="numpy", _nrt=False)(_walk)
"""`_walk` for rules that make no arrays: without counting references to arrays."""

walk_counting = compiled(nogil=True, error_model="numpy")(_walk)
"""`_walk` for a user's rule, which may make arrays."""

walk_for_users = njit(nogil=True, error_model="numpy")(_walk)
"""`_walk` for a rule of which no hash tells all: its code must not be kept on disk."""


@compiled(nogil=True, error_model="numpy", _nrt=False)
def decide_all(rule, answers, world, settings, table, time, is_needed):  # type: ignore[no-untyped-def]
    """Make all decisions before an epoch's end, whose answers are needed or not; return `DONE` or `ASK`."""
    tally = world.tally
    for scheduler in range(tally[PLACE], len(world.schedulers)):
        if not decide(rule, answers, world, settings, table, scheduler, time, False, is_needed):
            tally[PLACE] = scheduler
            return ASK
    tally[PLACE] = 0
    return DONE


@compiled(nogil=True, error_model="numpy", _nrt=False)
def close(world, settings, rows):  # type: ignore[no-untyped-def]
    """Note the jobs that are on their way at the horizon."""
    for place in range(world.tally[UNDER_WAY]):
        job = world.under_way[place]
        world.fingerprint[0] += job_fingerprint(job.server, IN_SYSTEM, job.arrival_time, -1.0, -1.0)
        if settings.is_traced:
            rows.reached_time[job.place] = np.nan
            rows.start_time[job.place] = rows.departure_time[job.place] = np.nan
            rows.queue_length_at_arrival[job.place] = -1
            rows.outcome[job.place] = IN_SYSTEM


@compiled(nogil=True, error_model="numpy")
def lengths_at(departures, time):  # type: ignore[no-untyped-def]
    """Return how many jobs each server has at a time when no job reaches it."""
    lengths = np.empty(len(departures), dtype=np.int32)
    for server in range(len(departures)):
        lengths[server] = _length(departures[server], time)
    return lengths
