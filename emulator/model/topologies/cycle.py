"""The cycle (CYC-1D of section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from emulator.model.topologies.kind import NODE_LIMIT, TopologyKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class Cycle(TopologyKind):
    """A ring: each node has two neighbours."""

    kind: Literal["cycle"] = "cycle"
    nodes: Annotated[int, Field(ge=3, le=NODE_LIMIT)]
    """How many nodes."""

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return self.nodes

    def build(self, seed: int) -> Topology:
        """Build the graph: node i beside i - 1 and i + 1."""
        import numpy as np

        from emulator.model.topology import from_neighbours

        index = np.arange(self.nodes)
        return from_neighbours(self.kind, np.stack([(index - 1) % self.nodes, (index + 1) % self.nodes], axis=1))

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Cycle:
        """See `TopologyKind.sample`."""
        return cls(nodes=int(generator.integers(3, 200)))


def cycle(nodes: int) -> Topology:
    """Return the ring of so many nodes. Raises `InputError`."""
    return Cycle.of(nodes=nodes).build(seed=0)
