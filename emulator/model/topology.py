"""Topologies (section 2.1): undirected, simple graphs of nodes, as frozen arrays.

Neighbours are stored in one array, node after node, which a million nodes fill in well under a second.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatchers.errors import one_line
from dispatchers.files import read_regular
from emulator.errors import InputError
from emulator.randomness import TOPOLOGY, random_words

if TYPE_CHECKING:
    import networkx as nx

Integers = NDArray[np.int64]

LARGEST_FILE = 2**30
"""Bytes of a file of edges."""

MOST_NODES = 50_000_000
"""Larger graphs are refused before memory is."""


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

    def to_networkx(self) -> nx.Graph:
        """Return the graph as a `networkx.Graph` with nodes 0..nodes - 1."""
        import networkx as nx

        graph = nx.Graph()
        graph.add_nodes_from(range(self.nodes))
        sources = np.repeat(np.arange(self.nodes), self.degrees)
        once = sources < self.neighbours
        graph.add_edges_from(zip(sources[once].tolist(), self.neighbours[once].tolist(), strict=True))
        return graph


def from_networkx(graph: nx.Graph) -> Topology:
    """Return the topology of an undirected `networkx.Graph` whose nodes are 0..n - 1."""
    if graph.is_directed() or graph.is_multigraph():
        raise InputError(f"the graph must be undirected and without double edges, got {type(graph).__name__}")
    if set(graph) != set(range(len(graph))):
        raise InputError(f"the graph's nodes must be numbered 0 to {len(graph) - 1}")
    return edge_list(list(graph.edges), nodes=len(graph))


def cycle(nodes: int) -> Topology:
    """Return the cycle (CYC-1D): node i beside i - 1 and i + 1."""
    _check_size("nodes of a cycle", nodes, 3, MOST_NODES)
    index = np.arange(nodes)
    return _regular("cycle", np.stack([(index - 1) % nodes, (index + 1) % nodes], axis=1))


def torus(side: int) -> Topology:
    """Return the side x side grid with opposite borders joined (TORUS); node = row * side + column."""
    _check_size("side of a torus", side, 3, int(MOST_NODES**0.5))
    grid = np.arange(side * side).reshape(side, side)
    shifts = ((1, 0), (-1, 0), (1, 1), (-1, 1))
    return _regular("torus", np.stack([np.roll(grid, step, axis).ravel() for step, axis in shifts], axis=1))


def cube_connected_cycle(order: int) -> Topology:
    """Return the cube-connected cycles of an order (CCC): order * 2**order nodes of degree 3.

    Node `corner * order + position` stands on the cycle at a corner of the hypercube, beside the two positions next to
    it and, across dimension `position`, the same position at the corner that differs in that bit.
    """
    _check_size("order of cube-connected cycles", order, 3, 20)
    corner, position = np.divmod(np.arange(order * 2**order), order)
    return _regular(
        "cube_connected_cycle",
        np.stack(
            [
                corner * order + (position - 1) % order,
                corner * order + (position + 1) % order,
                (corner ^ (1 << position)) * order + position,
            ],
            axis=1,
        ),
    )


def bethe(depth: int, degree: int) -> Topology:
    """Return the Bethe lattice: a tree whose inner nodes have `degree` neighbours, all leaves at `depth` of node 0."""
    _check_size("degree of a Bethe lattice", degree, 2, MOST_NODES)
    _check_size("depth of a Bethe lattice", depth, 1, MOST_NODES)
    size, shell = 1, degree
    for _ in range(depth):
        size += shell
        shell *= degree - 1
        if size > MOST_NODES:  # all shells of a great depth would add up to millions of digits
            break
    _check_size("nodes of a Bethe lattice", size, 1, MOST_NODES)
    children = np.arange(1, size)
    # Node 0 has the children 1..degree, every later node the next degree - 1.
    parents = np.maximum((children - 2) // (degree - 1), 0)
    return _from_edges("bethe", np.stack([parents, children], axis=1), size)


def edge_list(edges: ArrayLike | Sequence[Sequence[int]], nodes: int | None = None) -> Topology:
    """Return the graph of given pairs of nodes; without `nodes`, the largest index is the last node.

    Raises `InputError` for loops, double edges, indices out of range, and, without `nodes`, for an index below the
    largest that is in no edge.
    """
    pairs = np.asarray(edges)
    if pairs.size == 0:
        pairs = np.empty((0, 2), dtype=np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
        raise InputError("edges must be pairs of whole numbers >= 0")
    pairs = pairs.astype(np.int64)
    if nodes is None and len(pairs) == 0:
        raise InputError("an edge list without edges needs nodes: to say how many there are")
    count = int(pairs.max()) + 1 if nodes is None else nodes
    _check_size("nodes of an edge list", count, 1, MOST_NODES)
    _refuse(pairs, ((pairs < 0) | (pairs >= count)).any(axis=1), f"must have nodes from 0 to {count - 1}")
    _refuse(pairs, (pairs[:, :1] == pairs[:, 1:]).any(axis=1), "is a loop, and a node must not be its own neighbour")
    codes = pairs.min(axis=1) * count + pairs.max(axis=1)
    first = np.zeros(len(pairs), dtype=bool)
    first[np.unique(codes, return_index=True)[1]] = True
    _refuse(pairs, ~first, "stands twice, and double edges are not allowed")
    if nodes is None:
        missing = np.flatnonzero(np.bincount(pairs.ravel(), minlength=count) == 0)
        if len(missing):
            raise InputError(
                f"node {missing[0]} is in no edge, though the largest is {count - 1}: "
                "a hole, unless nodes: says that isolated nodes are meant"
            )
    return _from_edges("edge_list", pairs, count)


def read_edges(path: str | Path) -> Integers:
    """Read edges, two columns of whole numbers, from a CSV file with or without a line of names at its top."""
    path = Path(path)
    try:
        lines = read_regular(path, LARGEST_FILE).decode("utf-8-sig").splitlines(keepends=True)
        rows = [(number, row) for number, row in enumerate(csv.reader(lines, strict=True), 1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: cannot be read as a CSV file of edges: {reason}") from None
    if rows and not any(re.match(r"\s*[-+.]?\d", cell) for cell in rows[0][1]):
        rows = rows[1:]
    edges = np.empty((len(rows), 2), dtype=np.int64)
    for place, (number, row) in enumerate(rows):
        try:
            source, target = (re.fullmatch(r"\s*([0-9]{1,18})\s*", cell, re.ASCII) for cell in row)
            edges[place] = int(source[1]), int(target[1])  # type: ignore[index]
        except (ValueError, TypeError):
            got = one_line(repr(",".join(row)), 60)
            raise InputError(f"{path}:{number}: must be two whole numbers >= 0, got {got}") from None
    return edges


def configuration_model(nodes: int, degrees: Sequence[int], seed: int) -> Topology:
    """Return a random simple graph with the degrees asked for (CM).

    `degrees` with one entry per node is the degree sequence; otherwise every node's degree is uniform over `degrees`,
    the first one drawn again if their sum is odd. Stubs are matched at random until the graph is simple, which makes
    every simple graph with these degrees equally likely. Where that could take long, the few loops and double edges of
    a large or dense matching are removed by random switches of edge ends instead. Raises `InputError` if no simple
    graph has these degrees.
    """
    _check_size("nodes of a configuration model", nodes, 1, MOST_NODES)
    allowed = np.asarray(degrees, dtype=np.int64)
    if len(allowed) == 0 or (allowed < 0).any():
        raise InputError(f"degrees must be whole numbers >= 0, at least one of them, got {list(degrees)}")
    sequence = allowed if len(allowed) == nodes else _draw_degrees(nodes, allowed, seed)
    if not is_graphical(sequence):
        shown = list(degrees) if len(degrees) <= 12 else f"{len(degrees)} degrees"
        raise InputError(
            f"no simple graph of {nodes} nodes has the degrees {shown}: "
            "their sum must be even and each at most the number of others that can take it"
        )
    stubs = np.repeat(np.arange(nodes), sequence)
    attempts = _attempts_at_a_simple_matching(sequence)
    effort = 400_000 + 5 * len(stubs)
    for attempt in range(attempts + 20):
        words = random_words(_attempt_seed(seed, attempt), TOPOLOGY, len(stubs))
        ends = stubs[np.argsort(words, kind="stable")].reshape(-1, 2)
        if attempt < attempts:
            simple = len(_bad_edges(ends, nodes)) == 0
        else:
            effort = _switch_until_simple(ends, nodes, _attempt_seed(seed, attempt) ^ 0x55555555, effort)
            simple = effort > 0 and len(_bad_edges(ends, nodes)) == 0
        if simple:
            return _from_edges("configuration_model", ends, nodes)
        if effort <= 0:  # about half of all pairs are edges, or more: switches make as many bad ones as they mend
            break
    return _from_edges("configuration_model", _havel_hakimi(sequence), nodes)


def _attempts_at_a_simple_matching(sequence: Integers) -> int:
    """Return how many matchings to try: none for large graphs, where switches change a vanishing share of edges.

    A matching is simple with probability about exp(-r / 2 - r**2 / 4), r = E[d (d - 1)] / E[d] (B. Bollobas, 1980).
    """
    stubs = int(sequence.sum())
    if stubs == 0 or stubs > 20_000:
        return 0
    ratio = float((sequence * (sequence - 1)).sum()) / stubs
    chance = np.exp(-ratio / 2 - ratio**2 / 4)
    return min(2000, int(20 / chance)) if chance > 0.01 else 0


def is_graphical(degrees: Integers) -> bool:
    """Tell whether a simple graph has these degrees (P. Erdos and T. Gallai, 1960)."""
    ordered = np.sort(degrees)[::-1]
    count = len(ordered)
    if ordered.sum() % 2 or ordered[0] >= count:
        return False
    rank = np.arange(1, count + 1)
    # Sum over the others of min(degree, k): those of degree >= k count k, the rest their degree.
    at_least = np.searchsorted(-ordered, -rank, side="right")
    tails = np.append(np.cumsum(ordered[::-1])[::-1], 0)
    others = rank * np.maximum(at_least - rank, 0) + tails[np.maximum(at_least, rank)]
    return bool((np.cumsum(ordered) <= rank * (rank - 1) + others).all())


def _draw_degrees(nodes: int, allowed: Integers, seed: int) -> Integers:
    words = random_words(seed, TOPOLOGY, nodes + 64) % np.uint64(len(allowed))
    sequence = allowed[words[:nodes].astype(np.int64)]
    if sequence.sum() % 2 and len(set((allowed % 2).tolist())) == 2:
        others = allowed[allowed % 2 != sequence[0] % 2]
        sequence[0] = others[int(words[nodes]) % len(others)]
    return sequence


def _attempt_seed(seed: int, attempt: int) -> int:
    return (seed * 0x9E3779B1 + attempt * 0x85EBCA6B + 1) % 2**32


def _switch_until_simple(ends: Integers, nodes: int, seed: int, effort: int) -> int:
    """Switch ends of bad edges with those of random edges, in place, until the graph is simple.

    Return what is left of the `effort`, counted in switches; without any, the graph is not simple, nor may it be else.
    """
    for round_number in range(200):
        bad = _bad_edges(ends, nodes)
        effort -= len(bad) + len(ends) // 4  # a look at all edges takes as long as that many switches
        if len(bad) == 0 or effort <= 0:
            break
        words = random_words(_attempt_seed(seed, round_number), TOPOLOGY, 2 * len(bad))
        partners = (words[: len(bad)] % np.uint64(len(ends))).astype(np.int64)
        sides = (words[len(bad) :] & np.uint64(1)).astype(np.int64)
        for edge, partner, side in zip(bad.tolist(), partners.tolist(), sides.tolist(), strict=True):
            ends[edge, 1], ends[partner, side] = ends[partner, side], ends[edge, 1]
    return effort


def _bad_edges(ends: Integers, nodes: int) -> Integers:
    """Return the loops, and of each set of double edges all but one."""
    codes = ends.min(axis=1) * nodes + ends.max(axis=1)
    order = np.argsort(codes, kind="stable")
    repeated = np.zeros(len(ends), dtype=bool)
    repeated[order[1:]] = codes[order[1:]] == codes[order[:-1]]
    return np.flatnonzero(repeated | (ends[:, 0] == ends[:, 1]))


def _havel_hakimi(sequence: Integers) -> Integers:
    """Return the edges of a graph with these degrees, for the dense few that switches do not reach."""
    import networkx as nx

    return np.array(nx.havel_hakimi_graph(sequence.tolist()).edges, dtype=np.int64).reshape(-1, 2)


def _regular(kind: str, neighbours: Integers) -> Topology:
    """Return the topology of a table of neighbours, nodes x degree."""
    nodes, degree = neighbours.shape
    return Topology(kind, np.arange(nodes + 1) * degree, np.sort(neighbours, axis=1).ravel())


def _from_edges(kind: str, edges: Integers, nodes: int) -> Topology:
    sources = np.concatenate([edges[:, 0], edges[:, 1]])
    targets = np.concatenate([edges[:, 1], edges[:, 0]])
    order = np.lexsort((targets, sources))
    offsets = np.zeros(nodes + 1, dtype=np.int64)
    np.cumsum(np.bincount(sources, minlength=nodes), out=offsets[1:])
    return Topology(kind, offsets, targets[order])


def _check_size(what: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        reason = " (a smaller one has loops or double edges)" if least == 3 and isinstance(value, int) else ""
        raise InputError(f"{what} must be a whole number from {least} to {most}, got {value}{reason}")


def _refuse(edges: Integers, wrong: Any, why: str) -> None:
    if wrong.any():
        place = int(np.argmax(wrong))
        raise InputError(f"edge {place} [{edges[place, 0]}, {edges[place, 1]}] {why}")
