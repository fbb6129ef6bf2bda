"""What is drawn for decisions: a coin for each scheduler and decision, and an order of the servers it can access."""

from __future__ import annotations

import numpy as np

from emulator.machine.compiling import compiled
from emulator.randomness import DECISION, ORDER, philox, random_uniform

RANKED = 32
"""Numbers up to which ranking each among all, without a branch, is quicker than sorting."""


@compiled()
def decision_coins(seed, replication, number, first, last):  # type: ignore[no-untyped-def]
    """Return a coin, uniform on [0, 1), for this decision of each of the schedulers `first` to `last` - 1."""
    coins = np.empty(last - first)
    for scheduler in range(first, last):
        coins[scheduler - first] = random_uniform(scheduler, number, 0, DECISION, seed, replication)
    return coins


@compiled(nogil=True)
def decision_orders(seed, replication, number, offsets, first_one, last):  # type: ignore[no-untyped-def]
    """Return the columns in a random order for this decision of the schedulers `first_one` to `last` - 1.

    Those of scheduler i are `[offsets[i], offsets[i + 1])`, less what comes before the first scheduler's.
    """
    orders = np.empty(offsets[last] - offsets[first_one], dtype=np.int64)
    most = np.max(np.diff(offsets[first_one : last + 1]))
    keys = np.empty(most, dtype=np.uint64)  # of 32 bits; equal ones, a pair in 2**32, stay in order
    for scheduler in range(first_one, last):
        first, count = offsets[scheduler] - offsets[first_one], offsets[scheduler + 1] - offsets[scheduler]
        for column in range(0, count, 4):
            words = philox(scheduler, number, column // 4, ORDER, seed, replication)
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
