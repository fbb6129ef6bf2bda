"""The system that is emulated: a scenario's numbers and arrays, built and ready for an engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emulator.model.access import Access, own_and_neighbours
from emulator.model.timetable import Timetable
from emulator.model.topology import Topology


@dataclass(frozen=True)
class ArrivalProcess:
    """The arrival rate of every scheduler (jobs per ms), switched after each epoch (section 2.3, eq. 2)."""

    high: float = 0.9
    low: float = 0.6
    high_to_low: float = 0.2
    low_to_high: float = 0.5


@dataclass(frozen=True)
class WorkLaw:
    """The law of a job's work, of mean 1 and squared coefficient of variation `scv`."""

    kind: str = "exponential"
    scv: float = 1.0


@dataclass(frozen=True)
class System:
    """Schedulers, servers and their timing; times in ms, rates per ms."""

    topology: Topology
    delta_t: float
    horizon: float
    buffer: int
    service_rates: NDArray[np.float64]
    arrivals: ArrivalProcess = field(default_factory=ArrivalProcess)
    work: WorkLaw = field(default_factory=WorkLaw)
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
