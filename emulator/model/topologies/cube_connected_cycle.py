"""Cube-connected cycles (CCC of section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from emulator.model.topologies.kind import TopologyKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class CubeConnectedCycle(TopologyKind):
    """A hypercube whose corners are cycles: order * 2**order nodes of degree 3."""

    kind: Literal["cube_connected_cycle"] = "cube_connected_cycle"
    order: Annotated[int, Field(ge=3, le=19)]
    """Dimension of the hypercube, and nodes of each cycle."""

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return self.order * 2**self.order

    def build(self, seed: int) -> Topology:
        """Build the graph.

        Node `corner * order + position` stands on the cycle at a corner of the hypercube. Its neighbours are the two
        positions next to it and, across dimension `position`, the same position at the corner that differs in that bit.
        """
        import numpy as np

        from emulator.model.topology import from_neighbours

        order = self.order
        corner, position = np.divmod(np.arange(self.node_count()), order)
        before = corner * order + (position - 1) % order
        after = corner * order + (position + 1) % order
        across = (corner ^ (1 << position)) * order + position
        return from_neighbours(self.kind, np.stack([before, after, across], axis=1))

    @classmethod
    def sample(cls, generator: np.random.Generator) -> CubeConnectedCycle:
        """See `TopologyKind.sample`."""
        return cls(order=int(generator.integers(3, 6)))


def cube_connected_cycle(order: int) -> Topology:
    """Return the cube-connected cycles of an order. Raises `InputError`."""
    return CubeConnectedCycle.of(order=order).build(seed=0)
