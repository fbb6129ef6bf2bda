"""What becomes of queues in one epoch, by the exact law of the M/M/1/B chain instead of single jobs.

Within an epoch the decision rules are fixed, so each queue is a birth-death chain with the constant arrival
rate of section 1.2.4. Uniformisation gives its law at the epoch's end and the expected drops until then. Both are
tabulated over arrival rates, so that a queue's epoch costs one look at a table and one random number.
"""

from __future__ import annotations

import numpy as np
from numba import uint64

from dispatchers.view import Floats, Integers
from emulator.errors import InputError
from emulator.machine.compiling import compiled
from emulator.model.system import System
from emulator.randomness import JOB, random_uniform

MOST_SERVICE_RATES = 256
"""Distinct service rates, each of which needs a table of its own."""

MOST_OPERATIONS = 2e9
"""Steps of the sums behind the tables: some 10 s of one core."""

GRID_POINTS = 2048
"""Arrival rates of a table at least; between two of them its entries are interpolated linearly."""

LARGEST_STEP = 0.004
"""Distance of two arrival rates of a table at most, jobs per ms."""

_NEGLIGIBLE = 1e-10
"""Probability of more jumps than are summed up."""

_LARGEST_MEAN = 500.0
"""Expected jumps that are summed up at a time: exp(-mean) must not underflow."""


@compiled()
def _evolve(law, arrival_rate, service_rate, duration, state):  # type: ignore[no-untyped-def]
    """Replace `law` by that after `duration`; return the expected drops. `state` is scratch of its size."""
    buffer = len(law) - 1
    up = arrival_rate / (arrival_rate + service_rate)
    down = 1.0 - up
    jumps_expected = (arrival_rate + service_rate) * duration
    pieces = int(jumps_expected / _LARGEST_MEAN) + 1
    mean = jumps_expected / pieces
    drops = 0.0
    for _ in range(pieces):
        # The number of jumps is Poisson, and `state` is the law after as many as `jumps`. The next jump
        # happens with probability `beyond`; one that is an arrival and meets a full queue is a drop.
        state[:] = law
        law[:] = 0.0
        weight = np.exp(-mean)
        beyond = 1.0 - weight
        jumps = 0
        while True:
            for length in range(buffer + 1):
                law[length] += weight * state[length]
            if jumps > mean and beyond < _NEGLIGIBLE:
                break
            drops += beyond * up * state[buffer]
            # A full queue that is sent a job stays full; an empty one that would be served stays empty.
            before = state[0]
            state[0] = down * (before + state[1])
            for length in range(1, buffer):
                here = state[length]
                state[length] = up * before + down * state[length + 1]
                before = here
            state[buffer] = up * (before + state[buffer])
            jumps += 1
            weight *= mean / jumps
            beyond -= weight
    return drops


def evolve(law: Floats, arrival_rate: float, service_rate: float, duration: float) -> tuple[Floats, float]:
    """Return the law of a queue's length after `duration` ms, and the expected drops until then.

    `law` is that at the start: float64, buffer + 1, the probabilities of 0..buffer jobs. Rates are per ms.
    """
    law = np.array(law, dtype=np.float64)
    drops = _evolve(law, arrival_rate, service_rate, duration, np.empty_like(law))
    return law, drops


@compiled()
def tabulate(buffer, service_rates, duration, step, points):  # type: ignore[no-untyped-def]
    """Return service rates x arrival rates x lengths at the start x (buffer cumulative probabilities, drops)."""
    table = np.empty((len(service_rates), points, buffer + 1, buffer + 1))
    law, state = np.empty(buffer + 1), np.empty(buffer + 1)
    for kind in range(len(service_rates)):
        for point in range(points):
            for start in range(buffer + 1):
                law[:] = 0.0
                law[start] = 1.0
                drops = _evolve(law, point * step, service_rates[kind], duration, state)
                entry = table[kind, point, start]
                total = 0.0
                for length in range(buffer):
                    total += law[length]
                    entry[length] = total
                entry[buffer] = drops
    return table


@compiled()
def draw_epoch(queue_lengths, received, table, kinds, graph_of, step, seed, replications, epoch):  # type: ignore[no-untyped-def]
    """Draw the queue lengths at the epoch's end, in place; return the expected drops, copies x nodes."""
    copies, nodes = queue_lengths.shape
    buffer = table.shape[3] - 1
    drops = np.empty((copies, nodes))
    for copy in range(copies):
        for node in range(nodes):
            place = received[copy, node] / step
            point = min(int(place), table.shape[1] - 2)
            share = place - point
            kind, start = kinds[graph_of[copy], node], queue_lengths[copy, node]
            below, above = table[kind, point, start], table[kind, point + 1, start]
            # No jobs are drawn, so the address of the epoch's first one is free.
            coin = random_uniform(node, epoch, 0, JOB, seed, replications[copy])
            length = 0
            for other in range(buffer):
                length += coin >= below[other] + share * (above[other] - below[other])
            queue_lengths[copy, node] = length
            drops[copy, node] = below[buffer] + share * (above[buffer] - below[buffer])
    return drops


