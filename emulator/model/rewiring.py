"""Rings of near neighbours whose edges are moved at random (D. J. Watts and S. H. Strogatz, 1998)."""

from __future__ import annotations

import numpy as np

from emulator.errors import InputError
from emulator.model.access import Integers
from emulator.model.matching import attempt_seed
from emulator.randomness import TOPOLOGY, random_words

ROUNDS = 500
"""In each of which about half or more of the edges that are still to be moved find a place."""


def rewired_ring(nodes: int, degree: int, rewire: float, seed: int) -> Integers:
    """Return the edges of a ring with nodes i and i +- 1, ..., i +- degree / 2 neighbours, some of them moved.

    The coin of an edge says whether it moves. Its second end then goes to a node drawn uniformly, and again wherever
    that would make a loop or a double edge.
    """
    node = np.arange(nodes)
    steps = range(1, degree // 2 + 1)
    edges = np.concatenate([np.stack([node, (node + step) % nodes], axis=1) for step in steps])
    coins = (random_words(seed, TOPOLOGY, len(edges)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    moving = np.flatnonzero(coins < rewire)
    for round_number in range(ROUNDS):
        if len(moving) == 0:
            return edges
        words = random_words(attempt_seed(seed, round_number + 1), TOPOLOGY, len(moving))
        edges[moving, 1] = (words % np.uint64(nodes)).astype(np.int64)
        moving = moving[_is_in_the_way(edges, moving, nodes)]
    raise InputError(f"no place was found for {len(moving)} edges that are to be moved: degree is too large")


def _is_in_the_way(edges: Integers, moved: Integers, nodes: int) -> np.ndarray:
    """Return which of the edges just moved are loops, or stand beside an equal one that stays or was moved before."""
    codes = edges.min(axis=1) * nodes + edges.max(axis=1)
    is_moved = np.zeros(len(edges), dtype=bool)
    is_moved[moved] = True
    order = np.lexsort((is_moved, codes))
    repeated = np.zeros(len(edges), dtype=bool)
    repeated[order[1:]] = codes[order[1:]] == codes[order[:-1]]
    return (repeated | (edges[:, 0] == edges[:, 1]))[moved]
