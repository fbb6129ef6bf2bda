"""Access: which servers each scheduler can send jobs to, all that an engine needs to know of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emulator.errors import InputError
from emulator.machine.compiling import compiled

Integers = NDArray[np.int64]
Indices = NDArray[np.int32]
Floats = NDArray[np.float64]

Home = Literal["first", "nearest"]
"""Which server becomes the own one of a scheduler that has none."""


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
    has_own: bool = False
    """Whether column 0 of each scheduler is its own server, its home."""
    lengths: Floats | None = None
    """How far away the server of each entry is, ms; None if nobody has said so."""

    @property
    def scheduler_count(self) -> int:
        """How many schedulers there are."""
        return len(self.offsets) - 1

    @cached_property
    def counts(self) -> Integers:
        """How many servers each scheduler can access."""
        return np.diff(self.offsets)

    @cached_property
    def others(self) -> Integers:
        """How many servers each scheduler can access that are not its own."""
        return self.counts - 1 if self.has_own else self.counts

    @cached_property
    def width(self) -> int:
        """How many servers a scheduler can access at most."""
        return int(self.counts.max())

    @cached_property
    def sharing(self) -> Integers:
        """How many schedulers can access each server."""
        return np.bincount(self.servers, minlength=self.server_count)

    @cached_property
    def turned(self) -> Integers:
        """The entry that each entry of the transpose is seen from the schedulers."""
        starts = np.concatenate([[0], np.cumsum(self.sharing)])
        return _turned(self.offsets, self.servers, starts, self.has_own)

    @cached_property
    def transpose(self) -> Access:
        """The same relation seen from the servers: the schedulers that can access each, in increasing index.

        Those whose own server it is come first.
        """
        schedulers = np.repeat(np.arange(self.scheduler_count, dtype=np.int32), self.counts)[self.turned]
        lengths = None if self.lengths is None else self.lengths[self.turned]
        offsets = np.concatenate([[0], np.cumsum(self.sharing)])
        return Access(offsets, schedulers, self.scheduler_count, self._is_mutual, lengths)

    @property
    def _is_mutual(self) -> bool:
        """Whether each server is the own one of one scheduler."""
        if not self.has_own or self.scheduler_count != self.server_count:
            return False
        return bool((np.bincount(self.servers[self.offsets[:-1]], minlength=self.server_count) == 1).all())

    def of(self, scheduler: int) -> Indices:
        """Return the servers that a scheduler can access."""
        return self.servers[self.offsets[scheduler] : self.offsets[scheduler + 1]]

    def with_home(self, home: Home) -> Access:
        """Return the same with an own server for each scheduler: its first, or the first of the nearest ones."""
        if home == "first":
            return Access(self.offsets, self.servers, self.server_count, True, self.lengths)
        if self.lengths is None:
            raise InputError("home nearest needs latencies of the servers, but there are none")
        least = np.minimum.reduceat(self.lengths, self.offsets[:-1])
        entries = np.flatnonzero(self.lengths == np.repeat(least, self.counts))
        owners = np.repeat(np.arange(self.scheduler_count), self.counts)[entries]
        nearest = entries[np.diff(owners, prepend=-1) > 0]
        # The nearest one moves to the front, those before it one column back.
        order = np.arange(len(self.servers))
        order -= (order > self.offsets[:-1].repeat(self.counts)) & (order <= nearest.repeat(self.counts))
        order[self.offsets[:-1]] = nearest
        return Access(self.offsets, self.servers[order], self.server_count, True, self.lengths[order])

    def check(self) -> None:
        """Raise `InputError` unless every scheduler can access a server, none twice, and all servers are there."""
        offsets, servers = self.offsets, self.servers
        if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(servers) or (np.diff(offsets) < 0).any():
            raise InputError("offsets must rise from 0 to the number of entries")
        if (self.counts == 0).any():
            raise InputError(f"scheduler {int(np.argmin(self.counts))} can access no server")
        if not 0 <= servers.min() <= servers.max() < self.server_count:
            raise InputError(f"servers must be from 0 to {self.server_count - 1}")
        if self.lengths is not None and not (self.lengths >= 0.0).all():
            raise InputError("lengths must be numbers >= 0")
        twice = _entry_told_twice(offsets, servers, self.server_count)
        if twice >= 0:
            scheduler = int(np.searchsorted(offsets, twice, side="right")) - 1
            raise InputError(f"scheduler {scheduler} can access server {servers[twice]} twice")


@compiled()
def _entry_told_twice(offsets, servers, server_count):  # type: ignore[no-untyped-def]
    """Return the first entry whose server stands before it among those of its scheduler, -1 if there is none."""
    last = np.full(server_count, -1, dtype=np.int64)
    for scheduler in range(len(offsets) - 1):
        for entry in range(offsets[scheduler], offsets[scheduler + 1]):
            if last[servers[entry]] == scheduler:
                return entry
            last[servers[entry]] = scheduler
    return -1


@compiled()
def _turned(offsets, servers, starts, has_own):  # type: ignore[no-untyped-def]
    """Return the entries sorted by server, of each server those in column 0 first if they are own ones."""
    places = starts[:-1].copy()
    entries = np.empty(len(servers), dtype=np.int64)
    if has_own:
        for entry in offsets[:-1]:
            entries[places[servers[entry]]] = entry
            places[servers[entry]] += 1
    for scheduler in range(len(offsets) - 1):
        for entry in range(offsets[scheduler] + has_own, offsets[scheduler + 1]):
            entries[places[servers[entry]]] = entry
            places[servers[entry]] += 1
    return entries


def own_and_neighbours(offsets: Integers, neighbours: Integers, lengths: Floats | None = None) -> Access:
    """Return the access of a graph whose nodes hold a scheduler and a server each: own server, then neighbours'.

    `lengths` are those of the edges, laid out as `neighbours`, ms; the own server is no way off.
    """
    nodes = len(offsets) - 1
    entries = offsets + np.arange(nodes + 1)
    servers = np.empty(entries[-1], dtype=np.int32)
    is_neighbour = np.ones(len(servers), dtype=bool)
    is_neighbour[entries[:-1]] = False
    servers[entries[:-1]] = np.arange(nodes)
    servers[is_neighbour] = neighbours
    if lengths is None:
        return Access(entries, servers, nodes, has_own=True)
    ways = np.zeros(len(servers))
    ways[is_neighbour] = lengths
    return Access(entries, servers, nodes, True, ways)
