"""The compiled engine's inner loops: the jobs of a window are drawn and routed, grouped by server, and served.

Within an epoch the rules are fixed, so the jobs of a window of it can be drawn scheduler by scheduler, and then each
server can take its jobs in the order of their arrival; no event list is needed. A part of the schedulers, then a part
of the servers, is one thread's work. Times in ms, rates per ms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, uint64
from numba.extending import overload
from numpy.typing import NDArray

from dispatchers.contract import pick
from emulator.engines.compiled.rules import ChosenByUser, column_of
from emulator.engines.episode import COMPLETED, DROPPED, IN_SYSTEM, job_fingerprint
from emulator.machine.compiling import compiled
from emulator.workload.jobs import JobSource, draw_job, work_of

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Floats = NDArray[np.float64]

BLOCK = 256
"""Schedulers whose next jobs are drawn together: the compiler makes vector code of such loops."""

INSERTION_LIMIT = 48
"""Jobs of one server and window up to which sorting by insertion is the quickest."""

NO_ROOM, WRONG_COLUMN = -1, -2
"""What `draw` returns if it could not go on."""

kernel = compiled(nogil=True, error_model="numpy")

uncounted = njit(nogil=True, error_model="numpy", _nrt=False)  # type: ignore[call-overload]
"""For loops that take slices and make no arrays: without counting references to them, which costs 40 ns per job."""


_pick = njit(inline="always")(pick)


class Window(NamedTuple):
    """A part of an epoch whose jobs are drawn and served together."""

    source: JobSource
    start: float
    """Start of the epoch."""
    end: float
    """End of the window."""
    is_first: bool
    """Whether the window is the epoch's first one."""


class Streams(NamedTuple):
    """How far each scheduler's arrivals have been drawn in this epoch; before its first window, of no meaning."""

    clock: Floats
    """Arrival time of its last job, or the epoch's start."""
    number: Indices
    """Jobs so far."""


class Graph(NamedTuple):
    """Scheduler i can access the servers `access[offsets[i] : offsets[i + 1]]`, its own first."""

    offsets: Integers
    access: Indices


class Records(NamedTuple):
    """The jobs of a window as they were drawn; those of thread t in row t."""

    arrival_time: Floats
    work: Floats
    server: Indices
    scheduler: Indices
    """Empty unless jobs are traced, like `number`."""
    number: Indices


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


class JobRows(NamedTuple):
    """The fates of a window's jobs, in the order in which they were served; see `emulator.engines.episode.JobTrace`."""

    scheduler: Indices
    number: Indices
    server: Indices
    arrival_time: Floats
    start_time: Floats
    departure_time: Floats
    work: Floats
    queue_length_at_arrival: Indices
    outcome: NDArray[np.int8]


inner = njit(nogil=True, error_model="numpy")
"""For loops that are kept on disk as a part of `draw`: a user's law must not be kept."""


@inner
def draw_next(source, schedulers, clock, number, count, arrival_time, bits, coin):
    """Draw the next job of each of `count` schedulers."""
    for i in range(count):
        arrival_time[i], bits[i], coin[i] = draw_job(source, schedulers[i], number[i], clock[i])


@inner
def draw_work(source, bits, count, work, place):
    """Fill in the works that the bits of `count` jobs stand for, from `place` on."""
    for i in range(count):
        work[place + i] = work_of(bits[i], source.work)


def _route(rule, start_time, graph, streams, records, counted, part, total, count, schedulers, clock, number, coin):
    """Send the next job of each of `count` schedulers to a server, and put it down in the records from `total` on."""
    times, servers = records.arrival_time[part], records.server[part]
    traced = len(records.scheduler) > 0
    for i in range(count):
        scheduler = schedulers[i]
        start, stop = graph.offsets[scheduler], graph.offsets[scheduler + 1]
        column = column_of(rule, scheduler, start, stop, number[i], coin[i], clock[i] - start_time)
        if not 0 <= column < stop - start:
            return False
        server = graph.access[start + column]
        times[total + i] = clock[i]
        servers[total + i] = server
        counted[server] += 1
        if traced:
            records.scheduler[part, total + i] = scheduler
            records.number[part, total + i] = number[i]
        number[i] += 1
        streams.clock[scheduler] = clock[i]
        streams.number[scheduler] = number[i]
    return True


_route_quickly = uncounted(_route)
_route_for_user = njit(nogil=True, error_model="numpy")(_route)  # a user's rule may make arrays


@overload(_route)
def _route_by_kind(
    rule, start_time, graph, streams, records, counted, part, total, count, schedulers, clock, number, coin
):
    route = _route_for_user if rule.instance_class is ChosenByUser else _route_quickly

    def routed(rule, start_time, graph, streams, records, counted, part, total, count, schedulers, clock, number, coin):
        return route(
            rule, start_time, graph, streams, records, counted, part, total, count, schedulers, clock, number, coin
        )

    return routed


