"""The system that is emulated: a scenario's numbers and arrays, built and ready for an engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emulator.model.access import Access, own_and_neighbours
from emulator.model.arrivals import ArrivalProcess, Switched
from emulator.model.laws import Exponential, Law
from emulator.model.network import Network
from emulator.model.timetable import Timetable
from emulator.model.topology import Topology


@dataclass(frozen=True)
class System:
    """Schedulers, servers and their timing; times in ms, rates per ms."""

    topology: Topology
    delta_t: float = 5.0
    """Time between broadcasts."""
    horizon: float = 50.0
    buffer: int = 5
    """Jobs that a server holds, the one in service included."""
    service_rates: NDArray[np.float64] = None  # type: ignore[assignment]
    """One for each server; all 1 if not given."""
    arrivals: ArrivalProcess = field(default_factory=Switched)
    work: Law = field(default_factory=Exponential)
    seed: int = 1
    network: Network = field(default_factory=Network)
    """When messages leave and how they travel, when schedulers decide, how long jobs take to servers."""

    def __post_init__(self) -> None:
        rates = np.ones(self.nodes) if self.service_rates is None else np.asarray(self.service_rates, dtype=float)
        object.__setattr__(self, "service_rates", rates)

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
