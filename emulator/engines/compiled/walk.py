"""The walk through a slice of time: jobs, samples, deliveries and jobs that reach their servers, merged by time.

All of them but the last stand in order already, and departures are no events: a queue's length at some time is the
number of its last `buffer` departures that are still to come, and stations catch up when somebody looks. Where an
answer of the dispatcher is missing the walk stops before it has changed anything of the present event, and goes on with
it when it is called again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.extending import overload

from emulator.engines.compiled import station
from emulator.engines.compiled.deciding import INLINED, decide, hear
from emulator.engines.compiled.feedback import (
    arriving,
    comes_again,
    happens_next,
    has_arrived,
    hear_of,
    is_short_of_room,
    let_happen,
    marks_of,
    number_of,
    way_of,
)
from emulator.engines.compiled.fetching import fetch_for_deliveries, fetch_for_jobs, fetch_for_samples
from emulator.engines.compiled.journeys import pop, push
from emulator.engines.compiled.posting import UNSEEN
from emulator.engines.compiled.rules import column_of
from emulator.engines.compiled.station import NOBODY
from emulator.engines.compiled.world import (
    BUSY,
    COMPLETIONS,
    DROPS,
    GAVE_UP_UNDER_WAY,
    IGNORED,
    LOST,
    PLACE,
    RECEIVED,
    SENT,
    UNDER_WAY,
    NoStations,
)
from emulator.engines.episode import COMPLETED, DROPPED, GAVE_UP, IN_SYSTEM, job_fingerprint, outcome_word
from emulator.engines.histogram import place_of
from emulator.engines.ticks import tick_at
from emulator.machine.compiling import compiled

DONE, ASK, WRONG_COLUMN, NO_ROOM = range(4)
"""What a walk returns: that it is over, that an answer is missing, that a rule chose a server that is not there, or
that there may be no room for what is next."""

SHORT = 16
"""Departures up to which counting all the later ones is quicker than searching for the first."""

JOB, SAMPLE, DELIVERY = range(3)
"""The next of each in a slice."""


@njit(**INLINED)
def _length(departures, oldest, time):  # type: ignore[no-untyped-def]
    """Return how many of the last departures, a ring in which the oldest stands at `oldest`, are later than `time`."""
    buffer = len(departures)
    if buffer <= SHORT:
        length = 0
        for place in range(buffer):
            length += departures[place] > time
        return length
    first, stop = 0, buffer  # the first later one is among these, counted from the oldest
    while first < stop:
        middle = (first + stop) >> 1
        place = oldest + middle
        if departures[place if place < buffer else place - buffer] > time:
            stop = middle
        else:
            first = middle + 1
    return buffer - first


@njit(**INLINED)
def _receive(world, settings, rows, server, arrival, reached, work, row):  # type: ignore[no-untyped-def]
    """Let a server queue or drop a job; it is dropped if the oldest of the last `buffer` departures is to come."""
    queue, departures, tally = world.queues[server], world.departures[server], world.tally
    oldest, per_ms = np.int64(queue.oldest), settings.ticks_per_ms
    start, departure, outcome = -1.0, -1.0, DROPPED
    queue.received += 1
    if settings.is_traced:
        rows.queue_length_at_arrival[row] = _length(departures, oldest, reached)
    if departures[oldest] > reached:
        tally[DROPS] += 1
    else:
        start = max(reached, departures[oldest - 1 if oldest > 0 else len(departures) - 1])
        departure = start + work / queue.service_rate
        departures[oldest] = departure
        queue.oldest = oldest + 1 if oldest + 1 < len(departures) else 0
        if departure <= settings.horizon:
            outcome = COMPLETED
            tally[COMPLETIONS] += 1
            queue.sojourn_time += departure - arrival
            world.sojourn_counts[place_of(departure - arrival)] += 1
            tally[BUSY] += tick_at(departure, per_ms) - tick_at(start, per_ms)
            if settings.has_dispatch:
                world.time_here[server] += departure - reached
        else:
            outcome = IN_SYSTEM
            world.waiting_time[server] += settings.horizon - reached
            departure = -1.0
            if start > settings.horizon:
                start = -1.0
            else:
                tally[BUSY] += tick_at(settings.horizon, per_ms) - tick_at(start, per_ms)
    world.fingerprint[0] += job_fingerprint(server, outcome, arrival, start, departure)
    if settings.is_traced:
        rows.reached_time[row] = reached
        rows.start_time[row] = start if start >= 0.0 else np.nan
        rows.departure_time[row] = departure if departure >= 0.0 else np.nan
        rows.outcome[row] = outcome


def length_of(stations: Any, world: Any, server: Any, time: Any) -> Any:
    """Return how long a server says that its queue is, at a time when no job reaches it."""


@overload(length_of, jit_options=INLINED)
def _length_of(stations, world, server, time):  # type: ignore[no-untyped-def]
    if stations.instance_class is NoStations:
        return lambda stations, world, server, time: _length(
            world.departures[server], world.queues[server].oldest, time
        )

    return lambda stations, world, server, time: station.look_at(stations, np.int64(server), time)


def take_in(
    stations: Any, world: Any, settings: Any, rows: Any, server: Any, reached: Any, job: Any, gave_up: Any
) -> Any:
    """Let a server take a job: (arrival time, work, row, priority, patience, who); it may have given up on its way."""


@overload(take_in, jit_options=INLINED)
def _take_in(stations, world, settings, rows, server, reached, job, gave_up):  # type: ignore[no-untyped-def]
    if stations.instance_class is NoStations:
        return lambda stations, world, settings, rows, server, reached, job, gave_up: _receive(
            world, settings, rows, server, job[0], reached, job[1], job[2]
        )

    def at_station(stations, world, settings, rows, server, reached, job, gave_up):  # type: ignore[no-untyped-def]
        station.take_in(stations, np.int64(server), reached, *job, gave_up)

    return at_station


def gives_up(stations: Any, reached: Any, job: Any) -> Any:
    """Return whether a job has given up on its way by the time when it reaches its server, and by the horizon."""


@overload(gives_up, jit_options=INLINED)
def _gives_up(stations, reached, job):  # type: ignore[no-untyped-def]
    if stations.instance_class is NoStations:
        return lambda stations, reached, job: False
    return lambda stations, reached, job: station.gives_up_by(stations, reached, job[0], job[4])


def stay_away(stations: Any, server: Any, reached: Any, job: Any) -> Any:
    """Return whether a job does not reach its server, as it gives up on its way; then that is noted."""


@overload(stay_away, jit_options=INLINED)
def _stay_away(stations, server, reached, job):  # type: ignore[no-untyped-def]
    if stations.instance_class is NoStations:
        return lambda stations, server, reached, job: False
    return lambda stations, server, reached, job: station.turn_back(
        stations, np.int64(server), reached, job[0], job[2], job[3], job[4], job[5], job[1]
    )


def write_under_way(stations: Any, rows: Any, row: Any, outcome: Any) -> Any:
    """Write down a job that is on its way at the horizon."""


@overload(write_under_way, jit_options=INLINED)
def _write_under_way(stations, rows, row, outcome):  # type: ignore[no-untyped-def]
    if stations.instance_class is NoStations:

        def of_queue(stations, rows, row, outcome):  # type: ignore[no-untyped-def]
            rows.reached_time[row] = rows.start_time[row] = rows.departure_time[row] = np.nan
            rows.queue_length_at_arrival[row] = -1
            rows.outcome[row] = outcome

        return of_queue
    return lambda stations, rows, row, outcome: station.write_absent(stations, row, outcome)


@njit(**INLINED)
def _sample(rule, answers, world, settings, table, events, index, time):  # type: ignore[no-untyped-def]
    """Let a server say how long its queue is; return whether no answer is missing."""
    tally, sampled = world.tally, events.sampled[index]
    server = world.servers[sampled] if settings.is_poll else sampled
    length = length_of(world.stations, world, server, time)
    if abs(length - world.queues[server].told) < settings.difference:
        return True
    if not settings.is_instant:
        for message in range(events.first[index], events.stop[index]):
            events.lengths[message] = length
            if len(world.sent_ever) > 0:
                events.sent_before[message] = world.sent_ever[events.messages[message].entry]
        if not settings.is_poll:
            tally[LOST] += events.lost[index]
            tally[SENT] += world.seen_offsets[server + 1] - world.seen_offsets[server]
        world.queues[server].told = length
        return True
    start, stop = world.seen_offsets[server], world.seen_offsets[server + 1]
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
    tally[SENT] += stop - start
    tally[RECEIVED] += stop - start
    world.queues[server].told = length
    return True


@njit(**INLINED)
def _deliver(rule, answers, world, settings, table, events, index, time):  # type: ignore[no-untyped-def]
    """Let a scheduler read a message; return whether no answer is missing."""
    place, scheduler, entry = events.place[index], events.scheduler[index], events.entry[index]
    length, sampled_time = events.lengths[place], events.sampled_time[index]
    if length == UNSEEN and entry >= 0:
        return True
    if not hear(rule, answers, world, settings, table, scheduler, time):
        return False
    world.tally[RECEIVED] += 1
    if entry < 0:
        if settings.keeps_newest and sampled_time < world.heard_of_time[scheduler]:
            world.tally[IGNORED] += 1
        else:
            world.heard_of[scheduler], world.heard_of_time[scheduler] = -1 - entry, sampled_time
    elif settings.keeps_newest and sampled_time < world.sampled[entry]:
        world.tally[IGNORED] += 1
    else:
        world.known[entry], world.sampled[entry] = length, sampled_time
        if len(world.sent_ever) > 0:
            world.sent_before_news[entry] = events.sent_before[place]
    return True


def _walk(rule, answers, world, settings, table, jobs, events, cursor, rows, first_row):  # type: ignore[no-untyped-def]
    """Go on through a slice, whose jobs are traced from `first_row` on; see `DONE`."""
    tally, schedulers, reach_times, whose = world.tally, world.schedulers, world.reach_times, world.on_their_way
    feedback = world.feedback
    job, sample, delivery = cursor[JOB], cursor[SAMPLE], cursor[DELIVERY]
    while True:
        if is_short_of_room(feedback, world, settings, jobs, rows, first_row):
            cursor[JOB], cursor[SAMPLE], cursor[DELIVERY] = job, sample, delivery
            return NO_ROOM
        again = comes_again(feedback, jobs, job, events.end)
        arrives, scheduler, coin, work, row = arriving(feedback, jobs, job, first_row, again)
        sampled = events.sample_times[sample]
        delivered = events.delivery_times[delivery]
        reached = np.inf
        if settings.has_dispatch and tally[UNDER_WAY] > 0 and reach_times[0] < events.end:
            reached = reach_times[0]
        happens = happens_next(feedback, world.stations)
        if happens <= min(arrives, sampled, delivered, reached, events.end) and happens < settings.horizon:
            let_happen(feedback, world.stations)
        elif arrives < min(sampled, delivered, reached):
            fetch_for_jobs(world, jobs, job)
            if not decide(rule, answers, world, settings, table, scheduler, arrives, True, True):
                cursor[JOB], cursor[SAMPLE], cursor[DELIVERY] = job, sample, delivery
                return ASK
            me = schedulers[scheduler]
            first, stop = world.first[scheduler], world.stop[scheduler]
            me.age_at_jobs += (stop - first - settings.own) * arrives - me.sampled
            number, elapsed = 0, 0.0
            if len(world.total_sent) > 0:
                number, elapsed = world.total_sent[scheduler], arrives - world.decided[scheduler]
            column = column_of(rule, scheduler, first, stop, number, coin, elapsed)
            if not 0 <= column < stop - first:
                return WRONG_COLUMN
            entry = first + column
            server = world.servers[entry]
            if len(world.total_sent) > 0:
                world.total_sent[scheduler] += 1
                world.sent_ever[entry] += 1
            if settings.is_traced:
                rows.server[row] = server
            duration = 0.0
            if settings.has_dispatch and not (settings.own_is_near and column == 0):
                if len(settings.lengths) > 0:
                    duration = settings.lengths[entry] * settings.per_length
                base, jitter = way_of(feedback, jobs, job, again)
                duration = duration + base + jitter
            priority, patience, who = marks_of(feedback, world.stations, jobs, job, again)
            has_arrived(feedback, settings, rows, row, who, work, again)
            one = arrives, work, row, priority, patience, who
            if duration == 0.0:
                take_in(world.stations, world, settings, rows, server, arrives, one, False)
            elif not stay_away(world.stations, server, arrives + duration, one):
                free = whose[tally[UNDER_WAY]]
                new = world.under_way[free]
                new.arrival_time, new.work, new.place = arrives, work, row
                new.scheduler, new.server, new.number = scheduler, server, number_of(feedback, jobs, job, who)
                new.priority, new.patience, new.attempt, new.class_ = priority, patience, who[2], who[3]
                push(reach_times, whose, world.under_way, tally[UNDER_WAY], arrives + duration, free)
                tally[UNDER_WAY] += 1
            hear_of(feedback, world.stations, server)
            job += not again
        elif sampled <= min(delivered, reached):
            if sampled == np.inf:
                return DONE
            fetch_for_samples(world, settings, events, sample)
            if not _sample(rule, answers, world, settings, table, events, sample, sampled):
                cursor[JOB], cursor[SAMPLE], cursor[DELIVERY] = job, sample, delivery
                return ASK
            sample += 1
        elif delivered <= reached:
            fetch_for_deliveries(world, events, delivery)
            if not _deliver(rule, answers, world, settings, table, events, delivery, delivered):
                cursor[JOB], cursor[SAMPLE], cursor[DELIVERY] = job, sample, delivery
                return ASK
            delivery += 1
        else:
            there = world.under_way[whose[0]]
            who = np.int64(there.scheduler), there.number, np.int64(there.attempt), np.int64(there.class_)
            one = there.arrival_time, there.work, there.place, np.int64(there.priority), there.patience, who
            server = there.server
            gave_up = gives_up(world.stations, reached, one)
            take_in(world.stations, world, settings, rows, server, reached, one, gave_up)
            hear_of(feedback, world.stations, server)
            pop(reach_times, whose, world.under_way, tally[UNDER_WAY])
            tally[UNDER_WAY] -= 1


walk = compiled(nogil=True, error_model="numpy", _nrt=False)(_walk)
"""`_walk` for rules that make no arrays: without counting references to arrays."""

walk_counting = compiled(nogil=True, error_model="numpy")(_walk)
"""`_walk` for a user's rule, which may make arrays."""

