"""Graphs that grow by preferential attachment (A.-L. Barabasi and R. Albert, 1999)."""

from __future__ import annotations

import numpy as np
from numba import uint64

from emulator.machine.compiling import compiled
from emulator.model.access import Integers
from emulator.randomness import TOPOLOGY, philox


def attached(nodes: int, attach: int, seed: int) -> Integers:
    """Return the edges of a graph that begins as a star of attach + 1 nodes.

    Each further node is joined to `attach` different ones, which are drawn in proportion to their degrees.
    """
    edges: Integers = _attached(nodes, attach, np.uint64(seed))
    return edges


@compiled()
def _attached(nodes, attach, seed):  # type: ignore[no-untyped-def]
    count = attach * (nodes - attach)
    edges = np.empty((count, 2), dtype=np.int64)
    for leaf in range(attach):
        edges[leaf] = 0, leaf + 1
    last = np.full(nodes, -1, dtype=np.int64)
    filled, draws = attach, 0
    for source in range(attach + 1, nodes):
        known = 2 * filled  # ends of edges before this node: a node stands there as often as its degree is
        for place in range(filled, filled + attach):
            while True:
                high, low, _, _ = philox(draws & 0xFFFFFFFF, draws >> 32, 1, TOPOLOGY, seed, 0)
                draws += 1
                end = np.int64(((high << uint64(32)) | low) % uint64(known))
                target = edges[end >> 1, end & 1]
                if last[target] != source:
                    break
            last[target] = source
            edges[place] = target, source
        filled += attach
    return edges
