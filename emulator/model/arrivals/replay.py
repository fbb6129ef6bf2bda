"""Replaying a trace, in compiled code: its records shared out, or all of them for each scheduler.

Drawn at the address (0, lap, record, TRACE): by how much a record's time is spread, in lap 0, and who meets it. Drawn
at (scheduler, lap, record, TRACE): whether a scheduler that replays everything meets it; at lap NO_LAP its shift.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import uint64
from numpy.typing import NDArray

from emulator.machine.compiling import compiled
from emulator.model.arrivals.process import Arrivals, Setting
from emulator.model.arrivals.records import Records
from emulator.randomness import TRACE, philox

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NO_LAP = 2**32 - 1
"""At which a scheduler's shift is drawn."""


@compiled(error_model="numpy")
def _spread(times, most, seed, replication):  # type: ignore[no-untyped-def]
    """Put each time later by up to `most`."""
    for record in range(len(times)):
        high, low, _, _ = philox(0, 0, record, TRACE, seed, replication)
        u = np.float64(np.int64((high << uint64(16)) | (low >> uint64(16)))) * 2.0**-48
        times[record] += most * u


def scaled(records: Records, rate: float, spread: float, setting: Setting) -> Records:
    """Return records whose times are spread by up to so many ms, and then scaled to a rate per ms."""
    times, order = records.times, np.arange(len(records.times))
    if spread > 0.0:
        times = times.copy()
        _spread(times, spread, np.uint64(setting.seed), np.uint64(setting.replication))
        order = np.argsort(times, kind="stable")
    cycle = len(times) / rate
    works = records.works[order] if len(records.works) else records.works
    hashes = records.hashes[order] if len(records.hashes) else records.hashes
    return Records(times[order] * (cycle / records.cycle), cycle, works, hashes)


class ReplayState(NamedTuple):
    """Where each scheduler stands."""

    position: Integers
    """Records that it has met, or, if it replays all, the number of the next one, through all laps."""
    record: Integers
    """The one that it meets next."""


class Assigned(NamedTuple):
    """A trace each of whose records one scheduler meets."""

    times: Floats
    cycle: float
    works: Floats
    total: int
    """Records of the episode, through all laps."""
    schedulers: int
    offsets: Integers
    """Scheduler s meets the records `order[offsets[s] : offsets[s + 1]]`; s, s + schedulers and so on if empty."""
    order: NDArray[np.int32]

    def state(self) -> ReplayState:
        """See `Stream.state`."""
        return ReplayState(*np.zeros((2, self.schedulers), dtype=np.int64))

    @staticmethod
    def compiled_gap() -> Callable[[Any, Any, Any], Any]:
        """See `Stream.compiled_gap`."""

        def gap(stream: Any, bits: Any, more: Any) -> Any:
            return 0.0

        return gap

    @staticmethod
    def compiled_time() -> Callable[[Any, Any, Any, Any, Any], Any]:
        """See `Stream.compiled_time`."""

        def next_time(stream: Any, state: Any, scheduler: Any, time: Any, gap: Any) -> Any:
            number = scheduler + state.position[scheduler] * stream.schedulers
            if len(stream.offsets) > 0:
                place = stream.offsets[scheduler] + state.position[scheduler]
                number = np.int64(stream.order[place]) if place < stream.offsets[scheduler + 1] else stream.total
            if number >= stream.total:
                return np.inf
            lap, record = number // len(stream.times), number % len(stream.times)
            state.position[scheduler] += 1
            state.record[scheduler] = record
            return lap * stream.cycle + stream.times[record]

        return next_time


@compiled(error_model="numpy")
def _choices(total, records, cumulative, hashes, seed, replication):  # type: ignore[no-untyped-def]
    """Return the scheduler of each record of an episode: by its hash, or drawn."""
    chosen = np.empty(total, dtype=np.int32)
    for number in range(total):
        lap, record = number // records, number % records
        if len(hashes) > 0:
            chosen[number] = hashes[record] % len(cumulative)
            continue
        _, _, _, word = philox(0, lap, record, TRACE, seed, replication)
        coin = np.float64(np.int64(word)) * 2.0**-32
        chosen[number] = min(np.searchsorted(cumulative, coin, side="right"), len(cumulative) - 1)
    return chosen


