"""What becomes of queues in one epoch, by the exact law of the M/M/1/B chain instead of single jobs.

Within an epoch the decision rules are fixed, so each queue is a birth-death chain with the constant arrival
rate of section 1.2.4. Uniformisation gives its law at the epoch's end and the expected drops until then.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.compiling import compiled
from emulator.randomness import JOB, random_uniform

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


def evolve(
    law: NDArray[np.float64], arrival_rate: float, service_rate: float, duration: float
) -> tuple[NDArray[np.float64], float]:
    """Return the law of a queue's length after `duration` ms, and the expected drops until then.

    `law` is that at the start: float64, buffer + 1, the probabilities of 0..buffer jobs. Rates are per ms.
    """
    law = np.array(law, dtype=np.float64)
    drops = _evolve(law, arrival_rate, service_rate, duration, np.empty_like(law))
    return law, drops


@compiled()
def advance(  # type: ignore[no-untyped-def]
    queue_lengths,
    offload,
    rates,
    service_rates,
    duration,
    buffer,
    offsets,
    neighbours,
    seed,
    replications,
    epoch,
):
    """Advance copies of a network by one epoch, in place, and return each copy's expected drops per node.

    `queue_lengths` (int64) and `offload` (float64, the probability that a scheduler sends a job to a random
    neighbour) are copies x nodes. `rates` (of arrivals at each scheduler) and `replications` have one entry
    per copy, `service_rates` one per node; `offsets` and `neighbours` are the topology's.
    """
    copies, nodes = queue_lengths.shape
    drops = np.zeros(copies)
    share = np.empty(nodes)
    law, state = np.empty(buffer + 1), np.empty(buffer + 1)
    for copy in range(copies):
        for node in range(nodes):
            share[node] = offload[copy, node] / max(offsets[node + 1] - offsets[node], 1)
        for node in range(nodes):
            degree = offsets[node + 1] - offsets[node]
            received = 1.0 - share[node] * degree  # a scheduler without neighbours keeps its jobs
            for index in range(offsets[node], offsets[node + 1]):
                received += share[neighbours[index]]
            law[:] = 0.0
            law[queue_lengths[copy, node]] = 1.0
            drops[copy] += _evolve(law, rates[copy] * received, service_rates[node], duration, state)
            # No jobs are drawn, so the address of the epoch's first one is free.
            coin = random_uniform(node, epoch, 0, JOB, seed, replications[copy])
            length = 0
            cumulative = law[0]
            while coin >= cumulative and length < buffer:
                length += 1
                cumulative += law[length]
            queue_lengths[copy, node] = length
    return drops / nodes


@compiled()
def draw_coins(seed, replications, epoch, stream):  # type: ignore[no-untyped-def]
    """Return a number uniform on [0, 1) for each copy."""
    coins = np.empty(len(replications))
    for copy in range(len(replications)):
        coins[copy] = random_uniform(0, epoch, 0, stream, seed, replications[copy])
    return coins
