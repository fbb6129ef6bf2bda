"""Access: which servers each scheduler can send jobs to, all that an engine needs to know of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Access:
    """A relation between schedulers and servers: scheduler i can access `servers[offsets[i] : offsets[i + 1]]`.

    A place in `servers` is called an entry. The servers of a scheduler are its columns, in this order; where
    schedulers have an own server, it is column 0.
    """

    offsets: Integers
    """Where each scheduler's entries begin: schedulers + 1 numbers."""
    servers: Indices
    """The servers of scheduler 0, then those of scheduler 1, and so on."""
    server_count: int

    @property
    def scheduler_count(self) -> int:
        """How many schedulers there are."""
        return len(self.offsets) - 1

    @cached_property
    def counts(self) -> Integers:
        """How many servers each scheduler can access."""
        return np.diff(self.offsets)

    @cached_property
    def width(self) -> int:
        """How many servers a scheduler can access at most."""
        return int(self.counts.max())

    @cached_property
    def sharing(self) -> Integers:
        """How many schedulers can access each server."""
        return np.bincount(self.servers, minlength=self.server_count)

    @cached_property
    def transpose(self) -> Access:
        """The same relation seen from the servers: the schedulers that can access each, that of its index first."""
        schedulers = np.repeat(np.arange(self.scheduler_count, dtype=np.int32), self.counts)
        order = np.lexsort((schedulers, schedulers != self.servers, self.servers))
        return Access(np.concatenate([[0], np.cumsum(self.sharing)]), schedulers[order], self.scheduler_count)

    def of(self, scheduler: int) -> Indices:
        """Return the servers that a scheduler can access."""
        return self.servers[self.offsets[scheduler] : self.offsets[scheduler + 1]]


def own_and_neighbours(offsets: Integers, neighbours: Integers) -> Access:
    """Return the access of a graph whose nodes hold a scheduler and a server each: own server, then neighbours'."""
    nodes = len(offsets) - 1
    entries = offsets + np.arange(nodes + 1)
    servers = np.empty(entries[-1], dtype=np.int32)
    is_neighbour = np.ones(len(servers), dtype=bool)
    is_neighbour[entries[:-1]] = False
    servers[entries[:-1]] = np.arange(nodes)
    servers[is_neighbour] = neighbours
    return Access(entries, servers, nodes)