walk_for_users = njit(nogil=True, error_model="numpy")(_walk)
"""`_walk` for a rule of which no hash tells all: its code must not be kept on disk."""


def _decide_all(rule, answers, world, settings, table, time, is_needed):  # type: ignore[no-untyped-def]
    """Make all decisions before an epoch's end, whose answers are needed or not; return `DONE` or `ASK`."""
    tally = world.tally
    for scheduler in range(tally[PLACE], len(world.schedulers)):
        if not decide(rule, answers, world, settings, table, scheduler, time, False, is_needed):
            tally[PLACE] = scheduler
            return ASK
    tally[PLACE] = 0
    return DONE


decide_all = compiled(nogil=True, error_model="numpy", _nrt=False)(_decide_all)
decide_all_for_users = njit(nogil=True, error_model="numpy")(_decide_all)
"""The same for a rule of which no hash tells all, whose type brings its code along."""


@compiled(nogil=True, error_model="numpy", _nrt=False)
def close(world, settings, rows):  # type: ignore[no-untyped-def]
    """Note the jobs that are on their way at the horizon."""
    for place in range(world.tally[UNDER_WAY]):
        job = world.under_way[world.on_their_way[place]]
        one = job.arrival_time, job.work, job.place, np.int64(job.priority), job.patience, NOBODY
        outcome = GAVE_UP if gives_up(world.stations, settings.horizon, one) else IN_SYSTEM
        world.tally[GAVE_UP_UNDER_WAY] += outcome == GAVE_UP
        world.fingerprint[0] += job_fingerprint(job.server, outcome_word(outcome), job.arrival_time, -1.0, -1.0)
        if settings.is_traced:
            write_under_way(world.stations, rows, job.place, outcome)


@compiled(nogil=True, error_model="numpy")
def close_epoch(world):  # type: ignore[no-untyped-def]
    """Return how many jobs all servers have received in an epoch, and the sum of the squares; begin the next one."""
    jobs, squares = 0, 0
    for server in range(len(world.queues)):
        count = np.int64(world.queues[server].received)
        jobs += count
        squares += count * count
        world.queues[server].received = 0
    return jobs, squares


@compiled(nogil=True, error_model="numpy")
def lengths_at(world, time):  # type: ignore[no-untyped-def]
    """Return how many jobs each server has at a time when no job reaches it."""
    lengths = np.empty(len(world.departures), dtype=np.int32)
    for server in range(len(lengths)):
        lengths[server] = _length(world.departures[server], world.queues[server].oldest, time)
    return lengths
