"""Choosing: the servers that schedulers of a set of their own have drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import uint64

from emulator.machine.compiling import compiled
from emulator.model.access import Access, Indices, Integers
from emulator.model.matching import attempt_seed
from emulator.randomness import TOPOLOGY, philox, random_words

TRIES = 2000
"""At finding another entry with which one that stands twice can change places."""


def drawn_choices(schedulers: int, servers: int, choices: Sequence[int], seed: int, *, balanced: bool) -> Access:
    """Return the servers of each scheduler, different ones in random order.

    How many is drawn from `choices`, all equally likely. Balanced, all servers are chosen equally often, up to one;
    otherwise a scheduler's servers are drawn uniformly, whatever others have drawn.
    """
    numbers = np.array(choices, dtype=np.int64)
    which = random_words(seed, TOPOLOGY, schedulers) % np.uint64(len(numbers)) if len(numbers) > 1 else 0
    counts = np.broadcast_to(numbers[which], schedulers)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    own = np.uint64(attempt_seed(seed, 1))
    if not balanced:
        chosen = _uniform(offsets, servers, own)
    elif len(numbers) == 1 and 2 * choices[0] > servers:  # few are left out, and they are quicker to draw
        left_out = np.arange(schedulers + 1) * (servers - choices[0])
        chosen = _complement(left_out, _balanced(left_out, servers, seed), servers)
    else:
        chosen = _balanced(offsets, servers, seed)
    _shuffle(offsets, chosen, np.uint64(attempt_seed(seed, 2)))
    return Access(offsets, chosen, servers)


def _balanced(offsets: Integers, servers: int, seed: int) -> Indices:
    """Match the ends of schedulers and of servers at random, and let entries that stand twice change places."""
    entries = int(offsets[-1])
    quotas = np.full(servers, entries // servers)
    quotas[_permutation(servers, attempt_seed(seed, 3))[: entries % servers]] += 1
    ends = np.repeat(np.arange(servers, dtype=np.int32), quotas)
    chosen: Indices = ends[_permutation(entries, attempt_seed(seed, 4))]
    own = np.uint64(attempt_seed(seed, 5))
    if not _change_places(offsets, chosen, servers, own):
        # So dense that few changes are possible: one after another, which is balanced, then as many changes as are.
        chosen = _permutation(servers, attempt_seed(seed, 3)).astype(np.int32)[np.arange(entries) % servers]
        _mix(offsets, chosen, own)
    return chosen


def _permutation(count: int, seed: int) -> Integers:
    return np.argsort(random_words(seed, TOPOLOGY, count), kind="stable")


@compiled(inline="always")
def _below(limit, draw, seed):  # type: ignore[no-untyped-def]
    high, low, _, _ = philox(draw & 0xFFFFFFFF, draw >> 32, 1, TOPOLOGY, seed, 0)
    return np.int64(((high << uint64(32)) | low) % uint64(limit))


@compiled()
def _holds(offsets, chosen, scheduler, server):  # type: ignore[no-untyped-def]
    found = False
    for entry in range(offsets[scheduler], offsets[scheduler + 1]):
        found |= chosen[entry] == server  # without a branch
    return found


@compiled()
def _swapped(offsets, chosen, scheduler, entry, other):  # type: ignore[no-untyped-def]
    """Let two entries change places, unless that would have a scheduler access a server twice; return whether."""
    another = np.searchsorted(offsets, other, side="right") - 1
    if another == scheduler or _holds(offsets, chosen, scheduler, chosen[other]):
        return False
    if _holds(offsets, chosen, another, chosen[entry]):
        return False
    chosen[entry], chosen[other] = chosen[other], chosen[entry]
    return True


@compiled()
def _change_places(offsets, chosen, servers, seed):  # type: ignore[no-untyped-def]
    """Let each entry that stands twice change places with a random one; return whether all could."""
    last = np.full(servers, -1, dtype=np.int64)
    draw = 0
    for scheduler in range(len(offsets) - 1):
        for entry in range(offsets[scheduler], offsets[scheduler + 1]):
            if last[chosen[entry]] == scheduler:
                for attempt in range(TRIES + 1):
                    if attempt == TRIES:
                        return False
                    draw += 1
                    if _swapped(offsets, chosen, scheduler, entry, _below(len(chosen), draw, seed)):
                        break
            last[chosen[entry]] = scheduler
    return True


@compiled()
def _mix(offsets, chosen, seed):  # type: ignore[no-untyped-def]
    for turn in range(8):
        for scheduler in range(len(offsets) - 1):
            for entry in range(offsets[scheduler], offsets[scheduler + 1]):
                draw = turn * len(chosen) + entry
                _swapped(offsets, chosen, scheduler, entry, _below(len(chosen), draw, seed))


@compiled()
def _uniform(offsets, servers, seed):  # type: ignore[no-untyped-def]
    """Draw sets of servers, all equally likely (R. W. Floyd, 1987)."""
    chosen = np.empty(offsets[-1], dtype=np.int32)
    last = np.full(servers, -1, dtype=np.int64)
    for scheduler in range(len(offsets) - 1):
        first, count = offsets[scheduler], offsets[scheduler + 1] - offsets[scheduler]
        for place in range(count):
            largest = servers - count + place
            server = _below(largest + 1, first + place, seed)
            if last[server] == scheduler:
                server = largest
            last[server] = scheduler
            chosen[first + place] = server
    return chosen


@compiled()
def _complement(offsets, left_out, servers):  # type: ignore[no-untyped-def]
    schedulers = len(offsets) - 1
    chosen = np.empty(schedulers * servers - len(left_out), dtype=np.int32)
    last = np.full(servers, -1, dtype=np.int64)
    place = 0
    for scheduler in range(schedulers):
        for entry in range(offsets[scheduler], offsets[scheduler + 1]):
            last[left_out[entry]] = scheduler
        for server in range(servers):
            if last[server] != scheduler:
                chosen[place] = server
                place += 1
    return chosen


@compiled()
def _shuffle(offsets, chosen, seed):  # type: ignore[no-untyped-def]
    for scheduler in range(len(offsets) - 1):
        first = offsets[scheduler]
        for entry in range(offsets[scheduler + 1] - 1, first, -1):
            other = first + _below(entry - first + 1, entry, seed)
            chosen[entry], chosen[other] = chosen[other], chosen[entry]
