"""What is drawn for decisions: a coin for each scheduler and epoch, and an order of the servers it can access."""

from __future__ import annotations

import numpy as np

from emulator.machine.compiling import compiled
from emulator.randomness import DECISION, ORDER, philox, random_uniform

RANKED = 32
"""Numbers up to which ranking each among all, without a branch, is quicker than sorting."""


@compiled()
def decision_coins(seed, replication, epoch, nodes):  # type: ignore[no-untyped-def]
    """Return a number for each scheduler, uniform on [0, 1)."""
    coins = np.empty(nodes)
    for scheduler in range(nodes):
        coins[scheduler] = random_uniform(scheduler, epoch, 0, DECISION, seed, replication)
    return coins


@compiled(nogil=True)
def decision_orders(seed, replication, epoch, offsets):  # type: ignore[no-untyped-def]
    """Return each scheduler's columns in a random order, those of scheduler i at `[offsets[i], offsets[i + 1])`."""
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
