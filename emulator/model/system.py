"""The system that is emulated: a scenario's numbers and arrays, built and ready for an engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emulator.errors import InputError
from emulator.model.access import Access
from emulator.model.arrivals import ArrivalProcess, Switched
from emulator.model.laws import Exponential, Law
from emulator.model.measuring import Measuring
from emulator.model.network import Network
from emulator.model.station import Station
from emulator.model.timetable import Timetable
from emulator.model.topology import AnyTopology, Topology


@dataclass(frozen=True)
class System:
    """Schedulers, servers and their timing; times in ms, rates per ms."""

    topology: AnyTopology
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
    station: Station = field(default_factory=Station)
    """How servers serve their jobs."""
    measuring: Measuring = field(default_factory=Measuring)
    """What is measured; it changes nothing of what happens."""

    def __post_init__(self) -> None:
        rates = np.ones(self.servers) if self.service_rates is None else np.asarray(self.service_rates, dtype=float)
        object.__setattr__(self, "service_rates", rates)
        if self.arrivals.brings_work and any(one.law is not None for one in self.station.classes):
            raise InputError("classes must have no laws of work, for arrivals bring works")

    @property
    def schedulers(self) -> int:
        """How many schedulers there are."""
        return self.topology.schedulers

    @property
    def servers(self) -> int:
        """How many servers there are."""
        return self.topology.servers

    @property
    def graph(self) -> Topology:
        """The graph whose nodes hold a scheduler and a server each. Raises `InputError` if there is none."""
        if not isinstance(self.topology, Topology):
            raise InputError(f"needs a graph of nodes, each a scheduler and a server, got {self.topology.kind}")
        return self.topology

    @property
    def nodes(self) -> int:
        """How many nodes there are, each a scheduler and a server. Raises `InputError` where these are two sets."""
        return self.graph.nodes

    @property
    def access(self) -> Access:
        """Which servers each scheduler can send jobs to."""
        return self.topology.access

    @property
    def has_feedback(self) -> bool:
        """Whether jobs arrive because of what has become of others."""
        return self.station.retries is not None

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """How much more than the mean scheduler each one meets: of mean 1. Raises `InputError`."""
        return self.arrivals.weights_of(self.schedulers, self.seed)

    @cached_property
    def timetable(self) -> Timetable:
        """When servers sample their queues, and when schedulers decide."""
        return Timetable(self.delta_t, self.horizon)
