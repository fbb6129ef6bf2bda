"""The topologies that a scenario can ask for: their keys and bounds, how many nodes, and what builds them."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from emulator.keys import ScenarioError, Section, Seed

if TYPE_CHECKING:
    from emulator.model.topology import Topology

NODE_LIMIT = 10_000_000
"""The largest network."""

NodeIndex = Annotated[int, Field(ge=0, lt=NODE_LIMIT)]


class TopologySpec(Section):
    """A topology as a scenario describes it."""

    def node_count(self) -> int:
        """Return how many nodes there are, without building; beyond NODE_LIMIT, some number beyond it."""
        return self._count()

    def build(self, seed: int) -> Topology:
        """Build the graph; a random one from its own seed or else from `seed`. Raises `InputError`."""
        from emulator.model import topology  # late, for the compiler behind it takes a second to import

        return self._build(topology, seed)

    @abstractmethod
    def _count(self) -> int:
        """Return `node_count`."""

    @abstractmethod
    def _build(self, builders: Any, seed: int) -> Topology:
        """Call the right one of the builders in `emulator.model.topology`."""


class Cycle(TopologySpec):
    """A ring: each node has two neighbours."""

    kind: Literal["cycle"]
    nodes: Annotated[int, Field(ge=3, le=NODE_LIMIT)]
    """How many nodes."""

    def _count(self) -> int:
        return self.nodes

    def _build(self, builders: Any, seed: int) -> Topology:
        return builders.cycle(self.nodes)


class CubeConnectedCycle(TopologySpec):
    """A hypercube whose corners are cycles: order * 2**order nodes of degree 3."""

    kind: Literal["cube_connected_cycle"]
    order: Annotated[int, Field(ge=3, le=19)]
    """Dimension of the hypercube, and nodes of each cycle."""

    def _count(self) -> int:
        return self.order * 2**self.order

    def _build(self, builders: Any, seed: int) -> Topology:
        return builders.cube_connected_cycle(self.order)


class Torus(TopologySpec):
    """A square grid whose opposite borders are joined: side**2 nodes of degree 4."""

    kind: Literal["torus"]
    side: Annotated[int, Field(ge=3, le=math.isqrt(NODE_LIMIT))]
    """Nodes along one side."""

    def _count(self) -> int:
        return self.side**2

    def _build(self, builders: Any, seed: int) -> Topology:
        return builders.torus(self.side)


class ConfigurationModel(TopologySpec):
    """A random simple graph with the degrees asked for."""

    kind: Literal["configuration_model"]
    nodes: Annotated[int, Field(ge=2, le=NODE_LIMIT)]
    """How many nodes."""
    degrees: Annotated[list[Annotated[int, Field(ge=1, lt=NODE_LIMIT)]], Field(min_length=1)]
    """The degrees that occur."""
    seed: Seed | None = None
    """Seed of the graph; the scenario's if not given."""

    def _count(self) -> int:
        return self.nodes

    def _build(self, builders: Any, seed: int) -> Topology:
        return builders.configuration_model(self.nodes, self.degrees, seed if self.seed is None else self.seed)


class Bethe(TopologySpec):
    """A Bethe lattice cut at a depth: a tree whose nodes, the leaves excepted, all have the same degree."""

    kind: Literal["bethe"]
    depth: Annotated[int, Field(ge=1, lt=NODE_LIMIT)]
    """Steps from the root to a leaf."""
    degree: Annotated[int, Field(ge=2, lt=NODE_LIMIT)]
    """Neighbours of each node that is not a leaf."""

    def _count(self) -> int:
        if self.degree == 2:
            return 1 + 2 * self.depth
        nodes, shell = 1, self.degree
        for _ in range(self.depth):
            nodes += shell
            shell *= self.degree - 1
            if nodes > NODE_LIMIT:  # all shells of a great depth would add up to millions of digits
                break
        return nodes

    def _build(self, builders: Any, seed: int) -> Topology:
        return builders.bethe(self.depth, self.degree)


class EdgeList(TopologySpec):
    """Any simple graph, given by its edges."""

    kind: Literal["edge_list"]
    edges: list[Annotated[list[NodeIndex], Field(min_length=2, max_length=2)]] | None = None
    """Pairs of nodes, counted from 0; none, beside nodes, for queues on their own."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """A CSV file of such pairs, relative to the file in which this stands."""
    nodes: Annotated[int, Field(ge=1, le=NODE_LIMIT)] | None = None
    """How many nodes; one more than the largest index if not given."""

    @model_validator(mode="after")
    def _check(self) -> EdgeList:
        if (self.edges is None) == (self.path is None):
            raise ScenarioError("", "needs either edges or path" + (", got both" if self.path else ""))
        if self.edges == [] and self.nodes is None:
            raise ScenarioError("edges", "must not be an empty list unless nodes says how many there are")
        return self

    def _count(self) -> int:
        if self.nodes is not None:
            return self.nodes
        if self.path is not None:
            return _largest_index(self.path, os.path.isfile(self.path) and os.path.getmtime(self.path)) + 1
        assert self.edges is not None
        return max(map(max, self.edges)) + 1

    def _build(self, builders: Any, seed: int) -> Topology:
        edges = self.edges if self.path is None else builders.read_edges(Path(self.path))
        return builders.edge_list(edges, self.nodes)


@lru_cache(maxsize=16)
def _largest_index(path: str, modified: float) -> int:
    """Read a file of edges, only once as long as its time stays `modified`: every point of a sweep asks."""
    from emulator.model.topology import read_edges

    return int(read_edges(Path(path)).max(initial=-1))


TOPOLOGIES: dict[str, type[TopologySpec]] = {
    "cycle": Cycle,
    "cube_connected_cycle": CubeConnectedCycle,
    "torus": Torus,
    "configuration_model": ConfigurationModel,
    "bethe": Bethe,
    "edge_list": EdgeList,
}
"""The topologies by their `kind`."""

AnyTopology = Annotated[
    Cycle | CubeConnectedCycle | Torus | ConfigurationModel | Bethe | EdgeList, Field(discriminator="kind")
]
