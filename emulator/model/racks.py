"""Hosts in racks or pods: each beside all of its own, and beside some outside, as far away as their level says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emulator.model.access import Floats, Integers
from emulator.model.matching import match_across
from emulator.model.topology import Topology, from_edges


def hosts(
    kind: str, groups: int, sizes: Sequence[int], outside: int, latencies: Sequence[float] | None, seed: int
) -> Topology:
    """Return hosts in groups of `sizes[0]`, each divided into those of `sizes[1]` and so on.

    `latencies` (ms) are those inside the smallest groups, then level by level.
    """
    size = sizes[0]
    one, other = np.triu_indices(size, 1)
    shifts = size * np.arange(groups)[:, None]
    inside = np.stack([(one + shifts).ravel(), (other + shifts).ravel()], axis=1)
    edges = np.concatenate([inside, match_across(groups, size, outside, seed)])
    return from_edges(kind, edges, groups * size, None if latencies is None else _lengths(edges, sizes, latencies))


def _lengths(edges: Integers, sizes: Sequence[int], latencies: Sequence[float]) -> Floats:
    level = np.zeros(len(edges), dtype=np.int64)
    for size in sizes:
        level += edges[:, 0] // size != edges[:, 1] // size
    return np.array(latencies, dtype=np.float64)[level]
