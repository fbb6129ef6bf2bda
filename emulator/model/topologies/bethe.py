"""The Bethe lattice (section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from emulator.model.topologies.kind import NODE_LIMIT, TopologyKind

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class Bethe(TopologyKind):
    """A Bethe lattice cut at a depth: a tree whose nodes, the leaves excepted, all have the same degree."""

    kind: Literal["bethe"] = "bethe"
    depth: Annotated[int, Field(ge=1, lt=NODE_LIMIT)]
    """Steps from the root to a leaf."""
    degree: Annotated[int, Field(ge=2, lt=NODE_LIMIT)]
    """Neighbours of each node that is not a leaf."""

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        if self.degree == 2:
            return 1 + 2 * self.depth
        nodes, shell = 1, self.degree
        for _ in range(self.depth):
            nodes += shell
            shell *= self.degree - 1
            if nodes > NODE_LIMIT:  # all shells of a great depth would add up to millions of digits
                break
        return nodes

    def build(self, seed: int) -> Topology:
        """Build the graph: node 0 is the root, and has the children 1..degree, every later node the next degree - 1."""
        import numpy as np

        from emulator.model.topology import from_edges

        nodes = self.node_count()
        children = np.arange(1, nodes)
        parents = np.maximum((children - 2) // (self.degree - 1), 0)
        return from_edges(self.kind, np.stack([parents, children], axis=1), nodes)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Bethe:
        """See `TopologyKind.sample`."""
        return cls(depth=int(generator.integers(1, 5)), degree=int(generator.integers(2, 5)))


def bethe(depth: int, degree: int) -> Topology:
    """Return the Bethe lattice of a depth, whose inner nodes have `degree` neighbours. Raises `InputError`."""
    return Bethe.of(depth=depth, degree=degree).build(seed=0)
