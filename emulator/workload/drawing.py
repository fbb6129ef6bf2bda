"""Drawing the jobs of many schedulers up to a time: block by block, of whose loops the compiler makes vector code.

No scheduler needs to know what another one does, and no event list is needed. Where the room ends, a kernel stops
between two jobs, and goes on from there when it is called again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from emulator.machine.compiling import compiled
from emulator.randomness import JOB, address, philox
from emulator.workload.jobs import arrival_time, batch_size, draw_job, gap_of, job_work, work_on_arrival

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Floats = NDArray[np.float64]

BLOCK = 256
"""Schedulers whose next jobs are drawn together."""

inner = njit(nogil=True, error_model="numpy")
"""For loops that are kept on disk as a part of a kernel alone: a user's law must not be kept."""


class Block(NamedTuple):
    """A thread's room for the next job of each of `BLOCK` schedulers, in an epoch that starts anew."""

    scheduler: Integers
    clock: Floats
    """When the scheduler's last job arrived."""
    number: Integers
    """How many jobs it has met in this epoch."""
    arrival_time: Floats
    bits: NDArray[np.uint64]
    """What the job's work is made of."""
    coin: Floats


class EpisodeBlock(NamedTuple):
    """The same where arrivals go on from epoch to epoch."""

    scheduler: Integers
    number: Integers
    """Of the next job's arrival in the episode."""
    place: Integers
    """Of the next job in its batch."""
    gap: Floats
    """What the arrival process makes of the bits of an arrival."""
    bits: NDArray[np.uint64]
    work: Floats
    coin: Floats


class JobColumns(NamedTuple):
    """Jobs as they were drawn."""

    time: Floats
    """When they arrive, ms."""
    work: Floats
    coin: Floats
    scheduler: Indices
    number: Indices
    """Of its scheduler's jobs in the epoch."""


def block() -> Block:
    """Return room for a thread."""
    dtypes: list[Any] = [np.int64, np.float64, np.int64, np.float64, np.uint64, np.float64]
    return Block(*(np.empty(BLOCK, dtype) for dtype in dtypes))


def episode_block() -> EpisodeBlock:
    """Return room for a thread."""
    dtypes: list[Any] = [np.int64, np.int64, np.int64, np.float64, np.uint64, np.float64, np.float64]
    return EpisodeBlock(*(np.empty(BLOCK, dtype) for dtype in dtypes))


def job_columns(room: int) -> JobColumns:
    """Return room for so many jobs."""
    dtypes: list[Any] = [np.float64, np.float64, np.float64, np.int32, np.int32]
    return JobColumns(*(np.empty(room, dtype) for dtype in dtypes))


def longer(jobs: JobColumns, filled: int, room: int) -> JobColumns:
    """Return the same jobs, which are so many, with room for more."""
    more = job_columns(room)
    pairs: Any = zip(jobs, more, strict=True)
    for old, new in pairs:
        new[:filled] = old[:filled]
    return more


@inner
def draw_next(source, block, count):  # type: ignore[no-untyped-def]
    """Draw the next job of each of the first `count` schedulers of a block, in an epoch that starts anew."""
    for i in range(count):
        block.arrival_time[i], block.bits[i], block.coin[i] = draw_job(
            source, block.scheduler[i], block.number[i], block.clock[i]
        )


@compiled(nogil=True, error_model="numpy")
def keep_arrived(end, block, count):  # type: ignore[no-untyped-def]
    """Move to the front of a block the jobs that arrive before `end`, and return how many they are."""
    kept = 0
    for i in range(count):  # without a branch, which nobody could predict
        block.scheduler[kept], block.number[kept] = block.scheduler[i], block.number[i]
        block.clock[kept] = block.arrival_time[i]
        block.bits[kept], block.coin[kept] = block.bits[i], block.coin[i]
        kept += block.arrival_time[i] < end
    return kept


@inner
def draw_work(source, block, count, work, place):  # type: ignore[no-untyped-def]
    """Fill in the works of the first `count` jobs of a block, from `place` on."""
    for i in range(count):
        work[place + i] = job_work(source, block.scheduler[i], block.number[i], block.bits[i])


