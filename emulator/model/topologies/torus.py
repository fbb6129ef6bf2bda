"""The torus (TORUS of section 2.1)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from emulator.model.topologies.kind import NODE_LIMIT, TopologyKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class Torus(TopologyKind):
    """A square grid whose opposite borders are joined: side**2 nodes of degree 4."""

    kind: Literal["torus"] = "torus"
    side: Annotated[int, Field(ge=3, le=math.isqrt(NODE_LIMIT))]
    """Nodes along one side."""

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return self.side**2

    def build(self, seed: int) -> Topology:
        """Build the graph: node = row * side + column."""
        import numpy as np

        from emulator.model.topology import from_neighbours

        grid = np.arange(self.side**2).reshape(self.side, self.side)
        shifts = ((1, 0), (-1, 0), (1, 1), (-1, 1))
        return from_neighbours(self.kind, np.stack([np.roll(grid, *shift).ravel() for shift in shifts], axis=1))

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Torus:
        """See `TopologyKind.sample`."""
        return cls(side=int(generator.integers(3, 14)))


def torus(side: int) -> Topology:
    """Return the torus of side * side nodes. Raises `InputError`."""
    return Torus.of(side=side).build(seed=0)
