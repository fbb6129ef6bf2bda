"""The complete graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from emulator.model.topologies.kind import TopologyKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


LARGEST = 10_000
"""Nodes of the largest complete graph."""


class Complete(TopologyKind):
    """Every node beside every other one: each scheduler can access all servers."""

    kind: Literal["complete"] = "complete"
    nodes: Annotated[int, Field(ge=1, le=LARGEST)]
    """How many nodes."""

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return self.nodes

    def build(self, seed: int) -> Topology:
        """Build the graph."""
        import numpy as np

        from emulator.model.topology import Topology

        nodes = self.nodes
        # Row i of the table of all pairs without its diagonal: 0..i - 1, then i + 1..nodes - 1.
        others = np.tile(np.arange(nodes - 1), (nodes, 1))
        others += others >= np.arange(nodes)[:, None]
        return Topology(self.kind, np.arange(nodes + 1) * (nodes - 1), others.ravel())

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Complete:
        """See `TopologyKind.sample`."""
        return cls(nodes=int(generator.integers(1, 40)))