@kernel
def draw(rule, window, graph, streams, records, counts, part, first, last):
    """Draw and route the jobs that the schedulers `first` to `last` - 1 meet by the window's end.

    They go to row `part` of the records; `counts[part]` counts them by server. Returns how many they are, `NO_ROOM`
    if the records are too short, or `WRONG_COLUMN` if a per-job rule chose a server that is not there.
    """
    schedulers = np.empty(BLOCK, np.int64)
    clock, number = np.empty(BLOCK), np.empty(BLOCK, np.int64)
    arrival_time, coin, bits = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK, np.uint64)
    works, counted = records.work[part], counts[part]
    counted[:] = 0
    total = 0
    for block in range(first, last, BLOCK):
        count = min(BLOCK, last - block)
        for i in range(count):
            scheduler = schedulers[i] = block + i
            if window.is_first:
                streams.clock[scheduler], streams.number[scheduler] = window.start, 0
            clock[i], number[i] = streams.clock[scheduler], streams.number[scheduler]
        while count > 0:
            if total + count > len(works):
                return NO_ROOM
            draw_next(window.source, schedulers, clock, number, count, arrival_time, bits, coin)
            kept = 0
            for i in range(count):  # without a branch, which nobody could predict
                schedulers[kept], clock[kept], number[kept] = schedulers[i], arrival_time[i], number[i]
                bits[kept], coin[kept] = bits[i], coin[i]
                kept += arrival_time[i] < window.end
            count = kept
            draw_work(window.source, bits, count, works, total)
            if not _route(
                rule,
                window.start,
                graph,
                streams,
                records,
                counted,
                part,
                total,
                count,
                schedulers,
                clock,
                number,
                coin,
            ):
                return WRONG_COLUMN
            total += count
    return total


draw_for_users = njit(nogil=True, error_model="numpy")(draw.py_func)
"""`draw` for a user's rule or law, whose code cannot be kept on disk."""


@kernel
def group(counts, totals, records, starts, places, first, last):
    """List, for each of the servers `first` to `last` - 1, where its jobs stand in the records.

    Server j's are `places[starts[j] : starts[j + 1]]`, numbered through all rows of the records. `starts` holds
    what comes before, `counts` is used up. Returns the largest number of jobs that a server has.
    """
    largest = 0
    for server in range(first, last):
        place = starts[server]
        for part in range(len(totals)):
            count = counts[part, server]
            counts[part, server] = place
            place += count
        largest = max(largest, place - starts[server])
    room = records.server.shape[1]
    for part in range(len(totals)):
        servers, next_place = records.server[part], counts[part]
        for i in range(totals[part]):
            server = servers[i]
            if first <= server < last:
                places[next_place[server]] = part * room + i
                next_place[server] += 1
    return largest


@kernel
def offsets_of(counts, starts):
    """Fill `starts` (servers + 1) with the jobs of all servers before each, from counts by thread and server."""
    total = 0
    for server in range(counts.shape[1]):
        starts[server] = total
        for part in range(len(counts)):
            total += counts[part, server]
    starts[-1] = total


@kernel
def _sort_many(count, time, work, place):
    order = np.argsort(time[:count], kind="mergesort")
    time[:count], work[:count], place[:count] = time[order], work[order], place[order]


@uncounted
def _sort(count, time, work, place):
    """Sort a server's jobs by arrival time, in place; those that arrive together stay as they are."""
    for i in range(1, count):
        t, w, p = time[i], work[i], place[i]
        k = i
        while k > 0 and time[k - 1] > t:
            time[k], work[k], place[k] = time[k - 1], work[k - 1], place[k - 1]
            k -= 1
        time[k], work[k], place[k] = t, w, p


@kernel
def serve(servers, records, starts, places, largest, horizon, rows, first, last):
    """Let the servers `first` to `last` - 1 take their jobs, and return (drops, completions, fingerprint) of these.

    With `rows` (None, or room for every job of the window, in the order of `starts`) the fates of the jobs are kept.
    """
    times, works = records.arrival_time.reshape(-1), records.work.reshape(-1)
    schedulers, numbers = records.scheduler.reshape(-1), records.number.reshape(-1)
    time, work, place = np.empty(largest), np.empty(largest), np.empty(largest, np.int32)
    dropped, completed, fingerprint = 0, 0, uint64(0)
    for server in range(first, last):
        begin, count = starts[server], starts[server + 1] - starts[server]
        for i in range(count):
            place[i] = places[begin + i]
            time[i], work[i] = times[place[i]], works[place[i]]
        if count > INSERTION_LIMIT:
            _sort_many(count, time, work, place)
        else:
            _sort(count, time, work, place)
        d, c, f = _serve_one(server, servers, count, time, work, horizon, rows, begin)
        dropped += d
        completed += c
        fingerprint += f
        if rows is not None:
            for i in range(count):
                rows.scheduler[begin + i], rows.number[begin + i] = schedulers[place[i]], numbers[place[i]]
    return dropped, completed, fingerprint


@uncounted
def _serve_one(server, servers, count, time, work, horizon, rows, begin):
    """Let a server take `count` jobs in order; see `serve`.

    A job is dropped if the oldest of the last `buffer` departures is still to come: then `buffer` jobs are there.
    """
    departures, rate = servers.departures[server], servers.service_rates[server]
    buffer = len(departures)
    oldest = servers.oldest[server]
    previous = departures[oldest - 1 if oldest > 0 else buffer - 1]
    sojourn_time, waiting_time = servers.sojourn_time[server], servers.waiting_time[server]
    dropped, completed, fingerprint = 0, 0, uint64(0)
    for i in range(count):
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
            else:
                outcome = IN_SYSTEM
                waiting_time += horizon - arrival
                departure = -1.0
                if start > horizon:
                    start = -1.0
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
    return dropped, completed, fingerprint


@kernel
def queue_lengths(departures, time, lengths, first, last):
    """Fill in how many jobs each server has at a time when no job arrives: the departures still to come."""
    for server in range(first, last):
        length = 0
        for departure in departures[server]:
            length += departure > time
        lengths[server] = length


@kernel
def fixed_columns(cumulative, row, coins, column):
    """Draw each scheduler's column of the epoch with its decision coin."""
    for scheduler in range(len(row)):
        column[scheduler] = _pick(cumulative[row[scheduler]], coins[scheduler])
