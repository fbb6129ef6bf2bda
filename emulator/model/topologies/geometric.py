"""The random geometric graph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from emulator.keys import ScenarioError
from emulator.model.topologies.kind import ENTRY_LIMIT, NODE_LIMIT, RandomKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class Geometric(RandomKind):
    """Nodes at random places of the unit square, those within a distance of each other neighbours."""

    kind: Literal["geometric"] = "geometric"
    nodes: Annotated[int, Field(ge=1, le=NODE_LIMIT)]
    """How many nodes."""
    radius: Annotated[float, Field(gt=0, le=1.5)]
    """How far apart neighbours are at most; the square's side is 1."""
    wrap: bool = False
    """Whether opposite borders of the square are joined; then radius is below 0.5."""
    pace: Annotated[float, Field(gt=0)] | None = None
    """Time per length, ms: gives edges latencies."""

    @model_validator(mode="after")
    def _check(self) -> Geometric:
        if self.wrap and self.radius >= 0.5:
            raise ScenarioError("radius", f"must be < 0.5 where wrap joins opposite borders, got {self.radius:g}")
        if math.pi * self.radius**2 * self.nodes**2 > ENTRY_LIMIT and self.nodes > 10_000:
            raise ScenarioError("radius", f"must give at most about {ENTRY_LIMIT} neighbours, got {self.radius:g}")
        return self

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return self.nodes

    def build(self, seed: int) -> Topology:
        """Build the graph, see `near_pairs`."""
        from dataclasses import replace

        from emulator.model.places import near_pairs, random_places, rounded
        from emulator.model.topology import from_edges

        places = random_places(self.nodes, seed if self.seed is None else self.seed)
        edges, distances = near_pairs(places, self.radius, wrap=self.wrap)
        lengths = None if self.pace is None else rounded(distances * self.pace)
        return replace(from_edges(self.kind, edges, self.nodes, lengths), places=places)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Geometric:
        """See `TopologyKind.sample`."""
        radius = float(generator.choice([0.05, 0.2, 0.45, 1.5]))
        wrap = radius < 0.5 and bool(generator.random() < 0.5)
        pace = float(generator.uniform(0.1, 10.0)) if generator.random() < 0.5 else None
        return cls(nodes=int(generator.integers(1, 100)), radius=radius, wrap=wrap, pace=pace)
