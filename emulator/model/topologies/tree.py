"""The complete tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from emulator.model.topologies.kind import NODE_LIMIT, TopologyKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class Tree(TopologyKind):
    """A complete tree: every node but the leaves has equally many children, and all leaves are equally deep."""

    kind: Literal["tree"] = "tree"
    branching: Annotated[int, Field(ge=1, lt=NODE_LIMIT)]
    """Children of each node that is not a leaf."""
    depth: Annotated[int, Field(ge=0, lt=NODE_LIMIT)]
    """Steps from the root to a leaf."""

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        if self.branching == 1:
            return self.depth + 1
        nodes, level = 1, 1
        for _ in range(self.depth):
            level *= self.branching
            nodes += level
            if nodes > NODE_LIMIT:
                break
        return nodes

    def build(self, seed: int) -> Topology:
        """Build the graph: node 0 is the root, and node i has the children i * branching + 1 and so on."""
        import numpy as np

        from emulator.model.topology import from_edges

        children = np.arange(1, self.node_count())
        return from_edges(self.kind, np.stack([(children - 1) // self.branching, children], axis=1), len(children) + 1)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Tree:
        """See `TopologyKind.sample`."""
        return cls(branching=int(generator.integers(1, 5)), depth=int(generator.integers(0, 4)))
