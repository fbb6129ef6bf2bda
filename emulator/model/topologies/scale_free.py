"""The scale-free graph of A.-L. Barabasi and R. Albert, 1999."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from emulator.keys import ScenarioError
from emulator.model.topologies.kind import ENTRY_LIMIT, NODE_LIMIT, RandomKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class ScaleFree(RandomKind):
    """A graph that grows by preferential attachment: few nodes have many neighbours."""

    kind: Literal["scale_free"] = "scale_free"
    nodes: Annotated[int, Field(ge=2, le=NODE_LIMIT)]
    """How many nodes."""
    attach: Annotated[int, Field(ge=1, lt=NODE_LIMIT)]
    """Edges that each node brings, except the first ones: a star of attach + 1 nodes."""

    @model_validator(mode="after")
    def _check(self) -> ScaleFree:
        if self.attach >= self.nodes:
            raise ScenarioError("attach", f"must be below the number of nodes, {self.nodes}, got {self.attach}")
        if 2 * self.attach * self.nodes > ENTRY_LIMIT:
            raise ScenarioError("attach", f"times twice the nodes must be at most {ENTRY_LIMIT}")
        return self

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return self.nodes

    def build(self, seed: int) -> Topology:
        """Build the graph, see `attached`."""
        from emulator.model.attachment import attached
        from emulator.model.topology import from_edges

        edges = attached(self.nodes, self.attach, seed if self.seed is None else self.seed)
        return from_edges(self.kind, edges, self.nodes)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> ScaleFree:
        """See `TopologyKind.sample`."""
        return cls(nodes=int(generator.integers(10, 200)), attach=int(generator.integers(1, 10)))