def _draw_in_epoch(source, end, clock, number, block, jobs, filled, first, last):  # type: ignore[no-untyped-def]
    """Draw the jobs of the schedulers `first` to `last` - 1 before `end`, behind those that `jobs` is filled with.

    `clock` and `number` say when each scheduler's last job of the epoch came, and how many it has met. Returns how many
    jobs there are now, and which scheduler was not reached: `last` unless the room has ended.
    """
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        for i in range(count):
            block.scheduler[i], block.clock[i], block.number[i] = start + i, clock[start + i], number[start + i]
        draw_next(source, block, count)
        count = keep_arrived(end, block, count)
        while count > 0:
            if filled + count > len(jobs.time):
                return filled, start
            draw_work(source, block, count, jobs.work, filled)
            for i in range(count):
                one, place = block.scheduler[i], filled + i
                jobs.time[place], jobs.coin[place] = block.clock[i], block.coin[i]
                jobs.scheduler[place], jobs.number[place] = one, block.number[i]
                block.number[i] += 1
                clock[one], number[one] = block.clock[i], block.number[i]
            filled += count
            draw_next(source, block, count)
            count = keep_arrived(end, block, count)
    return filled, last


@inner
def get_ready(source, ready, block, count):  # type: ignore[no-untyped-def]
    """Draw what comes after the ready job of each of the first `count` schedulers of a block: that is ready then.

    Loops that only calculate stand apart from those that look something up. Schedulers are taken as unsigned numbers,
    which need no look at negative ones.
    """
    seed, replication = source.seed, source.replication
    for i in range(count):
        one = uint64(block.scheduler[i])
        is_last = ready.place[one] + 1 >= ready.size[one]
        block.place[i] = 0 if is_last else ready.place[one] + 1
        block.number[i] = ready.arrival[one] + is_last
    for i in range(count):
        one, place, number = block.scheduler[i], block.place[i], block.number[i]
        a, b, c, d = philox(one, place, number, JOB, seed, replication)
        bits = (a << uint64(16)) | (b >> uint64(16))
        block.gap[i] = gap_of(source.stream, bits, address(one, 0, number, JOB, seed, replication))
        block.bits[i] = ((b & uint64(0xFFFF)) << uint64(32)) | c
        block.coin[i] = np.float64(np.int64(d)) * 2.0**-32
    for i in range(count):
        scheduler, place, number = block.scheduler[i], block.place[i], block.number[i]
        one = uint64(scheduler)
        if place == 0:
            ready.time[one] = arrival_time(source.stream, ready.state, scheduler, ready.time[one], block.gap[i])
            ready.size[one] = batch_size(source.batch, scheduler, number, seed, replication)
        ready.place[one], ready.arrival[one], ready.coin[one] = place, number, block.coin[i]
    for i in range(count):
        one, place, number = block.scheduler[i], block.place[i], block.number[i]
        block.work[i] = work_on_arrival(source, ready.state, one, place, number, block.bits[i])
    for i in range(count):
        ready.work[uint64(block.scheduler[i])] = block.work[i]


def _draw_in_episode(source, ready, end, number, block, jobs, filled, first, last):  # type: ignore[no-untyped-def]
    """Do what `_draw_in_epoch` does for a process that goes on from epoch to epoch."""
    for start in range(first, last, BLOCK):
        count = 0
        for one in range(start, min(start + BLOCK, last)):
            block.scheduler[count] = one
            count += ready.time[one] < end
        while count > 0:
            if filled + count > len(jobs.time):
                return filled, start
            for i in range(count):
                one = uint64(block.scheduler[i])
                jobs.time[filled], jobs.work[filled] = ready.time[one], ready.work[one]
                jobs.coin[filled], jobs.scheduler[filled], jobs.number[filled] = ready.coin[one], one, number[one]
                is_job = ready.arrival[one] >= 0  # else it is what stands before the first one
                number[one] += is_job
                filled += is_job
            get_ready(source, ready, block, count)
            kept = 0
            for i in range(count):
                one = block.scheduler[kept] = block.scheduler[i]
                kept += ready.time[one] < end
            count = kept
    return filled, last


class Kernels(NamedTuple):
    """The functions that meet laws and arrival processes, compiled."""

    draw_in_epoch: Any
    draw_in_episode: Any


_SOURCES = _draw_in_epoch, _draw_in_episode
KEPT = Kernels(*(compiled(nogil=True, error_model="numpy", _nrt=False)(function) for function in _SOURCES))
FOR_USERS = Kernels(*(njit(nogil=True, error_model="numpy")(function) for function in _SOURCES))
"""For laws and processes of users, whose code must not be kept on disk."""
