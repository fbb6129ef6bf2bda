"""Servers at work: the jobs of a window are grouped by server, and each FIFO queue takes its own in order of arrival.

Those that reach a server at the same time go by scheduler, and those of one scheduler by number.

Only a server's last `buffer` departures matter to its future. A part of the servers is one thread's work. Times in ms,
rates per ms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from emulator.engines.compiled.lanes import BUFFER, LANES, SLOTS, enter
from emulator.engines.compiled.lanes import serve as serve_lanes
from emulator.engines.episode import COMPLETED, DROPPED, IN_SYSTEM, job_fingerprint
from emulator.engines.histogram import place_of
from emulator.engines.ticks import tick_at
from emulator.machine.compiling import compiled

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Floats = NDArray[np.float64]

INSERTION_LIMIT = 48
"""Jobs of one server and window up to which sorting by insertion is the quickest."""

kernel = compiled(nogil=True, error_model="numpy")

uncounted = njit(nogil=True, error_model="numpy", _nrt=False)  # type: ignore[call-overload]
"""For loops that take slices and make no arrays: without counting references to them, which costs 40 ns per job."""


class Servers(NamedTuple):
    """The FIFO queues: the last `buffer` departures of each server are all that its future depends on."""

    departures: Floats
    """Servers x buffer, a ring: minus infinity before there were any."""
    oldest: Indices
    """Where in its ring the oldest departure stands."""
    service_rates: Floats
    sojourn_time: Floats
    """Time from arrival to departure, added up over the jobs completed by the horizon."""
    waiting_time: Floats
    """Time from arrival to the horizon, added up over the accepted jobs that are still there then."""


class Grouped(NamedTuple):
    """The jobs of a window by server."""

    arrival_time: Floats
    work: Floats
    place: Indices
    """Where a job stands in the records, numbered through all rows."""


def grouped(room: int) -> Grouped:
    """Return room for so many jobs."""
    return Grouped(np.empty(room), np.empty(room), np.empty(room, dtype=np.int32))


@kernel
def group(counts, totals, records, starts, jobs, first, last):
    """Copy the jobs of the servers `first` to `last` - 1 out of the records, as they were drawn.

    Server j's become `jobs[starts[j] : starts[j + 1]]`. `starts` holds what comes before, `counts` is used up.
    """
    for server in range(first, last):
        place = starts[server]
        for part in range(len(totals)):
            count = counts[part, server]
            counts[part, server] = place
            place += count
    room = records.server.shape[1]
    for part in range(len(totals)):
        servers, next_place = records.server[part], counts[part]
        times, works = records.arrival_time[part], records.work[part]
        for i in range(totals[part]):
            server = servers[i]
            if first <= server < last:
                place = uint64(next_place[uint64(server)])
                jobs.arrival_time[place], jobs.work[place], jobs.place[place] = times[i], works[i], part * room + i
                next_place[uint64(server)] += 1


@kernel
def offsets_of(counts, starts, received, is_first):
    """Fill `starts` (servers + 1) with the jobs of all servers before each, from counts by thread and server.

    `received` adds up what each server has received in an epoch, of which this is the first window or a later one.
    Returns the sum of the squares of that.
    """
    total, squares = 0, 0
    for server in range(counts.shape[1]):
        starts[server] = total
        before = total
        for part in range(len(counts)):
            total += counts[part, server]
        here = np.int64(total - before + (0 if is_first else received[server]))
        received[server] = here
        squares += here * here
    starts[-1] = total
    return squares


@kernel
def _sort_many(time, work, place, schedulers):
    """Do what `_sort` does, for many jobs."""
    by_scheduler = np.argsort(schedulers[place], kind="mergesort")
    order = by_scheduler[np.argsort(time[by_scheduler], kind="mergesort")]
    time[:], work[:], place[:] = time[order], work[order], place[order]


@uncounted
def _sort(time, work, place, schedulers):
    """Sort a server's jobs by arrival time, then by scheduler, in place; those of a scheduler come by number."""
    for i in range(1, len(time)):
        t, w, p = time[i], work[i], place[i]
        k = i
        while k > 0 and (time[k - 1] > t or (time[k - 1] == t and schedulers[place[k - 1]] > schedulers[p])):
            time[k], work[k], place[k] = time[k - 1], work[k - 1], place[k - 1]
            k -= 1
        time[k], work[k], place[k] = t, w, p


@kernel
def sort(time, work, place, schedulers):
    """Sort a server's jobs, however many, by arrival time, then by scheduler, in place."""
    if len(time) > INSERTION_LIMIT:
        _sort_many(time, work, place, schedulers)
    else:
        _sort(time, work, place, schedulers)


