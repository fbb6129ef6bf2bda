"""The grid, of any number of dimensions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from emulator.keys import ScenarioError
from emulator.model.topologies.kind import NODE_LIMIT, TopologyKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class Grid(TopologyKind):
    """A grid of any number of dimensions, whose opposite borders may be joined."""

    kind: Literal["grid"] = "grid"
    sides: Annotated[list[Annotated[int, Field(ge=1, le=NODE_LIMIT)]], Field(min_length=1, max_length=24)]
    """Nodes along each side."""
    wrap: bool = False
    """Whether opposite borders are joined; then sides are at least 3."""

    @model_validator(mode="after")
    def _check(self) -> Grid:
        if self.wrap and min(self.sides) < 3:
            raise ScenarioError("sides", f"must be >= 3 where wrap joins opposite borders, got {min(self.sides)}")
        return self

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return math.prod(self.sides)

    def build(self, seed: int) -> Topology:
        """Build the graph: nodes are numbered along the last side first."""
        import numpy as np

        from emulator.model.topology import from_edges

        nodes = np.arange(self.node_count()).reshape(self.sides)
        edges = [np.empty((0, 2), dtype=np.int64)]
        for axis in range(nodes.ndim):
            ahead = np.roll(nodes, -1, axis)
            here = nodes if self.wrap else np.delete(nodes, -1, axis)
            ahead = ahead if self.wrap else np.delete(ahead, -1, axis)
            edges.append(np.stack([here.ravel(), ahead.ravel()], axis=1))
        return from_edges(self.kind, np.concatenate(edges), nodes.size)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Grid:
        """See `TopologyKind.sample`."""
        wrap = bool(generator.random() < 0.5)
        sides = generator.integers(3 if wrap else 1, 6, int(generator.integers(1, 4))).tolist()
        return cls(sides=sides, wrap=wrap)