def assigned(records: Records, setting: Setting, *, at_random: bool) -> Arrivals:
    """Return the arrivals where each record is met by one scheduler: at random, by its hash, or in turn."""
    count, schedulers, times = len(records.times), len(setting.weights), setting.times
    laps = int(setting.horizon // records.cycle)
    rest = setting.horizon - laps * records.cycle
    total = laps * count + min(count, int(np.searchsorted(records.times, rest)) + 1)
    offsets, order = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
    shares: Floats = np.ones(schedulers)
    if at_random or len(records.hashes):
        cumulative = np.add.accumulate(setting.weights / schedulers)
        chosen = _choices(
            total, count, cumulative, records.hashes, np.uint64(setting.seed), np.uint64(setting.replication)
        )
        order = np.argsort(chosen, kind="stable").astype(np.int32)
        counts = np.bincount(chosen, minlength=schedulers)
        offsets = np.append(0, np.cumsum(counts))
        shares = counts.astype(np.float64) * (schedulers / total)
    stream = Assigned(records.times, records.cycle, records.works, total, schedulers, offsets, order)
    lap = times // records.cycle
    before = lap * count + np.searchsorted(records.times, times - lap * records.cycle)
    return Arrivals(stream, np.diff(before) / np.diff(times) / schedulers, shares)


class Rotating(NamedTuple):
    """A trace that every scheduler replays, shifted by its own amount and thinned."""

    times: Floats
    cycle: float
    works: Floats
    shift: Floats
    """Of each scheduler, ms: from there on it replays the trace."""
    keep: Floats
    """Share of the records that each scheduler meets."""
    horizon: float
    seed: np.uint64
    replication: np.uint64

    def state(self) -> ReplayState:
        """See `Stream.state`."""
        first = np.searchsorted(self.times, self.shift)
        return ReplayState(first, np.zeros_like(first))

    @staticmethod
    def compiled_gap() -> Callable[[Any, Any, Any], Any]:
        """See `Stream.compiled_gap`."""

        def gap(stream: Any, bits: Any, more: Any) -> Any:
            return 0.0

        return gap

    @staticmethod
    def compiled_time() -> Callable[[Any, Any, Any, Any, Any], Any]:
        """See `Stream.compiled_time`."""

        def next_time(stream: Any, state: Any, scheduler: Any, time: Any, gap: Any) -> Any:
            number, keep = state.position[scheduler], stream.keep[scheduler]
            while True:
                lap, record = number // len(stream.times), number % len(stream.times)
                time = lap * stream.cycle + stream.times[record] - stream.shift[scheduler]
                if time >= stream.horizon:
                    return np.inf
                number += 1
                is_met = keep >= 1.0
                if not is_met:
                    _, b, c, _ = philox(scheduler, lap, record, TRACE, stream.seed, stream.replication)
                    bits = ((b & uint64(0xFFFF)) << uint64(32)) | c
                    is_met = np.float64(np.int64(bits)) * 2.0**-48 < keep
                if is_met:
                    state.position[scheduler], state.record[scheduler] = number, record
                    return time

        return next_time


@compiled(error_model="numpy")
def _shifts(cycle, seed, replication, shifts):  # type: ignore[no-untyped-def]
    for scheduler in range(len(shifts)):
        high, low, _, _ = philox(scheduler, NO_LAP, 0, TRACE, seed, replication)
        u = np.float64(np.int64((high << uint64(16)) | (low >> uint64(16)))) * 2.0**-48
        shifts[scheduler] = u * cycle


def rotating(records: Records, rate: float, keep: Floats, setting: Setting) -> Arrivals:
    """Return the arrivals where each scheduler meets a share of all records, which come at this rate per ms."""
    seeds = np.uint64(setting.seed), np.uint64(setting.replication)
    shifts = np.empty(len(keep))
    _shifts(records.cycle, *seeds, shifts)
    stream = Rotating(records.times, records.cycle, records.works, shifts, keep, setting.horizon, *seeds)
    mean = float(keep.mean())
    return Arrivals(stream, np.full(len(setting.times) - 1, rate * mean), keep / mean)
