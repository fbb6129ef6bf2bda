"""The random regular graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from emulator.model.topologies.kind import NODE_LIMIT, RandomKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class RandomRegular(RandomKind):
    """A random simple graph in which every node has the same degree: each such graph is equally likely."""

    kind: Literal["random_regular"] = "random_regular"
    nodes: Annotated[int, Field(ge=1, le=NODE_LIMIT)]
    """How many nodes."""
    degree: Annotated[int, Field(ge=0, lt=NODE_LIMIT)]
    """Neighbours of each node."""

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return self.nodes

    def build(self, seed: int) -> Topology:
        """Build the graph, by `match`."""
        from emulator.model.matching import match
        from emulator.model.topology import from_edges

        edges = match(self.nodes, [self.degree], seed if self.seed is None else self.seed)
        return from_edges(self.kind, edges, self.nodes)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> RandomRegular:
        """See `TopologyKind.sample`."""
        return cls(nodes=2 * int(generator.integers(5, 60)), degree=int(generator.integers(0, 9)))
