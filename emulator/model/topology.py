"""Topologies as frozen arrays, which `topologies` builds: graphs of nodes (section 2.1), and lists of servers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emulator.errors import InputError
from emulator.model.access import Access, Floats, Integers, own_and_neighbours

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, eq=False)
class Topology:
    """An undirected simple graph; node i's neighbours, increasing, are `neighbours[offsets[i]:offsets[i + 1]]`.

    Each node holds a scheduler and a server.
    """

    kind: str
    offsets: Integers
    neighbours: Integers
    lengths: Floats | None = None
    """How long the edge to each neighbour is, ms, the same both ways; None if nobody has said so."""
    remark: str = ""
    """What was changed when the graph was read, if anything was."""
    places: Floats | None = None
    """Nodes x 2: x and y, or longitude and latitude; None if nodes are nowhere."""

    def __post_init__(self) -> None:
        for array in (self.offsets, self.neighbours, self.lengths):
            if array is not None:
                array.flags.writeable = False

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.offsets) - 1

    @property
    def schedulers(self) -> int:
        """How many schedulers there are: one in each node."""
        return self.nodes

    @property
    def servers(self) -> int:
        """How many servers there are: one in each node."""
        return self.nodes

    @cached_property
    def access(self) -> Access:
        """Which servers each scheduler can send jobs to: its own, then its neighbours'."""
        return own_and_neighbours(self.offsets, self.neighbours, self.lengths)

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
        """SHA-256 of the graph, whatever it was made by: equal hashes, equal neighbours and lengths of edges."""
        return _hash_of(self.offsets, self.neighbours, lengths=self.lengths)

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
        if self.lengths is not None:
            back = np.lexsort((sources, ends))  # the edges from the other side, in the order of `forward`
            if len(self.lengths) != len(ends) or not (self.lengths >= 0.0).all():
                raise InputError("lengths of edges must be numbers >= 0, one for each neighbour")
            if (self.lengths != self.lengths[back]).any():
                raise InputError("an edge must be as long one way as the other")

    def to_networkx(self) -> nx.Graph:
        """Return the graph as a `networkx.Graph` with nodes 0..nodes - 1."""
        import networkx as nx

        graph = nx.Graph()
        graph.add_nodes_from(range(self.nodes))
        sources = np.repeat(np.arange(self.nodes), self.degrees)
        once = sources < self.neighbours
        graph.add_edges_from(zip(sources[once].tolist(), self.neighbours[once].tolist(), strict=True))
        if self.lengths is not None:
            ends = zip(sources[once].tolist(), self.neighbours[once].tolist(), strict=True)
            nx.set_edge_attributes(graph, dict(zip(ends, self.lengths[once].tolist(), strict=True)), "latency")
        return graph


@dataclass(frozen=True, eq=False)
class AccessLists:
    """Schedulers and servers as two sets: which servers each scheduler can access, and nothing about neighbours."""

    kind: str
    access: Access
    remark: str = ""
    """What was changed when the lists were read, if anything was."""
    places: Floats | None = None
    """As in `Topology`, where each scheduler stands beside the server of its number."""

    def __post_init__(self) -> None:
        for array in (self.access.offsets, self.access.servers, self.access.lengths):
            if array is not None:
                array.flags.writeable = False

    @property
    def schedulers(self) -> int:
        """How many schedulers there are."""
        return self.access.scheduler_count

    @property
    def servers(self) -> int:
        """How many servers there are."""
        return self.access.server_count

    @cached_property
    def graph_hash(self) -> str:
        """SHA-256 of the relation, whatever it was made by."""
        access, about = self.access, np.array([self.access.server_count, self.access.has_own])
        return _hash_of(access.offsets, access.servers, about, lengths=access.lengths)

    def check(self) -> None:
        """Raise `InputError` unless every scheduler can access a server, none twice, and all servers are there."""
        self.access.check()

    def to_networkx(self) -> nx.DiGraph:
        """Return the relation as a `networkx.DiGraph` from ("scheduler", i) to ("server", j), in the order of entries.

        The attribute `bipartite` of a node is 0 for schedulers, 1 for servers; `latency` of an edge is its length.
        """
        import networkx as nx

        graph, access = nx.DiGraph(), self.access
        graph.add_nodes_from((("scheduler", index) for index in range(self.schedulers)), bipartite=0)
        graph.add_nodes_from((("server", index) for index in range(self.servers)), bipartite=1)
        schedulers = np.repeat(np.arange(self.schedulers), access.counts).tolist()
        ways = (
            [{}] * len(schedulers) if access.lengths is None else [{"latency": way} for way in access.lengths.tolist()]
        )
        for scheduler, server, way in zip(schedulers, access.servers.tolist(), ways, strict=True):
            graph.add_edge(("scheduler", scheduler), ("server", server), **way)
        return graph


AnyTopology = Topology | AccessLists
"""What a kind of topology builds."""


def _hash_of(*arrays: NDArray[Any], lengths: Floats | None) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    if lengths is not None:
        digest.update(np.ascontiguousarray(lengths, dtype="<f8").tobytes())
    return digest.hexdigest()


def from_neighbours(kind: str, neighbours: Integers) -> Topology:
    """Return the topology of a table of neighbours, nodes x degree."""
    nodes, degree = neighbours.shape
    return Topology(kind, np.arange(nodes + 1) * degree, np.sort(neighbours, axis=1).ravel())


def from_edges(kind: str, edges: Integers, nodes: int, lengths: Floats | None = None, remark: str = "") -> Topology:
    """Return the topology of edges x 2 nodes, and their lengths: each edge once, and none a loop."""
    sources = np.concatenate([edges[:, 0], edges[:, 1]])
    targets = np.concatenate([edges[:, 1], edges[:, 0]])
    order = np.lexsort((targets, sources))
    offsets = np.append(0, np.cumsum(np.bincount(sources, minlength=nodes)))
    both_ways = None if lengths is None else np.concatenate([lengths, lengths])[order]
    return Topology(kind, offsets, targets[order], both_ways, remark)


def from_entries(
    kind: str,
    pairs: Integers,
    schedulers: int,
    servers: int,
    *,
    has_own: bool = False,
    lengths: Floats | None = None,
    remark: str = "",
) -> AccessLists:
    """Return the access lists of entries x (scheduler, server), which stay in order at each scheduler."""
    order = np.argsort(pairs[:, 0], kind="stable")
    offsets = np.append(0, np.cumsum(np.bincount(pairs[:, 0], minlength=schedulers)))
    ways = None if lengths is None else lengths[order]
    access = Access(offsets, pairs[order, 1].astype(np.int32), servers, has_own, ways)
    return AccessLists(kind, access, remark)