@kernel
def serve(servers, records, starts, jobs, lanes, book, rows, first, last):
    """Let the servers `first` to `last` - 1 take their jobs; return (drops, completions, fingerprint, busy ticks).

    With `rows` (None, or room for every job of the window, in the order of `starts`) the fates of the jobs are kept.
    """
    dropped, completed, fingerprint, busy = 0, 0, uint64(0), 0
    is_plain = rows is None and servers.departures.shape[1] <= BUFFER
    for start in range(first, last, LANES):
        stop, most = min(start + LANES, last), 0
        if is_plain and enter(lanes, servers, starts, jobs, start, stop):
            d, c, f, b = serve_lanes(lanes, servers, book)
            dropped += d
            completed += c
            fingerprint += f
            busy += b
            most = SLOTS
        d, c, f, b = _serve_one_by_one(servers, records, starts, jobs, book, rows, start, stop, most)
        dropped += d
        completed += c
        fingerprint += f
        busy += b
    return dropped, completed, fingerprint, busy


@kernel
def _serve_one_by_one(servers, records, starts, jobs, book, rows, first, last, served):
    """Let those of the servers that have more than `served` jobs take them; see `serve`."""
    schedulers, numbers = records.scheduler.reshape(-1), records.number.reshape(-1)
    dropped, completed, fingerprint, busy = 0, 0, uint64(0), 0
    for server in range(first, last):
        begin, end = starts[server], starts[server + 1]
        if end - begin <= served:
            continue
        time, work, place = jobs.arrival_time[begin:end], jobs.work[begin:end], jobs.place[begin:end]
        sort(time, work, place, schedulers)
        d, c, f, b = _serve_one(server, servers, time, work, book, rows, begin)
        dropped += d
        completed += c
        fingerprint += f
        busy += b
        if rows is not None:
            for i in range(len(place)):
                rows.scheduler[begin + i], rows.number[begin + i] = schedulers[place[i]], numbers[place[i]]
    return dropped, completed, fingerprint, busy


@uncounted
def _serve_one(server, servers, time, work, book, rows, begin):
    """Let a server take its jobs in order; see `serve`.

    A job is dropped if the oldest of the last `buffer` departures is still to come: then `buffer` jobs are there.
    """
    departures, rate = servers.departures[server], servers.service_rates[server]
    buffer = len(departures)
    oldest = servers.oldest[server]
    previous = departures[oldest - 1 if oldest > 0 else buffer - 1]
    sojourn_time, waiting_time = servers.sojourn_time[server], servers.waiting_time[server]
    horizon, per_ms = book.horizon, book.ticks_per_ms
    dropped, completed, fingerprint, busy = 0, 0, uint64(0), 0
    for i in range(len(time)):
        arrival = time[i]
        if rows is not None:
            length = 0
            for earlier in departures:
                length += earlier > arrival
        start, departure, outcome = -1.0, -1.0, DROPPED
        if departures[oldest] > arrival:
            dropped += 1
        else:
            start = max(arrival, previous)
            departure = previous = start + work[i] / rate
            departures[oldest] = departure
            oldest = oldest + 1 if oldest + 1 < buffer else 0
            if departure <= horizon:
                outcome = COMPLETED
                completed += 1
                sojourn_time += departure - arrival
                book.sojourn_counts[place_of(departure - arrival)] += 1
                busy += tick_at(departure, per_ms) - tick_at(start, per_ms)
            else:
                outcome = IN_SYSTEM
                waiting_time += horizon - arrival
                departure = -1.0
                if start > horizon:
                    start = -1.0
                else:
                    busy += tick_at(horizon, per_ms) - tick_at(start, per_ms)
        fingerprint += job_fingerprint(server, outcome, arrival, start, departure)
        if rows is not None:
            row = begin + i
            rows.server[row] = server
            rows.arrival_time[row] = arrival
            rows.start_time[row] = start if start >= 0.0 else np.nan
            rows.departure_time[row] = departure if departure >= 0.0 else np.nan
            rows.work[row] = work[i]
            rows.queue_length_at_arrival[row] = length
            rows.outcome[row] = outcome
    servers.oldest[server] = oldest
    servers.sojourn_time[server], servers.waiting_time[server] = sojourn_time, waiting_time
    return dropped, completed, fingerprint, busy


@kernel
def queue_lengths(departures, time, lengths, first, last):
    """Fill in how many jobs each server has at a time when no job arrives: the departures still to come."""
    for server in range(first, last):
        length = 0
        for departure in departures[server]:
            length += departure > time
        lengths[server] = length
