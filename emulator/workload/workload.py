"""What happens to a system whatever its dispatcher and engine: epochs, arrival rates, jobs and coins.

Every number is drawn at an address (`emulator.randomness`), so two dispatchers meet the same jobs and any part of the
workload can be drawn on its own. Times in ms, rates per ms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import uint64
from numpy.typing import NDArray

from emulator.machine.compiling import compiled
from emulator.model.system import ArrivalProcess, System, WorkLaw
from emulator.randomness import DECISION, JOB, ORDER, RATE, exponential, philox, random_uniform

RANKED = 32
"""Numbers up to which ranking each among all, without a branch, is quicker than sorting."""

EXPONENTIAL, DETERMINISTIC, HYPEREXPONENTIAL = range(3)
_LAW_CODES = {
    "exponential": EXPONENTIAL,
    "deterministic": DETERMINISTIC,
    "hyperexponential": HYPEREXPONENTIAL,
}


@compiled(inline="always")
def draw_job(seed, replication, epoch, scheduler, number):  # type: ignore[no-untyped-def]
    """Return (gap, work bits, coin) of a scheduler's `number`-th job of an epoch, all from one Philox block.

    The gap since the previous job is exponential of mean 1 (48 bits), the work keeps its 48 bits until its law is
    known, the coin is uniform on [0, 1) (32 bits).
    """
    a, b, c, d = philox(scheduler, epoch, number, JOB, seed, replication)
    gap = exponential((a << uint64(16)) | (b >> uint64(16)))
    work_bits = ((b & uint64(0xFFFF)) << uint64(32)) | c
    return gap, work_bits, np.float64(d) * 2.0**-32


@compiled(inline="always")
def work_of(bits, law, branch, mean_short, mean_long):  # type: ignore[no-untyped-def]
    """Return the work, of mean 1, that 48 random bits stand for under a law.

    A hyperexponential job is short with probability `branch` / 2**48, long otherwise, each exponential.
    """
    if law == DETERMINISTIC:
        return 1.0
    if law == HYPEREXPONENTIAL:
        # The bits say the branch first; what is left of them, stretched to 48 bits again, says the length.
        if bits < branch:
            return mean_short * exponential(uint64(np.float64(bits) / np.float64(branch) * 2.0**48))
        rest = np.float64(bits - branch) / np.float64(uint64(2**48) - branch)
        return mean_long * exponential(uint64(rest * 2.0**48))
    return exponential(bits)


@compiled()
def _draw_epoch(seed, replication, epoch, start, end, rate, nodes, law, branch, mean_short, mean_long):  # type: ignore[no-untyped-def]
    """Return offsets (nodes + 1) and the flat arrival times, works and coins of one epoch's jobs, by scheduler."""
    offsets = np.zeros(nodes + 1, dtype=np.int64)
    expected = rate * (end - start) * nodes
    room = np.int64(expected + 10.0 * np.sqrt(expected) + 100.0)
    times, works, coins = np.empty(room), np.empty(room), np.empty(room)
    count = 0
    if rate > 0.0:
        mean_gap = 1.0 / rate
        for scheduler in range(nodes):
            time = start
            number = 0
            while True:
                gap, bits, coin = draw_job(seed, replication, epoch, scheduler, number)
                time += gap * mean_gap
                if time >= end:
                    break
                if count == room:
                    room *= 2
                    times, works, coins = _longer(times, room), _longer(works, room), _longer(coins, room)
                times[count] = time
                works[count] = work_of(bits, law, branch, mean_short, mean_long)
                coins[count] = coin
                count += 1
                number += 1
            offsets[scheduler + 1] = count
    return offsets, times[:count].copy(), works[:count].copy(), coins[:count].copy()


@compiled()
def _longer(array, room):  # type: ignore[no-untyped-def]
    longer = np.empty(room, dtype=array.dtype)
    longer[: len(array)] = array
    return longer


@compiled()
def _draw_rates(seed, replication, epochs, high, low, high_to_low, low_to_high):  # type: ignore[no-untyped-def]
    rates = np.empty(epochs)
    is_high = random_uniform(0, 0, 0, RATE, seed, replication) < 0.5
    for epoch in range(epochs):
        if epoch > 0:
            coin = random_uniform(0, epoch, 0, RATE, seed, replication)
            is_high = coin >= high_to_low if is_high else coin < low_to_high
        rates[epoch] = high if is_high else low
    return rates


