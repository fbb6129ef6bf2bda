"""The configuration model (CM of section 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from emulator.model.topologies.kind import NODE_LIMIT, RandomKind, check_size

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import Topology


class ConfigurationModel(RandomKind):
    """A random simple graph with the degrees asked for."""

    kind: Literal["configuration_model"] = "configuration_model"
    nodes: Annotated[int, Field(ge=2, le=NODE_LIMIT)]
    """How many nodes."""
    degrees: Annotated[list[Annotated[int, Field(ge=1, lt=NODE_LIMIT)]], Field(min_length=1)]
    """The degrees that occur."""

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return self.nodes

    def build(self, seed: int) -> Topology:
        """Build the graph, see `configuration_model`."""
        return configuration_model(self.nodes, self.degrees, seed if self.seed is None else self.seed)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> ConfigurationModel:
        """See `TopologyKind.sample`."""
        return cls(nodes=2 * int(generator.integers(4, 100)), degrees=[2, 3], seed=int(generator.integers(1000)))


def configuration_model(nodes: int, degrees: Sequence[int], seed: int) -> Topology:
    """Return a random simple graph; every simple graph with its degrees is equally likely.

    `degrees` with one entry per node is the degree sequence. Otherwise every node's degree is uniform over `degrees`,
    the first one drawn again if their sum is odd. Raises `InputError` if no simple graph has these degrees.
    """
    from emulator.model.matching import match
    from emulator.model.topology import from_edges

    check_size(nodes)
    return from_edges("configuration_model", match(nodes, degrees, seed), nodes)
