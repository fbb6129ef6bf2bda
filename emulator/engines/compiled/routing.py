"""Jobs on their way: those of a window are drawn scheduler by scheduler, and each is sent to a server.

Within an epoch the rules are fixed, so no scheduler needs to know what another one does, and no event list is needed. A
part of the schedulers is one thread's work. Times in ms, rates per ms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from emulator.engines.compiled.rules import column_of, pick_from
from emulator.machine.compiling import compiled
from emulator.workload.drawing import BLOCK, draw_next, draw_work, keep_arrived
from emulator.workload.jobs import JobSource

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Floats = NDArray[np.float64]

WRONG_COLUMN = -1
"""What stands for the next scheduler, or for a server, if a per-job rule chose a server that is not there."""

kernel = compiled(nogil=True, error_model="numpy")


class Window(NamedTuple):
    """A part of an epoch whose jobs are drawn and served together."""

    source: JobSource | None
    """None where arrivals go on from epoch to epoch: these are drawn before, and then sent."""
    epoch_start: float
    end: float
    """End of the window."""
    sampled: Floats
    """By how many servers a scheduler has beside its own: the sum of the times at which they were sampled."""


class Streams(NamedTuple):
    """How far each scheduler's arrivals have been drawn; see `emulator.workload.cursor.Cursor`."""

    clock: Floats
    number: Indices
    age: Floats
    """How old what is known of the others was when a job arrived, added up over the episode."""


class Entries(NamedTuple):
    """An access relation: scheduler i can access the servers `servers[offsets[i] : offsets[i + 1]]`."""

    offsets: Integers
    servers: Indices
    has_own: bool


class Records(NamedTuple):
    """The jobs of a window as they were drawn; those of thread t in row t."""

    arrival_time: Floats
    work: Floats
    server: Indices
    scheduler: Indices
    number: Indices
    """Empty unless jobs are traced, or what follows is not."""
    coin: Floats
    """Empty if jobs are sent as they are drawn."""


def records(threads: int, room: int, *, is_numbered: bool, has_coins: bool) -> Records:
    """Return room for so many jobs of each thread."""
    numbered, tossed = ((threads, room) if is_kept else (0, 0) for is_kept in (is_numbered, has_coins))
    return Records(
        np.empty((threads, room)),
        np.empty((threads, room)),
        np.empty((threads, room), dtype=np.int32),
        np.empty((threads, room), dtype=np.int32),
        np.empty(numbered, dtype=np.int32),
        np.empty(tossed),
    )


@njit(error_model="numpy", forceinline=True)
def _server_of(rule, window, access, ages, scheduler, number, coin, time):
    """Return the server of a job, or `WRONG_COLUMN`. Places are unsigned, which need no look at negative ones."""
    entry, stop = access.offsets[uint64(scheduler)], access.offsets[uint64(scheduler + 1)]
    others = stop - entry - access.has_own
    ages[uint64(scheduler)] += others * time - window.sampled[uint64(others)]
    column = column_of(rule, scheduler, entry, stop, number, coin, time - window.epoch_start)
    if not 0 <= column < stop - entry:
        return WRONG_COLUMN
    return access.servers[uint64(entry + column)]


def _draw(rule, window, access, streams, records, counts, block, part, filled, first, last):
    """Draw and route the jobs that the schedulers `first` to `last` - 1 meet by the window's end.

    They go to row `part` of the records, behind those that are there, and `counts[part]` counts them by server. Returns
    how many there are then, and which scheduler was not reached: `last` unless the row is full; or `WRONG_COLUMN`.
    Choosing first and noting then is 1.1 times as fast.
    """
    times, works, servers = records.arrival_time[part], records.work[part], records.server[part]
    schedulers, counted = records.scheduler[part], counts[part]
    traced = len(records.number) > 0
    total = filled
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        for i in range(count):
            scheduler = block.scheduler[i] = start + i
            block.clock[i], block.number[i] = streams.clock[scheduler], streams.number[scheduler]
        while count > 0:
            if total + count > len(works):
                return total, start
            draw_next(window.source, block, count)
            count = keep_arrived(window.end, block, count)
            draw_work(window.source, block, count, works, total)
            for i in range(count):
                scheduler, number, time = block.scheduler[i], block.number[i], block.clock[i]
                server = _server_of(rule, window, access, streams.age, scheduler, number, block.coin[i], time)
                if server < 0:
                    return total, WRONG_COLUMN
                servers[uint64(total + i)] = server
            for i in range(count):
                scheduler, number, time = block.scheduler[i], block.number[i], block.clock[i]
                place = uint64(total + i)
                server = servers[place]
                times[place], schedulers[place] = time, scheduler
                counted[uint64(server)] += 1
                if traced:
                    records.number[part, total + i] = number
                block.number[i] = number + 1
                streams.clock[uint64(scheduler)], streams.number[uint64(scheduler)] = time, number + 1
            total += count
    return total, last


draw = compiled(nogil=True, error_model="numpy", _nrt=False)(_draw)
"""`_draw` for rules that make no arrays: without counting references to arrays, which costs 40 ns a job."""

draw_counting = compiled(nogil=True, error_model="numpy")(_draw)
"""`_draw` for a user's rule, which may make arrays."""

draw_for_users = njit(nogil=True, error_model="numpy")(_draw)
"""`_draw` for a user's law, or a rule of which no hash tells all: their code must not be kept on disk."""


def _send(rule, window, access, streams, records, counts, part, first, last):
    """Send the jobs `first` to `last` - 1 of row `part`, which have been drawn, to servers; return whether all went."""
    times, servers, schedulers = records.arrival_time[part], records.server[part], records.scheduler[part]
    numbers, coins, counted = records.number[part], records.coin[part], counts[part]
    for job in range(first, last):
        scheduler = np.int64(schedulers[job])
        server = _server_of(rule, window, access, streams.age, scheduler, numbers[job], coins[job], times[job])
        if server < 0:
            return False
        servers[job] = server
        counted[uint64(server)] += 1
    return True


send = compiled(nogil=True, error_model="numpy", _nrt=False)(_send)
send_counting = compiled(nogil=True, error_model="numpy")(_send)
send_for_users = njit(nogil=True, error_model="numpy")(_send)
"""The same as of `draw`, for arrivals that go on from epoch to epoch: drawing knows no rule, sending no law."""


@kernel
def repeated_sums(time, most):
    """Return 0, `time`, `time + time` and so on, up to `most` of them."""
    sums = np.zeros(most + 1)
    for count in range(most):
        sums[count + 1] = sums[count] + time
    return sums


@kernel
def fixed_columns(cumulative, start, offsets, coins, column):
    """Draw each scheduler's column of the epoch with its decision coin; see `Drawn`."""
    for scheduler in range(len(start)):
        count = offsets[scheduler + 1] - offsets[scheduler]
        column[scheduler] = pick_from(cumulative, start[scheduler], count, coins[scheduler])