class EpochLaw:
    """The law of every queue of some systems of the same size, rates and buffer, tabulated when it is first needed.

    Raises `InputError` for work that is not exponential, and for too many distinct service rates or too high rates.
    """

    def __init__(self, systems: list[System]):
        first = systems[0]
        if first.work.law != "exponential":
            raise InputError(
                f"training knows the law of a queue for service.work exponential only, got {first.work.law}"
            )
        self.buffer = first.buffer
        rates = np.array([system.service_rates for system in systems])
        self.service_rates, kinds = np.unique(rates, return_inverse=True)
        if len(self.service_rates) > MOST_SERVICE_RATES:
            raise InputError(
                f"training knows at most {MOST_SERVICE_RATES} distinct service rates, got {len(self.service_rates)}"
            )
        self.kinds = kinds.reshape(rates.shape)
        """The number of each server's rate, graphs x nodes."""
        widest = max(system.access.width for system in systems)
        largest = first.arrivals.highest_rate() * widest
        self.points = max(GRID_POINTS, int(np.ceil(largest / LARGEST_STEP)) + 1)
        self.step = max(largest, 1e-9) / (self.points - 1)
        jumps = (largest / 2.0 + self.service_rates).sum() * first.delta_t  # mean over the arrival rates of the grid
        operations = self.points * (self.buffer + 1.0) ** 2 * jumps
        if operations > MOST_OPERATIONS:
            raise InputError(
                f"training would need {operations:.2g} operations for the law of queues sent up to {largest:g} "
                f"jobs per ms, at most are {MOST_OPERATIONS:g}: take lower rates, fewer neighbours or a smaller buffer"
            )
        self._tables: dict[float, Floats] = {}

    def advance(
        self,
        queue_lengths: Integers,
        received: Floats,
        graph_of: Integers,
        duration: float,
        seed: int,
        replications: Integers,
        epoch: int,
    ) -> Floats:
        """Advance copies of the networks by one epoch, in place, and return the expected drops, copies x nodes.

        `queue_lengths` (int64) and `received`, the jobs per ms that come to each server, are copies x nodes.
        """
        key = round(duration, 9)  # k * delta_t is not evenly spaced to the last bit
        if key not in self._tables:
            self._tables[key] = tabulate(self.buffer, self.service_rates, duration, self.step, self.points)
        table = self._tables[key]
        return draw_epoch(
            queue_lengths, received, table, self.kinds, graph_of, self.step, np.uint64(seed), replications, epoch
        )


@compiled(inline="always")
def _length_key(length):  # type: ignore[no-untyped-def]
    """Return 64 bits of which sums over a few lengths are distinct but for a chance of 2**-64 a pair."""
    word = uint64(length + 1) * uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> uint64(27))) * uint64(0x94D049BB133111EB)
    return word ^ (word >> uint64(31))


@compiled()
def accessible_keys(queue_lengths, graph_of, offsets, neighbours):  # type: ignore[no-untyped-def]
    """Return a number for the lengths that each scheduler can access, whatever their order: copies x nodes, uint64."""
    copies, nodes = queue_lengths.shape
    keys = np.empty((copies, nodes), dtype=np.uint64)
    for copy in range(copies):
        here = offsets[graph_of[copy]]
        for node in range(nodes):
            key = _length_key(queue_lengths[copy, node])
            for place in range(here[node], here[node + 1]):
                key += _length_key(queue_lengths[copy, neighbours[place]])
            keys[copy, node] = key
    return keys


@compiled()
def linear_offload(queue_lengths, weights, graph_of, offsets, neighbours):  # type: ignore[no-untyped-def]
    """Return offload probabilities, copies x nodes, that are linear in the distribution of the accessible queues.

    `weights` is buffer + 1 x buffer + 1: by own length, and by the length whose share it multiplies. Clipped to [0, 1].
    """
    copies, nodes = queue_lengths.shape
    offload = np.empty((copies, nodes))
    for copy in range(copies):
        here = offsets[graph_of[copy]]
        for node in range(nodes):
            own = queue_lengths[copy, node]
            total = weights[own, own]
            for place in range(here[node], here[node + 1]):
                total += weights[own, queue_lengths[copy, neighbours[place]]]
            offload[copy, node] = min(1.0, max(0.0, total / (here[node + 1] - here[node] + 1)))
    return offload


@compiled()
def draw_coins(seed, replications, epoch, stream):  # type: ignore[no-untyped-def]
    """Return a number uniform on [0, 1) for each copy."""
    coins = np.empty(len(replications))
    for copy in range(len(replications)):
        coins[copy] = random_uniform(0, epoch, 0, stream, seed, replications[copy])
    return coins
