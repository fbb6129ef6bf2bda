"""Any simple graph, given by its edges."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from emulator.errors import InputError
from emulator.keys import ScenarioError
from emulator.model.topologies.kind import NODE_LIMIT, TopologyKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import networkx as nx
    import numpy as np
    from numpy.typing import ArrayLike

    from emulator.model.topology import Topology

NodeIndex = Annotated[int, Field(ge=0, lt=NODE_LIMIT)]


class EdgeList(TopologyKind):
    """Any simple graph, given by its edges."""

    kind: Literal["edge_list"] = "edge_list"
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

    def node_count(self) -> int:
        """See `TopologyKind.node_count`; a file is read for it unless `nodes` is given. Raises `InputError`."""
        if self.nodes is not None:
            return self.nodes
        if self.path is not None:
            return _largest_index(self.path, os.path.isfile(self.path) and os.path.getmtime(self.path)) + 1
        assert self.edges is not None
        return max(map(max, self.edges)) + 1

    def build(self, seed: int) -> Topology:
        """Build the graph, see `edge_list`."""
        from emulator.model.edges import read_edges

        return edge_list(read_edges(Path(self.path)) if self.path is not None else self.edges or [], self.nodes)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> EdgeList:
        """See `TopologyKind.sample`."""
        nodes = int(generator.integers(1, 100))
        pairs = {tuple(sorted(pair)) for pair in generator.integers(0, nodes, (2 * nodes, 2)).tolist()}
        return cls(edges=sorted([a, b] for a, b in pairs if a != b), nodes=nodes)


def edge_list(edges: ArrayLike | Sequence[Sequence[int]], nodes: int | None = None) -> Topology:
    """Return the graph of pairs of nodes, by default to the largest index. Raises `InputError` unless it is simple."""
    from emulator.model.edges import simple_edges
    from emulator.model.topology import from_edges

    return from_edges("edge_list", *simple_edges(edges, nodes))


@lru_cache(maxsize=16)
def _largest_index(path: str, modified: float) -> int:
    """Read a file of edges, only once as long as its time stays `modified`: every point of a sweep asks."""
    from emulator.model.edges import read_edges

    return int(read_edges(Path(path)).max(initial=-1))


def from_networkx(graph: nx.Graph) -> Topology:
    """Return the topology of an undirected `networkx.Graph` whose nodes are 0..n - 1."""
    if graph.is_directed() or graph.is_multigraph():
        raise InputError(f"the graph must be undirected and without double edges, got {type(graph).__name__}")
    if set(graph) != set(range(len(graph))):
        raise InputError(f"the graph's nodes must be numbered 0 to {len(graph) - 1}")
    return edge_list(list(graph.edges), nodes=len(graph))
