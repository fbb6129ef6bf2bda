"""The small world of D. J. Watts and S. H. Strogatz, 1998."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from emulator.keys import ScenarioError
from emulator.model.topologies.kind import ENTRY_LIMIT, NODE_LIMIT, RandomKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class SmallWorld(RandomKind):
    """A ring of near neighbours in which the other end of each edge is moved anywhere with some probability."""

    kind: Literal["small_world"] = "small_world"
    nodes: Annotated[int, Field(ge=4, le=NODE_LIMIT)]
    """How many nodes."""
    degree: Annotated[int, Field(ge=2, lt=NODE_LIMIT)]
    """Neighbours of each node before edges are moved, half of them on each side; at most half of all nodes."""
    rewire: Annotated[float, Field(ge=0, le=1)]
    """Probability of an edge to be moved."""

    @model_validator(mode="after")
    def _check(self) -> SmallWorld:
        if self.degree % 2:
            raise ScenarioError("degree", f"must be even, got {self.degree}")
        if self.degree > self.nodes // 2:
            most = f"at most half of {self.nodes} nodes"
            raise ScenarioError("degree", f"must be {most}, got {self.degree}")
        if self.degree * self.nodes > ENTRY_LIMIT:
            raise ScenarioError("degree", f"times nodes must be at most {ENTRY_LIMIT}")
        return self

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return self.nodes

    def build(self, seed: int) -> Topology:
        """Build the graph, see `rewired_ring`."""
        from emulator.model.rewiring import rewired_ring
        from emulator.model.topology import from_edges

        edges = rewired_ring(self.nodes, self.degree, self.rewire, seed if self.seed is None else self.seed)
        return from_edges(self.kind, edges, self.nodes)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> SmallWorld:
        """See `TopologyKind.sample`."""
        nodes = int(generator.integers(4, 150))
        degree = 2 * int(generator.integers(1, max(2, min(5, nodes // 4 + 1))))
        return cls(nodes=nodes, degree=degree, rewire=float(generator.choice([0.0, 0.1, 1.0])))