@compiled()
def _draw_coins(seed, replication, epoch, nodes):  # type: ignore[no-untyped-def]
    coins = np.empty(nodes)
    for scheduler in range(nodes):
        coins[scheduler] = random_uniform(scheduler, epoch, 0, DECISION, seed, replication)
    return coins


@compiled(nogil=True)
def _draw_orders(seed, replication, epoch, offsets):  # type: ignore[no-untyped-def]
    orders = np.empty(offsets[-1], dtype=np.int64)
    keys = np.empty(np.max(np.diff(offsets)), dtype=np.uint64)  # of 32 bits; equal ones, a pair in 2**32, stay in order
    for scheduler in range(len(offsets) - 1):
        first, count = offsets[scheduler], offsets[scheduler + 1] - offsets[scheduler]
        for column in range(0, count, 4):
            words = philox(scheduler, epoch, column // 4, ORDER, seed, replication)
            for word in range(min(4, count - column)):
                keys[column + word] = words[word]
        if count > RANKED:
            orders[first : first + count] = np.argsort(keys[:count], kind="mergesort")
            continue
        for column in range(count):
            rank = 0
            for other in range(count):
                rank += (keys[other] < keys[column]) | ((keys[other] == keys[column]) & (other < column))
            orders[first + rank] = column
    return orders


@dataclass(frozen=True)
class EpochJobs:
    """The jobs born in one epoch; scheduler i's are `[offsets[i], offsets[i + 1])` of each array, in time order."""

    offsets: NDArray[np.int64]
    arrival_times: NDArray[np.float64]
    works: NDArray[np.float64]
    coins: NDArray[np.float64]


class Workload:
    """The workload of one replication of a system."""

    def __init__(self, system: System, replication: int):
        self.system = system
        self.replication = replication
        self.times = system.timetable.times
        self.epochs = system.timetable.epochs
        self.arrival_rates = _arrival_rates(system.arrivals, system.seed, replication, self.epochs)

    def jobs(self, epoch: int) -> EpochJobs:
        """Draw the jobs born in an epoch."""
        system = self.system
        return EpochJobs(
            *_draw_epoch(
                np.uint64(system.seed),
                np.uint64(self.replication),
                epoch,
                self.times[epoch],
                self.times[epoch + 1],
                self.arrival_rates[epoch],
                system.nodes,
                *law_numbers(system.work),
            )
        )

    def decision_coins(self, epoch: int) -> NDArray[np.float64]:
        """Draw each scheduler's decision coin of an epoch: uniform on [0, 1), one per node."""
        return _draw_coins(np.uint64(self.system.seed), np.uint64(self.replication), epoch, self.system.nodes)

    def decision_orders(self, epoch: int) -> NDArray[np.int64]:
        """Draw each scheduler's order of its accessible servers in an epoch: columns, laid out as `access_offsets`."""
        return _draw_orders(np.uint64(self.system.seed), np.uint64(self.replication), epoch, self.system.access.offsets)


def _arrival_rates(arrivals: ArrivalProcess, seed: int, replication: int, epochs: int) -> NDArray[np.float64]:
    return _draw_rates(
        np.uint64(seed),
        np.uint64(replication),
        epochs,
        arrivals.high,
        arrivals.low,
        arrivals.high_to_low,
        arrivals.low_to_high,
    )


def law_numbers(work: WorkLaw) -> tuple[int, np.uint64, float, float]:
    """Return a law of work as the four numbers that the compiled functions take.

    A hyperexponential law of squared coefficient of variation c has balanced means: short with probability
    p = (1 + sqrt((c - 1) / (c + 1))) / 2 and mean 1 / (2 p), else long with mean 1 / (2 (1 - p)).
    """
    code = _LAW_CODES[work.kind]
    if code != HYPEREXPONENTIAL:
        return code, np.uint64(0), 1.0, 1.0
    probability = (1.0 + math.sqrt((work.scv - 1.0) / (work.scv + 1.0))) / 2.0
    return code, np.uint64(round(probability * 2**48)), 0.5 / probability, 0.5 / (1.0 - probability)
