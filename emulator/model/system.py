"""The system that is emulated: a scenario's numbers and arrays, built and ready for an engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emulator.model.access import Access, own_and_neighbours
from emulator.model.arrivals import ArrivalProcess, Switched
from emulator.model.laws import Exponential, Law
from emulator.model.timetable import Timetable
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
    def access(self) -> Access:
        """Which servers each scheduler can send jobs to."""
        return own_and_neighbours(self.topology.offsets, self.topology.neighbours)

    @cached_property
    def timetable(self) -> Timetable:
        """When servers sample their queues, and when schedulers decide."""
        return Timetable(self.delta_t, self.horizon)
