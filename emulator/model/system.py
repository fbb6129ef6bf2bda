"""The system that is emulated: a scenario's numbers and arrays, built and ready for an engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emulator.model.arrivals import ArrivalProcess, Switched
from emulator.model.laws import Exponential, Law
from emulator.model.topology import Topology


@dataclass(frozen=True)
class System:
    """Schedulers, servers and their timing; times in ms, rates per ms."""

    topology: Topology
    delta_t: float
    horizon: float
    buffer: int
    service_rates: NDArray[np.float64]
    arrivals: ArrivalProcess = field(default_factory=Switched)
    work: Law = field(default_factory=Exponential)
    seed: int = 1

    @property
    def nodes(self) -> int:
        """How many schedulers, and servers, there are."""
        return self.topology.nodes

    @cached_property
    def access_offsets(self) -> NDArray[np.int64]:
        """Where each scheduler's accessible servers start in `access`: nodes + 1 numbers."""
        return self.topology.offsets + np.arange(self.nodes + 1)

    @cached_property
    def access(self) -> NDArray[np.int32]:
        """The accessible servers of scheduler 0, 1, ...: its own first, then its neighbours in increasing index."""
        servers = np.empty(self.access_offsets[-1], dtype=np.int32)
        own = self.access_offsets[:-1]
        servers[own] = np.arange(self.nodes)
        is_neighbour = np.ones(len(servers), dtype=bool)
        is_neighbour[own] = False
        servers[is_neighbour] = self.topology.neighbours
        return servers

    @cached_property
    def sharing(self) -> NDArray[np.int64]:
        """How many schedulers can access each server."""
        return self.topology.degrees + 1
