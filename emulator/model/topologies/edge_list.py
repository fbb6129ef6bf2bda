"""Any simple graph, given by its edges; and any servers of schedulers."""

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

    from emulator.model.access import Floats, Home
    from emulator.model.topology import AccessLists, AnyTopology, Topology

NodeIndex = Annotated[int, Field(ge=0, lt=NODE_LIMIT)]


class EdgeList(TopologyKind):
    """Any simple graph, given by its edges; or directed, the servers of schedulers that are a set of their own."""

    kind: Literal["edge_list"] = "edge_list"
    edges: list[Annotated[list[NodeIndex], Field(min_length=2, max_length=2)]] | None = None
    """Pairs of nodes, counted from 0; none, beside nodes, for queues on their own."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """A CSV file of such pairs, relative to the file in which this stands."""
    nodes: Annotated[int, Field(ge=1, le=NODE_LIMIT)] | None = None
    """How many nodes; one more than the largest index if not given."""
    directed: bool | None = None
    """Whether pairs are a scheduler and a server that it can access, two sets; they are two nodes if not given."""
    servers: Annotated[int, Field(ge=1, le=NODE_LIMIT)] | None = None
    """Beside directed, how many servers; one more than the largest index if not given."""
    home: Literal["first", "nearest"] | None = None
    """Beside directed, which server is a scheduler's own: the first that is listed, or the one of least latency."""

    @model_validator(mode="after")
    def _check(self) -> EdgeList:
        if (self.edges is None) == (self.path is None):
            raise ScenarioError("", "needs either edges or path" + (", got both" if self.path else ""))
        if self.edges == [] and self.nodes is None:
            raise ScenarioError("edges", "must not be an empty list unless nodes says how many there are")
        if self.directed and self.nodes is not None:
            raise ScenarioError("nodes", "must not stand beside directed: schedulers and servers are two sets")
        for key in ("servers", "home"):
            if getattr(self, key) is not None and not self.directed:
                raise ScenarioError(key, "must stand beside directed: true, else each node holds a server")
        if self.home == "nearest" and self.path is None:
            raise ScenarioError("home", "nearest needs latencies, which a file at path can hold, but edges cannot")
        return self

    @property
    def is_read(self) -> bool:
        """See `TopologyKind.is_read`."""
        return self.path is not None

    def node_count(self) -> int:
        """See `TopologyKind.node_count`; a file is read for it unless `nodes` is given. Raises `InputError`."""
        if self.nodes is not None:
            return self.nodes
        return max(self._largest()) + 1

    def scheduler_count(self) -> int:
        """See `TopologyKind.scheduler_count`."""
        return self._largest()[0] + 1 if self.directed else self.node_count()

    def server_count(self) -> int:
        """See `TopologyKind.server_count`."""
        if self.servers is not None:
            return self.servers
        return self._largest()[1] + 1 if self.directed else self.node_count()

    def _largest(self) -> tuple[int, int]:
        """Return the largest index of each column."""
        if self.path is not None:
            return _largest_indices(self.path, os.path.isfile(self.path) and os.path.getmtime(self.path))
        assert self.edges is not None
        return max(edge[0] for edge in self.edges), max(edge[1] for edge in self.edges)

    def has_nodes(self) -> bool:
        """See `TopologyKind.has_nodes`."""
        return not self.directed

    def has_own(self) -> bool:
        """See `TopologyKind.has_own`."""
        return not self.directed or self.home is not None

    def build(self, seed: int) -> AnyTopology:
        """Build the graph, see `edge_list`, or the lists, see `access_lists`."""
        from emulator.model.edges import read_lengths

        edges, lengths = read_lengths(Path(self.path)) if self.path is not None else (self.edges or [], None)
        if self.directed:
            return access_lists(edges, self.servers, lengths=lengths, home=self.home)
        return edge_list(edges, self.nodes, lengths)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> EdgeList:
        """See `TopologyKind.sample`."""
        nodes = int(generator.integers(1, 100))
        if generator.random() < 0.5:
            count = int(generator.integers(1, 20))
            lists = [generator.permutation(nodes)[: int(generator.integers(1, 6))].tolist() for _ in range(count)]
            edges = [[scheduler, server] for scheduler, servers in enumerate(lists) for server in servers]
            return cls(edges=edges, servers=nodes, directed=True, home="first" if nodes % 2 else None)
        pairs = {tuple(sorted(pair)) for pair in generator.integers(0, nodes, (2 * nodes, 2)).tolist()}
        return cls(edges=sorted([a, b] for a, b in pairs if a != b), nodes=nodes)


def edge_list(
    edges: ArrayLike | Sequence[Sequence[int]], nodes: int | None = None, lengths: Floats | None = None
) -> Topology:
    """Return the graph of pairs of nodes, by default to the largest index, with the lengths of its edges, ms.

    Raises `InputError` unless it is simple.
    """
    from emulator.model.edges import simple_edges
    from emulator.model.topology import from_edges

    return from_edges("edge_list", *simple_edges(edges, nodes), lengths)


def access_lists(
    edges: ArrayLike | Sequence[Sequence[int]],
    servers: int | None = None,
    *,
    lengths: Floats | None = None,
    home: Home | None = None,
) -> AccessLists:
    """Return which servers schedulers can access, of pairs of a scheduler and a server.

    A scheduler's servers stay in order, but that `home` comes first. Raises `InputError` unless every scheduler has
    one, and no pair stands twice.
    """
    from emulator.model.edges import entries
    from emulator.model.topology import AccessLists, from_entries

    lists = from_entries("edge_list", *entries(edges, servers), lengths=lengths)
    return lists if home is None else AccessLists(lists.kind, lists.access.with_home(home))


@lru_cache(maxsize=16)
def _largest_indices(path: str, modified: float) -> tuple[int, int]:
    """Read a file of edges, only once as long as its time stays `modified`: every point of a sweep asks."""
    from emulator.model.edges import read_edges

    source, target = read_edges(Path(path)).max(axis=0, initial=-1).tolist()
    return source, target


def from_networkx(graph: nx.Graph, *, simplify: bool = False, home: Home | None = None) -> AnyTopology:
    """Return the topology of a networkx graph; see `emulator.model.links.topology_of`.

    Of an undirected one, whose nodes are 0..n - 1, each node holds a scheduler and a server. Of a directed one, too,
    and a scheduler can access its own server and those that its node's edges lead to. Where nodes have the attribute
    `bipartite`, they are schedulers (0) and servers (1), in the order of the graph. The attribute `latency` of all
    edges is their lengths, ms. What is no simple graph so numbered is refused, or simplified.
    """
    import numpy as np

    from emulator.model.links import Links, topology_of

    names = list(graph)
    number = {name: index for index, name in enumerate(names)}
    ends = np.array([(number[one], number[other]) for one, other in graph.edges()], dtype=np.int64).reshape(-1, 2)
    sides = [values.get("bipartite") for values in graph.nodes.values()]
    if any(side not in (None, 0, 1) for side in sides) or len({side is None for side in sides}) > 1:
        raise InputError("nodes must all have bipartite 0 (scheduler) or 1 (server), or none of them")
    lengths = [length for _, _, length in graph.edges(data="latency")]
    is_long = bool(lengths) and all(length is not None for length in lengths)
    links = Links(
        names,
        ends,
        graph.is_directed(),
        np.array(sides, dtype=np.int8) if sides and sides[0] is not None else None,
        lengths=np.array(lengths, dtype=np.float64) if is_long else None,
    )
    return topology_of(links, "edge_list", "the graph", simplify=simplify, home=home)
