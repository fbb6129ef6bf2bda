"""The star."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from emulator.model.topologies.kind import NODE_LIMIT, TopologyKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class Star(TopologyKind):
    """A hub, node 0, beside all other nodes, which are beside no other."""

    kind: Literal["star"] = "star"
    nodes: Annotated[int, Field(ge=1, le=NODE_LIMIT)]
    """How many nodes, the hub included."""

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return self.nodes

    def build(self, seed: int) -> Topology:
        """Build the graph."""
        import numpy as np

        from emulator.model.topology import from_edges

        leaves = np.arange(1, self.nodes)
        return from_edges(self.kind, np.stack([np.zeros_like(leaves), leaves], axis=1), self.nodes)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Star:
        """See `TopologyKind.sample`."""
        return cls(nodes=int(generator.integers(1, 200)))
