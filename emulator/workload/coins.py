"""What is drawn for decisions: a coin for each scheduler and decision, and an order of the servers it can access."""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from emulator.machine.compiling import compiled
from emulator.randomness import DECISION, ORDER, philox, random_uniform

BLOCK = 64
"""Schedulers whose orders are drawn together: the compiler makes vector code of such loops, 3 times as fast."""

RANKED = 32
"""Numbers up to which ranking each among all, without a branch, is quicker than sorting."""

LARGEST = np.uint32(0xFFFFFFFF)

uncounted = njit(nogil=True, _nrt=False)  # type: ignore[call-overload]
"""For loops that take slices and make no arrays: without counting references to them."""


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

    Those of scheduler i are `[offsets[i], offsets[i + 1])`, less what comes before the first scheduler's. Columns are
    sorted by keys of 32 bits; equal ones, a pair in 2**32, stay in order.
    """
    orders = np.empty(offsets[last] - offsets[first_one], dtype=np.int64)
    keys, ranks = np.empty((RANKED, BLOCK), dtype=np.uint32), np.empty((RANKED, BLOCK), dtype=np.int32)
    for start in range(first_one, last, BLOCK):
        stop = min(start + BLOCK, last)
        _rank_block(seed, replication, number, offsets, start, stop, keys, ranks)
        for scheduler in range(start, stop):
            first, count = offsets[scheduler] - offsets[first_one], offsets[scheduler + 1] - offsets[scheduler]
            if count > RANKED:
                orders[first : first + count] = _sorted(seed, replication, number, scheduler, count)
            else:
                for column in range(count):
                    orders[uint64(first + ranks[column, scheduler - start])] = column
    return orders


@compiled(nogil=True)
def _sorted(seed, replication, number, scheduler, count):  # type: ignore[no-untyped-def]
    """Return the order of one scheduler that can access many servers."""
    keys = np.empty(count, dtype=np.uint32)
    for column in range(0, count, 4):
        words = philox(scheduler, number, column // 4, ORDER, seed, replication)
        for word in range(min(4, count - column)):
            keys[column + word] = words[word]
    return np.argsort(keys, kind="mergesort")


@uncounted
def _rank_block(seed, replication, number, offsets, start, stop, keys, ranks):  # type: ignore[no-untyped-def]
    """Rank the columns of the schedulers `start` to `stop` - 1 by keys: columns x schedulers, but for those with many.

    Columns that are not there have the largest keys, and so come last.
    """
    most = 0
    for scheduler in range(start, stop):
        count = offsets[scheduler + 1] - offsets[scheduler]
        most = max(most, count if count <= RANKED else 0)
    for column in range(0, most, 4):
        one, two, three, four = keys[column], keys[column + 1], keys[column + 2], keys[column + 3]
        for lane in range(BLOCK):
            words = philox(start + lane, number, column // 4, ORDER, seed, replication)
            one[lane], two[lane], three[lane], four[lane] = words
    for scheduler in range(start, stop):
        for column in range(offsets[scheduler + 1] - offsets[scheduler], most):
            keys[column, scheduler - start] = LARGEST
    ranks[:most] = 0
    for column in range(most):
        for later in range(column + 1, most):
            _compare(keys[column], keys[later], ranks[column], ranks[later])


@uncounted
def _compare(keys, later_keys, ranks, later_ranks):  # type: ignore[no-untyped-def]
    for lane in range(BLOCK):
        is_less = later_keys[lane] < keys[lane]
        ranks[lane] += is_less
        later_ranks[lane] += not is_less
