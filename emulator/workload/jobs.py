"""One draw of a job for all engines, compiled for each law of work and arrival process.

An arrival process that starts anew with each epoch has a `JobSource`: a job is numbered within its epoch, and drawn at
the address (scheduler, epoch, number, JOB). Any other has an `EpisodeSource`: an arrival n is numbered over the
episode, and a job of its batch is drawn at (scheduler, place in the batch, n, JOB).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit, typeof, types, uint64
from numba.extending import overload
from numpy.typing import NDArray

from emulator.errors import InputError
from emulator.model.laws import Law
from emulator.model.laws.drawing import takes_more, told_apart, work_of
from emulator.randomness import JOB, SECOND, SERVICE, address, philox, random_words

_INLINED: Any = {"error_model": "numpy", "forceinline": True}


class JobSource(NamedTuple):
    """Where in a workload the jobs of an epoch are drawn, and of which laws."""

    seed: np.uint64
    replication: np.uint64
    epoch: np.uint64
    stream: Any
    """See `emulator.model.arrivals.process.EpochStream`."""
    work: Any
    """See `emulator.model.laws.law.WorkNumbers`."""


class EpisodeSource(NamedTuple):
    """Where in a workload the jobs of an episode are drawn, and of which laws."""

    seed: np.uint64
    replication: np.uint64
    stream: Any
    """See `emulator.model.arrivals.process.Stream`."""
    batch: Any
    """See `emulator.model.arrivals.batch`."""
    work: Any
    """See `emulator.model.laws.law.WorkNumbers`."""


class Ready(NamedTuple):
    """The next job of each scheduler, which has been drawn, and where its arrival process stands."""

    time: NDArray[np.float64]
    """When it arrives, ms."""
    work: NDArray[np.float64]
    coin: NDArray[np.float64]
    arrival: NDArray[np.int64]
    """The number of its arrival in the episode."""
    place: NDArray[np.int32]
    """In the batch of this arrival."""
    size: NDArray[np.int64]
    """Of this batch."""
    state: Any
    """See `emulator.model.arrivals.process.Stream.state`."""


def before_all(source: Any, schedulers: int) -> Ready:
    """Return what stands ready before the first job of each scheduler is drawn: an arrival -1 at time 0, no job."""
    time, work, coin = np.zeros((3, schedulers))
    return Ready(
        time,
        work,
        coin,
        np.full(schedulers, -1),
        np.zeros(schedulers, dtype=np.int32),
        np.ones(schedulers, dtype=np.int64),
        source.stream.state(),
    )


def next_arrival(stream: Any, scheduler: Any, number: Any, time: Any, bits: Any) -> Any:
    """Return when a scheduler's `number`-th job of an epoch arrives (ms), the one before it having come at `time`."""


@overload(next_arrival, jit_options=_INLINED)
def _next_arrival(stream, scheduler, number, time, bits):  # type: ignore[no-untyped-def]
    following = njit(**_INLINED)(stream.instance_class.compiled_next())
    return lambda stream, scheduler, number, time, bits: following(stream, scheduler, number, time, bits)


def gap_of(stream: Any, bits: Any, more: Any) -> Any:
    """Return what a process makes of an arrival's 48 bits, see `Stream.compiled_gap`."""


@overload(gap_of, jit_options=_INLINED)
def _gap_of(stream, bits, more):  # type: ignore[no-untyped-def]
    gap = njit(**_INLINED)(stream.instance_class.compiled_gap())
    return lambda stream, bits, more: gap(stream, bits, more)


def arrival_time(stream: Any, state: Any, scheduler: Any, time: Any, gap: Any) -> Any:
    """Return when a scheduler's next arrival is (ms), see `Stream.compiled_time`."""


@overload(arrival_time, jit_options=_INLINED)
def _arrival_time(stream, state, scheduler, time, gap):  # type: ignore[no-untyped-def]
    following = njit(**_INLINED)(stream.instance_class.compiled_time())
    return lambda stream, state, scheduler, time, gap: following(stream, state, scheduler, time, gap)


def batch_size(batch: Any, scheduler: Any, number: Any, seed: Any, replication: Any) -> Any:
    """Return how many jobs come with a scheduler's arrival of this number."""


@overload(batch_size, jit_options=_INLINED)
def _batch_size(batch, scheduler, number, seed, replication):  # type: ignore[no-untyped-def]
    size = njit(**_INLINED)(batch.instance_class.compiled_size())
    return lambda batch, scheduler, number, seed, replication: size(batch, scheduler, number, seed, replication)


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


def work_on_arrival(source: Any, state: Any, scheduler: Any, place: Any, number: Any, bits: Any) -> Any:
    """Return the work of a job of an arrival: what the arrival process says, or what the law makes of 48 bits."""


@overload(work_on_arrival, jit_options=_INLINED)
def _work_on_arrival(source, state, scheduler, place, number, bits):  # type: ignore[no-untyped-def]
    def drawn(source, state, scheduler, place, number, bits):  # type: ignore[no-untyped-def]
        more = address(scheduler, place, number, JOB + SECOND, source.seed, source.replication)
        return work_of(bits, source.work, more)

    def recorded(source, state, scheduler, place, number, bits):  # type: ignore[no-untyped-def]
        if len(source.stream.works) > 0:
            return source.stream.works[state.record[scheduler]]
        more = address(scheduler, place, number, JOB + SECOND, source.seed, source.replication)
        return work_of(bits, source.work, more)

    stream = source.types[source.fields.index("stream")]
    return recorded if "works" in stream.fields else drawn


@dataclass(frozen=True)
class EpochJobs:
    """The jobs born in one epoch; scheduler i's are `[offsets[i], offsets[i + 1])` of each array, in time order."""

    offsets: NDArray[np.int64]
    arrival_times: NDArray[np.float64]
    works: NDArray[np.float64]
    coins: NDArray[np.float64]
