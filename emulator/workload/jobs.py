"""The jobs of a workload: one draw of a job for all engines, compiled for each law of work and arrival process."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit, typeof, types, uint64
from numba.extending import overload
from numpy.typing import NDArray

from emulator.errors import InputError
from emulator.machine.compiling import compiled, is_ours
from emulator.model.laws import Law
from emulator.model.laws.drawing import takes_more, work_of
from emulator.randomness import JOB, SECOND, SERVICE, address, philox, random_words

_INLINED: Any = {"error_model": "numpy", "forceinline": True}


class JobSource(NamedTuple):
    """Where in a workload the jobs of an epoch are drawn, and of which laws."""

    seed: np.uint64
    replication: np.uint64
    epoch: np.uint64
    stream: Any
    """See `emulator.model.arrivals.process.Stream`."""
    work: Any
    """See `emulator.model.laws.law.WorkNumbers`."""


def told_apart(numbers: Any) -> Any:
    """Return the same numbers, a user's as a type of a name of its own: numba takes equal names for one type."""
    kind: Any = type(numbers)
    return numbers if is_ours(numbers) else _distinct(kind)(*numbers)


@cache
def _distinct(kind: Any) -> Any:
    return type(f"{kind.__name__}_{next(_numbers)}", (kind,), {"__slots__": ()})


_numbers = itertools.count(1)


def next_arrival(stream: Any, scheduler: Any, number: Any, time: Any, bits: Any) -> Any:
    """Return when a scheduler's `number`-th job of an epoch arrives (ms), the one before it having come at `time`."""


@overload(next_arrival, jit_options=_INLINED)
def _next_arrival(stream, scheduler, number, time, bits):  # type: ignore[no-untyped-def]
    following = njit(**_INLINED)(stream.instance_class.compiled_next())
    return lambda stream, scheduler, number, time, bits: following(stream, scheduler, number, time, bits)


@njit(error_model="numpy")
def _works(bits, work, first):  # type: ignore[no-untyped-def]
    works = np.empty(len(bits))
    for index in range(len(bits)):
        works[index] = work_of(bits[index], work, address(0, 0, first + index, SERVICE, 1, 0))
    return works


def works_of(bits: NDArray[np.uint64], law: Law, first: int = 0) -> NDArray[np.float64]:
    """Return the works that 48 random bits of each of some jobs stand for, these being numbered from `first` on."""
    return _works(bits, told_apart(law.numbers()), first)


def try_out(law: Law) -> None:
    """Raise `InputError` for a law that cannot be compiled, or draws works which no server can do."""
    numbers = law.numbers()
    draw = numbers.compiled_draw()
    further = (typeof(address(0, 0, 0, SERVICE, 1, 0)),) if takes_more(draw) else ()
    try:
        njit(draw).compile((typeof(numbers), types.uint64, *further))
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = next((line for line in lines if not line.startswith("Failed in")), type(error).__name__)
        raise InputError(f"cannot be compiled by numba: {told}") from None
    works = works_of(random_words(1, SERVICE, 10_000) >> np.uint64(16), law)
    wrong = ~(np.isfinite(works) & (works >= 0.0))
    if wrong.any():
        raise InputError(f"must draw finite works >= 0, got {works[wrong][0]}")
    if not works.any():
        raise InputError("must draw works of mean 1, got 0 each time")


@njit(inline="always")
def draw_job(source, scheduler, number, time):  # type: ignore[no-untyped-def]
    """Return (arrival time, work bits, coin) of a scheduler's `number`-th job of an epoch, all from one Philox block.

    The one before it came at `time`. The arrival has 48 bits, the work another 48 until its law is asked, the coin,
    uniform on [0, 1), 32.
    """
    a, b, c, d = philox(scheduler, source.epoch, number, JOB, source.seed, source.replication)
    arrival_time = next_arrival(source.stream, scheduler, number, time, (a << uint64(16)) | (b >> uint64(16)))
    work_bits = ((b & uint64(0xFFFF)) << uint64(32)) | c
    return arrival_time, work_bits, np.float64(np.int64(d)) * 2.0**-32


@njit(inline="always")
def job_work(source, scheduler, number, bits):  # type: ignore[no-untyped-def]
    """Return the work of a job whose work bits `draw_job` has drawn."""
    more = address(scheduler, source.epoch, number, JOB + SECOND, source.seed, source.replication)
    return work_of(bits, source.work, more)


@compiled(error_model="numpy")
def draw_epoch(source, start, end, nodes, room):  # type: ignore[no-untyped-def]
    """Return offsets (nodes + 1) and the flat arrival times, works and coins of one epoch's jobs, by scheduler.

    `room` is for how many jobs there is memory at first.
    """
    offsets = np.zeros(nodes + 1, dtype=np.int64)
    times, works, coins = np.empty(room), np.empty(room), np.empty(room)
    count = 0
    for scheduler in range(nodes):
        time, number = start, 0
        while True:
            time, bits, coin = draw_job(source, scheduler, number, time)
            if time >= end:
                break
            if count == room:
                room *= 2
                times, works, coins = _longer(times, room), _longer(works, room), _longer(coins, room)
            times[count], works[count], coins[count] = time, job_work(source, scheduler, number, bits), coin
            count += 1
            number += 1
        offsets[scheduler + 1] = count
    return offsets, times[:count].copy(), works[:count].copy(), coins[:count].copy()


draw_epoch_for_users = njit(error_model="numpy")(draw_epoch.py_func)
"""`draw_epoch` for a user's law, whose code cannot be kept on disk."""


@compiled()
def _longer(array, room):  # type: ignore[no-untyped-def]
    longer = np.empty(room, dtype=array.dtype)
    longer[: len(array)] = array
    return longer


@dataclass(frozen=True)
class EpochJobs:
    """The jobs born in one epoch; scheduler i's are `[offsets[i], offsets[i + 1])` of each array, in time order."""

    offsets: NDArray[np.int64]
    arrival_times: NDArray[np.float64]
    works: NDArray[np.float64]
    coins: NDArray[np.float64]
