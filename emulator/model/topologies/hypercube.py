"""The hypercube."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from emulator.model.topologies.kind import TopologyKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class Hypercube(TopologyKind):
    """Corners of a hypercube, each beside those that differ in one coordinate."""

    kind: Literal["hypercube"] = "hypercube"
    dimension: Annotated[int, Field(ge=1, le=23)]
    """Of the hypercube, which has 2**dimension corners."""

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return 2**self.dimension

    def build(self, seed: int) -> Topology:
        """Build the graph: bit k of a node's number is its coordinate k."""
        import numpy as np

        from emulator.model.topology import from_neighbours

        corners = np.arange(2**self.dimension)[:, None]
        return from_neighbours(self.kind, corners ^ (1 << np.arange(self.dimension)))

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Hypercube:
        """See `TopologyKind.sample`."""
        return cls(dimension=int(generator.integers(1, 8)))
