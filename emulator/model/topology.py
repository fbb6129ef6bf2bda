"""Topologies (section 2.1): undirected, simple graphs as frozen arrays; `topologies` builds them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from emulator.errors import InputError
from emulator.model.access import Integers

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, eq=False)
class Topology:
    """An undirected simple graph; node i's neighbours, increasing, are `neighbours[offsets[i]:offsets[i + 1]]`."""

    kind: str
    offsets: Integers
    neighbours: Integers

    def __post_init__(self) -> None:
        self.offsets.flags.writeable = False
        self.neighbours.flags.writeable = False

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.offsets) - 1

    @property
    def edges(self) -> int:
        """How many undirected edges there are."""
        return len(self.neighbours) // 2

    @cached_property
    def degrees(self) -> Integers:
        """How many neighbours each node has."""
        return np.diff(self.offsets)

    @cached_property
    def max_degree(self) -> int:
        """The largest number of neighbours of a node."""
        return int(self.degrees.max())

    @cached_property
    def graph_hash(self) -> str:
        """SHA-256 of the graph, whatever it was made by: equal hashes, equal neighbours."""
        digest = hashlib.sha256()
        for array in (self.offsets, self.neighbours):
            digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
        return digest.hexdigest()

    def check(self) -> None:
        """Raise `InputError` unless the graph is undirected and simple, and its neighbours in order."""
        nodes, ends = self.nodes, self.neighbours
        if nodes < 1 or self.offsets[0] != 0 or self.offsets[-1] != len(ends) or (np.diff(self.offsets) < 0).any():
            raise InputError("offsets must rise from 0 to the number of neighbours")
        if len(ends) and not 0 <= ends.min() <= ends.max() < nodes:
            raise InputError(f"neighbours must be from 0 to {nodes - 1}")
        sources = np.repeat(np.arange(nodes), self.degrees)
        forward = sources * nodes + ends
        if (sources == ends).any():
            raise InputError(f"node {sources[sources == ends][0]} is its own neighbour")
        if (np.diff(forward) <= 0).any():
            raise InputError("each node's neighbours must be in increasing order, none twice")
        one_way = forward[~np.isin(forward, ends * nodes + sources)]
        if len(one_way):
            source, end = divmod(int(one_way[0]), nodes)
            raise InputError(f"node {end} is a neighbour of node {source}, but not the other way round")

    def to_networkx(self) -> nx.Graph:
        """Return the graph as a `networkx.Graph` with nodes 0..nodes - 1."""
        import networkx as nx

        graph = nx.Graph()
        graph.add_nodes_from(range(self.nodes))
        sources = np.repeat(np.arange(self.nodes), self.degrees)
        once = sources < self.neighbours
        graph.add_edges_from(zip(sources[once].tolist(), self.neighbours[once].tolist(), strict=True))
        return graph


def from_neighbours(kind: str, neighbours: Integers) -> Topology:
    """Return the topology of a table of neighbours, nodes x degree."""
    nodes, degree = neighbours.shape
    return Topology(kind, np.arange(nodes + 1) * degree, np.sort(neighbours, axis=1).ravel())


def from_edges(kind: str, edges: Integers, nodes: int) -> Topology:
    """Return the topology of edges x 2 nodes: each edge once, and none a loop."""
    sources = np.concatenate([edges[:, 0], edges[:, 1]])
    targets = np.concatenate([edges[:, 1], edges[:, 0]])
    order = np.lexsort((targets, sources))
    offsets = np.append(0, np.cumsum(np.bincount(sources, minlength=nodes)))
    return Topology(kind, offsets, targets[order])
